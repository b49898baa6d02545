"""The group reader: own pending entries first, then new ones; acknowledging rides with the next read."""

import asyncio
from collections.abc import Iterable

import msgspec
import structlog

from bus.errors import ReplyLost, ServerRefused, ServerUnreachable
from bus.link import Link
from bus.streams import MEMBER
from bus.wire import Reply, Sent, Wire, checked, pack

# Well under every socket timeout, so that an idle stream is not taken for a dead server.
BLOCK_MS = 1000
COUNT = 500

log = structlog.get_logger()


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One entry as delivered. `trimmed`: it was pending, and its content is gone from the stream."""

    stream: str
    id: str
    fields: dict[bytes, bytes]
    redelivered: bool = False
    trimmed: bool = False

    def __repr__(self) -> str:
        notes = [word for word, said in (("again", self.redelivered), ("trimmed", self.trimmed)) if said]
        return f"{self.stream} {self.id}{' (' + ', '.join(notes) + ')' if notes else ''}"


class GroupReader:
    """Reads streams through one consumer group as its one fixed member.

    Every entry is delivered at least once until it is acknowledged. After a start or a broken connection the
    entries that were delivered and not acknowledged come first. A group that is gone (FLUSHDB, a deleted
    stream) is made again at the last acknowledged id, and `recreated` counts it.
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
    ) -> None:
        self.recreated = 0
        self.trimmed = 0
        self._group = group
        self._member = member
        self._start = start
        self._count = count
        self._block_ms = block_ms
        self._link = Link(url, name=name)
        self._wire: Wire | None = None
        # A second wire for what must not wait behind a blocked read.
        self._side: Wire | None = None
        self._streams = list(dict.fromkeys(streams))
        # Streams whose own pending entries are still to be read, with the id read up to.
        self._pending_from: dict[str, str] = {}
        # What goes out with the next read, and what went out in a write whose reply has not come.
        self._to_acknowledge: dict[str, list[str]] = {}
        self._last_id: dict[str, str] = {}
        self._read: Sent | None = None
        self._read_acknowledges: dict[str, list[str]] = {}
        self._reading: list[str] = []

    def __repr__(self) -> str:
        return f"group {self._group} on {len(self._streams)} streams, {self._link}"

    async def open(self) -> None:
        """Connect and make the groups that are missing."""
        await self._connected()

    async def deliveries(self) -> list[Delivery]:
        """The next entries, oldest first; empty when nothing came within `block_ms`.

        A cancelled call loses nothing: the read goes on, and the next call gets what it brought.
        """
        if not self._streams and not self._to_acknowledge:
            await asyncio.sleep(self._block_ms / 1000)
            return []
        try:
            if self._read is None:
                await self._ask()
            assert self._read is not None
            replies = await self._read
            self._read = None
            return await self._understood(replies)
        except (ReplyLost, ServerUnreachable):
            self._broken()
            return []

    def acknowledge(self, delivery: Delivery) -> None:
        """Mark an entry as handled; it goes out with the next read."""
        self._to_acknowledge.setdefault(delivery.stream, []).append(delivery.id)

    async def flush(self) -> None:
        """Acknowledge now what is marked, without reading."""
        while self._to_acknowledge:
            try:
                packed, replies = self._packed_acknowledgements(self._to_acknowledge)
                for reply in await (await self._side_wire()).send(packed, replies):
                    checked(reply)
            except (ReplyLost, ServerUnreachable):
                await asyncio.sleep(0.05)
                continue
            self._note_acknowledged(self._to_acknowledge)
            self._to_acknowledge = {}

    async def add(self, streams: Iterable[str]) -> None:
        """Read these streams too, from the next read on."""
        new = [stream for stream in dict.fromkeys(streams) if stream not in self._streams]
        self._streams += new
        if self._wire is not None and self._wire.connected and new:
            for stream in new:
                await self._make_group(await self._side_wire(), stream)
                self._pending_from[stream] = "0"

    async def remove(self, streams: Iterable[str]) -> None:
        """Stop reading these streams; their group stays."""
        gone = set(streams)
        self._streams = [stream for stream in self._streams if stream not in gone]
        for stream in gone:
            self._pending_from.pop(stream, None)

    async def lag(self) -> int:
        """Entries behind over all streams: not yet delivered, and delivered but not acknowledged."""
        wire = await self._side_wire()
        positions = [await self._position(wire, stream) for stream in self._streams]
        return sum((position.get(b"lag") or 0) + position.get(b"pending", 0) for position in positions)

    def retry(self, delivery: Delivery) -> None:
        """Have this entry, and whatever else is pending on its stream, delivered again by the next read."""
        self._pending_from[delivery.stream] = "0"

    async def attempts(self, delivery: Delivery) -> int:
        """How often the server has delivered a pending entry: a count that outlives our process."""
        wire = await self._side_wire()
        pending = await wire.call("XPENDING", delivery.stream, self._group, delivery.id, delivery.id, 1)
        return int(pending[0][3]) if pending else 0

    async def close(self) -> None:
        """Send the acknowledgements that wait, and close the connections."""
        if self._to_acknowledge:
            await self.flush()
        await self._link.close()
        if self._side is not None:
            await self._side.close()

    async def _position(self, wire: Wire, stream: str) -> dict[bytes, Reply]:
        for group in await wire.call("XINFO", "GROUPS", stream):
            info = dict(zip(group[::2], group[1::2], strict=True))
            if info[b"name"].decode() == self._group:
                return info
        return {}

    async def _side_wire(self) -> Wire:
        if self._side is None or not self._side.connected:
            self._side = await Wire.open(self._link.url, name=f"{self._link.name}-side")
        return self._side

    async def _connected(self) -> Wire:
        wire = await self._link.opened()
        if wire is not self._wire:
            for stream in self._streams:
                await self._make_group(wire, stream)
            self._pending_from = dict.fromkeys(self._streams, "0")
            self._wire = wire
        return wire

    async def _make_group(self, wire: Wire, stream: str) -> None:
        start = self._last_id.get(stream, self._start)
        try:
            await wire.call("XGROUP", "CREATE", stream, self._group, start, "MKSTREAM")
        except ServerRefused as error:
            if "BUSYGROUP" not in str(error):
                raise
        if stream not in self._last_id:
            # "$" names a place only now: should the group be lost before anything is handled, this is where
            # it starts again.
            position = await self._position(wire, stream)
            if position:
                self._last_id[stream] = position[b"last-delivered-id"].decode()

    async def _ask(self) -> None:
        """Send acknowledgements and the next read in one write."""
        wire = await self._connected()
        await wire.drained()
        self._read_acknowledges, self._to_acknowledge = self._to_acknowledge, {}
        packed, replies = self._packed_acknowledgements(self._read_acknowledges)
        if self._streams:
            packed += self._packed_read()
            replies += 1
        self._read = wire.send(packed, replies)

    def _packed_read(self) -> bytes:
        head = ("XREADGROUP", "GROUP", self._group, self._member, "COUNT", self._count)
        if self._pending_from:
            self._reading = list(self._pending_from)
            return pack(*head, "STREAMS", *self._reading, *self._pending_from.values())
        self._reading = self._streams
        block = ("BLOCK", self._block_ms, "STREAMS")
        return pack(*head, *block, *self._streams, *([">"] * len(self._streams)))

    def _packed_acknowledgements(self, ids_by_stream: dict[str, list[str]]) -> tuple[bytes, int]:
        packed = b"".join(pack("XACK", stream, self._group, *ids) for stream, ids in ids_by_stream.items())
        return packed, len(ids_by_stream)

    def _note_acknowledged(self, ids_by_stream: dict[str, list[str]]) -> None:
        for stream, ids in ids_by_stream.items():
            self._last_id[stream] = ids[-1]

    async def _understood(self, replies: list[Reply]) -> list[Delivery]:
        acknowledged, self._read_acknowledges = self._read_acknowledges, {}
        count = len(acknowledged)
        for reply in replies[:count]:
            checked(reply)
        self._note_acknowledged(acknowledged)
        if len(replies) == count:
            return []
        reply = replies[-1]
        if isinstance(reply, Exception) and str(reply).startswith(("NOGROUP", "UNBLOCKED")):
            await self._recreate()
            return []
        pending = bool(self._pending_from)
        by_stream = [
            (stream.decode(), [self._delivery(stream.decode(), entry, pending) for entry in entries])
            for stream, entries in (checked(reply) or ())
        ]
        if pending:
            self._advance_pending(dict(by_stream))
        found = [delivery for _, deliveries in by_stream for delivery in deliveries]
        if len(by_stream) > 1:
            # The server answers in the order of keys; what happened first comes first.
            found.sort(key=order)
        return found

    def _delivery(self, stream: str, entry: Reply, redelivered: bool) -> Delivery:
        id_, values = entry
        if values is None:
            self.trimmed += 1
            return Delivery(stream, id_.decode(), {}, redelivered, trimmed=True)
        return Delivery(stream, id_.decode(), dict(zip(values[::2], values[1::2], strict=True)), redelivered)

    def _advance_pending(self, by_stream: dict[str, list[Delivery]]) -> None:
        for stream in self._reading:
            deliveries = by_stream.get(stream)
            if deliveries:
                self._pending_from[stream] = deliveries[-1].id
            else:
                self._pending_from.pop(stream, None)

    async def _recreate(self) -> None:
        """Make lost groups again, from the last id that was acknowledged: nothing after it is skipped."""
        self.recreated += 1
        log.warning("consumer group lost, made again", group=self._group, streams=len(self._streams))
        wire = await self._link.opened()
        for stream in self._streams:
            # A stream that was deleted starts its ids anew; none of ours would be below the last.
            await self._make_group(wire, stream)

    def _broken(self) -> None:
        """The connection went: what was handled is acknowledged again, what was not is read again."""
        self._read = None
        for stream, ids in self._read_acknowledges.items():
            self._to_acknowledge[stream] = ids + self._to_acknowledge.get(stream, [])
        self._read_acknowledges = {}


def order(delivery: Delivery) -> tuple[int, int]:
    """The sort key of an entry: its id as numbers."""
    milliseconds, _, sequence = delivery.id.partition("-")
    return int(milliseconds), int(sequence)
