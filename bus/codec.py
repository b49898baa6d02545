"""Convert messages to the fields of entries and back; what cannot be read raises Unreadable."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from operator import attrgetter
from types import UnionType
from typing import Any, ClassVar, get_args

import msgspec

from bus.errors import Unreadable
from bus.market_messages import (
    Bar,
    CanceledTrade,
    Correction,
    DailyBar,
    Gap,
    GapClosed,
    GapOpened,
    Imbalance,
    MarketMessage,
    News,
    OrderBook,
    PriceBand,
    Quote,
    Snapshot,
    Trade,
    TradingStatus,
    UpdatedBar,
)
from bus.upcasts import UPCASTS, Upcast


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A message outside `md`: an entry with the fields `type`, `version` and `data` (JSON).

    `wire` is what the entry's `type` says; it stays when the class is renamed. A message that is only a part
    of others has none. `version` goes up when the data of older entries cannot be read as they are.

    A field at its default is left out of the data, which is a quarter shorter for it, or more: so a default
    never changes.
    """

    wire: ClassVar[str] = ""
    version: ClassVar[int] = 1


def always_written(default: Any) -> Any:
    """The default of a field that no entry leaves out.

    Of a default with equals that are other objects (a word, a number) it depends on where a value came from
    whether it is left out: only None, False, True and what is empty are the same everywhere.
    """
    return msgspec.field(default_factory=lambda: default)


def whole(value: Any) -> Any:
    """A message as JSON has it, for people and scripts: with what stands at its default, unlike an entry."""
    if isinstance(value, Message):
        return {name: whole(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list | tuple):
        return [whole(one) for one in value]
    if isinstance(value, Mapping):
        return {name: whole(one) for name, one in value.items()}
    return msgspec.to_builtins(value)


class UnknownMessage(Message, frozen=True, kw_only=True):
    """A message of a type or version that is not known here, kept as it was read; `data` is its JSON."""

    wire: str  # type: ignore[misc]  # here it is read from the entry, not written into the class
    version: int  # type: ignore[misc]
    data: bytes


class MessageCodec:
    """Reads and writes one family of messages, such as all requests.

    Entries of older versions are brought up to date by `upcasts`. With `keep_unknown` an entry of a type not
    known here, or of a version newer than ours, becomes an UnknownMessage instead of an error.
    """

    def __init__(
        self,
        family: tuple[type[Message], ...],
        *,
        keep_unknown: bool = False,
        upcasts: Mapping[tuple[str, int], Upcast] = UPCASTS,
    ) -> None:
        self._encoder = msgspec.json.Encoder()
        self._heads = {cls: (cls.wire.encode(), str(cls.version).encode()) for cls in family}
        self._present = {cls.wire: cls.version for cls in family}
        self._keep_unknown = keep_unknown
        self._decoders: dict[tuple[bytes, bytes], Callable[[bytes], Message]] = {}
        if len(self._present) < len(family) or "" in self._present:
            raise ValueError(
                f"each message of a family needs a wire name of its own: {sorted(self._present)}"
            )
        for cls in family:
            decode: Callable[[bytes], Message] = msgspec.json.Decoder(cls).decode
            version = cls.version
            self._decoders[self._heads[cls]] = decode
            while upcast := upcasts.get((cls.wire, version - 1)):
                version -= 1
                decode = self._upcast_first(upcast, decode)
                self._decoders[cls.wire.encode(), str(version).encode()] = decode

    def encode(self, message: Message) -> tuple[bytes, bytes, bytes]:
        """The values of the fields type, version and data; of an UnknownMessage those that were read."""
        if isinstance(message, UnknownMessage):
            return message.wire.encode(), str(message.version).encode(), message.data
        kind, version = self._heads[type(message)]
        return kind, version, self._encoder.encode(message)

    def decode(self, fields: Mapping[bytes, bytes]) -> Message:
        """The message of an entry.

        Raises Unreadable, naming the type, the version or the field that is wrong.
        """
        return self.read(fields.get(b"type", b""), fields.get(b"version", b""), fields.get(b"data"))

    def read(self, kind: bytes, version: bytes, data: bytes | None) -> Message:
        """The message of an entry with these values of its fields. Raises as `decode` does."""
        decode = self._decoders.get((kind, version))
        if decode is None:
            return self._unknown(kind, version, data)
        try:
            message = decode(data or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable(f"{kind.decode()}: {error}") from error
        if name := _not_finite(message):
            raise Unreadable(f"{kind.decode()}: {name} is not a finite number")
        return message

    def _unknown(self, kind: bytes, version: bytes, data: bytes | None) -> UnknownMessage:
        """Keep what is well formed and newer than we are. Raises Unreadable for all else."""
        if self._keep_unknown and _is_name(kind) and _is_version(version) and data is not None:
            wire, number = kind.decode(), int(version)
            if number > self._present.get(wire, 0):
                return UnknownMessage(wire=wire, version=number, data=data)
        # The first version of each goes without saying.
        known = ", ".join(
            name.decode() if number == b"1" else f"{name.decode()} version {number.decode()}"
            for name, number in self._decoders
        )
        raise Unreadable(
            f"an entry of type {_shown(kind)} and version {_shown(version)}; known here: {known}"
        )

    def _upcast_first(self, upcast: Upcast, decode: Callable[[bytes], Message]) -> Callable[[bytes], Message]:
        def upcast_and_decode(data: bytes) -> Message:
            old = _read_object(data)
            try:
                new = upcast(old)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise msgspec.DecodeError(f"not as its version was written: {error!r}") from error
            return decode(self._encoder.encode(new))

        return upcast_and_decode


# Numbers that are not whole stay exact on their way through an upcast.
_read_object: Callable[[bytes], dict[str, Any]] = msgspec.json.Decoder(
    dict[str, Any], float_hook=Decimal
).decode


def _is_name(kind: bytes) -> bool:
    return kind.isascii() and kind.decode("ascii", errors="replace").isidentifier()


def _is_version(version: bytes) -> bool:
    """Whether it is a positive number, written as we write it and not absurdly long."""
    return version.isdigit() and len(version) < 10 and not version.startswith(b"0")


def _not_finite(message: Message) -> str | None:
    """Return the first field that is Infinity or NaN: the decoder takes them, and no limit stops them."""
    names, values_of, parts = _numeric_fields(type(message))
    # Every message passes here: no line of Python is run for each number.
    if not all(map(_is_finite, filter(None, values_of(message)))):
        found = zip(names, values_of(message), strict=True)
        return next(name for name, value in found if value and not value.is_finite())
    for name in parts:
        part = getattr(message, name)
        if part is not None and (inner := _not_finite(part)):
            return f"{name}.{inner}"
    return None


_is_finite = Decimal.is_finite


@cache
def _numeric_fields(
    cls: type[Message],
) -> tuple[tuple[str, ...], Callable[[Message], tuple[Any, ...]], tuple[str, ...]]:
    """The fields that hold a decimal or None, what gets their values, and those that may hold a message.

    Where a message is always there, its decimals are among the first, such as `terms.quantity`.
    """
    decimals: list[str] = []
    parts: list[str] = []
    for field in msgspec.structs.fields(cls):
        if isinstance(field.type, type) and issubclass(field.type, Message):
            inner, _, inner_parts = _numeric_fields(field.type)
            decimals += [f"{field.name}.{name}" for name in inner]
            parts += [field.name] if inner_parts else []
            continue
        for kind in get_args(field.type) if isinstance(field.type, UnionType) else (field.type,):
            if isinstance(kind, type) and issubclass(kind, Decimal | Message):
                (decimals if issubclass(kind, Decimal) else parts).append(field.name)
    return tuple(decimals), _values_of(decimals), tuple(parts)


def _values_of(names: list[str]) -> Callable[[Message], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    # Of one name the getter gives the bare value; of none there is no getter.
    value_of = attrgetter(names[0]) if names else None
    return lambda message: () if value_of is None else (value_of(message),)


_MARKET_DECODERS: dict[str, Callable[[bytes], MarketMessage]] = {
    "trades": msgspec.json.Decoder(Trade).decode,
    "quotes": msgspec.json.Decoder(Quote).decode,
    "bars": msgspec.json.Decoder(Bar).decode,
    "updatedBars": msgspec.json.Decoder(UpdatedBar).decode,
    "dailyBars": msgspec.json.Decoder(DailyBar).decode,
    "statuses": msgspec.json.Decoder(TradingStatus).decode,
    "lulds": msgspec.json.Decoder(PriceBand).decode,
    "corrections": msgspec.json.Decoder(Correction).decode,
    "cancelErrors": msgspec.json.Decoder(CanceledTrade).decode,
    "imbalances": msgspec.json.Decoder(Imbalance).decode,
    "orderbooks": msgspec.json.Decoder(OrderBook).decode,
    "news": msgspec.json.Decoder(News).decode,
    "snapshots": msgspec.json.Decoder(Snapshot).decode,
}
_GAP_DECODERS: dict[bytes, Callable[[bytes], Gap]] = {
    b"GapOpened": msgspec.json.Decoder(GapOpened).decode,
    b"GapClosed": msgspec.json.Decoder(GapClosed).decode,
}


def market_message(channel: str, fields: Mapping[bytes, bytes]) -> MarketMessage | Gap:
    """The message of an `md` entry of this channel.

    Raises Unreadable for a channel without a type, an unknown marker, or data of another shape.
    """
    marker = fields.get(b"type")
    decode = _MARKET_DECODERS.get(channel)
    known: Callable[[bytes], MarketMessage | Gap] | None
    known = decode if marker is None else _GAP_DECODERS.get(marker)
    if known is None:
        raise Unreadable(f"a market entry of channel {channel!r} and type {_shown(marker or b'')}")
    if fields.get(b"v", b"1") != b"1":
        raise Unreadable(f"a market entry of version {_shown(fields[b'v'])}; known here: 1")
    try:
        return known(fields[b"d"])
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"a market entry of channel {channel!r}: {error!r}") from error


def _shown(raw: bytes) -> str:
    return repr(raw[:64].decode(errors="replace"))
