"""Bounded redelivery for stateless consumers: what cannot be handled ends in `dead`, and can be put back."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
import structlog

from bus.connection import Client
from bus.consume import Delivery, GroupReader
from bus.errors import InvalidInput
from bus.streams import DEAD

# Five tries outlast a hiccup of something that the handler depends on; more would hold up what follows.
MOST_ATTEMPTS = 5

# Between two tries of the same entry.
RETRY_WAIT_S = 0.1

log = structlog.get_logger()


@dataclass(frozen=True)
class DeadEntry:
    """What could not be handled: where it stood, why it failed, and its fields as they were."""

    id: str
    stream: str
    entry_id: str
    error: str
    payload: dict[str, str]


async def handle_each(
    reader: GroupReader,
    handle: Callable[[Delivery], Awaitable[None]],
    client: Client,
    *,
    dead: str = DEAD,
    most_attempts: int = MOST_ATTEMPTS,
) -> int:
    """Handle one read's deliveries, each on its own; returns how many were handled.

    An entry whose handler raises is delivered again, until the server has delivered it `most_attempts`
    times (a count that a crash does not reset): then it goes to `dead`. Entries behind it are not held up.
    """
    handled = 0
    for delivery in await reader.deliveries():
        try:
            await handle(delivery)
        except Exception as error:  # noqa: BLE001 - any failure of a handler is the entry's, and is kept
            attempts = await reader.attempts(delivery)
            if attempts < most_attempts:
                reader.retry(delivery)
                await asyncio.sleep(RETRY_WAIT_S)
                continue
            await bury(client, delivery, error, dead=dead)
        else:
            handled += 1
        reader.acknowledge(delivery)
    return handled


async def bury(client: Client, delivery: Delivery, error: BaseException, *, dead: str = DEAD) -> None:
    """Keep an entry in `dead` with the reason; the caller acknowledges it afterwards."""
    fields = {name.decode(): value.decode(errors="replace") for name, value in delivery.fields.items()}
    reason = "".join(traceback.format_exception_only(error)).strip()
    await client.xadd(
        dead,
        {"stream": delivery.stream, "id": delivery.id, "error": reason, "payload": orjson.dumps(fields)},
    )
    log.error("entry kept in dead", stream=delivery.stream, id=delivery.id, error=reason, dead=dead)


async def entries(client: Client, *, dead: str = DEAD, count: int = 100) -> list[DeadEntry]:
    """The latest dead entries, newest first."""
    found = await client.xrevrange(dead, count=count)
    return [_entry(id_, fields) for id_, fields in found]


async def put_back(client: Client, entry_id: str, *, dead: str = DEAD) -> str:
    """Append a dead entry to the stream it came from and remove it from `dead`; returns its new id.

    Raises InvalidInput where there is no such entry.
    """
    found = await client.xrange(dead, entry_id, entry_id)
    if not found:
        raise InvalidInput(f"{dead} has no entry {entry_id}: list them with `backbone dead`")
    entry = _entry(*found[0])
    new_id = await client.xadd(entry.stream, dict(entry.payload))
    await client.xdel(dead, entry_id)
    return str(new_id.decode())


def _entry(id_: bytes, fields: dict[bytes, bytes]) -> DeadEntry:
    return DeadEntry(
        id=id_.decode(),
        stream=fields[b"stream"].decode(),
        entry_id=fields[b"id"].decode(),
        error=fields[b"error"].decode(),
        payload=orjson.loads(fields[b"payload"]),
    )
