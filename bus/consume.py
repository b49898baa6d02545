"""Read streams through a consumer group: pending entries first, then new ones, with acknowledgements."""

import asyncio
from collections.abc import Iterable
from functools import partial

import structlog

from bus.cut_notes import CutNotes
from bus.delivery import Delivery
from bus.entry_position import entry_position
from bus.errors import RefusedForNow, ServerAway, ServerRefused
from bus.group_bookkeeping import GroupBookkeeping
from bus.link import Link
from bus.streams import MEMBER
from bus.wire import Reply, Sent, Wire, checked, pack

# Well under every socket timeout, so that an idle stream is not taken for a dead server.
BLOCK_MS = 1000
COUNT = 500

# An entry whose delivery takes longer than this on its way to us went to somebody else.
UNSEEN_MS = 1000

# Acknowledgements that cannot be sent within this time when we close: their entries come again.
CLOSE_TIMEOUT_S = 2.0

log = structlog.get_logger()


class GroupReader:
    """Reads streams through one consumer group as its one fixed member.

    Every entry is delivered at least once until it is acknowledged. After a start or a broken connection the
    entries that were delivered and not acknowledged come first. A group that is gone (FLUSHDB, a deleted
    stream) is made again where it stood, with what was not acknowledged pending; `recreated` counts it, and
    `trimmed` the entries whose content was gone before it could be delivered. With `hears_of_cuts` a delivery
    tells of those that were cut before the group was given them (`bus/cut_notes.py`), ahead of what follows.

    Mutable: the counts, the connection, the read under way, and the bookkeeping; `paused`, streams of which
    nothing new is read for now.
    """

    def __init__(
        self,
        url: str,
        streams: Iterable[str],
        group: str,
        *,
        member: str = MEMBER,
        start: str = "$",
        count: int = COUNT,
        block_ms: int = BLOCK_MS,
        name: str = "reader",
        hears_of_cuts: bool = False,
    ) -> None:
        self.recreated = 0
        self.paused: set[str] = set()
        self._group = group
        self._member = member
        self._start = start
        self._count = count
        self._block_ms = block_ms
        self._link = Link(url, name=name)
        self._wire: Wire | None = None
        # For what must not wait behind a blocked read.
        self._side = Link(url, name=f"{name}-side")
        self._book = GroupBookkeeping(streams)
        self._cuts = CutNotes(group) if hears_of_cuts else None
        self._gone = 0
        self._read: Sent | None = None

    def __repr__(self) -> str:
        return f"group {self._group} on {len(self._book.streams)} streams, {self._link}"

    @property
    def trimmed(self) -> int:
        """Entries that were gone before they could be delivered."""
        return self._gone + (self._cuts.count if self._cuts is not None else 0)

    async def open(self) -> None:
        """Connect and make the groups that are missing; waits for a server that is away."""
        await self._link.retried(lambda wire: self._connected())

    async def deliveries(self) -> list[Delivery]:
        """The next entries, oldest first; empty when nothing came within `block_ms`.

        A server that refuses for now brings nothing, and is asked again. A cancelled call loses nothing: the
        read goes on, and the next call gets what it brought.
        """
        try:
            if self._read is None and not await self._ask():
                await asyncio.sleep(self._block_ms / 1000)
                return []
            assert self._read is not None
            replies = await self._read
            self._read = None
            return await self._understood(replies)
        except ServerAway as error:
            self._read = None
            self._book.broken()
            await self._link.wait_out(error)
            return []

    def acknowledge(self, delivery: Delivery) -> None:
        """Mark an entry as handled; it goes out with the next read."""
        if self._cuts is None or not self._cuts.handled(delivery):
            self._book.mark(delivery.stream, delivery.id)

    def acknowledged_elsewhere(self, deliveries: Iterable[Delivery]) -> None:
        """Note that a script has acknowledged these entries: nothing is sent for them.

        Those of streams that are read elsewhere may be among them.
        """
        by_stream: dict[str, list[str]] = {}
        for delivery in deliveries:
            by_stream.setdefault(delivery.stream, []).append(delivery.id)
        self._book.acknowledged(by_stream)

    async def flush(self) -> None:
        """Acknowledge now what is marked, without reading; waits for a server that is away."""
        while marked := self._book.take_marked():
            confirmed = False
            try:
                await self._side.retried(partial(self._acknowledge_on, marked))
                confirmed = True
            finally:
                if not confirmed:
                    self._book.mark_again(marked)
            self._book.acknowledged(marked)

    async def add(self, streams: Iterable[str]) -> None:
        """Read these streams too, from the next read on."""
        for stream in dict.fromkeys(streams):
            # The group comes first: a read that is sent meanwhile must not name a stream without one.
            if self._wire is not None and stream not in self._book.streams:
                await self._side.retried(partial(self._make_group, stream=stream))
            self._book.add(stream)

    async def lag(self) -> int:
        """Entries behind over all streams: not yet delivered, and delivered but not acknowledged.

        Waits for a server that is away.
        """
        behind = 0
        for stream in list(self._book.streams):
            group = self._own(await self._asked_aside("XINFO", "GROUPS", stream))
            behind += group.get(b"pending", 0) + await self._undelivered(stream, group)
        return behind

    async def redeliver_unseen(self, *, at_rest: bool = False) -> None:
        """Have entries delivered that the group gave to this member a while ago and that never came here.

        A process that read as the same member before us, and was paused in that, may take some after us.
        `at_rest`: no read of ours is under way, so what did not come is such, however lately it was given.
        Waits for a server that is away.
        """
        idle_ms = 0 if at_rest else UNSEEN_MS
        for stream in list(self._book.streams):
            known = self._book.outstanding.get(stream, {})
            pending = await self._asked_aside(
                "XPENDING", stream, self._group, "IDLE", idle_ms, "-", "+", len(known) + 1, self._member
            )
            if any(id_.decode() not in known for id_, *_ in pending or ()):
                log.warning("entries that another process took come again", stream=stream)
                self._book.pending_from[stream] = "0"

    async def close(self) -> None:
        """Send the acknowledgements that wait, and close the connections."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.flush()
        except TimeoutError:
            log.warning("not acknowledged, will be delivered again", group=self._group)
        finally:
            await self._link.close()
            await self._side.close()

    async def _undelivered(self, stream: str, group: dict[bytes, Reply]) -> int:
        """Entries after what the group was given.

        Where entries were deleted or trimmed unread, the server's own count stays too high for ever, or is
        missing (redis/redis#13957): whether there are any is looked at.
        """
        counted: int | None = group.get(b"lag", 0)
        if counted == 0:
            return 0
        after = f"({group[b'last-delivered-id'].decode()}"
        return (counted or 1) if await self._asked_aside("XRANGE", stream, after, "+", "COUNT", 1) else 0

    async def _asked_aside(self, *command: str | int) -> Reply:
        return await self._side.retried(lambda wire: self._asked(wire, *command))

    async def _acknowledge_on(self, marked: dict[str, list[str]], wire: Wire) -> None:
        for reply in await wire.send(*self._packed_acknowledgements(marked)):
            checked(reply)

    def _own(self, groups: Reply) -> dict[bytes, Reply]:
        """What XINFO GROUPS says of our group; empty where it is missing."""
        for group in groups or ():
            info = dict(zip(group[::2], group[1::2], strict=True))
            if info[b"name"].decode() == self._group:
                return info
        return {}

    async def _connected(self) -> Wire:
        wire = await self._link.opened()
        if wire is not self._wire:
            await self._make_groups(wire)
            self._book.connected()
            self._wire = wire
        return wire

    async def _make_groups(self, wire: Wire) -> None:
        for stream in list(self._book.streams):
            await self._make_group(wire, stream)

    async def _make_group(self, wire: Wire, stream: str) -> None:
        if stream not in self._book.position:
            await self._create(wire, stream, self._start)
            # Should the group be lost, this is what it had ("$" names a place only now).
            own = self._own(await self._asked(wire, "XINFO", "GROUPS", stream))
            if own:
                pending: Reply = ()
                if count := own[b"pending"]:
                    pending = await wire.call("XPENDING", stream, self._group, "-", "+", count, self._member)
                position = own[b"last-delivered-id"].decode()
                self._book.joined(stream, position, (id_.decode() for id_, *_ in pending))
            return
        if not self._own(await self._asked(wire, "XINFO", "GROUPS", stream)):
            # Remembered until it is mended, for the connection may break in between.
            self._book.lost.add(stream)
        if stream in self._book.lost:
            await self._restore(wire, stream)

    async def _restore(self, wire: Wire, stream: str) -> None:
        """Make a lost group again where it stood, and what was not acknowledged pending again."""
        info = await self._asked(wire, "XINFO", "STREAM", stream) or [b"last-generated-id", b"0-0"]
        last = dict(zip(info[::2], info[1::2], strict=True))[b"last-generated-id"].decode()
        await self._create(wire, stream, self._book.restore_at(stream, last))
        pending: list[str] | None = None
        if outstanding := self._book.outstanding.get(stream):
            # FORCE makes them pending though this group never delivered them.
            head = ("XCLAIM", stream, self._group, self._member, 0)
            pending = [id_.decode() for id_ in await wire.call(*head, *outstanding, "FORCE", "JUSTID")]
        self._book.restored(stream, pending)
        self.recreated += 1
        log.warning("consumer group lost, made again", group=self._group, stream=stream)

    async def _create(self, wire: Wire, stream: str, start: str) -> None:
        try:
            await wire.call("XGROUP", "CREATE", stream, self._group, start, "MKSTREAM")
        except ServerRefused as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _asked(self, wire: Wire, *command: str | int) -> Reply:
        """The answer to a command that only reads; None where the stream or the group is missing."""
        try:
            return await wire.call(*command)
        except ServerRefused as error:
            if not str(error).startswith(("NOGROUP", "ERR no such key")):
                raise
            return None

    async def _ask(self) -> bool:
        """Send acknowledgements and the next read in one write; False where there is nothing to read yet."""
        wire = await self._connected()
        await wire.drained()
        if not self._book.pending_from and self.paused.issuperset(self._book.streams):
            return False
        packed, acknowledgements = self._packed_acknowledgements(self._book.marked)
        notes, answers = self._cuts.packed() if self._cuts is not None else (b"", 0)
        self._read = wire.send(packed + self._packed_read() + notes, acknowledgements + 1 + answers)
        self._book.send_marked()
        return True

    def _packed_read(self) -> bytes:
        head = ("XREADGROUP", "GROUP", self._group, self._member, "COUNT", self._count)
        if pending := self._book.begin_read():
            return pack(*head, "STREAMS", *pending, *pending.values())
        block = "BLOCK", self._block_ms, "STREAMS"
        streams = [one for one in self._book.streams if one not in self.paused]
        return pack(*head, *block, *streams, *([">"] * len(streams)))

    def _packed_acknowledgements(self, ids_by_stream: dict[str, list[str]]) -> tuple[bytes, int]:
        packed = b"".join(pack("XACK", stream, self._group, *ids) for stream, ids in ids_by_stream.items())
        return packed, len(ids_by_stream)

    async def _understood(self, replies: list[Reply]) -> list[Delivery]:
        acknowledged = len(self._book.sent)
        self._take_acknowledgements(replies[:acknowledged])
        reply, notes = replies[acknowledged], replies[-1]
        if isinstance(reply, Exception) and str(reply).startswith(("NOGROUP", "UNBLOCKED")):
            await self._make_groups(await self._connected())
            return []
        redelivered = bool(self._book.reading)
        by_stream: dict[str, list[Delivery]] = {}
        found: list[Delivery] = []
        answer = checked(reply)
        self._link.answered()
        for key, entries in answer or ():
            stream = key.decode()
            by_stream[stream] = [self._delivery(stream, entry, redelivered) for entry in entries]
            found += by_stream[stream]
        self._book.delivered({stream: [one.id for one in got] for stream, got in by_stream.items()})
        cut = self._cut(notes, by_stream)
        found += cut
        if len(by_stream) > 1 or cut:
            # The server answers in the order of keys; what happened first comes first.
            found.sort(key=lambda one: entry_position(one.id))
        return found

    def _cut(self, notes: Reply, delivered: dict[str, list[Delivery]]) -> list[Delivery]:
        if self._cuts is None or isinstance(notes, Exception):
            return []
        pending_to = {
            stream: delivered[stream][-1].id for stream in self._book.reading if delivered.get(stream)
        }
        return self._cuts.understood(notes, self._book.streams, pending_to)

    def _take_acknowledgements(self, replies: list[Reply]) -> None:
        """Each is of one stream; one that is refused for now goes out again."""
        for (stream, ids), reply in zip(self._book.take_sent().items(), replies, strict=True):
            try:
                checked(reply)
            except RefusedForNow:
                self._book.mark_again({stream: ids})
            else:
                self._book.acknowledged({stream: ids})

    def _delivery(self, stream: str, entry: Reply, redelivered: bool) -> Delivery:
        id_, values = entry
        if values is None:
            self._gone += 1
            return Delivery(stream, id_.decode(), {}, redelivered, trimmed=True)
        return Delivery(stream, id_.decode(), dict(zip(values[::2], values[1::2], strict=True)), redelivered)
