"""Market data to handlers: read in batches, handled singly, acknowledged once orders are durable."""

import asyncio
from collections.abc import Sequence

from algos.desk import Trigger
from algos.leader import Leader
from bus.clock import Clock
from bus.codec import market_message
from bus.connection import Client
from bus.consume import Delivery, GroupReader, order
from bus.dead import bury
from bus.errors import Unreadable
from bus.market_messages import GapClosed, GapOpened
from bus.streams import STREAMS_PER_READER, algorithm_group, market, market_all_partitions, market_channel

# Orders of one slice leave together. Waiting for the rest of a large batch would cost more than a round trip.
SLICE = 50

# A slice ends after this long, so that slow handlers leave the loop time for lease and heartbeat.
SLICE_NS = 5_000_000

ALL = "*"


def streams_of(symbols: Sequence[str], channels: Sequence[str]) -> list[str]:
    """The streams to read for these symbols and channels; `*` reads every symbol's from few streams."""
    if ALL in symbols:
        return [stream for channel in channels for stream in market_all_partitions(channel)]
    return [market(symbol, channel) for channel in channels for symbol in dict.fromkeys(symbols)]


def readers_of(url: str, name: str, streams: Sequence[str]) -> list[GroupReader]:
    """Readers over these streams, none with more than one connection should wait on."""
    return [
        GroupReader(
            url, streams[start : start + STREAMS_PER_READER], algorithm_group(name), name=f"algo-{name}"
        )
        for start in range(0, len(streams), STREAMS_PER_READER)
    ]


class MarketFeed:
    """One reader's deliveries, handed to the algorithm."""

    def __init__(self, reader: GroupReader, leader: Leader, client: Client, clock: Clock) -> None:
        self.reader = reader
        self.unreadable = 0
        self._leader = leader
        self._client = client
        self._clock = clock
        # Stream to channel and symbol; filled as streams appear.
        self._named: dict[str, tuple[str, str]] = {}
        self._last_handled: dict[str, Delivery] = {}
        self._to_bury: list[tuple[Delivery, Unreadable]] = []

    async def run(self) -> None:
        """Hand over what comes for as long as the algorithm leads."""
        while self._leader.leads:
            self._leader.require_lease()
            await self.handle(await self.reader.deliveries())

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Handle one read. What the algorithm failed on, and what is behind it, is not acknowledged."""
        done: list[Delivery] = []
        began_ns = self._clock.monotonic_ns()
        for delivery in deliveries:
            if not self._leader.leads or not self._hand(delivery):
                break
            done.append(delivery)
            late = self._clock.monotonic_ns() - began_ns > SLICE_NS
            if late or (len(done) >= SLICE and self._leader.desk.has_requests):
                await self._settle(done)
                done = []
                began_ns = self._clock.monotonic_ns()
        await self._settle(done)
        if self._leader.aborted:
            await self.reader.flush()

    async def _settle(self, done: Sequence[Delivery]) -> None:
        """Only what is durable, requests and unreadable entries, may be acknowledged."""
        await self._leader.send()
        for delivery, error in self._to_bury:
            await bury(self._client, delivery, error)
        self._to_bury.clear()
        for delivery in done:
            self.reader.acknowledge(delivery)
        if done:
            # Give lease and heartbeat a turn, also where nothing had to be waited for.
            await asyncio.sleep(0)

    def _hand(self, delivery: Delivery) -> bool:
        """False when the algorithm's handler failed."""
        stream = delivery.stream
        if delivery.redelivered and self._is_handled(delivery):
            return True
        self._last_handled[stream] = delivery
        channel, symbol = self._named.get(stream) or self._name(stream)
        leader = self._leader
        if delivery.trimmed:
            now_ns = self._clock.now_ns()
            trigger = Trigger(f"{stream} {delivery.id}", b"", now_ns, now_ns)
            return leader.hand(leader.dispatcher.gap, trigger, symbol, channel, None)
        fields = delivery.fields
        try:
            message = market_message(channel, fields)
            received_ns = int(fields[b"r"])
        except Unreadable as error:
            return self._keep(delivery, error)
        except (KeyError, ValueError):
            return self._keep(delivery, Unreadable("a market entry without its receive time r"))
        trigger = Trigger(f"{stream} {delivery.id}", fields[b"d"], received_ns, received_ns)
        if isinstance(message, GapOpened | GapClosed):
            return leader.hand(leader.dispatcher.gap, trigger, symbol, channel, message)
        return leader.hand(leader.dispatcher.market, trigger, message)

    def _keep(self, delivery: Delivery, error: Unreadable) -> bool:
        self.unreadable += 1
        self._to_bury.append((delivery, error))
        return True

    def _is_handled(self, delivery: Delivery) -> bool:
        last = self._last_handled.get(delivery.stream)
        return last is not None and order(delivery) <= order(last)

    def _name(self, stream: str) -> tuple[str, str]:
        channel = market_channel(stream)
        symbol = ALL if stream in market_all_partitions(channel) else stream.split(":")[1]
        self._named[stream] = channel, symbol
        return channel, symbol
