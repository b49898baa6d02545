"""Asks the broker, without haste, what it says of symbols, and each minute whether the market is open."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import date

import structlog

from bus.clock import Clock
from bus.trading_day import trading_day
from oms.broker.protocol import Broker, BrokerError
from oms.broker.sender import Sender
from oms.limits.limit_names import named_symbols
from oms.risk.assets import UNKNOWN
from oms.state.inputs import AssetRead, Input, MarketClockRead
from oms.state.state import State

# Orders need the budget of requests more: of a hundred symbols the last is asked for after eight minutes.
# What is not known yet is left to the broker, which refuses what it does not trade.
PAUSE_S = 5.0
CLOCK_EVERY_S = 60.0

log = structlog.get_logger()


def of_interest(state: State, asked_for: set[str]) -> list[str]:
    """Symbols of which one wants to know what the broker says: ordered or held first, then all others."""
    used = state.book.symbols() | asked_for
    declared = {symbol for symbols in state.registered.values() for symbol in symbols or ()} - {"*"}
    named = [] if state.limits is None else named_symbols(state.limits)
    return [*sorted(used), *sorted(declared - used), *named]


class MarketQuestions:
    """What the broker was asked already: each symbol once in a trading day. Mutable: when each was."""

    def __init__(self, broker: Broker, sender: Sender, clock: Clock, take: Callable[[Input], object]) -> None:
        self._broker, self._sender, self._clock, self._take = broker, sender, clock, take
        self._asked: dict[str, date] = {}
        self._clock_asked_ns: int | None = None

    def __repr__(self) -> str:
        return f"<asked for {len(self._asked)} symbols>"

    async def run(self, wanted: Callable[[], Iterable[str]]) -> None:
        """Ask about the symbols that are wanted, and about the market, until cancelled."""
        while True:
            await self.market_clock()
            await self.next_asset(wanted())
            await asyncio.sleep(PAUSE_S)

    async def market_clock(self) -> None:
        """Ask whether the market is open, unless that was asked within the last minute.

        Where the broker does not say, its last word holds, or the calendar.
        """
        now_ns = self._clock.monotonic_ns()
        if self._clock_asked_ns is not None and now_ns - self._clock_asked_ns < CLOCK_EVERY_S * 1e9:
            return
        self._clock_asked_ns = now_ns
        try:
            self._take(MarketClockRead(await self._sender.ask(self._broker.is_market_open, "shared")))
        except BrokerError as error:
            log.warning("whether the market is open was not found out", error=str(error))

    async def next_asset(self, wanted: Iterable[str]) -> None:
        """Ask about the first of these that was not asked for today; without an answer, tomorrow again."""
        today = trading_day(self._clock.now_ns())
        symbol = next((one for one in wanted if self._asked.get(one) != today), None)
        if symbol is None:
            return
        self._asked[symbol] = today
        try:
            asset = await self._sender.ask(lambda: self._broker.asset(symbol), "shared")
        except BrokerError as error:
            log.warning("what the broker says of a symbol was not found out", symbol=symbol, error=str(error))
            return
        if asset == UNKNOWN:
            log.warning("the broker does not know a symbol", symbol=symbol)
        self._take(AssetRead(symbol, asset))
