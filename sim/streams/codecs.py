"""Encodes market messages, each once, and makes frames of the encoded ones."""

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
    """Return a msgpack timestamp in its 64-bit form: 30 bits of nanoseconds, 34 bits of seconds."""
    second, fraction_ns = divmod(time_ns, SECOND_NS)
    return Ext(_TIMESTAMP, (fraction_ns << 34 | second).to_bytes(8, "big"))


def packed(message: TimedMessage) -> bytes:
    """Return one message as msgpack."""
    time_ns = message.time_ns
    message.time_ns = timestamp(time_ns)
    body = _packer.encode(message)
    message.time_ns = time_ns
    return body


def written(message: TimedMessage) -> bytes:
    """Return one message as JSON."""
    time_ns = message.time_ns
    message.time_ns = rfc3339(time_ns)
    body = _writer.encode(message)
    message.time_ns = time_ns
    return body


def packed_article(article: Article) -> bytes:
    """Return a news article as msgpack."""
    return _packer.encode(_retimed(article, timestamp))


def written_article(article: Article) -> bytes:
    """Return a news article as JSON."""
    return _writer.encode(_retimed(article, rfc3339))


def _retimed(article: Article, form: Callable[[int], Any]) -> Article:
    return msgspec.structs.replace(
        article, created_ns=form(article.created_ns), updated_ns=form(article.updated_ns)
    )


def packed_frame(parts: Sequence[bytes]) -> bytes:
    """Return a msgpack array of encoded messages."""
    count = len(parts)
    header = bytes((0x90 | count,)) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
    return header + b"".join(parts)


def written_frame(parts: Sequence[bytes]) -> bytes:
    """Return a JSON array of encoded messages."""
    return b"[" + b",".join(parts) + b"]"


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoding: functions for a message, an article, a frame and a control message, and a decoder."""

    name: str
    is_binary: bool
    message: Callable[[TimedMessage], bytes]
    article: Callable[[Article], bytes]
    frame: Callable[[Sequence[bytes]], bytes]
    control: Callable[[Any], bytes]
    read: Callable[[bytes], Any]


MSGPACK = Codec("msgpack", True, packed, packed_article, packed_frame, _packer.encode, msgspec.msgpack.decode)
JSON = Codec("json", False, written, written_article, written_frame, _writer.encode, msgspec.json.decode)
