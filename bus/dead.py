"""Bounded redelivery for stateless consumers: what cannot be handled ends in `dead`, and can be put back."""

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from bus.connection import Client
from bus.consume import Delivery, GroupReader
from bus.errors import InvalidInput, Unreadable
from bus.streams import DEAD

# Five tries outlast a hiccup of something that the handler depends on; more would hold up what follows.
MOST_ATTEMPTS = 5

# Between two tries of the same entry.
RETRY_WAIT_S = 0.1

log = structlog.get_logger()


@dataclass(frozen=True)
class DeadEntry:
    """What could not be handled: where it stood, why it failed, and its fields as they were.

    Bytes that are not text show as \\xNN.
    """

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
    A trimmed entry has nothing left to handle and goes to `dead` at once.
    """
    handled = 0
    deliveries = await reader.deliveries()
    for number, delivery in enumerate(deliveries):
        try:
            if await _handle_one(reader, handle, client, delivery, dead, most_attempts):
                handled += 1
        except BaseException:
            # Cancelled, or `dead` cannot be written: what is left comes again, should the reader go on.
            for left in deliveries[number:]:
                reader.retry(left)
            raise
    return handled


async def _handle_one(
    reader: GroupReader,
    handle: Callable[[Delivery], Awaitable[None]],
    client: Client,
    delivery: Delivery,
    dead: str,
    most_attempts: int,
) -> bool:
    failure: Exception
    if delivery.trimmed:
        failure = Unreadable("trimmed from its stream before it was handled")
    else:
        try:
            await handle(delivery)
        except Exception as error:  # noqa: BLE001 - any failure of a handler is the entry's, and is kept
            if await reader.attempts(delivery) < most_attempts:
                reader.retry(delivery)
                await asyncio.sleep(RETRY_WAIT_S)
                return False
            failure = error
        else:
            reader.acknowledge(delivery)
            return True
    await bury(client, delivery, failure, dead=dead)
    reader.acknowledge(delivery)
    return False


async def bury(client: Client, delivery: Delivery, error: BaseException, *, dead: str = DEAD) -> None:
    """Keep an entry in `dead` with the reason; the caller acknowledges it afterwards."""
    fields = {_kept(name): _kept(value) for name, value in delivery.fields.items()}
    reason = "".join(traceback.format_exception_only(error)).strip()
    await client.xadd(
        dead,
        {
            "stream": delivery.stream,
            "id": delivery.id,
            "error": reason.encode(errors="backslashreplace"),
            "payload": json.dumps(fields, separators=(",", ":")),
        },
    )
    log.error("entry kept in dead", stream=delivery.stream, id=delivery.id, error=reason, dead=dead)


async def entries(client: Client, *, dead: str = DEAD, count: int = 100) -> list[DeadEntry]:
    """The latest dead entries, newest first."""
    found = await client.xrevrange(dead, count=count)
    return [_entry(id_, fields) for id_, fields in found]


async def entry(client: Client, entry_id: str, *, dead: str = DEAD) -> DeadEntry:
    """One dead entry. Raises InvalidInput where there is none of this id."""
    found = await client.xrange(dead, entry_id, entry_id)
    if not found:
        raise InvalidInput(f"{dead} has no entry {entry_id}: list them with `backbone dead`")
    return _entry(*found[0])


async def put_back(client: Client, entry_id: str, *, dead: str = DEAD, into: Client | None = None) -> str:
    """Append a dead entry to the stream it came from and remove it from `dead`; returns its new id.

    `into` is the server of that stream where it is not the server of `dead`. Raises InvalidInput where there
    is no such entry, or nothing left of it.
    """
    found = await client.xrange(dead, entry_id, entry_id)
    if not found:
        raise InvalidInput(f"{dead} has no entry {entry_id}: list them with `backbone dead`")
    _, fields = found[0]
    try:
        stream = fields[b"stream"]
        payload = {_raw(name): _raw(value) for name, value in _payload(fields).items()}
    except (KeyError, ValueError, AttributeError) as error:
        raise InvalidInput(
            f"{dead} entry {entry_id} does not say where it came from: remove it with XDEL, or leave it"
        ) from error
    if not payload:
        raise InvalidInput(f"{dead} entry {entry_id}: its content was trimmed, there is nothing to put back")
    new_id = await (into or client).xadd(stream, payload)
    await client.xdel(dead, entry_id)
    return str(new_id.decode())


def _entry(id_: bytes, fields: dict[bytes, bytes]) -> DeadEntry:
    try:
        return DeadEntry(
            id=id_.decode(),
            stream=fields[b"stream"].decode(),
            entry_id=fields[b"id"].decode(),
            error=fields[b"error"].decode(),
            payload={_shown(name): _shown(value) for name, value in _payload(fields).items()},
        )
    except (KeyError, ValueError, AttributeError):
        # Anybody may write to a stream: what is of another shape is shown as it is.
        shown = {
            name.decode(errors="backslashreplace"): value.decode(errors="backslashreplace")
            for name, value in fields.items()
        }
        return DeadEntry(id_.decode(), "?", "?", "not written as dead entries are", shown)


def _payload(fields: dict[bytes, bytes]) -> dict[str, str]:
    found: dict[str, str] = json.loads(fields[b"payload"])
    return found


def _kept(raw: bytes) -> str:
    """Text as it is; a byte that is not text as a lone surrogate, which JSON can carry and `_raw` undoes."""
    return raw.decode(errors="surrogateescape")


def _raw(kept: str) -> bytes:
    return kept.encode(errors="surrogateescape")


def _shown(kept: str) -> str:
    return _raw(kept).decode(errors="backslashreplace")
