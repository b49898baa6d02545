"""The retention drill: thousands of symbols, for longer than the market-data server has room for them."""

import asyncio
import contextlib
import itertools
import string
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from algos.registration import Wants
from bus.heartbeat import IngestDetails, RetentionDetails
from bus.service import ended
from bus.streams import MARKET_STREAMS
from ops.drill.system import ACCOUNT, UNLIMITED, DrillFailed, System, whole_system
from ops.drill.wildcard_reader import WildcardReader
from ops.sizes import MB
from ops.status.heartbeat_reader import read_heartbeats
from ops.status.heartbeats import telling

READER = "drill"
CHANNELS = ("trades", "quotes")

# After the market has stopped, what was heard must be with the reader within this time.
_READ_WITHIN_S = 60.0
_WORKED_OFF_WITHIN_S = 180.0
_STARTED_WITHIN_S = 60.0
_TOLD_WITHIN_S = 2.0
_SAMPLE_S = 5.0
_LOOK_S = 0.02


@dataclass(frozen=True)
class Sample:
    """One moment: megabytes that the server counts and has, what ingest heard, and the longest PING since."""

    at_s: float
    used_mb: float
    resident_mb: float
    messages: int
    buffered_frames: int
    slowest_ping_ms: float


@dataclass
class Kept:
    """What came of it. `written` counts entries of single symbols and of all together.

    Mutable: the samples.
    """

    symbols: int
    asked_rate: float
    maxmemory_mb: int
    seconds: float = 0
    messages: int = 0
    read: int = 0
    written: int = 0
    trimmed: int = 0
    kept_s: float = 0
    budget_mb: float = 0
    samples: list[Sample] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Messages a second, as they really came."""
        return self.messages / self.seconds if self.seconds else 0

    @property
    def passed(self) -> bool:
        """Whether nothing was lost, and memory stayed within the budget."""
        return not self.differences


async def run(
    seconds: float, rate: float, symbols: int, maxmemory_mb: int, say: Callable[[str], None]
) -> Kept:
    """Let so many messages a second come for so long. Raises DrillFailed."""
    kept = Kept(symbols, rate, maxmemory_mb)
    arguments = ("--rate", str(rate), "--symbols", ",".join(names(symbols)))
    async with whole_system(arguments, requests_per_minute=UNLIMITED) as system:
        await system.market.config_set("maxmemory", maxmemory_mb * MB)
        reader = WildcardReader(system, READER, CHANNELS)
        await reader.open()
        try:
            async with _wanting(system):
                await _until(lambda: reader.read > 0, _STARTED_WITHIN_S, "the first message")
                began = time.monotonic()
                await _sample(system, kept, seconds, say)
                kept.seconds = time.monotonic() - began
            await _worked_off(system)
            await _until(lambda: reader.quiet, _READ_WITHIN_S, "the end of what was written")
            await _compare(system, kept, reader)
        finally:
            await reader.close()
    return kept


def names(count: int) -> list[str]:
    """So many symbols."""
    letters = itertools.product(string.ascii_uppercase, repeat=4)
    return ["".join(each) for each in itertools.islice(letters, count)]


@contextlib.asynccontextmanager
async def _wanting(system: System) -> AsyncIterator[None]:
    """All symbols are wanted in the block, and for as long as their wants live."""
    wants = Wants(system.orders, ACCOUNT, READER, {channel: ["*"] for channel in CHANNELS})
    task = asyncio.create_task(wants.run(lambda: True))
    try:
        yield
    finally:
        await ended(task)
        await wants.withdraw()


async def _sample(system: System, kept: Kept, seconds: float, say: Callable[[str], None]) -> None:
    """Note how the server stands every few seconds, and how long others wait for it meanwhile."""
    began = last = time.monotonic()
    slowest_s = 0.0
    while time.monotonic() - began < seconds:
        await asyncio.sleep(_LOOK_S)
        asked = time.monotonic()
        await system.market.ping()
        slowest_s = max(slowest_s, time.monotonic() - asked)
        if asked - last < _SAMPLE_S:
            continue
        last = asked
        details = await _ingest(system)
        memory = await system.market.info("memory")
        kept.samples.append(
            Sample(
                round(asked - began, 1),
                round(memory["used_memory"] / MB, 1),
                round(memory["used_memory_rss"] / MB, 1),
                details.counters.messages_in,
                details.counters.buffered_frames,
                round(slowest_s * 1000, 1),
            )
        )
        one, slowest_s = kept.samples[-1], 0.0
        say(
            f"{one.at_s:6.0f} s  {one.used_mb:6.0f} MB counted, {one.resident_mb:6.0f} MB resident  "
            f"{one.messages:>12,} messages ({details.ticks_per_second:,.0f} a second)  "
            f"{one.buffered_frames} frames wait  PING at most {one.slowest_ping_ms:.0f} ms"
        )


async def _compare(system: System, kept: Kept, reader: WildcardReader) -> None:
    """Every message heard was written for its symbol, and what was written for all was read.

    What is heard once nobody wants all symbols any more is written for its symbol alone.
    """
    added = dict.fromkeys(MARKET_STREAMS, 0)
    for pattern in MARKET_STREAMS:
        async for stream in system.market.scan_iter(match=pattern, count=1000, _type="stream"):
            about = await system.market.xinfo_stream(stream)
            added[pattern] += about["entries-added"]
            kept.trimmed += about["entries-added"] - about["length"]
    # What was trimmed a moment ago is in the heartbeat a moment later.
    await asyncio.sleep(_TOLD_WITHIN_S)
    details = await _ingest(system)
    retention = _retention(details)
    kept.messages, kept.read, kept.written = details.counters.messages_in, reader.read, sum(added.values())
    by_symbol, of_all = added.values()
    kept.budget_mb = round(retention.budget_bytes / MB, 1)
    kept.kept_s = round(time.time() - retention.oldest_ns / 1e9, 1)
    most = max((one.used_mb for one in kept.samples), default=0)
    found = {
        f"{kept.messages:,} messages were heard, {by_symbol:,} written": kept.messages != by_symbol,
        f"{of_all:,} entries were written for all symbols, {reader.read:,} read": of_all != reader.read,
        f"trades are missing in {reader.missing:,} places": reader.missing,
        f"{reader.cut:,} entries were cut before they were read": reader.cut,
        f"ingest counts {retention.trimmed:,} trimmed, the server {kept.trimmed:,}": retention.trimmed
        != kept.trimmed,
        f"{most:.0f} MB were held, the budget is {kept.budget_mb:.0f} MB": most > kept.budget_mb * 1.02,
    }
    kept.differences = [sentence for sentence, is_so in found.items() if is_so]


async def _worked_off(system: System) -> None:
    """Wait until ingest hears nothing more, and has written what it heard."""
    before, deadline = None, time.monotonic() + _WORKED_OFF_WITHIN_S
    while True:
        counters = (await _ingest(system)).counters
        if counters == before and not counters.buffered_frames:
            return
        if time.monotonic() > deadline:
            raise DrillFailed(f"{counters.buffered_frames} frames wait after {_WORKED_OFF_WITHIN_S:.0f} s")
        before = counters
        await asyncio.sleep(_TOLD_WITHIN_S)


async def _ingest(system: System) -> IngestDetails:
    heard = telling(await read_heartbeats(system.orders, ACCOUNT), IngestDetails)
    if not heard:
        raise DrillFailed("no ingest says anything any more: see ingest.log")
    return heard[0][1]


def _retention(details: IngestDetails) -> RetentionDetails:
    if details.retention is None:
        raise DrillFailed("ingest does not say what it keeps")
    return details.retention


async def _until(holds: Callable[[], bool], within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise DrillFailed(f"waited {within_s:.0f} s in vain for {what}")
        await asyncio.sleep(0.05)
