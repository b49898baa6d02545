"""History into streams of the market-data server, one for each symbol and channel."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from bus.connection import Client
from bus.errors import BackboneError, InvalidInput
from bus.retry import until_answered
from bus.streams import history, history_record
from ingest.retention.retention import TRIM_TO
from ingest.retention.retention_memory import policy_of, used_bytes
from ingest.settings import IngestSettings
from ops.backfill.asked import Part
from ops.backfill.record import Message, Record, written

# A bar is known when its minute is over, and Alpaca stamps it with its start.
_BAR_MS = 60_000

# KEYS: the stream, its record. ARGV: the record before and after, how many entries there are before, time
# received, feed; then for each entry its id's millisecond and its message.
_ADD = """
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 'another' end
if redis.call('XLEN', KEYS[1]) ~= tonumber(ARGV[3]) then return 'removed' end
for i = 6, #ARGV, 2 do
  redis.call('XADD', KEYS[1], ARGV[i] .. '-*', 'd', ARGV[i + 1], 'r', ARGV[4], 'feed', ARGV[5], 'b', '1')
end
redis.call('SET', KEYS[2], ARGV[2])
return 'added'
"""


class IntoStreams:
    """The streams `hist:<symbol>:<channel>:<name>`, whose entries are those of live streams with `b` = 1.

    Each piece is one script that compares the record, writes the entries and sets the record: so a piece
    whose reply was lost is not written twice, and two backfills of one name never mix.
    """

    # Entries that one script adds: it keeps the live ones waiting for a millisecond or two.
    piece = 500

    def __init__(
        self, client: Client, name: str, settings: IngestSettings, tell: Callable[[str], None]
    ) -> None:
        self._client = client
        self._name = name
        self._settings = settings
        self._tell = tell

    def __repr__(self) -> str:
        return f"<streams {history('*', '*', self._name)}>"

    def where(self, part: Part) -> str:
        """The stream."""
        return history(part.symbol, part.channel, self._name)

    async def record(self, part: Part) -> Record | None:
        """What the stream holds; nothing once ingest removed it, as it does with history that nobody reads.

        Raises InvalidInput where it holds something else than was brought into it.
        """
        stream = self.where(part)
        text = await self._until_answered(self._client.get, self._record_key(part))
        entries = int(await self._until_answered(self._client.xlen, stream))
        if text is None and not entries:
            return None
        if text is None:
            raise InvalidInput(f"{stream} is there, and by no backfill: give another --name")
        found = msgspec.json.decode(text, type=Record)
        if found.messages and not entries:
            await self._until_answered(self._client.delete, self._record_key(part))
            return None
        if found.messages != entries:
            raise InvalidInput(
                f"{stream} has {entries:,} entries and {found.messages:,} were brought into it: give another "
                f"--name, or delete it and {self._record_key(part)} to begin again"
            )
        return found

    async def add(
        self, part: Part, before: Record | None, after: Record, messages: Sequence[Message]
    ) -> None:
        """Add entries. Raises BackboneError where somebody else adds too, or there is no room for more."""
        await self._require_room()
        stream, key = self.where(part), self._record_key(part)
        was = b"" if before is None else msgspec.json.encode(before)
        becomes = msgspec.json.encode(after)
        values: list[bytes | int] = []
        at_least_ms = 0 if before is None else _id_ms(part, before.through_ns)
        for message in messages:
            at_least_ms = max(at_least_ms, _id_ms(part, message["t"]))
            values += (at_least_ms, written(message))
        there = before.messages if before else 0
        arguments = (was, becomes, there, time.time_ns(), part.feed, *values)
        answer = await self._until_answered(self._client.eval, _ADD, 2, stream, key, *arguments)
        if answer == b"removed":
            raise BackboneError(f"{stream} was removed or trimmed meanwhile: run this again")
        # Asked again after a lost reply it finds what it wrote itself.
        if answer == b"another" and await self._until_answered(self._client.get, key) != becomes:
            raise BackboneError(f"another backfill writes {stream}: end it, or give another --name")

    async def finish(self, parts: Sequence[Part]) -> None:
        """Nothing more: they can be read."""

    def _record_key(self, part: Part) -> str:
        return history_record(part.symbol, part.channel, self._name)

    async def _until_answered(self, command: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """The answer to a command; waits for a server that is away or refuses for now, and says so."""

        def tell(trouble: str) -> None:
            self._tell(f"waiting for the market-data server: {trouble}")

        return await until_answered(lambda: command(*arguments), stopping=None, tell=tell)

    async def _require_room(self) -> None:
        """Raise BackboneError where ingest trims live data, or soon would: history must not push them out."""
        memory = await self._until_answered(self._client.info, "memory")
        budget, used = policy_of(self._settings, memory).budget_bytes, used_bytes(memory)
        if budget and used > TRIM_TO * budget:
            raise BackboneError(
                f"the market-data server holds {used:,} bytes, and its budget of {budget:,} is for live data "
                "first: give it more (BACKBONE_MD_BUDGET_MB), or bring history --into a file; then run this "
                "again to go on"
            )


def _id_ms(part: Part, at_ns: int) -> int:
    """The millisecond at which a message could be known, as ids of live entries have it."""
    return at_ns // 1_000_000 + (_BAR_MS if part.channel == "bars" else 0)
