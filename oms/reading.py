"""Reads requests, and shows entries that cannot be read as text that can be put back. Pure."""

import json
from collections.abc import Mapping

from bus.codec import MessageCodec
from bus.errors import Unreadable
from bus.order_messages import REQUESTS
from oms.inputs import RequestRead

_CODEC = MessageCodec(REQUESTS)


def request(stream: str, id_: str, fields: Mapping[bytes, bytes], prefix: str) -> RequestRead:
    """A request, or why it cannot be read; what follows `prefix` in the stream's name is its algorithm."""
    algorithm = stream[len(prefix) :]
    try:
        message = _CODEC.decode(fields)
    except Unreadable as error:
        return RequestRead(stream, id_, algorithm, error, payload(fields))
    return RequestRead(stream, id_, algorithm, message)  # type: ignore[arg-type]


def payload(fields: Mapping[bytes, bytes]) -> str:
    """An entry's fields as JSON; a byte that is not text is a lone surrogate, which can be undone."""
    kept = {_text(name): _text(value) for name, value in fields.items()}
    return json.dumps(kept, separators=(",", ":"))


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")
