"""What the market's entries make of a symbol's reference price: its price now, by the market's time. Pure.

The newest heard is not the newest happened: a print may come late, be canceled or corrected, or be of a kind
that sets no price; a quote may be a stub; and a halted symbol has no price at all.
"""

from bisect import bisect_right, insort_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

from bus.codec import market_message
from bus.errors import Unreadable
from bus.market_batch import BACKFILLED
from bus.market_messages import (
    HALTS,
    RESUMPTIONS,
    Bar,
    CanceledTrade,
    Correction,
    Gap,
    GapOpened,
    MarketMessage,
    Quote,
    Snapshot,
    Trade,
    TradingStatus,
)
from bus.symbols import is_option
from oms.prices.tape_conditions import is_market, sets_price

# A trade is the price unless a quote is so much newer: then that quote's middle is.
TRADE_FIRST_NS = 1_000_000_000

# A bar may hold trades that were canceled since: it counts only where nothing else was heard for so long.
BAR_AFTER_NS = 60_000_000_000

# A bar of Alpaca's stream lasts a minute. Its close is a price of its end, or of when it was received: a
# simulator may play shorter ones.
BAR_NS = 60_000_000_000

# A quote that is wider than this part of its middle says nothing of where that is: half of it, the most by
# which the middle can be wrong, is half of the collar of the shipped limits.
WIDEST_QUOTE = Decimal("0.05")

# Trades kept by symbol, so that there is one left when the last ones are canceled; corrections and cancels
# kept, because they may be read before their trade.
MOST_TRADES = 32
MOST_CHANGES = 64

# A trade so long after a halt is one of another session: the resumption was missed.
OTHER_SESSION_NS = 12 * 3600 * 1_000_000_000

# So many minutes back a price is told that stood then.
MINUTES_BACK = 30
_MINUTE_NS = 60_000_000_000

_BACKFILLED = BACKFILLED.encode()

# The channels that hold prices themselves, and all that make a price.
_PRICES = ("trades", "quotes", "bars")
CHANNELS_OF_STOCKS = ("statuses", "corrections", "cancelErrors", "snapshots", *_PRICES)
CHANNELS_OF_CRYPTO = ("snapshots", *_PRICES)


@dataclass(frozen=True, slots=True)
class Price:
    """A reference price: `at_ns` is the market's time of it, `received_ns` when we received it.

    `feed` is where it was heard, "" where the entry does not say. `past` are prices that stood before, one
    of each minute in which there was one, oldest first.
    """

    price: Decimal
    at_ns: int
    received_ns: int
    feed: str = ""
    past: tuple["Price", ...] = field(default=(), compare=False, repr=False)

    def age_ns(self, now_ns: int) -> int:
        """The greater of its two ages.

        A time that is yet to come counts as one just as long past: it is of before a clock was set back.
        """
        return max(abs(now_ns - self.at_ns), abs(now_ns - self.received_ns))

    def before(self, at_ns: int) -> "Price":
        """The price that stood at a moment before; where none is known that is so old, the oldest that is."""
        stood = bisect_right(self.past, at_ns, key=_time_of) - 1
        return self.past[max(0, stood)] if self.past else self


@dataclass(frozen=True, slots=True)
class MarketHalt:
    """Trading in a symbol is halted since `at_ns`; `code` and `reason` are the tape's."""

    at_ns: int
    code: str
    reason: str


# What is known of a symbol's price: one, or that there is none because of a halt.
Known = Price | MarketHalt


def channels(symbol: str) -> tuple[str, ...]:
    """The channels that make a symbol's price; none of an option's, which is not traded here."""
    if is_option(symbol):
        return ()
    return CHANNELS_OF_CRYPTO if "/" in symbol else CHANNELS_OF_STOCKS


# A trade as the tape names it: the exchange, and the exchange's id.
_Key = tuple[str, int | str]


class _Print(NamedTuple):
    """A trade that sets the price, as it was first reported."""

    price: Price
    key: _Key


class SymbolMarket:
    """What one symbol's entries make of its price; each stream's are taken in the order in which they stand.

    Entries of different streams may come in any order, and any of them twice. Mutable: the last trades by
    the market's time, the last quote and bar that count, what was corrected or canceled, and the status.
    """

    def __init__(self) -> None:
        self._trades: list[_Print] = []
        self._quote: Price | None = None
        self._bar: Price | None = None
        self._changes: dict[_Key, Correction | CanceledTrade] = {}
        self._status: TradingStatus | None = None
        # Since when the status may have changed unheard; None where it cannot.
        self._unheard_since_ns: int | None = None
        # The last price that was told, and those before it of the minutes that are over.
        self._told: Price | None = None
        self._past: tuple[Price, ...] = ()

    def __repr__(self) -> str:
        return f"<market with {len(self._trades)} trades: {self._now()}>"

    def known(self) -> Known | None:
        """The market's price now, or its halt; None where nothing that counts was heard.

        Each price that is told is remembered, as what stood until the next.
        """
        now = self._now()
        if not isinstance(now, Price):
            return now
        told = self._told
        if told is not None and now.at_ns // _MINUTE_NS > told.at_ns // _MINUTE_NS:
            self._past = (*self._past[-MINUTES_BACK:], told)
        self._told = now
        return replace(now, past=self._past) if self._past else now

    def _now(self) -> Known | None:
        trade, status = self._last_trade(), self._status
        if status is None:
            return _chosen(trade, self._quote, self._bar_that_stands())
        if status.code in HALTS and not self._trades_again(status, trade):
            return MarketHalt(
                status.at_ns, status.reason_code or status.code, status.reason or status.meaning
            )
        # What was before the halt, or during it, is not the price since.
        return _chosen(
            *(
                price if price is not None and price.at_ns >= status.at_ns else None
                for price in (trade, self._quote, self._bar_that_stands())
            )
        )

    def take(self, channel: str, fields: Mapping[bytes, bytes]) -> None:
        """Take an entry of one of this symbol's streams; one that cannot be read counts for nothing."""
        try:
            received_ns, feed = int(fields[b"r"]), fields.get(b"feed", b"").decode(errors="replace")
            message = market_message(channel, fields)
            if channel in _PRICES:
                if _BACKFILLED in fields and isinstance(message, Trade | Quote | Bar):
                    # It was news when it happened, not when history told of it.
                    ended_ns = message.at_ns + (BAR_NS if isinstance(message, Bar) else 0)
                    received_ns = min(received_ns, ended_ns)
                self._take_price(message, received_ns, feed)
            elif isinstance(message, Snapshot):
                for part in (message.trade, message.quote):
                    self._take_price(part, received_ns, feed)
            else:
                self._take_notice(channel, message)
        except (Unreadable, KeyError, ValueError, ArithmeticError):
            return

    def _take_price(self, message: MarketMessage | Gap | None, received_ns: int, feed: str) -> None:
        match message:
            case Trade() if _is_positive(message.price) and sets_price(message.conditions, message.tape):
                price = _price(message.price, message.at_ns, received_ns, feed)
                new = _Print(price, (message.exchange, message.id))
                insort_right(self._trades, new, key=_market_time)
                del self._trades[:-MOST_TRADES]
            case Quote() if _is_sane(message):
                middle = (message.bid_price + message.ask_price) / 2
                self._quote = _later(self._quote, _price(middle, message.at_ns, received_ns, feed))
            case Bar() if _is_positive(message.close):
                self._bar = _later(
                    self._bar, _price(message.close, message.at_ns + BAR_NS, received_ns, feed)
                )

    def _take_notice(self, channel: str, message: MarketMessage | Gap) -> None:
        match message:
            case TradingStatus() if message.code in HALTS or message.code in RESUMPTIONS:
                if self._status is None or message.at_ns >= self._status.at_ns:
                    self._status, self._unheard_since_ns = message, None
            case Correction():
                self._change((message.exchange, message.original_id), message)
            case CanceledTrade():
                self._change((message.exchange, message.id), message)
            case GapOpened() if channel == "statuses" and self._unheard_since_ns is None:
                self._unheard_since_ns = message.since_ns

    def _last_trade(self) -> Price | None:
        """The last trade by the market's time, as what was said of it since makes it."""
        for one in reversed(self._trades):
            price = self._as_corrected(one)
            if price is not None:
                return price
        return None

    def _as_corrected(self, trade: _Print) -> Price | None:
        """A trade's price after all corrections; None where it was canceled or sets no price any more."""
        price, key, seen = trade.price, trade.key, set[_Key]()
        while (change := self._changes.get(key)) is not None and key not in seen:
            if change.at_ns < price.at_ns:
                # Ids are of one day: that was of an earlier day's trade.
                break
            if isinstance(change, CanceledTrade) or not _is_positive(change.price):
                return None
            if not sets_price(change.conditions, change.tape):
                return None
            seen.add(key)
            key, price = (change.exchange, change.id), replace(price, price=change.price)
        return price

    def _change(self, key: _Key, change: Correction | CanceledTrade) -> None:
        """Keep what is said of a trade, which may not have been read yet."""
        self._changes.pop(key, None)
        self._changes[key] = change
        if len(self._changes) > MOST_CHANGES:
            del self._changes[next(iter(self._changes))]

    def _bar_that_stands(self) -> Price | None:
        """The last bar, unless it closed at a price that was corrected or canceled since it began."""
        bar = self._bar
        if bar is None:
            return None
        for change in self._changes.values():
            wrong = change.price if isinstance(change, CanceledTrade) else change.original_price
            if (
                wrong is not None
                and wrong.is_finite()
                and wrong == bar.price
                and change.at_ns >= bar.at_ns - BAR_NS
            ):
                return None
        return bar

    def _trades_again(self, halted: TradingStatus, trade: Price | None) -> bool:
        """Whether a resumption must have been missed: there is a trade after the gap, or of another day."""
        if trade is None:
            return False
        gap_ns = self._unheard_since_ns
        is_after_gap = gap_ns is not None and trade.at_ns > max(gap_ns, halted.at_ns)
        return is_after_gap or trade.at_ns - halted.at_ns >= OTHER_SESSION_NS


def _price(price: Decimal, at_ns: int, received_ns: int, feed: str) -> Price:
    """A price; nobody knows one before it was received, so a later time is the fault of a clock."""
    return Price(price, min(at_ns, received_ns), received_ns, feed)


def _time_of(price: Price) -> int:
    return price.at_ns


def _market_time(one: _Print) -> int:
    return one.price.at_ns


def _is_sane(quote: Quote) -> bool:
    """Whether a quote has two sides, is not crossed, not too wide, and can be traded at."""
    bid, ask = quote.bid_price, quote.ask_price
    if not (_is_positive(bid) and _is_positive(ask)) or not is_market(quote.conditions):
        return False
    return bid <= ask and (ask - bid) * 2 <= WIDEST_QUOTE * (ask + bid)


def _is_positive(price: Decimal) -> bool:
    return price.is_finite() and price > 0


def _later(known: Price | None, new: Price) -> Price:
    """The later by the market's time; of equal ones the one that was read later."""
    return new if known is None or new.at_ns >= known.at_ns else known


def _chosen(trade: Price | None, quote: Price | None, bar: Price | None) -> Price | None:
    """The trade unless a quote is much newer; a bar's close long after both."""
    heard = trade
    if quote is not None and (trade is None or quote.at_ns - trade.at_ns > TRADE_FIRST_NS):
        heard = quote
    if heard is None or (bar is not None and bar.at_ns - heard.at_ns >= BAR_AFTER_NS):
        return bar
    return heard
