"""What happened while the OMS was away, and what nobody knows the outcome of."""

import time
from dataclasses import replace
from decimal import Decimal

import pytest
from fake_broker import FakeBroker
from oms_run import ACCOUNT, client_order_id, frame, limit_order, market_order, running, starting, trading
from risk_day import approved, terms
from waiting import until

from bus import streams
from oms.book.book import Book
from oms.broker.protocol import Accepted, BrokerOrder, OrdersPage, OrdersQuery
from oms.risk.approval import Approved

pytestmark = pytest.mark.integration

QUICK = {"oms_send_timeout_s": 0.1, "oms_doubt_s": 0.1}


async def taken(broker: FakeBroker, order: Approved) -> BrokerOrder:
    """An order that the broker has, whoever sent it."""
    outcome = await broker.submit(order, lambda: None)
    assert isinstance(outcome, Accepted)
    return outcome.order


async def test_an_order_whose_answer_was_lost_is_found(md_url: str, orders_url: str) -> None:
    async with running(md_url, orders_url) as oms, trading(orders_url) as algo:
        oms.broker.take_next_silently()
        order_id = await algo.order(1, market_order("10"))
        await algo.told(order_id, "OrderUncertain")
        sent = await algo.told(order_id, "OrderSent")
        assert sent.broker_order_id == f"broker-{order_id}"
        assert oms.broker.sent == [order_id]


async def test_an_order_that_never_arrived_is_given_up_and_watched(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker, **QUICK) as oms, trading(orders_url) as algo:
        broker.lose_next()
        order_id = await algo.order(1, limit_order("99"))
        refused = await algo.told(order_id, "OrderRefused")
        assert (refused.by, refused.reasons[0].code) == ("oms", "never_sent")
        assert broker.sent == [order_id]
        assert oms.book.open_count() == 0
        # It appears after all: it is canceled, and the algorithm hears of it.
        late = await taken(broker, approved(terms("10", type="limit", limit_price=Decimal(99)), 1))
        broker.orders[order_id] = late
        await oms.broker_message(frame(late, "new").replace(late.client_order_id.encode(), order_id.encode()))
        await until(lambda: broker.canceled == [late.id], "it to be canceled")
        assert (await algo.told(order_id, "OrderUpdated")).status == "new"
        # What it is, is counted: it is open until the broker says that it has ended.
        assert oms.book.pending("AAPL", "buy") == 10
        await oms.broker_message(
            frame(replace(late, status="canceled"), "canceled").replace(
                late.client_order_id.encode(), order_id.encode()
            )
        )
        await until(lambda: oms.book.open_count() == 0, "the cancel to be heard")


async def test_fills_that_were_missed_are_booked_once(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker), trading(orders_url) as algo:
        order_id = await algo.order(1, limit_order("99", "10"))
        await algo.told(order_id, "OrderSent")
    partly = broker.fill(order_id, "4", "98")
    whole = broker.fill(order_id, "6", "99")
    async with running(md_url, orders_url, broker) as oms:
        assert oms.book.position("AAPL", "alpha") == 10
        assert oms.book.cash("alpha") == -(4 * 98 + 6 * 99)
        assert oms.book.orders[order_id].status == "filled"
        # The updates themselves arrive late, and out of order: they are known already.
        await oms.broker_message(frame(whole, "fill", execution_id="e2", qty="6", price="99"))
        await oms.broker_message(frame(partly, "partial_fill", execution_id="e1", qty="4", price="98"))
        other = await taken(broker, approved(terms("1"), 9))
        filled = broker.fill(other.client_order_id, "1", "100")
        await oms.broker_message(frame(filled, "fill", execution_id="e3", qty="1", price="100"))
        await until(lambda: oms.book.position("AAPL") == 11, "the last update to be read")
        assert oms.book.position("AAPL", "alpha") == 11
        assert oms.book.cash("alpha") == -(4 * 98 + 6 * 99 + 100)


async def test_updates_kept_by_the_account_stream_come_before_the_brokers_list(
    md_url: str, orders_url: str
) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, limit_order("99", "10"))
        await algo.told(order_id, "OrderSent")
        await oms.stop()
        await oms.fill(order_id, "10", "98.5", "real-id")
    async with running(md_url, orders_url, broker) as oms:
        executions = [event.execution_id for event in await oms.journal() if hasattr(event, "execution_id")]
        assert executions == ["real-id"]


async def test_an_account_stream_that_was_trimmed_meanwhile_holds_up_no_start(
    md_url: str, orders_url: str
) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        order_id = await algo.order(1, limit_order("99", "10"))
        await algo.told(order_id, "OrderSent")
        await oms.fill(order_id, "1", "98", "e1")
        await until(lambda: oms.book.position("AAPL") == 1, "the first fill")
        await oms.stop()
        for number in range(2, 6):
            await oms.fill(order_id, "1", "98", f"e{number}")
        await oms.client.xtrim(streams.account(ACCOUNT), maxlen=1, approximate=False)
    async with running(md_url, orders_url, broker) as oms:
        assert oms.book.position("AAPL", "alpha") == 5


async def test_an_order_of_ours_that_the_journal_lacks_is_adopted(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker):
        pass
    mine = await taken(broker, approved(terms("5", type="limit", limit_price=Decimal(90)), "lost"))
    async with running(md_url, orders_url, broker) as oms:
        order = oms.book.orders[mine.client_order_id]
        assert (order.algorithm, order.open, order.broker_order_id) == ("alpha", True, mine.id)
        assert oms.book.pending("AAPL", "buy", "alpha") == 5
        assert oms.book.reserved("alpha") == 450


def summary(book: Book) -> tuple[object, ...]:
    """What a book says of the account."""
    held = (book.positions(), book.cash(), book.open_count(), book.reserved())
    return (*held, book.pending("AAPL", "buy"), book.pending("AAPL", "buy", "alpha"))


async def test_a_restart_gives_the_same_book(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        for number in range(4):
            order_id = await algo.order(number, limit_order("99", "10"))
            await algo.told(order_id, "OrderSent")
            if number % 2:
                await oms.fill(order_id, "7", "98.123456789", f"e{number}")
                await algo.told(order_id, "OrderFilled")
        before = summary(oms.book)
    async with running(md_url, orders_url, broker) as oms:
        assert summary(oms.book) == before
        assert oms.book.position("AAPL", "alpha") == 14


async def test_the_same_request_after_a_restart_is_the_same_order(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker), trading(orders_url) as algo:
        order_id = await algo.order(1, market_order("10"))
        await algo.told(order_id, "OrderSent")
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        await algo.order(1, market_order("10"))
        await algo.told(await algo.order(2, market_order("1")), "OrderSent")
        assert broker.sent == [order_id, client_order_id("alpha", 2)]
        assert oms.book.open_count() == 2


async def test_trades_from_before_the_first_start_are_counted_once(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    earlier = await taken(broker, approved(terms("50"), "earlier"))
    by_hand = replace(broker.fill(earlier.client_order_id, "50", "90"), client_order_id="by-hand")
    broker.orders = {"by-hand": by_hand}
    broker.held["AAPL"] = Decimal(70)
    async with running(md_url, orders_url, broker) as oms:
        assert oms.book.position("AAPL", "external") == 70
        await oms.broker_message(b'{"epoch": 2}', "Connected")
        await until(oms.account_acknowledged, "the break to be caught up with")
        assert oms.book.position("AAPL", "external") == 70


async def test_a_first_start_that_was_cut_short_begins_anew(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    earlier = await taken(broker, approved(terms("50"), "earlier"))
    broker.orders = {"by-hand": replace(earlier, client_order_id="by-hand")}
    broker.held["AAPL"] = Decimal(20)
    broker.positions_away = True
    async with starting(md_url, orders_url, broker) as oms:
        await oms.halt("symbol:GME")
        await until(lambda: bool(oms.oms.engine.observed.trouble), "the broker to be asked")
        # Nobody reads of this fill; it stands in the position that the second start takes over.
        filled = broker.fill("by-hand", "50", "90")
        broker.held["AAPL"] = Decimal(70)
        await oms.broker_message(frame(filled, "fill", execution_id="e1", qty="50", price="90"))
    broker.positions_away = False
    async with running(md_url, orders_url, broker) as oms:
        assert oms.book.position("AAPL", "external") == 70
        assert "symbol:GME" in oms.oms.engine.state.halts.scopes


async def test_history_of_a_flat_account_stays_history(md_url: str, orders_url: str) -> None:
    broker = FakeBroker()
    async with running(md_url, orders_url, broker) as oms, trading(orders_url) as algo:
        asked: list[int] = []
        page = broker.orders_page

        async def orders_page(query: OrdersQuery) -> OrdersPage:
            if query.after_ns is not None:
                asked.append(query.after_ns)
            return await page(query)

        broker.orders_page = orders_page  # type: ignore[method-assign]
        await oms.broker_message(b'{"epoch": 2}', "Connected")
        await until(lambda: bool(asked), "the broker to be asked")
        await oms.ready()
        assert time.time_ns() - asked[0] < 300 * 10**9
        await algo.told(await algo.order(1, market_order("10")), "OrderSent")
