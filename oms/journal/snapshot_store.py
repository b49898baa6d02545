"""Snapshots of the state beside the journal: written once they are verified, believed once they are again."""

import time
from functools import cache
from hashlib import blake2b
from pathlib import Path

import msgspec
import structlog

import bus
import oms
from bus import streams
from bus.chain import HASH, Chain
from bus.connection import Client
from bus.errors import BackboneError
from bus.lease import FENCE
from oms.journal import snapshot_encoding
from oms.journal.digest import digest_of
from oms.state.state import State

# KEYS: the OMS's lease, the snapshot. ARGV: the lease's value, then names and values.
_WRITE = FENCE + "return redis.call('HSET', KEYS[2], unpack(ARGV, 2))"

_CODE_SIZE_BYTES = 16

log = structlog.get_logger()


class NotTheFold(BackboneError):
    """The state in memory is not what the journal folds to."""


class Snapshot(msgspec.Struct, frozen=True):
    """The state after the journal's entry `id`, whose hash was `hash`; the journal began with `first_id`.

    `code` tells the code that wrote it: other code may fold otherwise, and need not believe it. `number` and
    `trading` are those of the account at the broker, for whoever reads no state.
    """

    id: str
    hash: str
    first_id: str
    digest: str
    code: str
    number: str
    trading: str
    made_ns: str
    state: bytes


async def stored(client: Client, account: str) -> Snapshot | None:
    """The snapshot that was written last; None where there is none that can be read."""
    found = await client.hgetall(streams.snapshot(account))
    try:
        values = {
            name.decode(): value if name == b"state" else value.decode() for name, value in found.items()
        }
        return Snapshot(**values) if found else None
    except (TypeError, UnicodeDecodeError):
        log.warning("snapshot not used", why="it is not written as this version writes it")
        return None


async def believed(client: Client, account: str) -> tuple[Snapshot, State] | None:
    """The last snapshot and its state, where it is this code's and the journal's; None otherwise, and why is
    logged."""
    found = await examined(client, account)
    if isinstance(found, str):
        if await client.exists(streams.snapshot(account)):
            log.warning("snapshot not used", why=found)
        return None
    return found


async def examined(client: Client, account: str) -> tuple[Snapshot, State] | str:
    """The last snapshot and its state, where it is this code's and the journal's; otherwise why it is not."""
    found = await stored(client, account)
    if found is None:
        return "there is none that this version can read"
    if found.code != code():
        return "other code wrote it"
    try:
        state = snapshot_encoding.decode(found.state)
    except ValueError as error:
        return str(error)
    if digest_of(state) != found.digest:
        return "its state has another digest than it says"
    if not await _stands(client, account, found):
        return f"the journal has no entry {found.id} with its hash"
    return found, state


async def write(
    client: Client, account: str, lease: str, state: State, chain: Chain, first_id: str, digest: str
) -> Snapshot:
    """Write a snapshot of a state that was folded up to the end of `chain`, for a state with this digest.

    Raises NotTheFold where the fold has another, and Fenced without the lease.
    """
    folded = digest_of(state)
    if folded != digest:
        raise NotTheFold(
            f"after entry {chain.head_id} the state in memory has the digest {digest}, and the journal folds "
            f"to {folded}: the next start would decide otherwise than this OMS does"
        )
    made = Snapshot(
        id=chain.head_id,
        hash=chain.head.decode(),
        first_id=first_id,
        digest=digest,
        code=code(),
        number="" if state.pinned is None else state.pinned.number,
        trading="" if state.pinned is None else state.pinned.trading,
        made_ns=str(time.time_ns()),
        state=snapshot_encoding.encode(state),
    )
    if digest_of(snapshot_encoding.decode(made.state)) != digest:
        raise NotTheFold(f"the snapshot after entry {made.id} is read back as another state")
    values = [part for item in msgspec.structs.asdict(made).items() for part in item]
    await client.eval(_WRITE, 2, streams.oms_lease(account), streams.snapshot(account), lease, *values)
    return made


@cache
def code() -> str:
    """A digest of all code that may have a part in folding a journal."""
    hashed = blake2b(digest_size=_CODE_SIZE_BYTES)
    for package in (bus, oms):
        root = Path(package.__path__[0])
        for file in sorted(root.rglob("*.py")):
            hashed.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return hashed.hexdigest()


async def _stands(client: Client, account: str, found: Snapshot) -> bool:
    """Whether the journal has the entry on which a snapshot stands."""
    here = await client.xrange(streams.journal(account), found.id, found.id)
    said: bytes | None = here[0][1].get(HASH) if here else None
    return said is not None and said.decode() == found.hash
