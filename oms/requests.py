"""Reads requests of algorithms from the entries that hold them. Pure."""

from bus.codec import MessageCodec
from bus.delivery import Delivery
from bus.errors import Unreadable
from bus.order_messages import REQUESTS
from oms.inputs import RequestRead

_CODEC = MessageCodec(REQUESTS)


def read(delivery: Delivery, prefix: str) -> RequestRead:
    """A request, or why it cannot be read; what follows `prefix` in the stream's name is its algorithm."""
    try:
        message = _CODEC.decode(delivery.fields)
    except Unreadable as error:
        return RequestRead(delivery, delivery.stream[len(prefix) :], error)
    return RequestRead(delivery, delivery.stream[len(prefix) :], message)  # type: ignore[arg-type]
