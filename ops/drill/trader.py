"""An algorithm that asks for one thing at a time, and looks what came of it."""

import time

from msgspec.structs import asdict, replace

from bus.codec import Message, MessageCodec
from bus.connection import Client
from bus.events import EVENTS
from bus.order_messages import REQUESTS, CancelRequest, Change, OrderTerms, ReplaceRequest
from bus.streams import events, requests
from ops.drill.load import Load
from ops.drill.system import ACCOUNT

TRADER = "drill-trader"
_REQUESTS, _EVENTS = MessageCodec(REQUESTS), MessageCodec(EVENTS)

# What was said of an order just now is among so many of the newest events.
_NEWEST = 200


class Trader(Load):
    """Asks for orders, replaces and cancels by hand. Mutable: how many times it has asked for orders."""

    def __init__(self, orders: Client, url: str) -> None:
        super().__init__(orders, url, algorithm=TRADER)

    async def order(self, terms: OrderTerms) -> str:
        """Ask for an order with these terms; returns its client order id."""
        request = replace(self._next(), terms=terms)
        await self._send(request)
        return request.client_order_id

    async def replace(self, order_id: str, terms: OrderTerms, change: Change) -> None:
        """Ask that one term of an order become what it is in these."""
        request = replace(self._next(), terms=terms)
        await self._send(ReplaceRequest(replaces=order_id, changes=(change,), **asdict(request)))

    async def cancel(self, order_id: str) -> None:
        """Ask that an order be canceled."""
        lease = self._lease.value
        await self._send(CancelRequest(client_order_id=order_id, lease=lease, requested_ns=time.time_ns()))

    async def told(self, order_id: str) -> set[type[Message]]:
        """The kinds of events that it was told lately of an order."""
        newest = await self._orders.xrevrange(events(ACCOUNT, TRADER), count=_NEWEST)
        found = [_EVENTS.decode(fields) for _, fields in newest]
        return {type(one) for one in found if getattr(one, "client_order_id", "") == order_id}

    async def _send(self, message: Message) -> None:
        await self._publisher.append([(requests(ACCOUNT, TRADER), _REQUESTS.encode(message))])
