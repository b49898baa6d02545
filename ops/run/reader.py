"""Reads what one run added to the streams; what other runs left there before it is passed over."""

from collections.abc import Callable, Mapping
from functools import partial

from bus import halt, streams
from bus.codec import Message, MessageCodec
from bus.connection import Client
from bus.errors import Unreadable
from bus.events import EVENTS
from bus.order_messages import REQUESTS
from ops.status.totals import RunTotals
from ops.stream_sizes import stream_names

_EVENTS = MessageCodec(EVENTS)
_REQUESTS = MessageCodec(REQUESTS)
_PAGE = 1000

# Counts the gap markers of one page inside the server: market data are far too many to carry over for that.
_COUNT_MARKERS = """\
local entries = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', 5000)
local gaps, markers, last = 0, 0, ''
for _, entry in ipairs(entries) do
  last = entry[1]
  local fields = entry[2]
  for number = 1, #fields, 2 do
    if fields[number] == 'type' then
      markers = markers + 1
      if fields[number + 1] == 'GapOpened' then gaps = gaps + 1 end
    end
  end
end
return {gaps, markers, last}
"""


class RunReader:
    """Reads on from where each stream stood at the start of the run.

    Mutable: how far each stream is read, and the totals.
    """

    def __init__(self, market: Client, orders: Client, account: str) -> None:
        self.totals = RunTotals()
        self._market = market
        self._orders = orders
        self._account = account
        # By stream: how many entries were ever added to it, and its last id.
        self._before: dict[str, tuple[int, str]] = {}
        self._position: dict[str, str] = {}

    async def begin(self) -> None:
        """Remember where every stream stands: entries up to here belong to earlier runs."""
        self._before = await _ends(self._market) | await _ends(self._orders)

    async def advance(self) -> RunTotals:
        """Add to the totals what the order streams gained since the last call, and return them."""
        requests, events = streams.requests(self._account, ""), streams.events(self._account, "")
        # Requests come first: one that is read later than its answer would look unanswered.
        for name in await stream_names(self._orders):
            if name.startswith(requests):
                await self._read(name, _REQUESTS, self.totals.requested)
        await self._read(streams.journal(self._account), _EVENTS, self.totals.journalled)
        for name in await stream_names(self._orders):
            if name.startswith(events):
                await self._read(name, _EVENTS, partial(self.totals.seen_by, name[len(events) :]))
        return self.totals

    async def gained(self) -> dict[str, int]:
        """Count the entries that the run added to each stream; streams without new ones are left out."""
        now = await _ends(self._market) | await _ends(self._orders)
        grown = {name: added - self._before.get(name, (0, ""))[0] for name, (added, _) in now.items()}
        return {name: count for name, count in grown.items() if count > 0}

    async def gaps(self, gained: Mapping[str, int]) -> tuple[int, int]:
        """Count the GapOpened that the run added to market streams, and the gap markers of either kind."""
        opened = markers = 0
        for name in gained:
            if not name.startswith("md:"):
                continue
            start = f"({self._before[name][1]}" if name in self._before else "-"
            while True:
                *found, last = await self._market.eval(_COUNT_MARKERS, 1, name, start)
                opened, markers = opened + found[0], markers + found[1]
                if not last:
                    break
                start = f"({last.decode()}"
        return opened, markers

    async def halted(self) -> bool:
        """Return whether any scope is halted or reduced now."""
        return bool((await halt.read(self._orders)).scopes)

    def dead(self, gained: Mapping[str, int]) -> int:
        """Count the entries that the run added to the dead-letter streams."""
        return gained.get(streams.DEAD, 0) + gained.get(streams.orders_dead(self._account), 0)

    async def _read(self, name: str, codec: MessageCodec, take: Callable[[Message], None]) -> None:
        position = self._position.get(name) or self._before.get(name, (0, "0-0"))[1]
        while True:
            page = await self._orders.xrange(name, f"({position}", count=_PAGE)
            for id_, fields in page:
                position = id_.decode()
                try:
                    message = codec.decode(fields)
                except Unreadable:
                    # The OMS keeps what it cannot read as a dead letter; counting it here would be a guess.
                    continue
                take(message)
            self._position[name] = position
            if len(page) < _PAGE:
                return


async def _ends(client: Client) -> dict[str, tuple[int, str]]:
    """By stream: entries ever added, and the last id."""
    names = await stream_names(client)
    async with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.xinfo_stream(name)
        infos = await pipeline.execute()
    return {
        name: (int(info["entries-added"]), info["last-generated-id"].decode())
        for name, info in zip(names, infos, strict=True)
    }
