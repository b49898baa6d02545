"""Orders asked for at a steady pace, as an algorithm asks for them."""

import asyncio
import time
from decimal import Decimal

from algos.registration import Entry, Wants, register
from bus.clock import SystemClock
from bus.codec import MessageCodec
from bus.connection import Client
from bus.lease import Lease
from bus.order_messages import REQUESTS, OrderRequest, OrderTerms
from bus.publish import Publisher
from bus.streams import algorithm_lease, events, requests
from ops.drill.scene import ACCOUNT

ALGORITHM = "drill"
SYMBOL = "AAPL"
_LEASE_MS = 3_600_000

_CODEC = MessageCodec(REQUESTS)


class Load:
    """Asks for one share of AAPL at the market again and again. Mutable: how many times it has asked."""

    def __init__(self, orders: Client, url: str) -> None:
        self.asked = 0
        self._orders = orders
        self._lease = Lease(orders, algorithm_lease(ACCOUNT, ALGORITHM), "drill", ttl_ms=_LEASE_MS)
        self._publisher = Publisher(url, self._lease)
        self._wants = Wants(orders, ACCOUNT, ALGORITHM, {"trades": [SYMBOL]})

    async def begin(self) -> None:
        """Register, and lead once the OMS has answered."""
        entry = Entry(lineage="drill", registered_ns=SystemClock().now_ns())
        await register(self._orders, ACCOUNT, ALGORITHM, entry)
        while not await self._orders.xread({events(ACCOUNT, ALGORITHM): "0"}, block=1000, count=1):
            continue
        await self._lease.acquire()

    async def want(self) -> None:
        """Want the trades of AAPL, until cancelled."""
        await self._wants.run(lambda: True)

    async def run(self, a_second: float) -> None:
        """Ask so many times a second, until cancelled."""
        due = time.monotonic()
        while True:
            due += 1 / a_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self.ask()

    async def ask(self) -> str:
        """Ask once; returns the client order id."""
        self.asked += 1
        now_ns = time.time_ns()
        request = OrderRequest(
            client_order_id=f"bb-{ALGORITHM}-{self.asked:032x}",
            terms=OrderTerms(symbol=SYMBOL, side="buy", quantity=Decimal(1)),
            lease=self._lease.value,
            trigger=f"{self.asked}",
            received_ns=now_ns,
            requested_ns=now_ns,
        )
        await self._publisher.append([(requests(ACCOUNT, ALGORITHM), _CODEC.encode(request))])
        return request.client_order_id

    async def close(self) -> None:
        """Give the lease back."""
        await self._lease.release()
        await self._publisher.close()
