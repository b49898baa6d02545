"""Holds the market's state: quotes in force, last trades, halts, and a bounded history."""

from bisect import bisect_right
from collections import deque
from decimal import Decimal

from sim.exchange.bar_history import BarHistory
from sim.exchange.market_messages import AnyQuote, AnyTrade, Bar, Message
from sim.exchange.touch import Touch

HISTORY = 10_000  # trades kept per symbol, and quotes: minutes of a busy symbol, in about 2 MB
HISTORY_IN_ALL = 400_000  # and of all symbols together, in about 80 MB
HISTORY_AT_LEAST = 500


def money(price: float) -> Decimal:
    """Return the price as a Decimal, exactly as it is written on the wire."""
    return Decimal(str(price))


def _side(price: float) -> Decimal | None:
    return money(price) if price > 0 else None


def _time(message: Message) -> int:
    time_ns: int = message.time_ns
    return time_ns


class Market:
    """A fold of the messages played; `symbols` is about how many there are, so that memory stays bounded."""

    def __init__(self, symbols: int = 1) -> None:
        fair_share = HISTORY_IN_ALL // (2 * max(1, symbols))
        self._history = max(HISTORY_AT_LEAST, min(HISTORY, fair_share))
        self._quotes: dict[str, deque[AnyQuote]] = {}
        self._trades: dict[str, deque[AnyTrade]] = {}
        self._closes: dict[str, float] = {}
        self._changes: dict[str, dict[int, str]] = {}
        self._halted: set[str] = set()
        self.bars = BarHistory(symbols)

    def show(self, message: Message) -> None:
        """Take one more message. It is called for each: the most frequent kinds are tested first."""
        channel = message.channel
        if channel == "quotes":
            quotes = self._quotes.get(message.symbol)
            if quotes is None:
                quotes = self._quotes[message.symbol] = deque(maxlen=self._history)
            quotes.append(message)  # type: ignore[arg-type]
        elif channel == "trades":
            trades = self._trades.get(message.symbol)
            if trades is None:
                trades = self._trades[message.symbol] = deque(maxlen=self._history)
            trades.append(message)  # type: ignore[arg-type]
        else:
            assert isinstance(message, Bar)
            self._closes[message.symbol] = message.close
            self.bars.add(message)

    def show_late(self, trade: AnyTrade) -> None:
        """Insert a trade that comes after trades of later times; the last trade stays the last."""
        kept = list(self._trades.get(trade.symbol, ()))
        kept.insert(bisect_right(kept, trade.time_ns, key=_time), trade)
        self._trades[trade.symbol] = deque(kept, maxlen=self._history)

    def touch(self, symbol: str) -> Touch | None:
        """Return the best bid and ask; for a symbol never quoted, the last price stands for both."""
        quotes = self._quotes.get(symbol)
        if quotes:
            quote = quotes[-1]
            return Touch(_side(quote.bid_price), _side(quote.ask_price))
        price = self.traded_at(symbol)
        return None if price is None else Touch(price, price)

    def traded_at(self, symbol: str) -> Decimal | None:
        """Return the last valid trade's price; where no trades are played, the last bar's close."""
        trade = self.last_trade(symbol)
        if trade is not None:
            return money(trade.price)
        close = self._closes.get(symbol)
        return None if close is None else money(close)

    def is_quoted(self, symbol: str) -> bool:
        """Return whether the symbol was ever quoted."""
        return symbol in self._quotes

    def halt(self, symbol: str) -> None:
        """Halt the symbol: none of its orders fills until it resumes."""
        self._halted.add(symbol)

    def resume(self, symbol: str) -> None:
        """End the symbol's halt."""
        self._halted.discard(symbol)

    @property
    def has_halts(self) -> bool:
        """Whether trading in any symbol is halted; if not, single symbols need not be tested."""
        return bool(self._halted)

    def is_halted(self, symbol: str) -> bool:
        """Return whether trading in the symbol is halted."""
        return symbol in self._halted

    def symbols(self) -> list[str]:
        """Return every symbol that was ever quoted or traded, in order."""
        return sorted(self._quotes.keys() | self._trades.keys() | self._closes.keys())

    def quotes(self, symbol: str) -> list[AnyQuote]:
        """Return the quotes kept, oldest first."""
        return sorted(self._quotes.get(symbol, ()), key=_time)

    def trades(self, symbol: str) -> list[AnyTrade]:
        """Return the trades kept, oldest first, also those that were canceled or corrected later."""
        return sorted(self._trades.get(symbol, ()), key=_time)

    def last_quote(self, symbol: str) -> AnyQuote | None:
        """Return the quote in force."""
        quotes = self._quotes.get(symbol)
        return quotes[-1] if quotes else None

    def last_trade(self, symbol: str) -> AnyTrade | None:
        """Return the last valid trade."""
        return next((t for t in reversed(self._trades.get(symbol, ())) if self._counts(t)), None)

    def cancel_trade(self, symbol: str, trade_id: int) -> AnyTrade | None:
        """Mark a trade as canceled and return it; None where it is not kept."""
        return self._mark(symbol, trade_id, "canceled")

    def correct_trade(self, symbol: str, trade_id: int, corrected: AnyTrade) -> AnyTrade | None:
        """Mark a trade as wrong, insert the right one after it, and return the wrong one.

        Returns None, and keeps nothing, where the trade is not kept.
        """
        wrong = self._mark(symbol, trade_id, "incorrect")
        if wrong is not None:
            self.show_late(corrected)
            self._changes[symbol][corrected.id] = "corrected"
        return wrong

    def change_of(self, trade: AnyTrade) -> str | None:
        """Return `canceled`, `incorrect` (its correction is another trade), `corrected`, or None."""
        changes = self._changes.get(trade.symbol)
        return None if changes is None else changes.get(trade.id)

    def valid_trades(self, symbol: str, start_ns: int, end_ns: int) -> list[AnyTrade] | None:
        """Return the valid trades from start up to the end; None where some of them are no longer kept."""
        kept = self.trades(symbol)
        if len(kept) == self._history and kept[0].time_ns >= start_ns:
            return None
        within = [trade for trade in kept if start_ns <= trade.time_ns < end_ns]
        return [trade for trade in within if self._counts(trade)]

    def _counts(self, trade: AnyTrade) -> bool:
        return self.change_of(trade) in (None, "corrected")

    def _mark(self, symbol: str, trade_id: int, change: str) -> AnyTrade | None:
        kept = self._trades.get(symbol, ())
        found = next((trade for trade in reversed(kept) if trade.id == trade_id), None)
        if found is not None:
            changes = self._changes.setdefault(symbol, {})
            changes[trade_id] = change
            if len(changes) > self._history:
                ids = {trade.id for trade in kept}
                self._changes[symbol] = {known: what for known, what in changes.items() if known in ids}
        return found
