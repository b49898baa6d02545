"""The exchange as a whole: plays messages into the market, the bars and the broker, in that order."""

from collections.abc import Collection

from sim.broker.brokerage import Brokerage, Update
from sim.exchange.assets import Asset
from sim.exchange.bars import BarBuilder
from sim.exchange.generator import Generator
from sim.exchange.market import Market, money
from sim.exchange.market_messages import Bar, CryptoTrade, Message, Trade
from sim.times import SECOND_NS

MINUTE_NS = 60 * SECOND_NS


class Venue:
    """One market and the broker that trades on it.

    `bar_ns` is the period of the bars on the stream; history always keeps minutes. Symbols in `recorded_bars`
    bring bars of their own, so none are built. `generator` is None where a tape is played.
    """

    def __init__(
        self,
        market: Market,
        brokerage: Brokerage,
        bar_ns: int,
        generator: Generator | None,
        recorded_bars: Collection[str] = (),
    ) -> None:
        self.market = market
        self.brokerage = brokerage
        self._generator = generator
        self._recorded_bars = recorded_bars
        self._minutes = BarBuilder(MINUTE_NS)
        self._streamed = self._minutes if bar_ns == MINUTE_NS else BarBuilder(bar_ns)

    def ensure_quoted(self, asset: Asset, now_ns: int) -> None:
        """See that the asset is quoted from now on; a tape plays what it holds and no more."""
        if self._generator is not None and self._generator.add(asset):
            for message in self._generator.opening(asset.symbol, now_ns):
                self.market.show(message)

    def play(self, messages: list[Message], now_ns: int) -> tuple[list[Message], list[Update]]:
        """Show the messages; returns them with the bars that closed on the way, and what the broker did.

        Bars go by the messages' times, which a tape may keep; the broker acts at `now_ns`.
        """
        played: list[Message] = []
        updates: list[Update] = []
        working = self.brokerage.working
        for message in messages:
            played += self.close_bars(message.time_ns)
            self.market.show(message)
            played.append(message)
            if isinstance(message, Trade | CryptoTrade) and message.symbol not in self._recorded_bars:
                self._minutes.add(message)
                if self._streamed is not self._minutes:
                    self._streamed.add(message)
            if message.symbol in working:
                updates += self._work(message, now_ns)
        return played, updates

    def close_bars(self, now_ns: int) -> list[Bar]:
        """The bars of the stream that are over by now."""
        minutes = self._minutes.closed(now_ns)
        for bar in minutes:
            self.market.show(bar)
        return minutes if self._streamed is self._minutes else self._streamed.closed(now_ns)

    def rework(self, now_ns: int) -> list[Update]:
        """Offer waiting orders the quotes in force once more."""
        updates: list[Update] = []
        for symbol in list(self.brokerage.working):
            updates += self.brokerage.quoted(symbol, now_ns)
        return updates

    def latest_bar(self, symbol: str) -> Message | None:
        """The last minute bar; before the first is over, the one that is being made."""
        return self.market.latest("bars", symbol) or self._minutes.unfinished(symbol)

    def unfinished_bar(self, symbol: str) -> Bar | None:
        """The minute bar that is being made; None where nothing was traded in this minute."""
        return self._minutes.unfinished(symbol)

    def _work(self, message: Message, now_ns: int) -> list[Update]:
        symbol = message.symbol
        if message.channel == "quotes":
            return self.brokerage.quoted(symbol, now_ns)
        price = message.close if isinstance(message, Bar) else message.price  # type: ignore[union-attr]
        updates = self.brokerage.traded(symbol, money(price), now_ns)
        if not self.market.is_quoted(symbol):
            updates += self.brokerage.quoted(symbol, now_ns)
        return updates
