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
from ops.drill.system import ACCOUNT

ALGORITHM = "drill"
SYMBOL = "AAPL"

# Longer than any drill: nobody renews it.
_LEASE_MS = 7 * 86_400_000

# Timers are no finer than that, and the loop has others to serve.
_LEAST_WAIT_S = 0.002

_CODEC = MessageCodec(REQUESTS)


class Load:
    """Asks for one share of AAPL again and again, at the market or at a limit.

    Mutable: how many times it has asked.
    """

    def __init__(
        self, orders: Client, url: str, *, algorithm: str = ALGORITHM, limit_price: Decimal | None = None
    ) -> None:
        self.asked = 0
        self._algorithm = algorithm
        self._terms = OrderTerms(
            symbol=SYMBOL,
            side="buy",
            quantity=Decimal(1),
            type="market" if limit_price is None else "limit",
            limit_price=limit_price,
        )
        self._orders = orders
        self._lease = Lease(orders, algorithm_lease(ACCOUNT, algorithm), "drill", ttl_ms=_LEASE_MS)
        self._publisher = Publisher(url, self._lease)
        self._wants = Wants(orders, ACCOUNT, algorithm, {"trades": [SYMBOL]})

    async def begin(self) -> None:
        """Register, and lead once the OMS has answered."""
        entry = Entry(lineage="drill", registered_ns=SystemClock().now_ns())
        await register(self._orders, ACCOUNT, self._algorithm, entry)
        while not await self._orders.xread({events(ACCOUNT, self._algorithm): "0"}, block=1000, count=1):
            continue
        await self._lease.acquire()

    async def want(self) -> None:
        """Want the trades of AAPL, until cancelled."""
        await self._wants.run(lambda: True)

    async def run(self, a_second: float) -> None:
        """Ask so many times a second, until cancelled; what is due together is asked for together."""
        began, before = time.monotonic(), self.asked
        while True:
            due = int((time.monotonic() - began) * a_second) - (self.asked - before)
            await self.ask(due)
            next_s = began + (self.asked - before + 1) / a_second
            await asyncio.sleep(max(_LEAST_WAIT_S, next_s - time.monotonic()))

    async def ask(self, count: int = 1) -> None:
        """Ask so many times."""
        stream = requests(ACCOUNT, self._algorithm)
        await self._publisher.append([(stream, _CODEC.encode(self._next())) for _ in range(count)])

    def _next(self) -> OrderRequest:
        self.asked += 1
        now_ns = time.time_ns()
        return OrderRequest(
            client_order_id=f"bb-{self._algorithm}-{self.asked:032x}",
            terms=self._terms,
            lease=self._lease.value,
            trigger=f"{self.asked}",
            received_ns=now_ns,
            requested_ns=now_ns,
        )

    async def close(self) -> None:
        """Give the lease back."""
        await self._lease.release()
        await self._publisher.close()
