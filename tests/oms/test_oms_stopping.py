"""An OMS that is asked to stop, or fails, in the middle of its work leaves nothing half done."""

import asyncio
from typing import Any

import pytest
from fake_broker import FakeBroker
from oms_run import ACCOUNT, limit_order, limits_with, running, trading
from own_server import own_server
from waiting import until

from bus import halt
from bus.errors import ServerUnreachable
from bus.heartbeat import State
from bus.service import Service
from bus.settings import load
from oms import startup
from oms.journal.journal import Journal
from oms.service import Oms
from oms.settings import OmsSettings

pytestmark = pytest.mark.integration


class Held(Journal):
    """A journal whose disk can be made to hang."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.moving = asyncio.Event()
        self.moving.set()

    def _leave(self, batch: Any) -> None:
        """Nothing leaves by itself."""

    async def _finish(self, batch: Any) -> None:
        await self.moving.wait()
        await super()._finish(batch)


async def test_what_was_approved_before_a_stop_is_sent(md_url: str, orders_url: str) -> None:
    """Also where the stop comes while the OMS waits for its disk."""
    broker = FakeBroker()
    async with running(md_url, orders_url, broker, make_journal=Held) as oms, trading(orders_url) as algo:
        journal = oms.oms.journal
        assert isinstance(journal, Held)
        journal.moving.clear()
        ids: list[str] = []
        for number in range(4):
            # One batch each: with the last of them it waits until the first is durable.
            ids.append(await algo.order(number, limit_order("99", "1")))
            await until(lambda: ids[-1] in oms.book.orders, "the order to be approved")
        oms.oms.service.stop("the test")
        await until(lambda: oms.oms.service.state is State.STOPPING, "the stop to be heard")
        journal.moving.set()
        await asyncio.wait_for(oms.task, 20)
        assert sorted(broker.sent) == sorted(ids)


async def test_what_was_decided_long_before_it_was_durable_is_not_sent(md_url: str, orders_url: str) -> None:
    """As while the orders server refuses: its prices are past."""
    late: dict[str, Any] = {"make_journal": Held, "oms_longest_wait_s": 0.2}
    async with running(md_url, orders_url, **late) as oms, trading(orders_url) as algo:
        journal = oms.oms.journal
        assert isinstance(journal, Held)
        journal.moving.clear()
        order_id = await algo.order(1, limit_order("99", "1"))
        await until(lambda: order_id in oms.book.orders, "the order to be approved")
        approved_ns = oms.oms.clock.monotonic_ns()
        await until(lambda: oms.oms.clock.monotonic_ns() - approved_ns > 250_000_000, "it to be late")
        journal.moving.set()
        refused = await algo.told(order_id, "OrderRefused")
        assert (refused.by, refused.reasons[0].code) == ("oms", "journalled_late")
        assert oms.broker.sent == []


async def test_a_fact_that_should_halt_is_kept_until_it_has(
    md_url: str, orders_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(md_url, orders_url) as oms:

        async def fail(*arguments: object) -> None:
            # The worst moment: all that was written before is durable.
            await oms.oms.journal.flush()
            raise ServerUnreachable("no server")

        with monkeypatch.context() as patched:
            patched.setattr(halt, "change", fail)
            await oms.broker_message(b"garbage")
            await until(
                lambda: f"account:{ACCOUNT}" in oms.oms.halt_file.state.scopes, "the halt in the file"
            )
            async with trading(orders_url) as algo:
                refused = await algo.told(await algo.order(1, limit_order("99", "1")), "OrderRefused")
                assert refused.basis.halt == "halted"
            oms.task.cancel()
            await asyncio.gather(oms.task, return_exceptions=True)
    async with running(md_url, orders_url) as again:
        await until(lambda: f"account:{ACCOUNT}" in again.oms.halts.state.scopes, "the account's halt")
        await until(again.account_acknowledged, "the broker message to be acknowledged")


async def test_one_that_waits_for_the_lease_outlives_its_servers_absence(md_url: str) -> None:
    with own_server() as server:
        async with running(md_url, server.tcp_url, FakeBroker()):
            settings = load(OmsSettings, md_redis_url=md_url, orders_redis_url=server.tcp_url)
            service = Service("oms", "paper")
            standby = Oms(service, settings, limits_with(price_age_seconds=3600), FakeBroker())
            task = asyncio.create_task(startup.live(standby))
            await until(lambda: "another OMS holds it" in service.why, "the standby to wait")
            server.kill()
            await until(lambda: "server" in service.why, "the absence to be seen")
            assert not task.done()
            server.start_again()
            await until(lambda: "another OMS holds it" in service.why, "the standby to wait again")
            service.stop("the test is over")
            await asyncio.wait_for(task, 20)
