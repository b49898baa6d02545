"""A connection made after a silence may be as mute: its gaps stay open until something, or history, says."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from waiting import until

from bus.clock import ManualClock
from bus.market_batch import MarketBatch
from bus.settings import load
from ingest.buffer import Buffer
from ingest.buffered_item import Item, Resumed
from ingest.data_api.alpaca_data import DataUnreachable, NotGiven
from ingest.settings import IngestSettings
from ingest.silence import history_watch
from ingest.silence.history_watch import HistoryWatch
from ingest.streams.alpaca_market import MarketFeed
from ingest.wants import Subscription

TRADES, QUOTES = "md:AAPL:trades", "md:AAPL:quotes"
S_NS, START_NS = 1_000_000_000, 1_700_000_000_000_000_000


class Line:
    """One feed without a network, and what it puts into its buffer."""

    def __init__(self, **wanted: str) -> None:
        self.buffer: Buffer[Item] = Buffer(1000)
        self.clock = ManualClock(START_NS)
        url = "ws://127.0.0.1:1"
        self.feed = MarketFeed("stocks", "iex", url, "k", "s", self.buffer, self.clock, answer_s=1)
        self.feed.want({channel: frozenset({symbol}) for channel, symbol in wanted.items()})

    def connect(self, *channels: str) -> None:
        self.feed.subscribing()
        self.acknowledge(*channels)

    def acknowledge(self, *channels: str) -> None:
        self.feed.subscription.next_request(self.clock.monotonic_ns())
        self.feed.control({"T": "subscription"} | {channel: ["AAPL"] for channel in channels})

    def taken(self) -> list[str]:
        """What waits in the buffer, each by its kind."""
        return [_kind(item) for item, _ in self.buffer._items]


def _kind(item: Item) -> str:
    if isinstance(item, tuple):
        return "frame"
    if isinstance(item, Resumed):
        return f"resumed {' '.join(item.since_ns)}"
    if isinstance(item, MarketBatch):
        return f"{item.marker} {' '.join(item.streams)}"
    return type(item).__name__


@pytest.fixture
async def silent() -> Line:
    """A feed that fell silent and was connected anew."""
    line = Line(trades="AAPL")
    line.connect("trades")
    line.feed.silent("nothing for 9 s")
    line.feed.broke("silent: nothing for 9 s")
    line.connect("trades")
    return line


async def test_an_acknowledgement_in_doubt_closes_nothing_and_the_first_frame_does(silent: Line) -> None:
    assert silent.taken() == [f"GapOpened {TRADES}"]
    silent.feed.data(b"one")
    silent.feed.data(b"two")
    assert silent.taken()[1:] == [f"resumed {TRADES}", "frame", "frame"]
    silent.feed.broke("gone")
    silent.connect("trades")
    assert silent.taken()[4:] == [f"GapOpened {TRADES}", f"resumed {TRADES}"]


async def test_it_is_in_doubt_however_often_it_breaks_until_something_comes(silent: Line) -> None:
    for _ in range(2):
        silent.feed.broke("gone")
        silent.connect("trades")
    silent.feed.release_gap([TRADES])
    assert silent.taken() == [f"GapOpened {TRADES}"]
    silent.feed.too_long(17_000_000, b"")
    assert silent.taken()[-1] == f"resumed {TRADES}"


async def test_what_is_acknowledged_later_is_closed_then() -> None:
    line = Line(trades="AAPL", quotes="AAPL")
    line.connect("trades", "quotes")
    line.feed.silent("nothing for 9 s")
    line.feed.broke("silent")
    line.connect("trades")
    line.feed.data(b"one")
    line.acknowledge("trades", "quotes")
    assert line.taken()[1:] == [f"resumed {TRADES}", "frame", f"resumed {QUOTES}"]


async def test_what_was_dropped_before_the_silence_is_not_closed_in_it(silent: Line) -> None:
    silent.feed.data(b"one")
    silent.feed.hold_gap({QUOTES: 5}, "the spool is full")
    silent.feed.silent("nothing for 9 s")
    silent.feed.release_gap([QUOTES])
    assert silent.taken()[-1] == f"GapOpened {QUOTES}"


class Archive:
    """What was told, as seconds since the start; or why that cannot be asked."""

    def __init__(self, *told: int) -> None:
        self.told = told
        self.error: Exception | None = None
        self.is_had = True
        self.asked = 0
        self.meanwhile: Callable[[], None] = lambda: None

    async def any_of(self, subscription: Subscription, since_ns: int, until_ns: int) -> str | None:
        assert subscription == {"trades": frozenset({"AAPL"})}
        self.asked += 1
        self.meanwhile()
        if self.error is not None:
            raise self.error
        found = [at for at in self.told if since_ns <= START_NS + at * S_NS <= until_ns]
        return (f"trades of AAPL of {found[0]}" if found else "") if self.is_had else None


@pytest.fixture
async def watched(silent: Line, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Line, Archive]]:
    monkeypatch.setattr(history_watch, "LOOK_S", 0.0)
    archive = Archive()
    settings = load(IngestSettings)
    # Ten minutes pass between the last that was heard and the connection as it is.
    watch = HistoryWatch(silent.feed, archive, silent.clock, settings)
    silent.clock.advance(600 * S_NS)
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(0.001)
    yield silent, archive
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _asked(line: Line, archive: Archive, seconds: int, times: int) -> None:
    line.clock.advance(seconds * S_NS)
    await until(lambda: archive.asked >= times, "history to be asked")
    await asyncio.sleep(0.001)


async def test_a_market_in_which_nothing_happened_is_not_in_doubt(watched: tuple[Line, Archive]) -> None:
    line, archive = watched
    await _asked(line, archive, 30, times=2)
    assert line.feed.doubt == ""
    assert line.taken()[1:] == [f"resumed {TRADES}"]
    # It is asked about all the same, until something comes.
    archive.told = (700,)
    await _asked(line, archive, 200, times=3)
    assert "trades of AAPL of 700 did not come" in line.feed.doubt


async def test_one_that_is_mute_still_is_made_anew(watched: tuple[Line, Archive]) -> None:
    line, archive = watched
    archive.told = (100, 615)
    await _asked(line, archive, 30, times=1)
    assert line.feed.doubt == "trades of AAPL of 615 did not come"
    assert line.taken() == [f"GapOpened {TRADES}"]


async def test_where_only_the_connection_before_missed_something_it_is_in_doubt_for_five_minutes(
    watched: tuple[Line, Archive],
) -> None:
    line, archive = watched
    archive.told = (100,)
    await _asked(line, archive, 30, times=2)
    assert line.feed.doubt
    await _asked(line, archive, 300, times=4)
    assert line.taken()[1:] == [f"resumed {TRADES}"]


@pytest.mark.parametrize(
    "error", [None, NotGiven("not in this plan", 403, ""), DataUnreachable("no answer")], ids=str
)
async def test_where_history_does_not_know_it_stays_in_doubt(
    watched: tuple[Line, Archive], error: Exception | None
) -> None:
    line, archive = watched
    archive.error, archive.is_had = error, False
    await _asked(line, archive, 1000, times=1)
    assert line.taken() == [f"GapOpened {TRADES}"]


async def test_an_answer_that_something_overtook_says_nothing(watched: tuple[Line, Archive]) -> None:
    line, archive = watched
    archive.told = (615,)
    archive.meanwhile = lambda: line.feed.data(b"one")
    await _asked(line, archive, 30, times=1)
    assert line.feed.doubt == ""
