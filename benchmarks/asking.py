"""An algorithm that only asks, for `fairness.py`: `python -m benchmarks.asking NAME PATTERN SECONDS`."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from decimal import Decimal

from bus.codec import Message, MessageCodec
from bus.connection import connect
from bus.lease import Lease
from bus.order_messages import REQUESTS, CancelRequest, OrderRequest, OrderTerms, ReplaceRequest
from bus.publish import Publisher
from bus.settings import BusSettings, load
from bus.streams import algorithm_lease, algorithms, events, requests

_CODEC = MessageCodec(REQUESTS)
SYMBOL = "AAPL"

# Far from the market, so that orders rest.
_PRICE = Decimal(1)


class Asker:
    """Writes what its pattern asks for at each tick. Mutable: how many orders it has asked for."""

    def __init__(self, name: str, lease: str) -> None:
        self._name, self._lease = name, lease
        self._asked = 0

    def order(self) -> OrderRequest:
        """One share more, with a price of its own."""
        self._asked += 1
        now_ns = time.time_ns()
        return OrderRequest(
            client_order_id=f"bb-{self._name}-{self._asked:032x}",
            terms=OrderTerms(
                symbol=SYMBOL, side="buy", type="limit", quantity=Decimal(1), limit_price=_PRICE
            ),
            lease=self._lease,
            trigger="1-1",
            received_ns=now_ns,
            requested_ns=now_ns,
        )

    def flood(self) -> list[Message]:
        """Forty orders at each tick."""
        return [self.order() for _ in range(40)]

    def quiet(self) -> list[Message]:
        """One order now and then."""
        return [self.order()]

    def churn(self) -> list[Message]:
        """An order that is replaced and canceled as soon as it is asked for, without end."""
        first, second = self.order(), self.order()
        replaced = ReplaceRequest(
            client_order_id=second.client_order_id,
            replaces=first.client_order_id,
            terms=OrderTerms(
                symbol=SYMBOL, side="buy", type="limit", quantity=Decimal(1), limit_price=_PRICE * 2
            ),
            lease=self._lease,
            trigger="1-1",
            received_ns=first.received_ns,
            requested_ns=first.requested_ns,
        )
        cancel = CancelRequest(
            client_order_id=second.client_order_id, lease=self._lease, requested_ns=first.requested_ns
        )
        return [first, replaced, cancel]


TICKS_S = {"flood": 0.25, "quiet": 2.0, "churn": 0.1}


async def ask(name: str, pattern: str, seconds: float) -> None:
    """Register, lead, and ask until the time is over."""
    settings = load(BusSettings)
    client = connect(settings.orders_redis_url, name=name)
    await client.hset(algorithms(settings.account), name, json.dumps({"lineage": name, "registered_ns": 1}))
    while not await client.xlen(events(settings.account, name)):
        await asyncio.sleep(0.05)
    lease = Lease(client, algorithm_lease(settings.account, name), name, ttl_ms=600_000)
    await lease.acquire()
    publisher = Publisher(settings.orders_redis_url, lease)
    asker = Asker(name, lease.value)
    tick: Callable[[], list[Message]] = getattr(asker, pattern)
    stream = requests(settings.account, name)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await publisher.append([(stream, _CODEC.encode(message)) for message in tick()])
        await asyncio.sleep(TICKS_S[pattern])
    await publisher.close()
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(ask(sys.argv[1], sys.argv[2], float(sys.argv[3])))
