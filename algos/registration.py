"""Making oneself known: the registry that the OMS reads, and the wants that ingest reads."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

from bus.connection import Client
from bus.errors import ServerAway, ServerRefused, Unreadable
from bus.feed_kinds import FEED_KINDS
from bus.outage import Outage
from bus.streams import algorithms, refused_wants, wants

WANTS_TTL_MS = 5000
WANTS_EVERY_S = 1.0

log = structlog.get_logger()


class Entry(msgspec.Struct, frozen=True):
    """An algorithm's entry in the registry. `lineage` is born with it and stays, through every restart.

    `symbols` are those that it trades, as it was last started; None was written by earlier releases.
    """

    lineage: str
    registered_ns: int
    symbols: tuple[str, ...] | None = None


async def register(client: Client, account: str, name: str, entry: Entry) -> Entry:
    """Enter an algorithm in the registry; returns its entry: the first ever made, with these symbols.

    Raises Unreadable where something else stands there, ServerAway and ServerRefused.
    """
    key = algorithms(account)
    await client.hsetnx(key, name, msgspec.json.encode(entry))
    try:
        first = msgspec.json.decode(await client.hget(key, name), type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(
            f"the entry of {name} in {key} is not that of an algorithm ({error}): put back what it was, for "
            "the ids of its orders come from its lineage"
        ) from error
    if first.symbols == entry.symbols:
        return first
    in_force = msgspec.structs.replace(first, symbols=entry.symbols)
    await client.hset(key, name, msgspec.json.encode(in_force))
    return in_force


class Wants:
    """Tells ingest, each second, what market data this algorithm wants, for as long as it wants it.

    Mutable: `refused` has a sentence for each want that ingest does not carry.
    """

    def __init__(
        self, client: Client, account: str, name: str, channels: Mapping[str, Sequence[str]]
    ) -> None:
        self.refused: tuple[str, ...] = ()
        self._client = client
        self._not_renewed = Outage("wants not renewed")
        self._unheard = Outage("refused wants not heard: they stay as they were")
        self._key = wants(account, name)
        self._refused_keys = [refused_wants(account, name, kind) for kind in FEED_KINDS]
        self._value = msgspec.json.encode({channel: list(symbols) for channel, symbols in channels.items()})

    async def run(self, wanted: Callable[[], bool]) -> None:
        """Renew for as long as it is wanted."""
        while wanted():
            # They outlast five renewals, and ingest keeps what it had while the server takes none.
            with self._not_renewed:
                await self._client.set(self._key, self._value, px=WANTS_TTL_MS)
            await self._hear()
            await asyncio.sleep(WANTS_EVERY_S)

    async def _hear(self) -> None:
        """What of the wants is refused, said in the log when it changes; kept while it cannot be read."""
        try:
            texts = await self._client.mget(self._refused_keys)
            heard = [one for text in texts if text for one in msgspec.json.decode(text, type=list[str])]
        except (ServerAway, ServerRefused, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._unheard.goes_on(error)
            return
        self._unheard.ended()
        refused = tuple(dict.fromkeys(heard))
        for sentence in refused:
            if sentence not in self.refused:
                log.error("want refused", what=sentence)
        self.refused = refused

    async def withdraw(self) -> None:
        """Want nothing any more."""
        await self._client.delete(self._key)
