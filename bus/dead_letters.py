"""Keep what could not be handled, list it, and put it back."""

from collections.abc import Mapping

import structlog

from bus.connection import Client
from bus.dead_letter import DeadLetter, dead_letter_fields, fields_to_put_back, read_dead_letter
from bus.delivery import Delivery
from bus.errors import InvalidInput
from bus.streams import DEAD

# A letter is looked for among so many.
_LATEST = 100

log = structlog.get_logger()


async def write_dead_letter(
    client: Client,
    delivery: Delivery,
    error: str | BaseException,
    *,
    by: str,
    into: str = DEAD,
    unless_kept: bool = False,
) -> None:
    """Keep an entry with the reason, in `into`; the caller acknowledges it afterwards.

    `by` is the process that keeps it; `unless_kept` looks first whether it did. Raises as the client does:
    then the entry is not acknowledged and comes again.
    """
    fields = dead_letter_fields(
        stream=delivery.stream, entry_id=delivery.id, fields=delivery.fields, error=error, by=by
    )
    if unless_kept and await is_kept(client, fields, into=into):
        return
    await client.xadd(into, fields)
    reason = fields["error"].decode()
    log.error("dead letter", stream=delivery.stream, id=delivery.id, error=reason, kept_in=into)


async def is_kept(client: Client, letter: Mapping[str, bytes], *, into: str = DEAD) -> bool:
    """Whether this very letter is among the latest: for whoever lost the reply when it was written."""
    fields = {name.encode(): value for name, value in letter.items()}
    return any(found == fields for _, found in await client.xrevrange(into, count=_LATEST))


async def dead_letters(client: Client, *, kept_in: str = DEAD, count: int = 100) -> list[DeadLetter]:
    """The latest dead letters, newest first."""
    return [read_dead_letter(id_, fields) for id_, fields in await client.xrevrange(kept_in, count=count)]


async def dead_letter(client: Client, letter_id: str, *, kept_in: str = DEAD) -> DeadLetter:
    """One dead letter. Raises InvalidInput where there is none of this id."""
    return read_dead_letter(*await _found(client, letter_id, kept_in))


async def put_back(
    client: Client, letter_id: str, *, kept_in: str = DEAD, server: Client | None = None
) -> str:
    """Append what a dead letter holds to the stream it came from, and remove the letter; returns the new id.

    `server` is the one with that stream, where it is not the one with the letter. Raises InvalidInput where
    there is no such letter, or it cannot be put back, with the reason.
    """
    id_, fields = await _found(client, letter_id, kept_in)
    letter = read_dead_letter(id_, fields)
    if letter.why_not_put_back:
        raise InvalidInput(
            f"{kept_in} entry {letter_id} cannot be put back: {letter.why_not_put_back}; "
            "remove it with XDEL, or leave it"
        )
    payload = fields_to_put_back(fields)
    if server is None:
        together = client.pipeline(transaction=True)
        together.xadd(letter.stream, payload)
        together.xdel(kept_in, letter_id)
        new_id, _ = await together.execute()
    else:
        new_id = await server.xadd(letter.stream, payload)
        await client.xdel(kept_in, letter_id)
    return str(new_id.decode())


async def _found(client: Client, letter_id: str, kept_in: str) -> tuple[bytes, dict[bytes, bytes]]:
    found = await client.xrange(kept_in, letter_id, letter_id)
    if not found:
        raise InvalidInput(f"{kept_in} has no entry {letter_id}: list them with `backbone dead`")
    id_, fields = found[0]
    return id_, fields
