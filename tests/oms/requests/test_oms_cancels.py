"""Cancels asked for again and again cost the broker one request at a time."""

import asyncio

import pytest
from fake_broker import FakeBroker
from oms_run import ACCOUNT, limit_order, running, trading
from waiting import until

from bus import streams

pytestmark = pytest.mark.integration


class Busy(FakeBroker):
    """Counts cancels, and answers them when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.answer = asyncio.Event()

    async def cancel(self, broker_order_id: str) -> None:
        """Count, wait, cancel."""
        self.asked += 1
        await self.answer.wait()
        await super().cancel(broker_order_id)


async def test_cancels_of_one_order_share_one_request(md_url: str, orders_url: str) -> None:
    broker = Busy()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, limit_order("99"))
        await algo.told(order_id, "OrderSent")
        for _ in range(20):
            await algo.cancel(order_id)
        await until(
            lambda: oms.counts["cancel_requests"] == 20 and broker.asked > 0, "the cancels to be read"
        )
        broker.answer.set()

        async def acknowledged() -> bool:
            pending = await oms.client.xpending(streams.requests(ACCOUNT, "alpha"), streams.GROUP_OMS)
            return bool(pending["pending"] == 0)

        await until(acknowledged, "every cancel to be answered")
        assert broker.asked == 1
        assert len(broker.canceled) == 1
        # What is asked for after the answer is asked of the broker anew.
        await algo.cancel(order_id)
        refused = await algo.told(order_id, "CancelRefused")
        assert refused.reason.code == "broker_42210000"
        assert broker.asked == 2
