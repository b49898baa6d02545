"""Market messages as bytes, once per message, and frames made of those bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from sim.exchange.market_messages import Article, TimedMessage
from sim.times import SECOND_NS, rfc3339

_TIMESTAMP = -1

_packer = msgspec.msgpack.Encoder()
_writer = msgspec.json.Encoder()


def timestamp(time_ns: int) -> Ext:
    """A msgpack timestamp in its 64-bit form: 30 bits of nanoseconds, 34 bits of seconds."""
    second, fraction_ns = divmod(time_ns, SECOND_NS)
    return Ext(_TIMESTAMP, (fraction_ns << 34 | second).to_bytes(8, "big"))


def packed(message: TimedMessage) -> bytes:
    """One message as msgpack."""
    time_ns = message.time_ns
    message.time_ns = timestamp(time_ns)
    body = _packer.encode(message)
    message.time_ns = time_ns
    return body


def written(message: TimedMessage) -> bytes:
    """One message as JSON."""
    time_ns = message.time_ns
    message.time_ns = rfc3339(time_ns)
    body = _writer.encode(message)
    message.time_ns = time_ns
    return body


def packed_article(article: Article) -> bytes:
    """A news article as msgpack."""
    return _packer.encode(_retimed(article, timestamp))


def written_article(article: Article) -> bytes:
    """A news article as JSON."""
    return _writer.encode(_retimed(article, rfc3339))


def _retimed(article: Article, form: Callable[[int], Any]) -> Article:
    return msgspec.structs.replace(
        article, created_ns=form(article.created_ns), updated_ns=form(article.updated_ns)
    )


def packed_frame(parts: Sequence[bytes]) -> bytes:
    """A msgpack array of messages that are bytes already."""
    count = len(parts)
    header = bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
    return header + b"".join(parts)


def written_frame(parts: Sequence[bytes]) -> bytes:
    """A JSON array of messages that are bytes already."""
    return b"[" + b",".join(parts) + b"]"


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to write: a message, an article, a frame of written ones, a control message; and to read a
    client's.
    """

    name: str
    is_binary: bool
    message: Callable[[TimedMessage], bytes]
    article: Callable[[Article], bytes]
    frame: Callable[[Sequence[bytes]], bytes]
    control: Callable[[Any], bytes]
    read: Callable[[bytes], Any]


MSGPACK = Codec("msgpack", True, packed, packed_article, packed_frame, _packer.encode, msgspec.msgpack.decode)
JSON = Codec("json", False, written, written_article, written_frame, _writer.encode, msgspec.json.decode)
