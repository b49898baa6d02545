"""An OMS that stands still, with its machine or for the orders server, and goes on as if nothing had been."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
import redis
from engine_run import frame
from fake_broker import FakeBroker
from oms_run import ACCOUNT, limit_order, running, starting, trading
from own_server import own_server
from waiting import until, wait_until

from bus import streams
from bus.consume import GroupReader
from bus.errors import Fenced
from bus.order_messages import Reason
from oms.broker.protocol import MaySend, OrdersPage, OrdersQuery, Outcome
from oms.risk.approval import Approved
from oms.service import LEASE_MS

pytestmark = pytest.mark.integration


class AskedBroker(FakeBroker):
    """A broker around whose question whether an order may leave something happens."""

    def __init__(
        self,
        before: Callable[[], None] = lambda: None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self._before, self._after = before, after

    async def submit(self, approved: Approved, may_send: MaySend) -> Outcome:
        """Take a new order."""

        def asked() -> Reason | None:
            self._before()
            reason = may_send()
            self._after()
            return reason

        return await super().submit(approved, asked)


class Successor:
    """An OMS in a thread of its own. While it takes over, the caller's loop and the OMS in it stand still."""

    def __init__(self, md_url: str, orders_url: str) -> None:
        self.broker = FakeBroker()
        self.journal: list[str] = []
        self._urls = md_url, orders_url
        self._thread = threading.Thread(target=lambda: asyncio.run(self._lead()))
        self._gave_up, self._over = threading.Event(), threading.Event()

    def take_over(self) -> None:
        """Stand still until it leads, and has given up the order of which it found nothing."""
        self._thread.start()
        assert self._gave_up.wait(20), "it gave nothing up"

    async def end(self) -> None:
        """Have it stop."""
        self._over.set()
        await asyncio.to_thread(self._thread.join)

    async def _lead(self) -> None:
        quick = {"oms_send_timeout_s": 0.1, "oms_doubt_s": 0.1}
        async with running(*self._urls, self.broker, **quick) as second:
            await until(lambda: second.counts["OrderRefused"] == 1, "the order to be given up")
            self._gave_up.set()
            await asyncio.to_thread(self._over.wait)
            self.journal = [type(event).__name__ for event in await second.journal()]


async def test_a_paused_oms_cannot_write_or_send_when_it_wakes(
    md_url: str, orders_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paused at the worst moment: the order is approved, durable, has its turn and an open connection."""
    successor = Successor(md_url, orders_url)
    broker = AskedBroker(before=successor.take_over)
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        # The lease is to be enough: an order that closes goes whatever is known of control.
        monkeypatch.setattr(oms.oms.halts, "fresh", lambda: True)
        order_id = await algo.order(1, limit_order("99"))
        await until(oms.task.done, "the first OMS to end")
        with pytest.raises(Fenced):
            oms.task.result()
        refused = await algo.told(order_id, "OrderRefused")
        assert (refused.by, refused.reasons[0].code) == ("oms", "never_sent")
        await successor.end()
    assert successor.journal.count("OrderRefused") == 1
    assert broker.sent == successor.broker.sent == []


async def test_what_a_paused_oms_had_asked_about_before_leaves_late_and_is_canceled(
    md_url: str, orders_url: str
) -> None:
    """Between the answer and the first byte nobody can hold it back."""
    successor = Successor(md_url, orders_url)
    broker = AskedBroker(after=successor.take_over)
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, limit_order("99"))
        await until(oms.task.done, "the first OMS to end")
        with pytest.raises(Fenced):
            oms.task.result()
        assert broker.sent == [order_id]
        late = broker.orders[order_id]
        successor.broker.orders[order_id] = late
        await oms.broker_message(frame(late, "new"))
        await until(lambda: successor.broker.canceled == [late.id], "the order to be canceled")
        assert (await algo.told(order_id, "OrderUpdated")).status == "new"
        await successor.end()
    assert [kind for kind in successor.journal if kind in ("OrderApproved", "OrderRefused")] == [
        "OrderApproved",
        "OrderRefused",
    ]


async def test_a_stall_refuses_nothing(md_url: str, orders_url: str) -> None:
    """The halt state is old when it is over, and read again at once."""
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        for number in range(2):
            asked = asyncio.create_task(algo.order(number, limit_order("99")))
            # The request leaves; what the OMS does with it comes after.
            await asyncio.sleep(0)
            wait_until(lambda: not oms.oms.halts.fresh(), "the halt state to be old")
            await algo.told(await asked, "OrderSent")


async def test_a_stall_between_approval_and_sending_refuses_nothing(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        begin = oms.oms.sender.begin

        def stalled(order: object) -> None:
            oms.oms.sender.begin = begin  # type: ignore[method-assign]
            wait_until(lambda: not oms.oms.lease.lease.held, "the lease to run out")
            begin(order)  # type: ignore[arg-type]

        oms.oms.sender.begin = stalled  # type: ignore[method-assign,assignment]
        await algo.told(await algo.order(1, limit_order("99")), "OrderSent")


async def test_a_stall_of_the_orders_server_refuses_nothing(md_url: str) -> None:
    with own_server() as server:
        async with running(md_url, server.tcp_url) as oms, trading(server.tcp_url) as algo:
            await algo.told(await algo.order(1, limit_order("99")), "OrderSent")
            server.pause()
            asked = asyncio.create_task(algo.order(2, limit_order("99")))
            await until(lambda: not oms.oms.lease.lease.held, "the lease to run out")
            server.go_on()
            await algo.told(await asked, "OrderSent")


async def test_where_control_stays_unread_one_order_waits_and_all_are_refused(
    md_url: str, orders_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        monkeypatch.setattr(oms.oms.halts, "fresh", lambda: False)
        for number in range(3):
            refused = await algo.told(await algo.order(number, limit_order("99")), "OrderRefused")
            assert [reason.code for reason in refused.reasons] == ["control_unread"]
        monkeypatch.undo()
        await algo.told(await algo.order(3, limit_order("99")), "OrderSent")


async def test_an_oms_that_stands_still_in_its_start_keeps_its_lease(md_url: str, orders_url: str) -> None:
    """Two of a machine so slow took it from each other, and neither came to the end of its start."""
    key, over = streams.oms_lease(ACCOUNT), time.monotonic() + 60
    with redis.Redis.from_url(orders_url) as rival:

        def stood_still() -> bool:
            rival.set(key, "2:rival:mark", nx=True)
            return time.monotonic() > over

        class SlowBroker(FakeBroker):
            async def orders_page(self, query: OrdersQuery) -> OrdersPage:
                nonlocal over
                over = min(over, time.monotonic() + 2 * LEASE_MS / 1000)
                wait_until(stood_still, "the stall to be over")
                return await super().orders_page(query)

        async with running(md_url, orders_url, SlowBroker()) as oms:
            assert oms.oms.lease.lease.token == 1
            # Once it is at work, its successor need not wait for longer than usual.
            await until(lambda: rival.pttl(key) <= LEASE_MS, "the lease to be short")


async def test_what_is_given_to_another_while_an_oms_starts_does_not_hold_it_up(
    md_url: str, orders_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read of the OMS before it, which reads as the same member, may take entries after it has looked."""
    broker = FakeBroker()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, limit_order("99"))
        await algo.told(order_id, "OrderSent")
    lag, taken = GroupReader.lag, list[object]()
    async with starting(md_url, orders_url, broker) as oms:
        account = streams.account(ACCOUNT)

        async def lag_after_a_read_of_another(reader: GroupReader) -> int:
            if not taken:
                await oms.fill(order_id, "4", "98", "e1")
                taken.extend(
                    await oms.client.xreadgroup(streams.GROUP_OMS, streams.MEMBER, {account: ">"}, count=1)
                )
            return await lag(reader)

        monkeypatch.setattr(GroupReader, "lag", lag_after_a_read_of_another)
        await oms.ready()
        assert len(taken) == 1
        assert oms.book.position("AAPL", "alpha") == 4
        assert await oms.account_acknowledged()
