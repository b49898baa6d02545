"""Writing to control what changes no halt: everyone who follows control hears it, live or not at all."""

from bus.codec import MessageCodec
from bus.connection import Client
from bus.control_messages import CONTROL_MESSAGES, AccountCommand, CancelOrders, Flatten
from bus.streams import CONTROL

_CODEC = MessageCodec(CONTROL_MESSAGES)


async def tell(client: Client, message: CancelOrders | Flatten | AccountCommand) -> str:
    """Append a message; returns the entry's id. Halts and resumes go with their state (`bus/halt.py`)."""
    name, version, data = _CODEC.encode(message)
    entry_id: bytes = await client.xadd(CONTROL, {"type": name, "version": version, "data": data})
    return entry_id.decode()
