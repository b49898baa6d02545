"""The journal: what was decided and what the broker said, durable before anything follows from it.

One script per batch appends to the journal and to the algorithms' events, and acknowledges what the batch
answers. Whatever is handed in while a batch is under way makes the next one (group commit). Where orders wait
for a batch to be durable, algorithms are told of it with the next one (`docs/decisions/0037-told-after.md`).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bus.chain import NO_HASH, Chain, Entry, message_hash
from bus.clock import Clock
from bus.codec import Message
from bus.concerned_algorithm import concerned_algorithm
from bus.dead_letter import dead_letter_fields, fields_to_put_back
from bus.delivery import Delivery
from bus.errors import BackboneError, Fenced, RefusedForNow, ReplyLost
from bus.journal_messages import ChainBegun
from bus.lease_keeper import LeaseKeeper
from bus.link import Link, is_unloaded
from bus.order_events import EntryDeadLettered
from bus.pages import pages
from bus.streams import EXTERNAL, GROUP_OMS, events, journal, journal_told, orders_dead
from bus.wire import Sent, checked
from oms.journal.journal_reader import EVENT_CODEC, JournalReader
from oms.journal.journal_script import COMMIT

# Entries and acknowledgements of one script: bounds how long the server is busy with it (about 10 ms).
MOST_ENTRIES = 500

# What an algorithm is to be told later leaves by itself after this, where no other batch takes it along: the
# orders that waited are on their way to the broker by then.
TELL_AFTER_S = 0.002

# The stream of an algorithm's events, and the values of the fields type, version and data.
_Told = tuple[str, bytes, bytes, bytes]


class JournalMoved(BackboneError):
    """Somebody else wrote to the journal: the state in memory is not its fold any more. Start again."""


@dataclass(slots=True)
class _Pending:
    events: Sequence[Message]
    ids: list[str]
    acknowledged: Sequence[Delivery]
    tell_later: bool
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Batch:
    """One script's worth. Mutable: while it is packed; `sent` is None while it is not on its way."""

    pending: list[_Pending]
    keys: list[str]
    last_id: str
    last_hash: bytes
    arguments: list[str | bytes | int] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    sent: Sent | None = None

    def ends_with(self, id_: bytes, fields: list[bytes]) -> bool:
        """Whether it has entries, of which this is the last: its id alone might be another writer's."""
        return bool(self.arguments[3]) and (id_.decode(), fields[-1]) == (self.last_id, self.last_hash)

    def number(self, stream: str) -> int:
        """The place of a stream in KEYS, counted from 1."""
        found = self.numbers.get(stream)
        if found is None:
            self.keys.append(stream)
            found = self.numbers[stream] = len(self.keys)
        return found


class Journal:
    """Writes batches in the order in which they were handed in, under the OMS's lease.

    Mutable: `commits` counts batches, and `entries` what was read and what is durable since; `first_id` and
    `last_id` are where the journal durably begins and ends, `last_hash` is that entry's hash, b"" for none,
    `assigned_id` where it will end once everything handed in is durable.
    """

    def __init__(self, url: str, keeper: LeaseKeeper, account: str, clock: Clock) -> None:
        self.commits = self.entries = 0
        self.first_id = self.last_id = "0-0"
        self.last_hash = b""
        self._account = account
        self._stream = journal(account)
        self._keeper = keeper
        self._lease = keeper.lease
        self._clock = clock
        self._url = url
        self._reader = JournalReader(url, self._stream)
        self._link = Link(url, name="oms-journal", scripts=(COMMIT,))
        self._pending: list[_Pending] = []
        self._under_way: _Batch | None = None
        self._handed_in = asyncio.Event()
        self._assigned = (0, 0)
        self._packed_id = "0-0"
        # The hash that the next entry's stands on, and the one that the entry before it bears, b"" for none.
        self._packed_head = NO_HASH
        self._packed_hash = b""
        self._events: dict[str, str] = {}
        # What is durable, or is in the batch under way, and is to be told with the next one.
        self._untold: list[_Told] = []
        self._telling: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<{self._stream}, up to {self.last_id}, {len(self._pending)} waiting>"

    @property
    def assigned_id(self) -> str:
        """The id of the last entry that was handed in; it becomes the journal's last once that is durable."""
        return f"{self._assigned[0]}-{self._assigned[1]}"

    @property
    def lease_value(self) -> str:
        """The lease under which is written now."""
        return self._lease.value

    async def begin_after(self, chain: Chain, first_id: str) -> None:
        """Fold only what follows the end of `chain`; before anything is folded."""
        await self._reader.close()
        self._reader = JournalReader(self._url, self._stream, chain, first_id)

    async def fold(self, apply_all: Callable[[Sequence[Message]], object]) -> None:
        """Give every event that was not given before, oldest first; of newer versions as UnknownMessage.

        They come many at once. What is written afterwards goes on after it. Raises Unreadable where an entry
        cannot be read, and where one is not what was written.
        """
        await self._reader.fold(apply_all)
        chain, self.first_id, self.entries = self._reader.chain, self._reader.first_id, self._reader.entries
        self.last_id, self.last_hash = chain.head_id, chain.written
        self._packed_id, self._packed_head, self._packed_hash = chain.head_id, chain.head, chain.written
        self._assigned = await self._reader.last_generated()

    async def find_untold(self) -> None:
        """Have algorithms told what an OMS before this one wrote and did not tell, with the next batch.

        After the last fold, under the lease. Waits while the server is away.
        """
        told = await self._link.asked("GET", journal_told(self._account))
        if told is None:
            return  # Earlier releases told everything in the batch that wrote it.
        found: dict[str, list[_Told]] = {}
        async for page in pages(self._link, self._stream, start=f"({told.decode()}"):
            for entry in page:
                if stream := self._events_of(concerned_algorithm(entry)):
                    found.setdefault(stream, []).append(_told_of(stream, entry))
        for stream, entries in found.items():
            # An earlier release that led meanwhile told what it wrote, and noted nothing.
            last = await self._link.asked("XREVRANGE", stream, "+", "-", "COUNT", len(entries))
            there = [_told_of(stream, entry) for entry in last]
            self._untold += (one for one in entries if one not in there)

    def begin_chain(self, by: str) -> None:
        """Cover the entries of an earlier release, which have no hashes, with that of the next one."""
        if self.last_id != "0-0" and not self.last_hash:
            begun = ChainBegun(
                after_id=self.last_id,
                reason="entries of an earlier release have no hashes",
                by=by,
                at_ns=self._clock.now_ns(),
            )
            self.commit([begun])

    def commit(
        self, events: Sequence[Message], acknowledged: Sequence[Delivery] = (), *, tell_later: bool = False
    ) -> asyncio.Future[None]:
        """Hand in what belongs together; the future is done once it is durable.

        It leaves at once where nothing else is under way. `tell_later`: algorithms need not hear of it before
        it is durable, as of an approval, for whose order every moment counts until then. The future fails
        with Fenced when another OMS has the lease or had it, and with JournalMoved when somebody else wrote.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(events, self._assign(len(events)), acknowledged, tell_later, done))
        if self._under_way is None:
            self._begin()
        self._handed_in.set()
        return done

    async def run(self) -> None:
        """Write batches until cancelled; raises what a commit fails with, since nothing can follow it."""
        while True:
            await self._handed_in.wait()
            batch = self._under_way or self._begin()
            try:
                await self._finish(batch)
            except BackboneError as error:
                for pending in (*batch.pending, *self._pending):
                    if not pending.done.done():
                        pending.done.set_exception(error)
                        pending.done.exception()
                raise
            self._under_way = None
            for pending in batch.pending:
                if not pending.done.done():
                    pending.done.set_result(None)
            if self._pending:
                self._begin()
                continue
            self._handed_in.clear()
            if self._untold and self._telling is None:
                self._telling = asyncio.get_running_loop().call_later(TELL_AFTER_S, self._tell)

    async def flush(self) -> None:
        """Wait until everything handed in so far is durable, and told."""
        await self.commit(())
        while self._untold:
            await self.commit(())

    async def close(self) -> None:
        """Close the connections."""
        if self._telling is not None:
            self._telling.cancel()
        await self._reader.close()
        await self._link.close()

    def _assign(self, count: int) -> list[str]:
        """Ids for so many entries, above every id before them also where the clock was set back."""
        if not count:
            return []
        now_ms = self._clock.now_ns() // 1_000_000
        milliseconds, sequence = self._assigned
        if now_ms > milliseconds:
            milliseconds, sequence = now_ms, -1
        self._assigned = milliseconds, sequence + count
        return [f"{milliseconds}-{sequence + number}" for number in range(1, count + 1)]

    def _tell(self) -> None:
        """Tell what no other batch took along."""
        self._telling = None
        if self._untold and self._under_way is None:
            self._begin()
            self._handed_in.set()

    def _begin(self) -> _Batch:
        """Pack what was handed in, and send it where there is a connection."""
        size = taken = 0
        for pending in self._pending:
            size += len(pending.events) + len(pending.acknowledged)
            if taken and size > MOST_ENTRIES:
                break
            taken += 1
        group, self._pending = self._pending[:taken], self._pending[taken:]
        batch = self._under_way = self._packed(group)
        self._packed_id, self._packed_hash = batch.last_id, batch.last_hash
        self._leave(batch)
        return batch

    def _leave(self, batch: _Batch) -> None:
        wire = self._link.wire
        if wire is not None and batch.arguments:
            batch.sent = wire.send(COMMIT.packed(batch.keys, batch.arguments))

    async def _finish(self, batch: _Batch) -> None:
        """See a batch carried out, once, whatever is lost on the way."""
        while batch.arguments:
            sent, batch.sent = batch.sent, None
            try:
                if sent is None:
                    await self._link.run(COMMIT, batch.keys, batch.arguments)
                else:
                    (reply,) = await sent
                    if is_unloaded(reply):
                        continue
                    checked(reply)
                break
            except RefusedForNow as error:
                await self._link.wait_out(error)
            except ReplyLost:
                if await self._carried_out(batch):
                    break
            except Fenced:
                # The lease ran out, as in a restart of its server. With a new one the script finds out
                # whether the batch is there, and that nobody wrote meanwhile.
                await self._keeper.regain(str(batch.arguments[0]))
                batch.arguments[0] = self._lease.value
            except BackboneError as error:
                if str(error).startswith("MOVED"):
                    raise JournalMoved(f"{self._stream}: {error}; start the OMS again") from error
                raise
        self.last_id, self.last_hash = batch.last_id, batch.last_hash
        self.entries += sum(len(pending.events) for pending in batch.pending)

    def _packed(self, group: list[_Pending]) -> _Batch:
        count = sum(len(pending.events) for pending in group)
        keys = [self._lease.key, self._stream, journal_told(self._account)]
        batch = _Batch(group, keys, self._packed_id, self._packed_hash)
        entries: list[str | bytes | int] = []
        by_stream: dict[str, list[str]] = {}
        dead: list[EntryDeadLettered] = []
        told, own = self._untold, list[_Told]()
        tell_later = False
        encode, head = EVENT_CODEC.encode, self._packed_head
        for pending in group:
            tell_later |= pending.tell_later
            for event, id_ in zip(pending.events, pending.ids, strict=True):
                kind, version, data = encode(event)
                head = message_hash(head, id_.encode(), kind, version, data)
                entries += (id_, kind, version, data, head)
                if beside := self._events_of(getattr(event, "algorithm", "")):
                    own.append((beside, kind, version, data))
                batch.last_id, batch.last_hash = id_, head
                if type(event) is EntryDeadLettered:
                    dead.append(event)
            for delivery in pending.acknowledged:
                by_stream.setdefault(delivery.stream, []).append(delivery.id)
        if not count and not by_stream and not told:
            return batch
        self._untold, told_id = (own, self._packed_id) if tell_later else ([], batch.last_id)
        if not tell_later:
            told += own
        arguments = batch.arguments
        arguments += (self._lease.value, self._packed_id, self._packed_hash, count, told_id, len(told))
        for stream, kind, version, data in told:
            arguments += (batch.number(stream), kind, version, data)
        arguments += entries
        arguments.append(len(dead))
        for letter in dead:
            fields = [part for item in _dead_letter(letter).items() for part in item]
            arguments += (batch.number(orders_dead(self._account)), len(fields), *fields)
        for stream, ids in by_stream.items():
            arguments += (batch.number(stream), len(ids), *ids)
        if by_stream:
            arguments.append(GROUP_OMS)
        self.commits += 1
        self._packed_head = head
        return batch

    def _events_of(self, algorithm: str) -> str:
        """The stream of an algorithm's events, which gets what concerns it too; "" for none of ours."""
        if algorithm in ("", EXTERNAL):
            return ""
        stream = self._events.get(algorithm)
        if stream is None:
            stream = self._events[algorithm] = events(self._account, algorithm)
        return stream

    async def _carried_out(self, batch: _Batch) -> bool:
        """After a lost reply: whether the journal ends with this batch. Waits for the server."""
        tail = await self._link.asked("XREVRANGE", self._stream, "+", "-", "COUNT", 1)
        return bool(tail) and batch.ends_with(tail[0][0], tail[0][1])


def _told_of(stream: str, entry: Entry) -> _Told:
    _, values = entry
    fields = dict(zip(values[::2], values[1::2], strict=True))
    return stream, fields[b"type"], fields[b"version"], fields[b"data"]


def _dead_letter(event: EntryDeadLettered) -> dict[str, bytes]:
    return dead_letter_fields(
        stream=event.stream,
        entry_id=event.entry_id,
        fields=fields_to_put_back({b"payload": event.payload.encode()}),
        error=event.error,
        by="oms",
    )
