"""A frame of Alpaca's market stream, split into entries: stream, id millisecond, JSON. Pure; the hot path.

Trades and quotes of the shape we know take the fast way: typed decoding, three times as fast as any generic
one. A frame with anything else in it (another type, an unknown field) takes the general way, which
keeps every field there is. Both read each message once, and neither raises on garbage.
"""

import math
import sys
from collections.abc import Callable, Collection
from typing import Annotated, Any, NamedTuple

import msgpack  # type: ignore[import-untyped]
import msgspec
import orjson
from msgspec import UNSET, UnsetType

from bus.feed_kinds import DELAYED
from bus.market_batch import MarketBatch
from bus.streams import market, market_all
from bus.symbols import canonical_symbol

CHANNELS = {
    "t": "trades",
    "q": "quotes",
    "b": "bars",
    "u": "updatedBars",
    "d": "dailyBars",
    "s": "statuses",
    "l": "lulds",
    "c": "corrections",
    "x": "cancelErrors",
    "o": "orderbooks",
    "n": "news",
    "i": "imbalances",
}

# What speaks of the past, or is revised later, is known when it arrives: its own time would put it too early.
_KNOWN_ON_ARRIVAL = frozenset("udcxn")

# Nobody knows a message before it arrives; this much clock difference between Alpaca and us is believed.
LEAD_MS = 1000

LONGEST_SYMBOL = 64

# The longest messages are news with their text; what is longer than this is no message, nor for a stream.
MOST_BYTES = 1024 * 1024

# News concern a few symbols; each gets a copy.
MOST_SYMBOLS = 1000

# Enough of what is kept, and of why, to see what is wrong with it.
SHOWN_BYTES, SHOWN_REASON = 16 * 1024, 300


class Kept(NamedTuple):
    """What could not become an entry, kept for inspection: why, and its first bytes (JSON if it decoded)."""

    reason: str
    payload: bytes


class Split(NamedTuple):
    """A frame's entries, ready to be written, what had to be kept aside, and how many messages it held."""

    batch: MarketBatch
    kept: list[Kept]
    messages: int


_Text = str | UnsetType
# Bounds that every number is within: NaN and the infinities, which JSON has no word for, are not.
_Finite = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
_Number = int | _Finite | UnsetType


class _Trade(msgspec.Struct, tag_field="T", tag="t", forbid_unknown_fields=True, kw_only=True, gc=False):
    i: int | UnsetType = UNSET
    S: str
    x: _Text = UNSET
    p: _Number = UNSET
    s: _Number = UNSET
    t: int
    c: list[str] | UnsetType = UNSET
    z: _Text = UNSET
    tks: _Text = UNSET


class _Quote(msgspec.Struct, tag_field="T", tag="q", forbid_unknown_fields=True, kw_only=True, gc=False):
    S: str
    bx: _Text = UNSET
    bp: _Number = UNSET
    bs: _Number = UNSET
    ax: _Text = UNSET
    ap: _Number = UNSET
    as_: _Number = msgspec.field(name="as", default=UNSET)
    t: int
    c: list[str] | UnsetType = UNSET
    z: _Text = UNSET


class _Names(dict[str, str]):
    """Symbol to stream name, each made once."""

    def __init__(self, channel: str, name: Callable[[str, str], str]) -> None:
        self._channel = channel
        self._name = name

    def __missing__(self, symbol: str) -> str:
        if not symbol or len(symbol) > LONGEST_SYMBOL or not symbol.isascii() or not symbol.isprintable():
            raise ValueError(f"the symbol {symbol[:LONGEST_SYMBOL]!r} cannot name a stream")
        if " " in symbol or ":" in symbol:
            raise ValueError(f"the symbol {symbol!r} cannot name a stream: it holds a blank or a colon")
        self[symbol] = name = self._name(symbol, self._channel)
        return name


_STREAMS = {kind: _Names(channel, market) for kind, channel in CHANNELS.items()}
_ALL_STREAMS = {
    kind: _Names(channel, lambda symbol, channel: market_all(channel, symbol))
    for kind, channel in CHANNELS.items()
}
_TYPED_STREAMS: dict[type, _Names] = {
    _Trade: _STREAMS["t"],
    _Quote: _STREAMS["q"],
}

_decode = msgspec.msgpack.Decoder(list[_Trade | _Quote]).decode
_encode = msgspec.json.Encoder().encode


def split(
    frame: bytes,
    received_ns: int,
    wildcards: Collection[str] = (),
    *,
    bar_ns: int = 60_000_000_000,
    feed: str = "",
) -> Split:
    """The entries of one msgpack frame, in the frame's order.

    An entry's id millisecond is when the message could be known: its own time, a bar's end (`bar_ns` after
    its start), or `received_ns` for what speaks of the past and for all of a delayed `feed`; never more than
    a second after `received_ns`. Channels in `wildcards` are written to their `md-all` partition too. Raises
    nothing.
    """
    batch = None
    if not wildcards and len(frame) <= MOST_BYTES:
        batch = _typed(frame, received_ns, feed)
    found = (
        Split(batch, [], len(batch.streams))
        if batch is not None
        else _general(frame, received_ns, wildcards, bar_ns, feed)
    )
    if feed in DELAYED:
        found.batch.values[::2] = [received_ns // 1_000_000] * len(found.batch.streams)
    return found


def _typed(frame: bytes, received_ns: int, feed: str) -> MarketBatch | None:
    """The fast way; None where the frame holds anything but trades and quotes of the known shape.

    The decoder would cut a timestamp to microseconds, or make an object of it. So the header of each `t`
    (extension -1 of 8 or 4 bytes) is replaced by that of an unsigned integer of the same bytes: 30 bits
    of nanoseconds above 34 bits of seconds. Each replacement takes one byte off: the length tells
    whether every message had exactly one.
    """
    plain = frame.replace(b"\xa1t\xd7\xff", b"\xa1t\xcf").replace(b"\xa1t\xd6\xff", b"\xa1t\xce")
    values: list[int | bytes] = []
    add_value, encode, typed_streams = values.append, _encode, _TYPED_STREAMS
    latest_ms = received_ns // 1_000_000 + LEAD_MS
    second, second_ns, second_ms = -1, 0, 0
    try:
        messages = _decode(plain)
        if len(frame) - len(plain) != len(messages):
            return None
        for message in messages:
            packed = message.t
            nanos, seconds = packed >> 34, packed & 0x3FFFFFFFF
            # Most messages of a frame share their second: the arithmetic of large numbers is done once.
            if seconds != second:
                second, second_ns, second_ms = seconds, seconds * 1_000_000_000, seconds * 1000
            message.t = second_ns + nanos
            ms = second_ms + nanos // 1_000_000
            add_value(ms if ms < latest_ms else latest_ms)
            add_value(encode(message))
        streams = [typed_streams[message.__class__][message.S] for message in messages]
    except (msgspec.MsgspecError, ValueError):
        return None
    return MarketBatch(streams, values, received_ns, feed)


def _general(frame: bytes, received_ns: int, wildcards: Collection[str], bar_ns: int, feed: str) -> Split:
    """The way that keeps whatever fields there are."""
    streams: list[str] = []
    values: list[int | bytes] = []
    messages, kept = _messages(frame)
    for message in messages:
        try:
            names = _names(message, wildcards)
            if message["T"] in "tq" and isinstance(message.get("c"), str):
                # Options have one condition where all others have a list.
                message["c"] = [message["c"]]
            value: tuple[int | bytes, ...] = (_available_ms(message, received_ns, bar_ns), _text(message))
        except (ValueError, TypeError) as error:
            kept.append(_kept(str(error), _shown(message)))
            continue
        for name in names:
            streams.append(name)
            values += value
    return Split(MarketBatch(streams, values, received_ns, feed), kept, len(messages))


def _messages(frame: bytes) -> tuple[list[Any], list[Kept]]:
    """The messages of a frame, and what of it cannot be decoded: a message that cannot costs no other."""
    try:
        messages = _unpack(frame)
    except (ValueError, TypeError, RecursionError):
        return _one_by_one(frame)
    if not isinstance(messages, list):
        return [], [_kept("a frame that is not an array", frame)]
    return messages, []


def _one_by_one(frame: bytes) -> tuple[list[Any], list[Kept]]:
    """Each message by itself; where not even its end can be found, the rest of the frame is kept."""
    messages: list[Any] = []
    kept: list[Kept] = []
    end = 0
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(frame)
    try:
        for _ in range(unpacker.read_array_header()):
            end = unpacker.tell()
            unpacker.skip()
            message = frame[end : unpacker.tell()]
            end = unpacker.tell()
            try:
                messages.append(_unpack(message))
            except (ValueError, TypeError, RecursionError) as error:
                kept.append(_kept(f"a message that is not msgpack: {error!r}", message))
    except (ValueError, TypeError, RecursionError, msgpack.OutOfData) as error:
        rest = frame[end:] if messages or kept else frame
        kept.append(_kept(f"a frame that is not msgpack from its byte {end} on: {error!r}", rest))
    else:
        if end < len(frame):
            kept.append(_kept(f"a frame that goes on behind its messages, from its byte {end}", frame[end:]))
    return messages, kept


def _unpack(data: bytes) -> Any:
    # Any kind of key: what cannot be written is found message by message.
    return msgpack.unpackb(data, timestamp=2, strict_map_key=False)


def _text(message: Any) -> bytes:
    """A message as JSON. Raises ValueError for one that is too long, or holds what is not a number."""
    text = orjson.dumps(message)
    if len(text) > MOST_BYTES:
        raise ValueError(f"a message of {len(text):,} bytes; the longest allowed has {MOST_BYTES:,}")
    if b"null" in text and _holds_no_number(message):
        raise ValueError("a message with a value that is not a number")
    return text


def _holds_no_number(value: Any) -> bool:
    """Whether NaN or an infinity is anywhere in it: JSON has no word for them but null."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_holds_no_number, value.values()))
    return isinstance(value, list) and any(map(_holds_no_number, value))


def _names(message: Any, wildcards: Collection[str]) -> list[str]:
    """The streams that take a message. Raises ValueError saying why none can."""
    kind = message.get("T") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in CHANNELS:
        raise ValueError(f"a message of unknown type {kind!r}")
    if kind == "n":
        # News without a symbol concerns everyone.
        symbols = message.get("symbols") or ["*"]
        if not isinstance(symbols, list):
            raise ValueError(f"news of symbols {symbols!r}: expected a list")
        if len(symbols) > MOST_SYMBOLS:
            raise ValueError(f"news of {len(symbols):,} symbols; at most {MOST_SYMBOLS:,} are allowed")
        symbols = list(dict.fromkeys(map(_named, symbols)))
    else:
        symbols = [message.get("S")]
    if not all(isinstance(symbol, str) for symbol in symbols):
        raise ValueError(f"a message of {CHANNELS[kind]} without a symbol")
    names = [_STREAMS[kind][symbol] for symbol in symbols]
    if CHANNELS[kind] in wildcards:
        names.append(_ALL_STREAMS[kind][symbols[0]])
    return names


def _named(symbol: Any) -> Any:
    """A symbol that news name: they write BTCUSD where all the others write BTC/USD."""
    return canonical_symbol(symbol) if isinstance(symbol, str) else symbol


def _available_ms(message: dict[str, Any], received_ns: int, bar_ns: int) -> int:
    """The millisecond at which a message could be known. Raises ValueError where its time is missing."""
    kind = message["T"]
    if kind in _KNOWN_ON_ARRIVAL:
        return received_ns // 1_000_000
    at_ns = message.get("t")
    if type(at_ns) is not int:
        raise ValueError(f"a message of {CHANNELS[kind]} without a time")
    ms = (at_ns + bar_ns if kind == "b" else at_ns) // 1_000_000
    return max(0, min(ms, received_ns // 1_000_000 + LEAD_MS))


def _shown(message: Any) -> bytes:
    """A message that was decoded and refused, for inspection."""
    try:
        # JSON would show null for what is not a number.
        return repr(message).encode() if _holds_no_number(message) else orjson.dumps(message)
    except (TypeError, RecursionError):
        pass
    try:
        return repr(message).encode(errors="backslashreplace")
    except RecursionError:
        return b"nested too deeply to be shown"


def _kept(reason: str, payload: bytes) -> Kept:
    return Kept(reason[:SHOWN_REASON], payload[:SHOWN_BYTES])
