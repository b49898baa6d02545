"""Plays messages into the market, the bars and the brokers, in that order."""

from collections.abc import Collection
from decimal import Decimal
from typing import Protocol

from sim.exchange.assets import Asset
from sim.exchange.bars import BarBuilder, bar_of
from sim.exchange.daily_bars import daily_bars
from sim.exchange.generator import Generator
from sim.exchange.hours import MarketHours, Phase
from sim.exchange.market import Market, money
from sim.exchange.market_messages import AnyTrade, Bar, CryptoTrade, Message, TimedMessage, Trade
from sim.times import MINUTE_NS

_NEVER_CLOSES = MarketHours(never_closes=True)


class Broker(Protocol):
    """Gets every move of the market: one trading account."""

    def is_working(self, symbol: str) -> bool:
        """Return whether it has orders that this symbol's market may fill."""

    def quoted(self, symbol: str, now_ns: int) -> None:
        """Take a new quote of the symbol, or its resumption after a halt."""

    def traded(self, symbol: str, price: Decimal, now_ns: int) -> None:
        """Take a trade of the symbol at a price."""


class Venue:
    """One market, and the brokers that trade on it.

    `bar_ns` is the period of the bars on the stream; history always keeps minutes. Symbols in `recorded_bars`
    bring bars of their own, so none are built. `generator` is None where a tape is played. From the opening
    in `hours` on, a day's bar is sent.
    """

    def __init__(
        self,
        market: Market,
        bar_ns: int,
        generator: Generator | None,
        recorded_bars: Collection[str] = (),
        hours: MarketHours = _NEVER_CLOSES,
    ) -> None:
        self.market = market
        self.brokers: list[Broker] = []
        self._generator = generator
        self._recorded_bars = recorded_bars
        self._hours = hours
        self._phase = Phase.REGULAR
        self._phase_ends_ns = 0
        self._minutes = BarBuilder(MINUTE_NS)
        self._streamed = self._minutes if bar_ns == MINUTE_NS else BarBuilder(bar_ns)

    def ensure_quoted(self, asset: Asset, now_ns: int) -> None:
        """Have the asset quoted from now on; a tape plays only what it holds."""
        if self._generator is not None and self._generator.add(asset):
            self.open(asset.symbol, now_ns)

    def open(self, symbol: str, now_ns: int) -> None:
        """Put a generated symbol's first quote and trade into history; no stream sends them."""
        assert self._generator is not None, "a tape opens by itself"
        for message in self._generator.opening(symbol, now_ns):
            self.market.show(message)
            if isinstance(message, Trade | CryptoTrade):
                self._minutes.add(message)

    def play(self, messages: list[Message], now_ns: int) -> list[TimedMessage]:
        """Show the messages to the market and the brokers; returns them with the bars that closed on the way.

        Bars go by the messages' times, which a tape may keep; the brokers act at `now_ns`. Messages of a
        halted symbol are dropped, as are generated ones of shares while their market is closed.
        """
        if self.market.has_halts:
            messages = [message for message in messages if not self.market.is_halted(message.symbol)]
        if self.is_closed(now_ns):
            messages = [message for message in messages if "/" in message.symbol]
        played: list[TimedMessage] = []
        for message in messages:
            played += self.close_bars(message.time_ns)
            self.market.show(message)
            played.append(message)
            if isinstance(message, Trade | CryptoTrade):
                if message.symbol not in self._recorded_bars:
                    self._minutes.add(message)
                    if self._streamed is not self._minutes:
                        self._streamed.add(message)
            elif isinstance(message, Bar):
                played += daily_bars([message], self.market.bars, self._hours)
            for broker in self.brokers:
                if broker.is_working(message.symbol):
                    self._tell(broker, message, now_ns)
        return played

    def is_closed(self, now_ns: int) -> bool:
        """Return whether shares trade nowhere now, not even in extended hours; a tape plays at any time.

        It is called often.
        """
        if self._generator is None or self._hours.never_closes:
            return False
        if now_ns >= self._phase_ends_ns:
            self._phase = self._hours.phase(now_ns)
            self._phase_ends_ns = self._hours.next_boundary_ns(now_ns)
        return self._phase is Phase.CLOSED

    def halt(self, symbol: str) -> None:
        """Halt trading in the symbol: its orders wait."""
        self.market.halt(symbol)

    def resume(self, symbol: str, now_ns: int) -> None:
        """Resume trading in the symbol: its orders are matched against the quote in force."""
        self.market.resume(symbol)
        for broker in self.brokers:
            if broker.is_working(symbol):
                broker.quoted(symbol, now_ns)

    def close_bars(self, now_ns: int) -> list[TimedMessage]:
        """Return the stream's bars that are over by now, and the days of the minutes that are over."""
        minutes = self._minutes.closed(now_ns)
        for bar in minutes:
            self.market.show(bar)
        told: list[TimedMessage] = []
        told += minutes if self._streamed is self._minutes else self._streamed.closed(now_ns)
        told += daily_bars(minutes, self.market.bars, self._hours)
        return told

    def trade_late(self, trade: AnyTrade) -> Bar | None:
        """Take a trade that comes after its period; returns the stream's bar if that was over."""
        self.market.show_late(trade)
        minute = self._minutes.add_late(trade)
        if minute is not None:
            self.market.bars.amend(minute.symbol, minute.time_ns, minute)
        return minute if self._streamed is self._minutes else self._streamed.add_late(trade)

    def unfinished_bar(self, symbol: str) -> Bar | None:
        """Return the open minute bar; None where nothing was traded in this minute."""
        return self._minutes.unfinished(symbol)

    def recount_minute(self, symbol: str, time_ns: int) -> Bar | None:
        """Make the minute's bar again from its valid trades, after one was canceled or corrected.

        Returns the bar; None where no trade is left, or not all of its trades are kept.
        """
        start_ns = time_ns - time_ns % MINUTE_NS
        trades = self.market.valid_trades(symbol, start_ns, start_ns + MINUTE_NS)
        if trades is None:
            return None
        unfinished = self._minutes.unfinished(symbol)
        is_open = unfinished is not None and unfinished.time_ns == start_ns
        amended = bar_of(trades, start_ns)
        self._minutes.recount(symbol, start_ns, trades)
        if not is_open:
            self.market.bars.amend(symbol, start_ns, amended)
        return amended

    def _tell(self, broker: Broker, message: Message, now_ns: int) -> None:
        symbol = message.symbol
        if message.channel == "quotes":
            broker.quoted(symbol, now_ns)
            return
        price = message.close if isinstance(message, Bar) else message.price  # type: ignore[union-attr]
        broker.traded(symbol, money(price), now_ns)
        if not self.market.is_quoted(symbol):
            broker.quoted(symbol, now_ns)
