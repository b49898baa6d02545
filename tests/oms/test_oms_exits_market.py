"""Orders with exits on the simulator, through ingest and the OMS, with what can go wrong on the way."""

from decimal import Decimal
from typing import Any

import pytest
from alpaca.data.requests import StockLatestTradeRequest
from msgspec.structs import replace
from oms_run import Running, Trader, market_order
from simulated_trading import held, traded
from simulator import Simulator
from waiting import until

from bus.order_messages import OrderTerms

pytestmark = pytest.mark.e2e

CENT = Decimal("0.01")


@pytest.fixture
def simulator() -> Any:
    """A simulator of one symbol."""
    with Simulator.start("--symbols", "AAPL,MSFT", "--requests-per-minute", "100000") as started:
        yield started


FAULTS: list[tuple[str, dict[str, Any]] | None] = [
    None,
    ("duplicate_updates", {}),
    ("out_of_order_updates", {}),
    ("update_before_response", {}),
    ("http_error", {"status": 504, "accepted": True, "on": "submit", "count": 1}),
    ("reset", {"accepted": True, "on": "submit", "count": 1}),
]


def bracket(price: Decimal) -> OrderTerms:
    """A market order of ten with both exits a tenth away."""
    return OrderTerms(
        symbol="AAPL",
        side="buy",
        quantity=Decimal(10),
        order_class="bracket",
        time_in_force="gtc",
        take_profit=(price * Decimal("1.1")).quantize(CENT),
        stop_loss=(price * Decimal("0.9")).quantize(CENT),
    )


def price_now(simulator: Simulator) -> Decimal:
    """About what the symbol costs."""
    asked = StockLatestTradeRequest(symbol_or_symbols="AAPL")
    return Decimal(str(simulator.stock_data_client().get_stock_latest_trade(asked)["AAPL"].price))


async def exits_of(algo: Trader, order_id: str) -> dict[str, str]:
    """The exits that the algorithm was told of, by role."""
    return {
        event.role: event.client_order_id
        for event in await algo.events()
        if type(event).__name__ == "LegFound" and event.parent == order_id
    }


def _agree(oms: Running, simulator: Simulator) -> bool:
    """The book is the simulator's, and all of it alpha's."""
    position = held(simulator, "AAPL")
    theirs = {one["client_order_id"] for one in simulator.ledger()["orders"] if one["status"] in WORKING}
    ours = {order.client_order_id for order in oms.book.open_orders()}
    positions = {oms.book.position("AAPL", "alpha"), oms.book.position("AAPL")}
    return positions == {position} and ours == theirs


WORKING = ("pending_new", "accepted", "new", "partially_filled", "held")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[0] if fault else "calm")
async def test_a_bracket_from_request_to_book(
    simulator: Simulator, md_url: str, orders_url: str, fault: tuple[str, dict[str, Any]] | None
) -> None:
    async with traded(simulator, md_url, orders_url) as (oms, algo):
        if fault is not None:
            simulator.fault(fault[0], **fault[1])
        entry = await algo.order(1, bracket(price_now(simulator)))
        await until(lambda: oms.book.position("AAPL", "alpha") == 10, "the entry to be filled")

        async def both() -> bool:
            return set(await exits_of(algo, entry)) == {"take_profit", "stop_loss"}

        await until(both, "both exits to be told")
        exits = await exits_of(algo, entry)
        await until(lambda: _agree(oms, simulator), "book and broker to agree")
        assert oms.book.pending("AAPL", "sell", "alpha") == 10
        assert oms.book.open_count("alpha") == 1
        assert not oms.book.open.elsewhere()
        refused = await algo.order(2, market_order("1", "sell"))
        assert (await algo.told(refused, "OrderRefused")).reasons[0].code == "held_for_orders"

        leg = oms.book.orders[exits["take_profit"]]
        lower = replace(leg.terms, limit_price=(leg.terms.limit_price * Decimal("0.88")).quantize(CENT))
        new = await algo.replace(exits["take_profit"], "lower", lower)
        sold = await algo.told(new, "OrderFilled")
        assert (sold.role, sold.parent) == ("take_profit", entry)
        await until(lambda: _agree(oms, simulator), "book and broker to agree")
        assert oms.book.position("AAPL", "alpha") == 0
        assert oms.book.open_count() == 0
        assert oms.book.orders[exits["stop_loss"]].status == "canceled"
        assert not oms.book.reserved()


async def test_a_canceled_exit_is_told_and_a_new_pair_ends_it(
    simulator: Simulator, md_url: str, orders_url: str
) -> None:
    async with traded(simulator, md_url, orders_url) as (oms, algo):
        price = price_now(simulator)
        entry = await algo.order(1, bracket(price))
        await until(lambda: len(oms.book.orders) == 3 and oms.book.position("AAPL") == 10, "the bracket")
        await algo.cancel((await exits_of(algo, entry))["stop_loss"])
        await until(lambda: oms.book.open_count() == 0, "the exits to be canceled")
        await until(lambda: bool(oms.oms.engine.state.unprotected), "the position to be told")
        (told,) = [one for one in await algo.events() if type(one).__name__ == "PositionUnprotected"]
        assert (told.symbol, told.quantity, told.client_order_id) == ("AAPL", 10, entry)
        wide = bracket(price)
        pair = OrderTerms(
            symbol="AAPL",
            side="sell",
            type="limit",
            quantity=Decimal(10),
            order_class="oco",
            limit_price=wide.take_profit,
            stop_loss=wide.stop_loss,
            stop_loss_limit=wide.stop_loss,
        )
        oco = await algo.order(2, pair)
        await until(lambda: not oms.oms.engine.state.unprotected, "the position to be protected again")
        assert (oms.book.pending("AAPL", "sell"), oms.book.open_count()) == (10, 1)
        assert await exits_of(algo, oco)
        await until(lambda: _agree(oms, simulator), "book and broker to agree")


async def test_a_trailing_stop_and_a_wider_one_in_its_place(
    simulator: Simulator, md_url: str, orders_url: str
) -> None:
    async with traded(simulator, md_url, orders_url) as (oms, algo):
        terms = OrderTerms(
            symbol="AAPL",
            side="buy",
            type="trailing_stop",
            quantity=Decimal(10),
            trail_percent=Decimal(2),
        )
        order_id = await algo.order(1, terms)
        await algo.told(order_id, "OrderSent")
        order = oms.book.orders[order_id]
        assert order.reserve_price > price_now(simulator) * Decimal("1.02")
        new = await algo.replace(order_id, "wider", replace(terms, trail_percent=Decimal(3)))
        await algo.told(new, "OrderSent")
        assert oms.book.orders[new].working.trail_percent == 3
        at_broker = next(one for one in simulator.trading_client().get_orders() if one.client_order_id == new)
        assert float(at_broker.trail_percent) == 3
        await until(lambda: _agree(oms, simulator), "book and broker to agree")
