"""Folds a journal as an OMS does at its start, in a process of its own: `python -m ops.drill.fold_apart`.

Arguments: the server's address, the account, and where archives are if it is to know that. Standard output
gets what it took, as JSON.
"""

import resource
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from bus import logs
from oms.journal.digest import digest_of
from oms.journal.fold import folded

_STATUS = Path("/proc/self/status")


class Took(msgspec.Struct, frozen=True):
    """How long a fold took, of how many entries, with how much memory at the most."""

    entries: int
    orders: int
    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    digest: str


async def _fold(url: str, account: str, archive: str = "") -> Took:
    began, cpu_began = time.monotonic(), time.process_time()
    found = await folded(url, account, archive=Path(archive) if archive else None)
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    peak = _peak_bytes() / 1e6
    book = found.state.book
    orders = len(book.orders) + len(book.put_away)
    return Took(
        found.entries, orders, round(seconds, 2), round(cpu_seconds, 2), round(peak), digest_of(found.state)
    )


def _peak_bytes() -> int:
    """The most memory that this process ever had."""
    if _STATUS.exists():
        # What `getrusage` says on Linux begins with what the process had that started this one.
        (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    logs.set_up("fold", level="warning")
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(_fold(*sys.argv[1:]))))
