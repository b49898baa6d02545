"""The OMS between real servers and a broker in memory: requests, outcomes, broker messages."""

import json
import time
from decimal import Decimal

import pytest
from fake_broker import FakeBroker
from oms_run import (
    ACCOUNT,
    FIRST_KINDS,
    REQUEST_CODEC,
    Trader,
    frame,
    limit_order,
    limits_text,
    limits_with,
    market_order,
    running,
    trading,
)
from waiting import until

from bus import streams
from bus.order_messages import CancelRequest, ShutdownAcknowledged
from oms.limits.limits import parse
from oms.prices.reference_price import MarketHalt, Price

pytestmark = pytest.mark.integration


async def test_an_order_is_approved_sent_and_filled(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, market_order("10"))
        sent = await algo.told(order_id, "OrderSent")
        assert sent.broker_order_id == f"broker-{order_id}"
        assert oms.broker.sent == [order_id]
        await oms.fill(order_id, "10", "100.5", "e1")
        filled = await algo.told(order_id, "OrderFilled")
        assert (str(filled.quantity), str(filled.price), filled.status) == ("10", "100.5", "filled")
        assert oms.book.position("AAPL", "alpha") == 10
        kinds = [type(event).__name__ for event in await algo.events(order_id)]
        assert kinds == ["OrderApproved", "OrderSent", "OrderFilled"]
        assert [type(event).__name__ for event in await oms.journal()] == [
            *FIRST_KINDS,
            *kinds,
        ]


async def test_a_refusal_says_every_reason(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, limit_order("120", "5000"))
        refused = await algo.told(order_id, "OrderRefused")
        codes = {reason.code for reason in refused.reasons}
        assert codes == {
            "order_quantity",
            "order_value",
            "position_quantity",
            "position_value",
            "unexecuted_value",
            "price_collar",
            "buying_power",
        }
        assert oms.broker.sent == []


async def test_without_a_fresh_price_an_order_is_refused(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url, limits=limits_with()) as oms, trading(orders_url) as algo:
        await oms.price("MSFT", "300", age_s=60)
        await oms.price("SPY", "500")
        stale = await algo.told(await algo.order(1, market_order("1", symbol="MSFT")), "OrderRefused")
        missing = await algo.told(await algo.order(2, market_order("1", symbol="TSLA")), "OrderRefused")
        await algo.told(await algo.order(3, market_order("1", symbol="SPY")), "OrderSent")
        assert [reason.code for reason in stale.reasons] == ["stale_price"]
        assert [reason.code for reason in missing.reasons] == ["no_price"]


async def test_the_same_request_twice_is_one_order(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        request = algo.request(1, market_order("10"))
        for _ in range(3):
            await algo.send(request)
        last = await algo.order(2, market_order("1"))
        await algo.told(last, "OrderSent")
        assert oms.broker.sent.count(request.client_order_id) == 1
        kinds = [type(event).__name__ for event in await algo.events(request.client_order_id)]
        assert kinds == ["OrderApproved", "OrderSent"]
        pending = await oms.client.xpending(streams.requests(ACCOUNT, "alpha"), streams.GROUP_OMS)
        assert pending["pending"] == 0


async def test_a_lost_group_brings_no_request_back(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        requests = oms.oms.requests
        for number in range(5):
            await algo.told(await algo.order(number, limit_order("99")), "OrderSent")

        async def nothing_is_pending() -> bool:
            found = await oms.client.xpending(streams.requests(ACCOUNT, "alpha"), streams.GROUP_OMS)
            return found["pending"] == 0

        await until(nothing_is_pending, "the last acknowledgement")
        await oms.client.xgroup_destroy(streams.requests(ACCOUNT, "alpha"), streams.GROUP_OMS)
        await until(lambda: requests.recreated == 1, "the group to be made again")
        await algo.told(await algo.order(5, limit_order("99")), "OrderSent")
        assert oms.counts["duplicates"] == 0
        assert oms.counts["requests"] == 6


async def test_the_same_id_with_other_terms_is_a_conflict(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, market_order("10"))
        await algo.told(order_id, "OrderSent")
        await algo.order(1, market_order("11"))
        refused = await algo.told(order_id, "OrderRefused")
        assert refused.reasons[0].code == "id_conflict"
        assert oms.broker.sent == [order_id]
        assert oms.book.orders[order_id].open


async def test_a_request_of_anyone_but_the_leader_is_refused(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        forged = algo.request(1, market_order("10"), lease="99:somebody")
        stream = streams.requests(ACCOUNT, "alpha")
        kind, version, data = REQUEST_CODEC.encode(forged)
        await oms.client.xadd(stream, {"type": kind, "version": version, "data": data})
        refused = await algo.told(forged.client_order_id, "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["not_leader"]
        # The leader's own order under the same id is another matter.
        order_id = await algo.order(1, market_order("10"))
        await algo.told(order_id, "OrderSent")
        assert oms.broker.sent == [order_id]


async def test_a_lease_that_somebody_wrote_by_hand_ends_nothing(md_url: str, orders_url: str) -> None:
    async with (
        running(md_url, orders_url) as oms,
        trading(orders_url),
        trading(orders_url, "beta") as other,
    ):
        await oms.client.set(streams.algorithm_lease(ACCOUNT, "alpha"), b"\xff")
        await until(lambda: oms.oms.registry.leases["alpha"] == "\ufffd", "the lease to be read")
        await other.told(await other.order(1, market_order("10")), "OrderSent")


async def test_an_algorithm_cannot_order_in_anothers_name(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        name = "bb-beta-" + "0" * 32
        await algo.order(1, market_order("10"), client_order_id=name)
        refused = await algo.told(name, "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["bad_client_order_id"]
        assert oms.broker.sent == []


async def test_after_its_shutdown_nothing_of_an_algorithm_is_taken(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        await algo.send(ShutdownAcknowledged(lease=algo.lease.value, at_ns=time.time_ns()))
        refused = await algo.told(await algo.order(1, market_order("10")), "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["shut_down"]
        assert oms.broker.sent == []


async def test_an_unreadable_request_is_kept_and_stops_nothing(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        stream = streams.requests(ACCOUNT, "alpha")
        await oms.client.xadd(
            stream, {"type": "OrderRequest", "version": "1", "data": '{"quantity": "lots"}'}
        )
        await algo.told(await algo.order(1, market_order("10")), "OrderSent")
        ((_, fields),) = await oms.client.xrange(streams.orders_dead(ACCOUNT))
        assert fields[b"stream"] == stream.encode()
        assert json.loads(fields[b"payload"])["data"] == '{"quantity": "lots"}'
        assert (await oms.client.xpending(stream, streams.GROUP_OMS))["pending"] == 0
        assert oms.oms.halts.state.scopes == {}


async def test_an_unreadable_request_is_answered_where_its_id_can_be_read(
    md_url: str, orders_url: str
) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        request = algo.request(1, market_order("10"))
        kind, version, data = REQUEST_CODEC.encode(request)
        wrong = data.replace(b'"day"', b'"GTC"')
        assert wrong != data
        await oms.client.xadd(
            streams.requests(ACCOUNT, "alpha"), {"type": kind, "version": version, "data": wrong}
        )
        refused = await algo.told(request.client_order_id, "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["unreadable_request"]
        assert "terms.time_in_force is one of day, gtc, ioc, fok, opg and cls" in refused.reasons[0].message
        assert await oms.client.xlen(streams.orders_dead(ACCOUNT)) == 1
        assert oms.broker.sent == []


async def test_an_unreadable_fact_halts_the_account(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        await oms.broker_message(b'{"stream": "trade_updates", "data": {"event": "fill"}}')
        await until(lambda: f"account:{ACCOUNT}" in oms.oms.halts.state.scopes, "the account's halt")
        refused = await algo.told(await algo.order(1, market_order("10")), "OrderRefused")
        assert "halted" in [reason.code for reason in refused.reasons]
        assert any(type(event).__name__ == "EntryDeadLettered" for event in await oms.journal())


async def test_a_fact_with_a_broken_receive_time_is_kept_and_ends_nothing(
    md_url: str, orders_url: str
) -> None:
    async with running(md_url, orders_url) as oms:
        fields = {"type": "TradeUpdate", "version": "1", "data": b"{}", "r": "soon"}
        await oms.client.xadd(streams.account(ACCOUNT), fields)
        await until(lambda: oms.counts["EntryDeadLettered"] == 1, "the broker message to be kept")
        await until(lambda: f"account:{ACCOUNT}" in oms.oms.halts.state.scopes, "the account's halt")


async def test_a_brokers_refusal_reaches_the_algorithm(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        oms.broker.refuse_next("40310000", "insufficient buying power")
        refused = await algo.told(await algo.order(1, market_order("10")), "OrderRefused")
        assert (refused.by, refused.reasons[0].code) == ("broker", "broker_40310000")
        assert refused.reasons[0].message == "insufficient buying power"
        assert oms.book.open_count() == 0


async def test_a_rate_limited_order_goes_out_later(md_url: str, orders_url: str) -> None:
    async with (
        running(md_url, orders_url, oms_requests_per_minute=60_000) as oms,
        trading(orders_url) as algo,
    ):
        oms.broker.limit_next()
        order_id = await algo.order(1, market_order("10"))
        await algo.told(order_id, "OrderSent")
        assert oms.broker.sent == [order_id, order_id]


async def test_an_order_that_waits_too_long_for_the_budget_is_not_sent_late(
    md_url: str, orders_url: str
) -> None:
    # Fifteen requests at once, most of which the start needs, and some of the rest kept for cancels.
    slow = {"oms_requests_per_minute": 62, "oms_longest_wait_s": 0.3}
    async with running(md_url, orders_url, **slow) as oms, trading(orders_url) as algo:
        ids = [await algo.order(number, market_order("1")) for number in range(12)]
        refused = await algo.told(ids[-1], "OrderRefused")
        assert (refused.by, refused.reasons[0].code) == ("oms", "rate_budget")
        assert ids[-1] not in oms.broker.sent
        first = ids[0]
        await algo.cancel(first)
        await until(lambda: oms.broker.canceled == [f"broker-{first}"], "the cancel, which goes first")


async def test_a_cancel_reaches_the_broker(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, limit_order("99"))
        await algo.told(order_id, "OrderSent")
        await algo.cancel(order_id)
        await until(lambda: oms.broker.canceled == [f"broker-{order_id}"], "the cancel at the broker")
        await oms.broker_message(frame(oms.broker.orders[order_id], "canceled"))
        updated = await algo.told(order_id, "OrderUpdated")
        assert updated.status == "canceled"
        await algo.cancel(order_id)
        refused = await algo.told(order_id, "CancelRefused")
        assert refused.reason.code == "not_open"
        stream = streams.requests(ACCOUNT, "alpha")

        async def all_acknowledged() -> bool:
            return bool((await oms.client.xpending(stream, streams.GROUP_OMS))["pending"] == 0)

        await until(all_acknowledged, "every request to be acknowledged")


async def test_cancels_of_what_cannot_be_canceled_are_refused(md_url: str, orders_url: str) -> None:
    async with (
        running(md_url, orders_url) as oms,
        trading(orders_url) as algo,
        trading(orders_url, "beta") as other,
    ):
        order_id = await algo.order(1, limit_order("99"))
        await algo.told(order_id, "OrderSent")
        await other.cancel(order_id)
        assert (await other.told(order_id, "CancelRefused")).reason.code == "unknown_order"
        oms.broker.change(order_id, "filled")
        await algo.cancel(order_id)
        assert (await algo.told(order_id, "CancelRefused")).reason.code == "broker_42210000"
        assert oms.broker.canceled == []


async def test_a_cancel_takes_back_whatever_has_not_left(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker, oms_connections=1) as oms, trading(orders_url) as algo:
        broker.gate.clear()
        connected = await algo.order(1, limit_order("99"))
        waiting = await algo.order(2, limit_order("99"))
        await until(lambda: oms.oms.sender.waiting == 1, "the second order to wait its turn")
        await algo.cancel(waiting)
        refused = await algo.told(waiting, "OrderRefused")
        assert (refused.by, refused.reasons[0].code) == ("oms", "canceled")
        # The first has a connection in hand, and no byte of it has left.
        await algo.cancel(connected)
        await until(lambda: connected in oms.oms.engine.observed.cancels_waiting, "the cancel to be taken")
        broker.gate.set()
        assert (await algo.told(connected, "OrderRefused")).reasons[0].code == "canceled"
        assert broker.sent == []


async def test_a_cancel_of_an_order_that_has_left_follows_it(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        broker.answering.clear()
        order_id = await algo.order(1, limit_order("99"))
        await until(lambda: broker.sent == [order_id], "the order to leave")
        await algo.cancel(order_id)
        await until(lambda: order_id in oms.oms.engine.observed.cancels_waiting, "the cancel to be taken")
        broker.answering.set()
        await until(lambda: broker.canceled == [f"broker-{order_id}"], "it to be canceled once taken")


async def test_an_order_that_is_canceled_in_its_own_batch_is_not_sent(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        order = algo.request(1, limit_order("99"))
        cancel = CancelRequest(
            client_order_id=order.client_order_id, lease=algo.lease.value, requested_ns=time.time_ns()
        )
        await algo.send(order, cancel)
        refused = await algo.told(order.client_order_id, "OrderRefused")
        assert (refused.by, refused.reasons[0].code) == ("oms", "canceled")
        assert oms.broker.sent == []


async def test_a_replace_takes_the_place_of_its_order(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        old = await algo.order(1, limit_order("99", "10"))
        await algo.told(old, "OrderSent")
        new = await algo.replace(old, 2, limit_order("98", "4"))
        assert (await algo.told(new, "OrderApproved")).replaces == old
        await algo.told(new, "OrderSent")
        await oms.broker_message(frame(oms.broker.orders[old], "replaced"))
        await algo.told(old, "OrderUpdated")
        assert oms.book.pending("AAPL", "buy") == Decimal(4)
        wrong = await algo.replace(old, 3, limit_order("98", "4"))
        refused = await algo.told(wrong, "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["not_replaceable"]


async def test_updates_may_come_twice_late_and_before_the_answer(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, market_order("10"))
        await algo.told(order_id, "OrderSent")
        first, second = broker.fill(order_id, "4", "100"), broker.fill(order_id, "6", "101")
        late = frame(first, "partial_fill", execution_id="e1", qty="4", price="100")
        early = frame(second, "fill", execution_id="e2", qty="6", price="101")
        for data in (early, early, late, late, frame(second, "new")):
            await oms.broker_message(data)
        await until(lambda: oms.book.position("AAPL") == 10, "both fills")
        await oms.fill(await _sent(algo, 2), "1", "102", "e3")
        await until(lambda: oms.book.position("AAPL") == 11, "the last fill")
        assert oms.book.cash("alpha") == -(4 * 100 + 6 * 101 + 102)
        assert oms.book.orders[order_id].status == "filled"
        fills = [event for event in await algo.events(order_id) if type(event).__name__ == "OrderFilled"]
        assert sorted(fill.execution_id for fill in fills) == ["e1", "e2"]


async def _sent(algo: Trader, number: int) -> str:
    order_id = await algo.order(number, market_order("1"))
    await algo.told(order_id, "OrderSent")
    return order_id


async def test_trades_made_elsewhere_are_external(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        await algo.told(await algo.order(1, market_order("10")), "OrderSent")
        order = oms.broker.orders[next(iter(oms.broker.orders))]
        from dataclasses import replace

        by_hand = replace(
            order, id="hand", client_order_id="3f0c", status="filled", filled_quantity=Decimal(7)
        )
        await oms.broker_message(frame(by_hand, "fill", execution_id="h1", qty="7", price="100"))
        await until(lambda: oms.book.position("AAPL", "external") == 7, "the trade made by hand")
        assert oms.book.position("AAPL") == 7
        assert await oms.client.exists(streams.events(ACCOUNT, "external")) == 0


async def test_symbols_that_need_a_price_are_wanted(md_url: str, orders_url: str) -> None:
    """What makes a price of all that somebody wants, and of what an order was asked for in; no wildcards."""
    wants = b'{"bars": ["MSFT", "*"], "quotes": ["SPY", "AAPL261218C00200000"], "trades": ["BTC/USD", "*/*"]}'
    stocks = ["MSFT", "SPY", "TSLA"]
    both = ["BTC/USD", *stocks]
    wanted = {"trades": both, "quotes": both, "snapshots": both}
    wanted |= {"statuses": stocks, "corrections": stocks, "cancelErrors": stocks, "first": ["TSLA"]}
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        await oms.client.set(streams.wants("paper", "alpha"), wants)
        refused = await algo.told(await algo.order(1, market_order("1", symbol="TSLA")), "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["no_price"]

        async def are_wanted() -> bool:
            return json.loads(await oms.client.get(streams.wants("paper", "oms")) or b"{}") == wanted

        await until(are_wanted, "the OMS's wants")


async def test_in_a_halted_symbol_no_order_is_taken_until_it_resumes(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        await algo.told(await algo.order(1, market_order("1")), "OrderSent")
        await oms.status("AAPL", "P", "LUDP", "Volatility Trading Pause")
        # A price may be some milliseconds old when it is used.
        await until(lambda: isinstance(oms.oms.prices.known.get("AAPL"), MarketHalt), "the halt to be read")
        refused = await algo.told(await algo.order(2, market_order("1")), "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["market_halted"]
        assert "Volatility Trading Pause" in refused.reasons[0].message
        await oms.status("AAPL", "T")
        await oms.price("AAPL", "100")
        await until(lambda: isinstance(oms.oms.prices.known.get("AAPL"), Price), "the price to be read")
        await algo.told(await algo.order(3, market_order("1")), "OrderSent")


async def test_names_in_the_limits_that_bind_nothing_are_told(md_url: str, orders_url: str) -> None:
    """Until an algorithm of that name registers; a symbol that the broker lists is not mentioned."""
    limits = parse(
        limits_text(restricted='["NOSUCH", "GME"]') + "\n[algorithm.alpha]\norder_value = 1", "limits"
    )
    async with running(md_url, orders_url, limits=limits) as oms:

        def told() -> list[str]:
            details = oms.oms.service.details
            return [one.partition(":")[0] for one in details.limits_unmatched] if details else []

        await until(lambda: told() == ["[algorithm.alpha]", "restricted NOSUCH"], "both to be told")
        async with trading(orders_url):
            await until(lambda: told() == ["restricted NOSUCH"], "the algorithm to be known")
