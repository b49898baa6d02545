"""The journal: what was decided and what the broker said, durable before anything follows from it.

One script per batch appends to the journal and to the algorithms' events, and acknowledges what the batch
answers. Whatever is handed in while a batch is under way makes the next one (group commit).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

from bus.codec import Message, MessageCodec
from bus.connection import connect
from bus.consume import Delivery
from bus.errors import BackboneError, ReplyLost, ServerUnreachable, Unreadable
from bus.lease import FENCE, Lease
from bus.link import Link, Script
from bus.order_messages import EVENTS
from bus.replay import read
from bus.streams import EXTERNAL, GROUP_OMS, events, journal

# Entries and acknowledgements of one script: bounds how long the server is busy with it (about 10 ms).
MOST_ENTRIES = 500

EVENT_CODEC = MessageCodec(EVENTS)

# KEYS: lease, journal, then streams. ARGV: lease value, batch, the journal's last id as we know it, count of
# entries; for each entry type, version, data and the number of its second stream in KEYS (0: none); then for
# each acknowledged stream its number in KEYS, the count of ids, the ids.
# A batch that was carried out already is recognised at the journal's end, so it is never written twice.
_COMMIT = Script(
    FENCE
    + """\
local count, a = tonumber(ARGV[4]), 5
local last = ARGV[3]
if count > 0 then
  local tail = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  local found = tail and tail[1] or '0-0'
  if found ~= last then
    if tail[2][8] == ARGV[2] then return found end
    return redis.error_reply('MOVED the journal ends at ' .. found .. ', not at ' .. last)
  end
end
for _ = 1, count do
  local kind, version, data, second = ARGV[a], ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 3])
  last = redis.call('XADD', KEYS[2], '*', 'type', kind, 'version', version, 'data', data, 'batch', ARGV[2])
  if second > 0 then
    redis.call('XADD', KEYS[second], '*', 'type', kind, 'version', version, 'data', data)
  end
  a = a + 4
end
while ARGV[a] do
  local ids = tonumber(ARGV[a + 1])
  redis.call('XACK', KEYS[tonumber(ARGV[a])], ARGV[#ARGV], unpack(ARGV, a + 2, a + 1 + ids))
  a = a + 2 + ids
  if a == #ARGV then break end
end
return last
"""
)


class JournalMoved(BackboneError):
    """Somebody else wrote to the journal: the book in memory is not its fold any more. Start again."""


@dataclass(slots=True)
class Entry:
    """An event for the journal; `beside` is a second stream that gets the same entry."""

    event: Message
    beside: str | None = None


@dataclass(slots=True)
class _Pending:
    entries: list[Entry]
    acknowledged: list[Delivery]
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Batch:
    keys: list[str]
    arguments: list[str | bytes | int] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, stream: str) -> int:
        """The place of a stream in KEYS, counted from 1."""
        found = self.numbers.get(stream)
        if found is None:
            self.keys.append(stream)
            found = self.numbers[stream] = len(self.keys)
        return found


class Journal:
    """Writes batches in the order in which they were handed in, under the OMS's lease."""

    def __init__(self, url: str, lease: Lease, account: str) -> None:
        self.commits = 0
        self.entries = 0
        self._account = account
        self._stream = journal(account)
        self._lease = lease
        self._url = url
        self._link = Link(url, name="oms-journal", scripts=(_COMMIT,))
        self._pending: list[_Pending] = []
        self._handed_in = asyncio.Event()
        self._last_id = self._first_id = "0-0"
        self._events: dict[str, str] = {}
        # Told of each delivery whose acknowledgement is durable.
        self.on_acknowledged: Callable[[Delivery], None] | None = None

    def __repr__(self) -> str:
        return f"<{self._stream}, up to {self._last_id}, {len(self._pending)} batches waiting>"

    @property
    def last_id(self) -> str:
        """The id of the last entry; "0-0" while the journal is empty."""
        return self._last_id

    @property
    def first_id(self) -> str:
        """The id of the first entry when the journal was read; "0-0" where it was empty."""
        return self._first_id

    async def fold(self) -> AsyncIterator[Message]:
        """Every event so far, oldest first. Raises Unreadable where an entry cannot be read."""
        client = connect(self._url, name="oms-fold")
        try:
            async for delivery in read(client, [self._stream]):
                self._last_id = delivery.id
                if self._first_id == "0-0":
                    self._first_id = delivery.id
                try:
                    event = EVENT_CODEC.decode(delivery.fields)
                except Unreadable as error:
                    raise Unreadable(
                        f"{self._stream} {delivery.id}: {error}; another version wrote it, or somebody "
                        "by hand: start the version that wrote it, or take that entry out"
                    ) from error
                yield event
        finally:
            await client.aclose()

    def entry(self, event: Message) -> Entry:
        """An entry for an event, beside it the events stream of the algorithm it concerns."""
        name: str = getattr(event, "algorithm", EXTERNAL)
        if name == EXTERNAL:
            return Entry(event)
        stream = self._events.get(name)
        if stream is None:
            stream = self._events[name] = events(self._account, name)
        return Entry(event, stream)

    def commit(self, entries: Iterable[Entry], acknowledged: Iterable[Delivery] = ()) -> asyncio.Future[None]:
        """Hand in what belongs together; the future is done once it is durable.

        It fails with Fenced when the lease is gone and with JournalMoved when somebody else wrote.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(list(entries), list(acknowledged), done))
        self._handed_in.set()
        return done

    async def run(self) -> None:
        """Write batches until cancelled; raises what a commit fails with, since nothing can follow it."""
        while True:
            await self._handed_in.wait()
            group = self._take()
            if not self._pending:
                self._handed_in.clear()
            try:
                await self._write(group)
            except BackboneError as error:
                for pending in (*group, *self._pending):
                    if not pending.done.done():
                        pending.done.set_exception(error)
                        pending.done.exception()
                raise
            for pending in group:
                if self.on_acknowledged is not None:
                    for delivery in pending.acknowledged:
                        self.on_acknowledged(delivery)
                if not pending.done.done():
                    pending.done.set_result(None)

    async def flush(self) -> None:
        """Wait until everything handed in so far is durable."""
        await self.commit(())

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    def _take(self) -> list[_Pending]:
        size = taken = 0
        for pending in self._pending:
            size += len(pending.entries) + len(pending.acknowledged)
            if taken and size > MOST_ENTRIES:
                break
            taken += 1
        group, self._pending = self._pending[:taken], self._pending[taken:]
        return group

    async def _write(self, group: list[_Pending]) -> None:
        entries = [entry for pending in group for entry in pending.entries]
        acknowledged = [delivery for pending in group for delivery in pending.acknowledged]
        if not entries and not acknowledged:
            return
        self.commits += 1
        self.entries += len(entries)
        identity = f"{self._lease.token}-{self.commits}"
        batch = self._packed(identity, entries, acknowledged)
        while True:
            try:
                reply = await self._link.run(_COMMIT, batch.keys, batch.arguments)
            except ServerUnreachable:
                continue
            except ReplyLost:
                if not await self._carried_out(identity):
                    continue
                return
            except BackboneError as error:
                if str(error).startswith("MOVED"):
                    raise JournalMoved(f"{self._stream}: {error}; start the OMS again") from error
                raise
            self._last_id = reply.decode()
            return

    def _packed(self, identity: str, entries: list[Entry], acknowledged: list[Delivery]) -> _Batch:
        batch = _Batch([self._lease.key, self._stream])
        arguments = batch.arguments
        arguments += (self._lease.value, identity, self._last_id, len(entries))
        encode = EVENT_CODEC.encode
        for entry in entries:
            arguments += encode(entry.event)
            arguments.append(batch.number(entry.beside) if entry.beside else 0)
        by_stream: dict[str, list[str]] = {}
        for delivery in acknowledged:
            by_stream.setdefault(delivery.stream, []).append(delivery.id)
        for stream, ids in by_stream.items():
            arguments += (batch.number(stream), len(ids), *ids)
        if by_stream:
            arguments.append(GROUP_OMS)
        return batch

    async def _carried_out(self, identity: str) -> bool:
        """After a lost reply: whether the journal ends with this batch. Waits for the server."""
        while True:
            try:
                wire = await self._link.opened()
                tail = await wire.call("XREVRANGE", self._stream, "+", "-", "COUNT", 1)
            except (ReplyLost, ServerUnreachable):
                continue
            if tail and tail[0][1][7] == identity.encode():
                self._last_id = tail[0][0].decode()
                return True
            return False
