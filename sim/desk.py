"""What the edges share: the venue, the faults, and how an order's updates reach the trade-updates stream."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sim.broker.brokerage import Brokerage, Update
from sim.broker.orders import Order, Ticket
from sim.exchange.assets import Assets
from sim.exchange.sessions import next_close
from sim.faults.faults import Faults
from sim.streams.updates_socket import UpdatesStream
from sim.times import SECOND_NS
from sim.venue import Venue

ACCEPT_S = 0.003  # Alpaca's paper accounts accept and fill 3 to 4 ms after the answer
HEAD_START_S = 0.02  # how much earlier updates leave than the answer, where a fault wants that


def now_ns() -> int:
    """The wall clock: the simulator is a world of its own, and its time is the real one."""
    return time.time_ns()


class Desk:
    """Takes requests that change orders, and publishes what follows after the answer has left."""

    def __init__(
        self,
        assets: Assets,
        venue: Venue,
        faults: Faults,
        updates: UpdatesStream,
        credentials: tuple[str, str],
        new_id: Callable[[], str],
    ) -> None:
        self.assets = assets
        self.venue = venue
        self.faults = faults
        self.updates = updates
        self.credentials = credentials
        self.new_id = new_id

    @property
    def brokerage(self) -> Brokerage:
        """The broker of the venue."""
        return self.venue.brokerage

    async def submit(self, ticket: Ticket) -> Order:
        """Take an order and see that it is accepted just after the answer. Raises Refused."""
        now = now_ns()
        self.venue.ensure_quoted(ticket.asset, now)
        expires_ns = None
        if ticket.time_in_force == "day" and not ticket.asset.is_crypto:
            close = next_close(datetime.fromtimestamp(now / SECOND_NS, UTC))
            expires_ns = int(close.timestamp()) * SECOND_NS
        order = self.brokerage.submit(ticket, now, expires_ns)
        self._accept_soon(order)
        return order

    async def replace(self, order_id: str, ticket: Ticket) -> Order:
        """Replace an order. Raises Refused."""
        self._accept(order_id)
        order, updates = self.brokerage.replace(order_id, ticket, now_ns())
        self._publish_soon(updates)
        self._accept_soon(order)
        return order

    async def cancel(self, order_id: str) -> None:
        """Cancel an order. Raises Refused."""
        self._accept(self.brokerage.find(order_id).id)
        self._publish_soon(self.brokerage.cancel(order_id, now_ns()))

    async def let_updates_lead(self) -> None:
        """Where a fault wants updates before the answer, hold the answer back until they have left."""
        if self.faults.is_on("update_before_response"):
            await asyncio.sleep(ACCEPT_S + HEAD_START_S)

    def _accept_soon(self, order: Order) -> None:
        asyncio.get_running_loop().call_later(ACCEPT_S, self._accept, order.id)

    def _accept(self, order_id: str) -> None:
        """Put the order to work if it is not yet: now, or sooner where somebody wants to change it."""
        self.updates.publish(self.brokerage.accept(order_id, now_ns()))

    def _publish_soon(self, updates: list[Update]) -> None:
        asyncio.get_running_loop().call_later(ACCEPT_S, self.updates.publish, updates)
