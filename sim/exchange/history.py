"""Looks up trades, quotes, bars of every timeframe, and the newest of each."""

from sim.exchange.aggregation import aggregate, joined, starting
from sim.exchange.market_messages import AnyQuote, AnyTrade, Bar, Message, Trade
from sim.exchange.timeframes import DAY, MINUTE, Timeframe, period, zone_of
from sim.exchange.venue import Venue


class History:
    """Reads what the venue keeps; a bar whose period is not over is returned as it stands."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._market = venue.market

    def trades(self, symbol: str) -> list[AnyTrade]:
        """Return the trades kept, oldest first."""
        return self._market.trades(symbol)

    def quotes(self, symbol: str) -> list[AnyQuote]:
        """Return the quotes kept, oldest first."""
        return self._market.quotes(symbol)

    def bars(self, symbol: str, timeframe: Timeframe) -> list[Bar]:
        """Return the bars kept, oldest first: a week of minutes and hours, three years of longer ones."""
        if timeframe.is_of_days:
            shorter = self.days(symbol)
        else:
            shorter = self._with_unfinished(symbol, self._market.bars.minutes(symbol))
        if timeframe in (MINUTE, DAY):
            return shorter
        return aggregate(shorter, timeframe, zone_of(symbol))

    def days(self, symbol: str) -> list[Bar]:
        """Return the daily bars kept; the last one may be incomplete."""
        days = self._market.bars.days(symbol)
        minute = self._venue.unfinished_bar(symbol)
        if minute is None:
            return days
        start_ns, _ = period(minute.time_ns, DAY, zone_of(symbol))
        if days and days[-1].time_ns == start_ns:
            return [*days[:-1], joined(days[-1], minute)]
        return [*days, starting(minute, start_ns)]

    def latest_trade(self, symbol: str) -> AnyTrade | None:
        """Return the last trade that was not canceled or replaced by a correction."""
        return self._market.last_trade(symbol)

    def latest_quote(self, symbol: str) -> AnyQuote | None:
        """Return the quote in force."""
        return self._market.last_quote(symbol)

    def latest_minute(self, symbol: str) -> Bar | None:
        """Return the last complete minute bar; before the first, the open one."""
        return self._market.bars.latest(symbol) or self._venue.unfinished_bar(symbol)

    def latest_days(self, symbol: str) -> tuple[Bar | None, Bar | None]:
        """Return the last daily bar, and the one before it."""
        before, last = [None, None, *self.days(symbol)][-2:]
        return last, before

    def change_of(self, message: Message) -> str | None:
        """Return canceled, incorrect or corrected for a trade that was changed later; else None."""
        return self._market.change_of(message) if isinstance(message, Trade) else None

    def _with_unfinished(self, symbol: str, minutes: list[Bar]) -> list[Bar]:
        unfinished = self._venue.unfinished_bar(symbol)
        return minutes if unfinished is None else [*minutes, unfinished]
