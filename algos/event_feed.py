"""What became of an algorithm's requests: folded from the beginning, then handed over as it happens."""

import asyncio
from collections.abc import Sequence

from algos.desk import Trigger
from algos.leader import Leader
from bus.codec import MessageCodec
from bus.connection import Client
from bus.consume import Delivery, GroupReader, order
from bus.dead import bury
from bus.errors import Unreadable
from bus.order_messages import EVENTS, Event, Registered
from bus.replay import read

_CODEC = MessageCodec(EVENTS)


class EventFeed:
    """The events stream of one algorithm.

    The whole stream is folded into the portfolio before anything is handed over; the consumer group says
    which events the handlers have seen. An event that comes again changes nothing in the portfolio.
    """

    def __init__(self, reader: GroupReader, leader: Leader, client: Client, stream: str, dead: str) -> None:
        self.reader = reader
        self.registered = False
        self.unreadable = 0
        self._leader = leader
        self._client = client
        self._stream = stream
        self._dead = dead
        self._folded_to = "-"

    async def fold(self) -> None:
        """Bring the portfolio up to date with the stream, without calling a handler."""
        async for delivery in read(self._client, [self._stream], start=self._folded_to):
            self._folded_to = f"({delivery.id}"
            try:
                event = _CODEC.decode(delivery.fields)
            except Unreadable:
                # The reader comes upon it too, and keeps it in `dead`.
                continue
            self.registered = self.registered or isinstance(event, Registered)
            self._leader.desk.portfolio.apply(event)

    async def run(self) -> None:
        """Hand over what comes; an aborted algorithm's portfolio is kept up to date all the same."""
        while True:
            self._leader.require_lease()
            await self.handle(await self.reader.deliveries())

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Handle one read; what the handlers have not seen is not acknowledged."""
        done = [delivery for delivery in deliveries if delivery.trimmed or await self._hand(delivery)]
        await self._leader.send()
        for delivery in done:
            self.reader.acknowledge(delivery)
        await asyncio.sleep(0)

    async def _hand(self, delivery: Delivery) -> bool:
        try:
            event: Event = _CODEC.decode(delivery.fields)  # type: ignore[assignment]
        except Unreadable as error:
            self.unreadable += 1
            await bury(self._client, delivery, error, dead=self._dead)
            return True
        if not self._leader.leads:
            self._leader.desk.portfolio.apply(event)
            if self._leader.aborted:
                # An order that was on its way when the algorithm failed shows up now.
                self._leader.carry_out_policy()
            return False
        received_ns = order(delivery)[0] * 1_000_000
        content = delivery.fields[b"data"]
        trigger = Trigger(f"{delivery.stream} {delivery.id}", content, received_ns, received_ns)
        return self._leader.hand(self._leader.dispatcher.event, trigger, event)
