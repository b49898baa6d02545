"""An ingest that kills itself at a point of its spool: `python -m ops.drill.dying_spool POINT [COUNT]`.

Points: `before_append` (what waits is in memory alone), `after_append` (it is on disk, and nobody has noted
that), `after_read` (it was read back, and nothing of it is written), `after_send` (a batch of it is on its
way), `before_confirm` (all that was read is written, and the spool does not say so), `before_removal` (it
says so, and the segments are still there), `after_confirm`; `never`. It dies where it comes to the point for
the COUNTth time, once without one.
"""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from bus.market_batch import MarketBatch
from bus.market_writer import MarketWriter
from bus.wire import Sent
from ingest.__main__ import main
from ingest.spool.spool import Spool

# Met while the server is away, and while what was spooled is written.
IN_OUTAGE = ("before_append", "after_append")
AFTERWARDS = ("after_read", "after_send", "before_confirm", "before_removal", "after_confirm")
POINTS = IN_OUTAGE + AFTERWARDS


def die_at(point: str, count: int) -> None:
    """Have this process die where it comes to the point for the so many-th time."""
    left = count

    def reached(name: str) -> None:
        nonlocal left
        if name == point:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    has_read = False
    read, append, confirm = Spool.read, Spool.append, Spool.confirm
    removed, send = Spool._remove_confirmed, MarketWriter._send

    def dying_read(self: Spool, most_bytes: int) -> Any:
        nonlocal has_read
        found = read(self, most_bytes)
        if found:
            has_read = True
            reached("after_read")
        return found

    def dying_append(self: Spool, payloads: Any) -> None:
        reached("before_append")
        append(self, payloads)
        reached("after_append")

    def dying_confirm(self: Spool) -> None:
        reached("before_confirm")
        confirm(self)
        reached("after_confirm")

    def dying_removal(self: Spool) -> None:
        if has_read:
            reached("before_removal")
        removed(self)

    def dying_send(self: MarketWriter, batches: Sequence[MarketBatch]) -> Sent | None:
        sent = send(self, batches)
        if has_read and sent is not None:
            reached("after_send")
        return sent

    Spool.read = dying_read  # type: ignore[method-assign]
    Spool.append = dying_append  # type: ignore[method-assign]
    Spool.confirm = dying_confirm  # type: ignore[method-assign]
    Spool._remove_confirmed = dying_removal  # type: ignore[method-assign]
    MarketWriter._send = dying_send  # type: ignore[method-assign]


if __name__ == "__main__":
    where, *more = sys.argv[1:]
    die_at(where, int(more[0]) if more else 1)
    sys.exit(main([]))
