"""Reads recorded market data whole at the start, and plays them in order of time."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from bus.errors import InvalidInput
from sim.exchange.assets import is_plausible
from sim.exchange.market_messages import Bar, CryptoQuote, CryptoTrade, Message, Quote, Trade, share_size
from sim.times import MINUTE_NS, parse_ns

_Price = Annotated[float, msgspec.Meta(ge=0)]
_Size = Annotated[int, msgspec.Meta(ge=0)] | Annotated[float, msgspec.Meta(ge=0)]  # whole numbers stay ints


class _Line(msgspec.Struct):
    symbol: str = msgspec.field(name="S")
    time: str = msgspec.field(name="t")


class _TradeLine(_Line, tag_field="T", tag="t"):
    price: _Price = msgspec.field(name="p")
    size: _Size = msgspec.field(name="s")
    id: int | None = msgspec.field(name="i", default=None)
    exchange: str = msgspec.field(name="x", default="V")
    conditions: list[str] = msgspec.field(name="c", default_factory=lambda: ["@"])
    tape: str = msgspec.field(name="z", default="A")
    taker_side: str = msgspec.field(name="tks", default="B")


class _QuoteLine(_Line, tag_field="T", tag="q"):
    bid_price: _Price = msgspec.field(name="bp")
    bid_size: _Size = msgspec.field(name="bs")
    ask_price: _Price = msgspec.field(name="ap")
    ask_size: _Size = msgspec.field(name="as")
    bid_exchange: str = msgspec.field(name="bx", default="V")
    ask_exchange: str = msgspec.field(name="ax", default="V")
    conditions: list[str] = msgspec.field(name="c", default_factory=lambda: ["R"])
    tape: str = msgspec.field(name="z", default="A")


class _BarLine(_Line, tag_field="T", tag="b"):
    open: _Price = msgspec.field(name="o")
    high: _Price = msgspec.field(name="h")
    low: _Price = msgspec.field(name="l")
    close: _Price = msgspec.field(name="c")
    volume: _Size = msgspec.field(name="v")
    trade_count: int = msgspec.field(name="n", default=1)
    vwap: float | None = msgspec.field(name="vw", default=None)


_AnyLine = _TradeLine | _QuoteLine | _BarLine
_decoder = msgspec.json.Decoder(_AnyLine)


def read(path: Path) -> list[Message]:
    """Return every message of an .ndjson or .ndjson.gz file, in order of time.

    Raises InvalidInput naming the line. Trades without an id are numbered within their symbol. Bars without a
    count or an average get one trade and the middle of high, low and close: alpaca-py wants both.
    """
    messages: list[Message] = []
    last_ids: dict[str, int] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            parsed = _decoder.decode(line)
            time_ns = parse_ns(parsed.time)
        except (msgspec.MsgspecError, ValueError) as error:
            raise InvalidInput(
                f"{path}, line {number}: {error}; every line must be one JSON message of type t, q or b"
            ) from error
        if not is_plausible(parsed.symbol):
            raise InvalidInput(f"{path}, line {number}: S is {parsed.symbol!r}, which is no symbol")
        messages.append(_message(parsed, time_ns, last_ids))
    if not messages:
        raise InvalidInput(f"{path} holds no messages; give a file with one JSON message on each line")
    messages.sort(key=_time)
    return messages


def _time(message: Message) -> int:
    time_ns: int = message.time_ns
    return time_ns


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from file
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(f"cannot read the data file {path}: {reason}") from error


def _message(line: _AnyLine, time_ns: int, last_ids: dict[str, int]) -> Message:
    symbol = line.symbol
    is_crypto = "/" in symbol
    if isinstance(line, _TradeLine):
        trade_id = line.id if line.id is not None else last_ids.get(symbol, 0) + 1
        last_ids[symbol] = trade_id
        if is_crypto:
            return CryptoTrade(symbol, trade_id, line.price, float(line.size), line.taker_side, time_ns)
        size = share_size(line.size)
        return Trade(symbol, trade_id, line.exchange, line.price, size, line.conditions, line.tape, time_ns)
    if isinstance(line, _QuoteLine):
        form = float if is_crypto else share_size
        bid, ask = (line.bid_price, form(line.bid_size)), (line.ask_price, form(line.ask_size))
        if is_crypto:
            return CryptoQuote(symbol, *bid, *ask, time_ns)
        return Quote(
            symbol, line.bid_exchange, *bid, line.ask_exchange, *ask, line.conditions, line.tape, time_ns
        )
    vwap = line.vwap if line.vwap is not None else round((line.high + line.low + line.close) / 3, 4)
    volume = float(line.volume) if is_crypto else share_size(line.volume)
    return Bar(symbol, line.open, line.high, line.low, line.close, volume, line.trade_count, vwap, time_ns)


class Tape:
    """Plays recorded messages; their times become the time of playing unless they are to be kept."""

    def __init__(self, messages: list[Message], speed: float, keeps_times: bool) -> None:
        self._messages = messages
        self._speed = speed
        self._keeps_times = keeps_times
        self._next = 0
        self._first_ns: int = messages[0].time_ns
        self._start_ns: int | None = None

    @property
    def is_finished(self) -> bool:
        """Whether everything has been played."""
        return self._next == len(self._messages)

    def due(self, now_ns: int, at_most: int) -> list[Message]:
        """Return the messages that are due; the first one is due at the first call."""
        if self._start_ns is None:
            self._start_ns = now_ns
        until_ns = self._first_ns + int((now_ns - self._start_ns) * self._speed)
        begin = self._next
        end = min(begin + at_most, len(self._messages))
        while self._next < end and self._messages[self._next].time_ns <= until_ns:
            self._next += 1
        played = self._messages[begin : self._next]
        if not self._keeps_times:
            for message in played:
                self._restamp(message)
        return played

    def next_ns(self, now_ns: int) -> int:
        """Return when the next message is due."""
        if self._start_ns is None or self.is_finished:
            return now_ns
        ahead_ns = self._messages[self._next].time_ns - self._first_ns
        return self._start_ns + int(ahead_ns / self._speed)

    def _restamp(self, message: Message) -> None:
        assert self._start_ns is not None
        moment_ns = self._start_ns + int((message.time_ns - self._first_ns) / self._speed)
        # A bar's time is its start: a bar played now began a minute ago.
        message.time_ns = moment_ns - MINUTE_NS if isinstance(message, Bar) else moment_ns
