"""The share of Alpaca's test feed: it trades at all times, whatever else is played."""

from collections.abc import Callable, Sequence

from sim.clock import Clock
from sim.exchange.assets import Asset
from sim.exchange.generator import Generator
from sim.exchange.hours import MarketHours
from sim.exchange.market import Market
from sim.exchange.market_messages import Message, TimedMessage
from sim.exchange.pace import Pace
from sim.exchange.playback import GeneratedSource, Playback
from sim.exchange.venue import Venue
from sim.times import SECOND_NS

SYMBOL = "FAKEPACA"
_ASSET = Asset(SYMBOL, "Fake Alpaca", "NASDAQ", 13_500)
A_SECOND = 5.0
LONGEST_STEP_NS = SECOND_NS // 5


class FakePaca:
    """A market of one share, which begins with the first subscription."""

    def __init__(
        self, clock: Clock, seed: int, bar_ns: int, publish: Callable[[Sequence[TimedMessage]], None]
    ) -> None:
        generator = Generator([_ASSET], seed)
        self._venue = Venue(Market(), bar_ns, generator, hours=MarketHours(never_closes=True))
        self._publish = publish
        source = GeneratedSource(generator, Pace(A_SECOND))
        self._playback = Playback(source, clock, self._play, lambda: None, LONGEST_STEP_NS)

    def begin(self) -> None:
        """Start the market."""
        self._playback.begin()

    def _play(self, messages: list[Message], time_ns: int) -> None:
        self._publish([*self._venue.play(messages, time_ns), *self._venue.close_bars(time_ns)])
