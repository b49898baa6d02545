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

# All are fenced. KEYS: the OMS's lease, where the snapshot is written, and, of the last, the snapshot.
# ARGV: the lease's value, then names and values.
_BEGIN = FENCE + "return redis.call('DEL', KEYS[2])"
_WRITE = FENCE + "return redis.call('HSET', KEYS[2], unpack(ARGV, 2))"
_FINISH = FENCE + "return redis.call('RENAME', KEYS[2], KEYS[3])"

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
    pieces: int
    size_bytes: int


_NAMES = Snapshot.__struct_fields__


async def stored(client: Client, account: str) -> Snapshot | None:
    """What is said of the snapshot that was written last; None where there is none that can be read."""
    return await _read(client, streams.snapshot(account))


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
        state = await _state(client, streams.snapshot(account), found)
    except ValueError as error:
        again = await stored(client, account)
        # Another may have been written meanwhile, by the OMS that leads.
        return str(error) if again == found else await examined(client, account)
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
    lease_key, unfinished = streams.oms_lease(account), streams.being_written(streams.snapshot(account))
    await client.eval(_BEGIN, 2, lease_key, unfinished, lease)
    count = size_bytes = 0
    for piece in snapshot_encoding.encode(state):
        name = _piece(chain.head_id, count)
        await client.eval(_WRITE, 2, lease_key, unfinished, lease, name, piece)
        count, size_bytes = count + 1, size_bytes + len(piece)
    made = Snapshot(
        id=chain.head_id,
        hash=chain.head.decode(),
        first_id=first_id,
        digest=digest,
        code=code(),
        number="" if state.pinned is None else state.pinned.number,
        trading="" if state.pinned is None else state.pinned.trading,
        made_ns=str(time.time_ns()),
        pieces=count,
        size_bytes=size_bytes,
    )
    values = [part for item in msgspec.structs.asdict(made).items() for part in item]
    await client.eval(_WRITE, 2, lease_key, unfinished, lease, *values)
    if await _read(client, unfinished) != made or digest_of(await _state(client, unfinished, made)) != digest:
        raise NotTheFold(f"the snapshot after entry {made.id} is read back as another state")
    await client.eval(_FINISH, 3, lease_key, unfinished, streams.snapshot(account), lease)
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


async def _read(client: Client, key: str) -> Snapshot | None:
    """What is said of the snapshot under this key; None where it is none that can be read."""
    async with client.pipeline(transaction=True) as pipe:
        found, fields = await pipe.hmget(key, _NAMES).hlen(key).execute()
    if not fields:
        return None
    try:
        values = {name: value.decode() for name, value in zip(_NAMES, found, strict=True)}
        snapshot = msgspec.convert(values, Snapshot, strict=False)
        if fields == len(_NAMES) + snapshot.pieces:
            return snapshot
    except (AttributeError, UnicodeDecodeError, msgspec.ValidationError):
        pass
    log.warning("snapshot not used", why="it is not written as this version writes it")
    return None


async def _state(client: Client, key: str, snapshot: Snapshot) -> State:
    """The state of a snapshot. Raises ValueError where it is none, or another takes its place meanwhile."""
    reading = snapshot_encoding.Reading()
    for number in range(snapshot.pieces):
        reading.take(await client.hget(key, _piece(snapshot.id, number)) or b"")
    return reading.state()


def _piece(snapshot_id: str, number: int) -> str:
    """The field of a piece of the state, which is that of one snapshot alone."""
    return f"state after {snapshot_id}, piece {number}"
