"""Halts, leases and whatever else must close the way to the broker."""

import asyncio
from decimal import Decimal

import pytest
from fake_broker import FakeBroker
from oms_run import ACCOUNT, limit_order, market_order, running, trading
from waiting import until

from bus import streams
from bus.control_messages import ReduceOnly
from bus.errors import Fenced, InvalidInput
from bus.lease import Lease

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("scope", ["all", "account:paper", "algorithm:alpha", "symbol:AAPL"])
async def test_a_halt_refuses_orders_and_replaces_and_lets_cancels_through(
    md_url: str, orders_url: str, scope: str
) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        working = await algo.order(1, limit_order("99"))
        await algo.told(working, "OrderSent")
        await oms.halt(scope)
        new = await algo.told(await algo.order(2, market_order("10")), "OrderRefused")
        other = await algo.told(await algo.replace(working, 3, limit_order("98")), "OrderRefused")
        for refused in (new, other):
            assert [reason.code for reason in refused.reasons] == ["halted"]
            assert "a test" in refused.reasons[0].message
        await algo.cancel(working)
        await until(lambda: oms.broker.canceled == [f"broker-{working}"], "the cancel at the broker")
        await oms.resume(scope)
        await algo.told(await algo.order(4, market_order("10")), "OrderSent")


@pytest.mark.parametrize(("halted", "ordered"), [("BTCUSD", "BTC/USD"), ("BTC/USD", "BTCUSD")])
async def test_a_halt_meets_a_pair_in_its_other_spelling(
    md_url: str, orders_url: str, halted: str, ordered: str
) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        await oms.price("BTC/USD", "100")
        await oms.halt(f"symbol:{halted}")
        refused = await algo.told(await algo.order(1, market_order("1", symbol=ordered)), "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["halted"]
        await oms.resume(f"symbol:{halted}")
        await algo.told(await algo.order(2, market_order("1", symbol=ordered)), "OrderSent")
        assert [order.symbol for order in oms.broker.orders.values()] == ["BTC/USD"]


async def test_a_halt_elsewhere_stops_nobody(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        for scope in ("account:other", "algorithm:beta", "symbol:MSFT"):
            await oms.halt(scope)
        await algo.told(await algo.order(1, market_order("10")), "OrderSent")


async def test_a_halt_outlives_the_oms(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker) as oms:
        await oms.halt("algorithm:alpha")
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        refused = await algo.told(await algo.order(1, market_order("10")), "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["halted"]
        await oms.resume("algorithm:alpha")
        await algo.told(await algo.order(2, market_order("10")), "OrderSent")


async def test_reduce_only_lets_positions_shrink(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        bought = await algo.order(1, market_order("10"))
        await algo.told(bought, "OrderSent")
        await oms.fill(bought, "10", "100", "e1")
        await algo.told(bought, "OrderFilled")
        await oms.halt("all", ReduceOnly)
        more = await algo.told(await algo.order(2, market_order("1")), "OrderRefused")
        assert [reason.code for reason in more.reasons] == ["reduce_only"]
        await algo.told(await algo.order(3, market_order("6", "sell")), "OrderSent")
        beyond = await algo.told(await algo.order(4, market_order("5", "sell")), "OrderRefused")
        assert [reason.code for reason in beyond.reasons] == ["reduce_only", "held_for_orders"]
        await algo.told(await algo.order(5, market_order("4", "sell")), "OrderSent")


async def test_a_halt_between_approval_and_sending_stops_the_order(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        broker.gate.clear()
        order_id = await algo.order(1, market_order("10"))
        await algo.told(order_id, "OrderApproved")
        await oms.halt("all")
        broker.gate.set()
        refused = await algo.told(order_id, "OrderRefused")
        assert (refused.by, refused.reasons[0].code) == ("oms", "halted")
        assert broker.sent == []


async def test_a_lost_halt_state_closes_the_way(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        await oms.client.delete(streams.HALT)
        await until(lambda: not oms.oms.halts.state.known, "the loss to be seen")
        refused = await algo.told(await algo.order(1, market_order("10")), "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["halt_unknown"]
        await oms.resume("all")
        await until(lambda: oms.oms.halts.state.known, "the state after a resume")
        await algo.told(await algo.order(2, market_order("10")), "OrderSent")


async def test_an_account_that_holds_something_is_closed_until_somebody_resumes(
    md_url: str, orders_url: str
) -> None:
    broker = FakeBroker()
    broker.held["AAPL"] = Decimal(50)
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        assert oms.book.position("AAPL", "external") == 50
        refused = await algo.told(await algo.order(1, market_order("10")), "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["halt_unknown"]


async def test_an_oms_that_lost_its_lease_writes_nothing_and_sends_nothing(
    md_url: str, orders_url: str
) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        before = await oms.journal()
        await oms.client.set(streams.oms_lease(ACCOUNT), "99:another")
        order_id = await algo.order(1, market_order("10"))
        await until(oms.task.done, "the OMS to end")
        with pytest.raises(Fenced):
            oms.task.result()
        assert await oms.journal() == before
        assert await algo.events(order_id) == []
        assert oms.broker.sent == []


async def test_an_oms_whose_lease_may_have_run_out_takes_no_requests_until_it_has_it_again(
    md_url: str, orders_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it took would be pending at the member that it shares with its successor."""
    monkeypatch.setattr("oms.service.LEASE_MS", 60_000)
    monkeypatch.setattr(Lease, "renewal_s", 3600.0)
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        lease, requests = oms.oms.lease.lease, oms.oms.requests
        lease._valid_until_ns = 0
        await until(lambda: requests._read is None, "the read under way to end")
        order_id = await algo.order(1, market_order("10"))
        await asyncio.wait({oms.task}, timeout=0.3)
        stream = streams.requests(ACCOUNT, "alpha")
        assert (await oms.client.xpending(stream, streams.GROUP_OMS))["pending"] == 0
        await lease.renew()
        await algo.told(order_id, "OrderSent")


async def test_an_oms_whose_lease_ran_out_takes_a_new_one_and_goes_on(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        token = oms.oms.lease.lease.token
        await oms.client.delete(streams.oms_lease(ACCOUNT))
        await algo.told(await algo.order(1, market_order("10")), "OrderApproved")
        assert oms.oms.lease.lease.token == token + 1


async def test_a_second_oms_waits_for_the_first(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as first:
        waiting = asyncio.create_task(_enter(md_url, orders_url, first))
        await asyncio.wait({waiting}, timeout=0.5)
        assert not waiting.done()
        await first.stop()
        await waiting


async def _enter(md_url: str, orders_url: str, first: object) -> None:
    async with running(md_url, orders_url) as second:
        assert second is not first


async def test_wrong_keys_are_bad_input(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    broker.keys_accepted = False
    with pytest.raises(InvalidInput, match="ALPACA_API_KEY"):
        async with running(md_url, orders_url, broker):
            pass


async def test_until_the_broker_answers_nothing_is_taken(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        broker.away = True
        await oms.broker_message(b'{"epoch": 2}', "Connected")
        await until(lambda: "broker" in oms.oms.service.why, "the OMS to fall behind")
        refused = await algo.told(await algo.order(1, market_order("10")), "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["not_ready"]
        broker.away = False
        await oms.ready()
        await oms.price("AAPL", "100")
        await algo.told(await algo.order(2, market_order("10")), "OrderSent")
