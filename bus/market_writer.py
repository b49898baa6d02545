"""Writes market frames under their feed's lease, on the hot path.

A script is carried out whole or not at all. When its reply is lost, the writer reads back which frames are
there, and only what is missing is sent again: so each is written exactly once while the lease holds.
"""

from collections import deque
from collections.abc import Sequence

from bus.error_answers import refusal
from bus.errors import Fenced, RefusedForNow, ReplyLost, ServerAway, ServerRefused
from bus.lease import FENCE, Lease
from bus.link import Link, Script, is_unloaded
from bus.market_batch import MarketBatch
from bus.streams import is_history
from bus.wire import Sent, checked

# Frames under way at once: enough that a burst leaves in few scripts and writes and its replies come in few
# reads, few enough to look for after a lost reply.
WINDOW = 32

# Frames that wait together leave in one script (measured: frames of one message cost a third less CPU, frames
# of 20 hardly less), of at most so many frames and about so many entries: that keeps the server busy for less
# than a millisecond.
FRAMES_TOGETHER = 12
ENTRIES_TOGETHER = 200

# Entries read at once when a lost frame is looked for.
READ_BACK = 2000

# KEYS: lease, then a stream for each entry. ARGV: lease value, feed, marker, count of frames; for each frame
# when it was received and its count of entries; then for each entry the millisecond of its id and its data.
# An id that is not above the stream's last is refused; then the entry takes the last id's millisecond.
MARKET_SCRIPT = Script(
    FENCE
    + """\
local feed, marker, frames = ARGV[2], ARGV[3], tonumber(ARGV[4])
local i, a = 2, 5 + 2 * frames
for frame = 1, frames do
  local received = ARGV[3 + 2 * frame]
  for _ = 1, tonumber(ARGV[4 + 2 * frame]) do
    local key, id, data = KEYS[i], ARGV[a] .. '-*', ARGV[a + 1]
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
    i, a = i + 1, a + 2
  end
end
return i - 2
"""
)


def market_command(lease_key: str, lease_value: str, batches: Sequence[MarketBatch]) -> bytes:
    """The command that writes these, which are of one feed and have the same marker."""
    keys = [lease_key]
    arguments: list[str | bytes | int] = [lease_value, batches[0].feed, batches[0].marker, len(batches)]
    for batch in batches:
        keys += batch.streams
        arguments += (batch.received_ns, len(batch.streams))
    for batch in batches:
        arguments += batch.values
    return MARKET_SCRIPT.packed(keys, arguments)


class MarketWriter:
    """Writes the frames of one feed in order, a few of them under way at once, under that feed's lease.

    Frames that wait together leave in one script. Each is a frame by itself all the same, with its own time
    of receipt, and is looked for by that.

    A server that refuses for now is waited for, as one that is away is. When that begins, a frame that it
    refuses comes behind those under way that it takes; from then on one goes at a time. Mutable: the frames
    under way; `written`, the entries that are confirmed; `lost`, whether the server has lost some of them:
    then nothing is sent until they are taken back.
    """

    def __init__(self, url: str, lease: Lease, *, name: str = "market-writer") -> None:
        self._link = Link(url, name=name, scripts=(MARKET_SCRIPT,))
        self._lease = lease
        # Frames that left in one script share what was sent.
        self._under_way: deque[tuple[MarketBatch, Sent | None]] = deque()
        # Those that leave with the next one.
        self._gathered: list[MarketBatch] = []
        self._gathered_entries = 0
        # The one that waits for a place among them.
        self._next: MarketBatch | None = None
        self._last_received_ns = 0
        self._confirmed: MarketBatch | None = None
        # Whether the server refused the oldest of them, and nobody has looked yet what of them is there.
        self._is_refused = False
        self.written = 0
        self.lost = False

    async def write(self, batch: MarketBatch) -> None:
        """Send one frame with what was gathered; returns when it is under way, as `gather` and `leave` do."""
        await self.gather(batch)
        await self.leave()

    async def gather(self, batch: MarketBatch) -> None:
        """Take one frame, after waiting for a place in the window; it leaves with those that come next.

        Whoever has no further frame at hand calls `leave`. Raises Fenced when the lease is lost, and
        ServerRefused when the server will never take an earlier frame: then this one was not taken. The
        earlier one goes first when writing goes on.
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
        gathered = self._gathered
        if gathered and (batch.feed != gathered[0].feed or batch.marker != gathered[0].marker):
            await self.leave()
        gathered.append(batch)
        self._gathered_entries += len(batch.streams)
        self._next = None
        if self._gathered_entries >= ENTRIES_TOGETHER or len(gathered) >= FRAMES_TOGETHER:
            await self.leave()

    async def leave(self) -> None:
        """Send what was gathered; it is under way then, whatever comes of it."""
        if not self._gathered:
            return
        sent = self._send(self._gathered) if not self.lost else None
        self._under_way += ((batch, sent) for batch in self._take_gathered())
        if sent is None:
            await self._recover()

    @property
    def under_way(self) -> list[MarketBatch]:
        """What was taken and is not known to be written, in order."""
        batches = [*(batch for batch, _ in self._under_way), *self._gathered]
        return batches if self._next is None else [*batches, self._next]

    @property
    def away(self) -> str:
        """Why nothing is written now; "" while the server takes what comes."""
        return self._link.outage.why

    async def drain(self) -> None:
        """Wait until everything written is acknowledged."""
        await self.leave()
        while self._under_way and not self.lost:
            await self._confirm_oldest()

    def taken_back(self) -> list[MarketBatch]:
        """The frames under way, none of which the server has: writing begins anew after a loss."""
        batches = [*(batch for batch, _ in self._under_way), *self._gathered]
        self._under_way.clear()
        self._take_gathered()
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
        under_way.update(one.received_ns for one in self._gathered)
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

    def _take_gathered(self) -> list[MarketBatch]:
        batches = self._gathered[:]
        self._gathered.clear()
        self._gathered_entries = 0
        return batches

    def _send(self, batches: Sequence[MarketBatch]) -> Sent | None:
        wire = self._link.wire
        if wire is None:
            return None
        return wire.send(market_command(self._lease.key, self._lease.value, batches))

    async def _confirm_oldest(self) -> None:
        """Wait for the reply of the oldest frames; where it is lost, find out and send what is missing."""
        _, sent = self._under_way[0]
        if sent is None or self._is_refused:
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
        # What is refused stays in front, to be looked for and sent again if the caller goes on.
        self._is_refused = isinstance(reply, Exception)
        try:
            checked(reply)
        except RefusedForNow as error:
            await self._link.wait_out(error)
            await self._recover(one_at_first=True)
            return
        self._link.answered()
        while self._under_way and self._under_way[0][1] is sent:
            batch, _ = self._under_way.popleft()
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
        self._is_refused = False
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
                    missing.append((batch, self._send((batch,)) if goes else None))
            self._under_way = missing
            return

    async def _is_written(self, batch: MarketBatch, sent: Sent | None) -> bool:
        if sent is None:
            return False
        try:
            (reply,) = await sent
        except ReplyLost:
            return await self._is_there(batch)
        if not isinstance(reply, Exception):
            return True
        if is_unloaded(reply) or isinstance(refusal(str(reply)), RefusedForNow | Fenced):
            return False
        # Of frames that left together those before the one that is refused are there.
        try:
            return await self._is_there(batch)
        except ServerRefused:
            return False  # Its key is no stream.

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
