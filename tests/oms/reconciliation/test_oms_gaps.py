"""What happened at the broker while its stream was away is booked, however long it was and whatever died."""

import asyncio
import time
from typing import Any

import pytest
from fake_broker import FakeBroker
from oms_run import ACCOUNT, limit_order, market_order, running, trading
from waiting import until

from bus import streams
from oms.broker.protocol import MaySend, OrdersPage, OrdersQuery, Outcome
from oms.risk.approval import Approved

pytestmark = pytest.mark.integration

MINUTE_MS = 60_000


class Asked(FakeBroker):
    """Remembers since when its orders were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.since_ns: list[int] = []

    async def orders_page(self, query: OrdersQuery) -> OrdersPage:
        """All, once it is there."""
        found = await super().orders_page(query)
        if query.after_ns is not None:
            self.since_ns.append(query.after_ns)
        return found


class Slow(FakeBroker):
    """Takes an order, and answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = asyncio.Event()

    async def submit(self, approved: Approved, may_send: MaySend) -> Outcome:
        """Take it now, answer later."""
        outcome = await super().submit(approved, may_send)
        await self.answer.wait()
        return outcome


async def heard(client: Any, minutes_ago: int, kind: str) -> None:
    """An entry of the account stream, written then."""
    fields = {"type": kind, "version": "1", "data": b"{}", "r": str(time.time_ns())}
    await client.xadd(streams.account(ACCOUNT), fields, id=f"{_minutes_ago_ms(minutes_ago)}-*")


def _minutes_ago_ms(minutes: int) -> int:
    return time.time_ns() // 1_000_000 - minutes * MINUTE_MS


async def test_a_long_break_is_caught_up_with_from_its_beginning(md_url: str, orders_url: str) -> None:
    broker = Asked()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        await heard(oms.client, 30, "Connected")
        await until(lambda: len(broker.since_ns) >= 3 and oms.oms.service.state == "ready", "level")
        await heard(oms.client, 20, "Disconnected")
        # Orders go on while the stream is away, and with them the journal.
        await algo.told(await algo.order(1, limit_order("99", "10")), "OrderSent")
        asked = len(broker.since_ns)
        await heard(oms.client, 0, "Connected")
        await until(lambda: len(broker.since_ns) > asked, "the broker to be asked")
        assert broker.since_ns[-1] <= _minutes_ago_ms(29) * 1_000_000


async def test_a_break_that_was_not_caught_up_with_is_remembered(md_url: str, orders_url: str) -> None:
    broker = Asked()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        await heard(oms.client, 30, "Connected")
        await until(lambda: len(broker.since_ns) >= 3 and oms.oms.service.state == "ready", "level")
        await algo.told(await algo.order(1, limit_order("99", "10")), "OrderSent")
        broker.away = True
        await heard(oms.client, 0, "Connected")
        await until(lambda: "not known" in oms.oms.service.why, "the broker to be away")
        await oms.stop()
        broker.away = False
        async with running(md_url, orders_url, broker) as again:
            assert broker.since_ns[-1] <= _minutes_ago_ms(29) * 1_000_000
            await until(again.account_acknowledged, "the break to be acknowledged")


async def test_an_order_under_way_during_a_break_loses_no_fill(md_url: str, orders_url: str) -> None:
    broker = Slow()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, market_order("10"))
        await until(lambda: order_id in broker.orders, "the order to be taken")
        # Filled while nobody listens; the stream is back before the order's answer comes.
        broker.fill(order_id, "10", "100")
        await heard(oms.client, 0, "Connected")
        await until(lambda: oms.oms.service.state != "ready", "the break to be seen")
        await until(lambda: oms.oms.engine.observed.catching_up is not None, "catching up to begin")
        broker.answer.set()
        await algo.told(order_id, "OrderFilled")
        assert oms.book.position("AAPL", "alpha") == 10
        await oms.ready()
