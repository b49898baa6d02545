"""Fenced writes: market frames on the hot path, messages on slow streams. Each batch is one script.

A script is carried out whole or not at all. When its reply is lost, the writer reads back whether the batch
is there, and only what is missing is sent again: so each batch is written exactly once while the lease holds.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TypeVar

from bus.connection import shown
from bus.errors import RefusedForNow, ReplyLost, ServerAway, ServerUnreachable
from bus.lease import FENCE, Lease
from bus.link import Link, Script, is_unloaded
from bus.market_batch import MarketBatch
from bus.streams import is_history
from bus.wire import Sent, checked

# Frames under way at once: enough that a burst leaves in few writes and its replies come in few reads
# (measured with frames of 20: 16 in flight cost a fifth of the CPU of one by one), few enough to look for
# after a lost reply.
WINDOW = 16

# Entries read at once when a lost batch is looked for, and how far back a slow message is looked for.
READ_BACK = 2000

# An id that is not above the stream's last is refused; then the entry takes the last id's millisecond.
MARKET_SCRIPT = Script(
    FENCE
    + """\
local received, feed, marker = ARGV[2], ARGV[3], ARGV[4]
for i = 2, #KEYS do
  local key, id, data = KEYS[i], ARGV[2 * i + 1] .. '-*', ARGV[2 * i + 2]
  while true do
    local reply
    if marker ~= '' then
      local last = feed ~= '' and {'feed', feed} or {}
      local name, value = 'type', marker
      if marker == 'b' then name, value = 'b', '1' end
      reply = redis.pcall('XADD', key, id, 'd', data, 'r', received, name, value, unpack(last))
    elseif feed ~= '' then
      reply = redis.pcall('XADD', key, id, 'd', data, 'r', received, 'feed', feed)
    else
      reply = redis.pcall('XADD', key, id, 'd', data, 'r', received)
    end
    if type(reply) ~= 'table' or not reply.err then break end
    if not string.find(reply.err, 'equal or smaller', 1, true) then return reply end
    id = string.match(redis.call('XINFO', 'STREAM', key)[8], '%d+') .. '-*'
  end
end
return #KEYS - 1
"""
)

# ARGV: lease value, fields per entry, then the values of type, version, data and, where there are four, r.
_APPEND = Script(
    FENCE
    + """\
local names, width, ids = {'type', 'version', 'data', 'r'}, tonumber(ARGV[2]), {}
for i = 2, #KEYS do
  local entry = {'XADD', KEYS[i], '*'}
  for j = 1, width do
    entry[2 + 2 * j] = names[j]
    entry[3 + 2 * j] = ARGV[2 + width * (i - 2) + j]
  end
  ids[i - 1] = redis.call(unpack(entry))
end
return ids
"""
)


# The values of an entry of a slow stream.
Entry = TypeVar("Entry", bound=tuple[bytes, ...])


class MarketWriter:
    """Writes the frames of one feed in order, a few of them under way at once, under that feed's lease.

    A server that refuses for now is waited for, as one that is away is. When that begins, a frame that it
    refuses comes behind those under way that it takes; from then on one goes at a time. Mutable: the frames
    under way; `written`, the entries that are confirmed; `lost`, whether the server has lost some of them:
    then nothing is sent until they are taken back.
    """

    def __init__(self, url: str, lease: Lease, *, name: str = "market-writer") -> None:
        self._link = Link(url, name=name, scripts=(MARKET_SCRIPT,))
        self._lease = lease
        self._under_way: deque[tuple[MarketBatch, Sent | None]] = deque()
        # The one that waits for a place among them.
        self._next: MarketBatch | None = None
        self._last_received_ns = 0
        self._confirmed: MarketBatch | None = None
        self.written = 0
        self.lost = False

    async def write(self, batch: MarketBatch) -> None:
        """Send one frame; returns when it is under way, after waiting for a place in the window.

        Raises Fenced when the lease is lost, ServerRefused when the server will never take an earlier frame:
        then this one was not taken. The earlier one goes first when writing goes on.
        """
        if not batch.streams:
            return
        if batch.received_ns > self._last_received_ns:
            self._last_received_ns = batch.received_ns
        else:
            self._make_unique(batch)
        self._next = batch
        # A full window is emptied by half: what follows leaves in one write, and is answered in one.
        most = WINDOW // 2 if len(self._under_way) >= WINDOW else WINDOW
        while self._must_confirm(most):
            await self._confirm_oldest()
        sent = self._send(batch) if not self.lost else None
        self._under_way.append((batch, sent))
        self._next = None
        if sent is None:
            await self._recover()

    @property
    def under_way(self) -> list[MarketBatch]:
        """What was taken and is not known to be written, in order."""
        batches = [batch for batch, _ in self._under_way]
        return batches if self._next is None else [*batches, self._next]

    @property
    def away(self) -> str:
        """Why nothing is written now; "" while the server takes what comes."""
        return self._link.outage.why

    async def drain(self) -> None:
        """Wait until everything written is acknowledged."""
        while self._under_way and not self.lost:
            await self._confirm_oldest()

    def taken_back(self) -> list[MarketBatch]:
        """The frames under way, none of which the server has: writing begins anew after a loss."""
        batches = [batch for batch, _ in self._under_way]
        self._under_way.clear()
        self._confirmed = None
        self.lost = False
        return batches

    async def resume(self) -> None:
        """After Fenced, with the lease taken again: send what is under way and not there yet, in order."""
        await self._recover()

    async def close(self) -> None:
        """Acknowledge what is under way, then close the connection. Raises as `write` does."""
        try:
            await self.drain()
        finally:
            await self._link.close()

    def _make_unique(self, batch: MarketBatch) -> None:
        """Give it a time of receipt that no frame under way has, for it is looked for by that.

        A frame that was held back is older than others, and keeps its time.
        """
        under_way = {one.received_ns for one, _ in self._under_way}
        while batch.received_ns in under_way:
            batch.received_ns += 1
        self._last_received_ns = max(self._last_received_ns, batch.received_ns)

    def _must_confirm(self, most: int) -> bool:
        """Whether more than `most` are under way, the oldest is answered, or one is unsent: it goes first."""
        if not self._under_way or self.lost:
            return False
        _, sent = self._under_way[0]
        is_unsent = self._under_way[-1][1] is None
        return sent is None or sent.done or is_unsent or len(self._under_way) > most

    def _send(self, batch: MarketBatch) -> Sent | None:
        wire = self._link.wire
        if wire is None:
            return None
        keys = [self._lease.key, *batch.streams]
        values = [self._lease.value, batch.received_ns, batch.feed, batch.marker, *batch.values]
        return wire.send(MARKET_SCRIPT.packed(keys, values))

    async def _confirm_oldest(self) -> None:
        """Wait for the oldest frame's reply; where it is lost, find out and send what is missing."""
        batch, sent = self._under_way[0]
        if sent is None:
            await self._recover()
            return
        try:
            (reply,) = await sent
        except ReplyLost:
            await self._recover()
            return
        if is_unloaded(reply):
            await self._recover()
            return
        if isinstance(reply, Exception):
            # Not written; it stays in front, to be sent again if the caller goes on.
            self._under_way[0] = (batch, None)
        try:
            checked(reply)
        except RefusedForNow as error:
            await self._link.wait_out(error)
            await self._recover(one_at_first=True)
            return
        self._link.answered()
        self._under_way.popleft()
        self._remember(batch)
        self.written += len(batch.streams)

    def _remember(self, batch: MarketBatch) -> None:
        """What a server that lost nothing has; streams of history are removed whole where room is needed."""
        if not (batch.marker and is_history(batch.streams[-1])):
            self._confirmed = batch

    async def _recover(self, *, one_at_first: bool = False) -> None:
        """After a break: drop what the server has, send the rest again, in order.

        `one_at_first`: a server that may still refuse gets one frame, so that none that it takes overtakes
        one that it does not; the rest follows once that one is there. Where the server has lost the last
        frame that it confirmed (FLUSHALL; killed within a second of its last sync), nothing is sent.
        """
        while not self.lost:
            try:
                if self._confirmed is not None and not await self._is_there(self._confirmed):
                    self.lost = True
                    return
                there = [await self._is_written(batch, sent) for batch, sent in self._under_way]
                await self._reload()
            except ServerAway as error:
                await self._link.wait_out(error)
                continue
            missing: deque[tuple[MarketBatch, Sent | None]] = deque()
            for (batch, _), is_there in zip(self._under_way, there, strict=True):
                if is_there:
                    self._link.answered()
                    self._remember(batch)
                    self.written += len(batch.streams)
                else:
                    goes = not (missing and one_at_first)
                    missing.append((batch, self._send(batch) if goes else None))
            self._under_way = missing
            return

    async def _is_written(self, batch: MarketBatch, sent: Sent | None) -> bool:
        if sent is None:
            return False
        try:
            (reply,) = await sent
        except ReplyLost:
            return await self._is_there(batch)
        return not isinstance(reply, Exception)

    async def _is_there(self, batch: MarketBatch) -> bool:
        under_way = {one.received_ns for one, _ in self._under_way}
        wire = await self._link.opened()
        end = "+"
        while True:
            page = await wire.call("XREVRANGE", batch.streams[-1], end, "-", "COUNT", READ_BACK)
            for _, fields in page:
                received_ns = int(fields[3]) if fields[2:3] == [b"r"] else 0
                if batch.feed and _feed(fields) not in (b"", batch.feed.encode()):
                    # Feeds share the streams of all symbols, and each has a writer and an order of its own.
                    continue
                if received_ns == batch.received_ns:
                    return True
                if received_ns not in under_way:
                    # Frames are written in their order: what is older than one that was confirmed is too.
                    return False
            if len(page) < READ_BACK:
                return False
            end = f"({page[-1][0].decode()}"

    async def _reload(self) -> None:
        wire = await self._link.opened()
        await wire.call("SCRIPT", "LOAD", MARKET_SCRIPT.text)


def _feed(fields: Sequence[bytes]) -> bytes:
    """The feed that an entry's fields name, or nothing."""
    return dict(zip(fields[::2], fields[1::2], strict=True)).get(b"feed", b"")


class Publisher:
    """Appends messages to slow streams (requests, account) under a lease."""

    def __init__(self, url: str, lease: Lease, *, name: str = "publisher") -> None:
        self._link = Link(url, name=name, scripts=(_APPEND,))
        self._lease = lease
        self._turn = asyncio.Lock()

    async def append(self, entries: Sequence[tuple[str, tuple[bytes, ...]]]) -> list[str]:
        """Append each entry's (type, version, data) or (type, version, data, received ns) to its stream.

        All entries have the same number of values. Returns their ids. Two entries never carry the same
        values: after a lost reply the batch is recognized by them. Waits for a server that is away or refuses
        for now. Raises Fenced or ServerRefused.
        """
        return await self._link.retried(lambda wire: self.append_now(entries))

    async def append_now(self, entries: Sequence[tuple[str, tuple[bytes, ...]]]) -> list[str]:
        """As `append`, but a server that refuses for now is not waited for; opening a connection is.

        It is for an algorithm's driver, which looks again at each request before it tries once more. Raises
        ServerAway where the batch is certainly not there, Fenced, ServerRefused, and InvalidInput where the
        server refuses us at the very first.
        """
        if not entries:
            return []
        keys = [self._lease.key, *(stream for stream, _ in entries)]
        values = [value for _, fields in entries for value in fields]
        async with self._turn:
            try:
                head = (self._lease.value, len(entries[0][1]))
                ids: list[bytes] = await self._link.run_now(_APPEND, keys, (*head, *values))
                return [id_.decode() for id_ in ids]
            except ReplyLost as error:
                found = await self._find(entries)
                if found is None:
                    raise ServerUnreachable(f"{error}; it was not carried out") from error
                return found

    async def missing(self, stream: str, entries: Sequence[Entry]) -> list[Entry]:
        """Those of these that an earlier publisher did not append; each has its receive time (ns) last.

        Waits for a server that is away. Raises ServerRefused.
        """
        found, end = set[tuple[bytes, ...]](), "+"
        first_ns = min(int(values[-1]) for values in entries)
        while True:
            page = await self._link.asked("XREVRANGE", stream, end, "-", "COUNT", READ_BACK)
            appended = [tuple(fields[1::2]) for _, fields in page]
            found.update(appended)
            if len(page) < READ_BACK or int(appended[-1][-1]) < first_ns:
                return [values for values in entries if values not in found]
            end = f"({page[-1][0].decode()}"

    @property
    def server(self) -> str:
        """The server's address, without a password."""
        return shown(self._link.url)

    @property
    def away(self) -> str:
        """Why nothing is appended now; "" while the server takes what comes."""
        return self._link.outage.why

    async def opened(self) -> None:
        """Wait until there is a connection."""
        await self._link.opened()

    async def wait_out(self, error: ServerAway) -> None:
        """Wait before what was refused for now is appended again; said once."""
        await self._link.wait_out(error)

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def _find(self, entries: Sequence[tuple[str, tuple[bytes, ...]]]) -> list[str] | None:
        """The ids of a batch that the server has after all; None when it does not have it."""
        ids: list[str] = []
        for stream, values in entries:
            for id_, fields in await self._link.asked("XREVRANGE", stream, "+", "-", "COUNT", READ_BACK):
                if tuple(fields[1::2]) == values:
                    ids.append(id_.decode())
                    break
            else:
                return None
        return ids
