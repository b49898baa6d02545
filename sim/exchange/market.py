"""What the market has shown so far: the quote in force, the last trade, and a bounded history."""

from collections import deque
from decimal import Decimal

from sim.exchange.market_messages import AnyQuote, AnyTrade, CryptoQuote, CryptoTrade, Message, Quote, Trade
from sim.exchange.touch import Touch

HISTORY = 10_000  # messages kept per symbol and channel: minutes of a busy symbol, in about 2 MB
HISTORY_IN_ALL = 400_000  # and of all symbols together, in about 80 MB
HISTORY_AT_LEAST = 500


def money(price: float) -> Decimal:
    """The price as it is written on the wire, exactly."""
    return Decimal(str(price))


def _side(price: float) -> Decimal | None:
    return money(price) if price > 0 else None


class Market:
    """A fold of the messages played; `symbols` is about how many there are, so that memory stays bounded."""

    def __init__(self, symbols: int = 1) -> None:
        fair_share = HISTORY_IN_ALL // (2 * max(1, symbols))
        self._history = max(HISTORY_AT_LEAST, min(HISTORY, fair_share))
        self._quotes: dict[str, AnyQuote] = {}
        self._trades: dict[str, AnyTrade] = {}
        self._closes: dict[str, float] = {}
        self._kept: dict[tuple[str, str], deque[Message]] = {}
        self._halted: set[str] = set()

    def show(self, message: Message) -> None:
        """One more message."""
        symbol = message.symbol
        if isinstance(message, Quote | CryptoQuote):
            self._quotes[symbol] = message
        elif isinstance(message, Trade | CryptoTrade):
            self._trades[symbol] = message
        else:
            self._closes[symbol] = message.close
        kept = self._kept.get((message.channel, symbol))
        if kept is None:
            kept = self._kept[message.channel, symbol] = deque(maxlen=self._history)
        kept.append(message)

    def touch(self, symbol: str) -> Touch | None:
        """The best bid and offer; for a symbol never quoted, the last price stands for both."""
        quote = self._quotes.get(symbol)
        if quote is not None:
            return Touch(_side(quote.bid_price), _side(quote.ask_price))
        price = self.traded_at(symbol)
        return None if price is None else Touch(price, price)

    def traded_at(self, symbol: str) -> Decimal | None:
        """The price of the last trade, or the close of the last bar where no trades are played."""
        trade = self._trades.get(symbol)
        if trade is not None:
            return money(trade.price)
        close = self._closes.get(symbol)
        return None if close is None else money(close)

    def is_quoted(self, symbol: str) -> bool:
        """Whether a quote was ever shown."""
        return symbol in self._quotes

    def halt(self, symbol: str) -> None:
        """No order of the symbol fills until it resumes."""
        self._halted.add(symbol)

    def resume(self, symbol: str) -> None:
        """The end of a halt."""
        self._halted.discard(symbol)

    def is_halted(self, symbol: str) -> bool:
        """Whether trading in the symbol is halted."""
        return symbol in self._halted

    def latest(self, channel: str, symbol: str) -> Message | None:
        """The last message of a channel."""
        kept = self._kept.get((channel, symbol))
        return kept[-1] if kept else None

    def history(self, channel: str, symbol: str) -> list[Message]:
        """What is kept of a channel, oldest first."""
        return list(self._kept.get((channel, symbol), ()))
