"""Message to entry fields and back; what cannot be read becomes a typed error, never a crash."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import ClassVar

import msgspec

from bus.errors import Unreadable
from bus.market_messages import Bar, GapClosed, GapOpened, MarketMessage, Quote, Trade


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message outside `md`: an entry with the fields `type`, `version` and `data` (JSON)."""

    version: ClassVar[int] = 1


class MessageCodec:
    """Reads and writes one family of messages, such as all requests."""

    def __init__(self, family: tuple[type[Message], ...]) -> None:
        self._encoder = msgspec.json.Encoder()
        self._decoders: dict[tuple[bytes, bytes], Callable[[bytes], Message]] = {
            (cls.__name__.encode(), str(cls.version).encode()): msgspec.json.Decoder(cls).decode
            for cls in family
        }

    def encode(self, message: Message) -> tuple[bytes, bytes, bytes]:
        """The values of the fields type, version and data."""
        name = type(message).__name__.encode()
        return name, str(message.version).encode(), self._encoder.encode(message)

    def decode(self, fields: Mapping[bytes, bytes]) -> Message:
        """The message of an entry.

        Raises Unreadable, naming the type, the version or the field that is wrong.
        """
        kind, version = fields.get(b"type", b""), fields.get(b"version", b"")
        decode = self._decoders.get((kind, version))
        if decode is None:
            known = ", ".join(f"{name.decode()} version {number.decode()}" for name, number in self._decoders)
            raise Unreadable(
                f"an entry of type {_shown(kind)} and version {_shown(version)}; known here: {known}"
            )
        try:
            message = decode(fields.get(b"data", b""))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable(f"{kind.decode()}: {error}") from error
        if endless := _endless(message):
            raise Unreadable(f"{kind.decode()}: {endless} is not a finite number")
        return message


def _endless(message: Message) -> str | None:
    """The first field that is Infinity or NaN: a decimal to the decoder, a trap to whoever compares it."""
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if isinstance(value, Decimal) and not value.is_finite():
            return name
        if isinstance(value, Message) and (inner := _endless(value)):
            return f"{name}.{inner}"
    return None


_MARKET_DECODERS: dict[str, Callable[[bytes], MarketMessage]] = {
    "trades": msgspec.json.Decoder(Trade).decode,
    "quotes": msgspec.json.Decoder(Quote).decode,
    "bars": msgspec.json.Decoder(Bar).decode,
    "updatedBars": msgspec.json.Decoder(Bar).decode,
    "dailyBars": msgspec.json.Decoder(Bar).decode,
}
_GAP_DECODERS: dict[bytes, Callable[[bytes], GapOpened | GapClosed]] = {
    b"GapOpened": msgspec.json.Decoder(GapOpened).decode,
    b"GapClosed": msgspec.json.Decoder(GapClosed).decode,
}


def market_message(channel: str, fields: Mapping[bytes, bytes]) -> MarketMessage | GapOpened | GapClosed:
    """The message of an `md` entry of this channel.

    Raises Unreadable for a channel without a type, an unknown marker, or data of another shape.
    """
    marker = fields.get(b"type")
    decode = _MARKET_DECODERS.get(channel) if marker is None else _GAP_DECODERS.get(marker)
    if decode is None:
        raise Unreadable(f"a market entry of channel {channel!r} and type {_shown(marker or b'')}")
    if fields.get(b"v", b"1") != b"1":
        raise Unreadable(f"a market entry of version {_shown(fields[b'v'])}; known here: 1")
    try:
        return decode(fields[b"d"])
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"a market entry of channel {channel!r}: {error!r}") from error


def _shown(raw: bytes) -> str:
    return repr(raw[:64].decode(errors="replace"))
