"""From the simulator's tape through ingest and the OMS to fills, compared with the simulator's ledger."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from alpaca.trading.requests import LimitOrderRequest
from ingest_run import running as ingesting
from ingest_run import settings_for
from oms_run import Trader, limit_order, limits_with, market_order, running, trading
from simulated_trading import held, priced, traded, trades
from simulator import Simulator
from waiting import until

from bus import streams
from bus.clock import SystemClock
from oms.broker.alpaca_broker import AlpacaBroker
from oms.prices.prices import Prices
from oms.prices.reference_price import Price

pytestmark = pytest.mark.e2e


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator whose every fourth fill is partial."""
    with Simulator.start("--symbols", "AAPL,MSFT", "--partial-chance", "0.25") as started:
        yield started


@pytest.mark.parametrize(
    "fault", [None, "duplicate_updates", "out_of_order_updates", "update_before_response"]
)
async def test_the_book_agrees_with_the_ledger(
    simulator: Simulator, md_url: str, orders_url: str, fault: str | None
) -> None:
    broker = AlpacaBroker(simulator.key, simulator.secret, SystemClock(), url=simulator.trading_url)
    if fault is not None:
        simulator.fault(fault)
    async with (
        ingesting(settings_for(simulator, md_url, orders_url)) as ingest,
        ingest.wanting("alpha", trades=["AAPL", "MSFT"]),
        running(md_url, orders_url, broker, limits=limits_with(price_age_seconds=20)) as oms,
        trading(orders_url) as algo,
    ):
        await until(lambda: bool(ingest.subscribed().get("trades")), "the subscription")
        await until(lambda: priced(oms.market), "a price of each symbol")
        ids = []
        for side, symbol in (("buy", "AAPL"), ("buy", "MSFT"), ("sell", "AAPL"), ("buy", "AAPL")):
            ids.append(await algo.order(len(ids), market_order("7", side, symbol)))
            # One after the other: the broker refuses to sell what is not yet bought.
            await until(lambda: _ended(algo, ids), "the order to be filled")
        resting = await algo.order("resting", limit_order("1", "3"))
        for order_id in (*ids, resting):
            await algo.told(order_id, "OrderSent")
        await algo.cancel(resting)
        simulator.trade("AAPL", "buy", "2")

        await until(lambda: _ended(algo, [*ids, resting]), "every order to end")
        await until(lambda: oms.book.position("AAPL") == held(simulator, "AAPL"), "the trade made by hand")
        assert oms.book.position("MSFT") == held(simulator, "MSFT") == 7
        assert oms.book.position("AAPL", "alpha") == 7
        assert oms.book.position("AAPL", "external") == 2
        assert oms.book.cash() == Decimal(simulator.ledger()["cash"])
        assert oms.book.open_count() == 0


async def _ended(algo: Trader, ids: list[str]) -> bool:
    ended = {
        event.client_order_id
        for event in await algo.events()
        if getattr(event, "status", "") in ("filled", "canceled")
    }
    return set(ids) <= ended


async def test_a_stream_that_breaks_is_caught_up_with(
    simulator: Simulator, md_url: str, orders_url: str
) -> None:
    async with traded(simulator, md_url, orders_url) as (oms, algo):
        simulator.fault("mute", stream="trade_updates")
        order_id = await algo.order(1, market_order("7"))
        await algo.told(order_id, "OrderSent")
        simulator.wait_until(lambda: held(simulator, "AAPL") == 7, "the fill")
        simulator.clear_faults()
        simulator.fault("disconnect", stream="trade_updates")
        await algo.told(order_id, "OrderFilled")
        await until(lambda: oms.book.position("AAPL", "alpha") == 7, "the missed fill")
        assert oms.book.orders[order_id].status == "filled"


# Of replaces that were carried out.
LOST_ANSWERS: dict[str, dict[str, Any]] = {
    "http_error": {"status": 504, "accepted": True, "on": "replace"},
    "reset": {"accepted": True, "on": "replace"},
}


@pytest.mark.parametrize(
    "fault", [None, "http_error", "reset", "out_of_order_updates", "update_before_response"]
)
async def test_a_chain_of_replacements_buys_what_was_asked_for(
    simulator: Simulator, md_url: str, orders_url: str, fault: str | None
) -> None:
    """Each replace changes the price alone, of an order that is partly filled: 184 of 100 were bought so."""
    simulator.fault("partial_fills", chance=1)
    async with traded(simulator, md_url, orders_url) as (oms, algo):
        price = int(await _last_price(oms.market, "AAPL")) + 5
        chain = [await algo.order(0, limit_order(str(price), "100"))]
        await algo.told(chain[0], "OrderFilled")
        if fault is not None:
            simulator.fault(fault, **LOST_ANSWERS.get(fault, {}))
        for number in range(1, 4):
            wanted = limit_order(str(price - number % 2), "100")
            chain.append(await algo.replace(chain[-1], number, wanted))
            await until(lambda: _answered(algo, chain[-1]), "an answer to the replace")
        simulator.clear_faults()
        await until(lambda: held(simulator, "AAPL") == 100, "the chain to be filled")
        await until(lambda: oms.book.open_count() == 0, "the book to hear it")
        assert oms.book.position("AAPL", "alpha") == 100
        assert oms.book.pending("AAPL", "buy") == 0
        assert held(simulator, "AAPL") == 100


async def _answered(algo: Trader, order_id: str) -> bool:
    return any(
        type(event).__name__ in ("OrderSent", "OrderUpdated", "OrderRefused")
        for event in await algo.events(order_id)
    )


async def _last_price(market: Any, symbol: str) -> Decimal:
    return (await trades(market, symbol))[0]


async def test_a_working_order_made_by_hand_counts_beside_ours(
    simulator: Simulator, md_url: str, orders_url: str
) -> None:
    """One was there before the first start, another comes while we trade; both are the account's."""
    broker = AlpacaBroker(simulator.key, simulator.secret, SystemClock(), url=simulator.trading_url)
    by_hand = simulator.trading_client()
    by_hand.submit_order(
        LimitOrderRequest(symbol="AAPL", qty=6, side="buy", time_in_force="gtc", limit_price=1.5)
    )
    async with (
        ingesting(settings_for(simulator, md_url, orders_url)) as ingest,
        ingest.wanting("alpha", trades=["AAPL", "MSFT"]),
        running(
            md_url, orders_url, broker, limits=limits_with(position_quantity=20, price_age_seconds=20)
        ) as oms,
        trading(orders_url) as algo,
    ):
        assert oms.book.pending("AAPL", "buy", "external") == 6
        # An account that holds something may have been halted by somebody.
        await oms.resume()
        second = by_hand.submit_order(
            LimitOrderRequest(symbol="AAPL", qty=4, side="buy", time_in_force="day", limit_price=1.25)
        )
        await until(lambda: oms.book.pending("AAPL", "buy", "external") == 10, "the second order")
        await until(lambda: priced(oms.market), "a price of each symbol")
        refused = await algo.told(await algo.order(1, limit_order("1", "11")), "OrderRefused")
        assert "position_quantity" in [reason.code for reason in refused.reasons]
        await algo.told(await algo.order(2, limit_order("1", "10")), "OrderSent")
        by_hand.cancel_order_by_id(second.id)  # type: ignore[union-attr]
        await until(lambda: oms.book.pending("AAPL", "buy", "external") == 6, "the cancel")
        assert (oms.book.pending("AAPL", "buy"), oms.book.open_count()) == (16, 2)


async def test_a_fill_whose_update_is_lost_on_a_live_stream_is_found(
    simulator: Simulator, md_url: str, orders_url: str
) -> None:
    async with traded(simulator, md_url, orders_url, oms_compare_s=5) as (oms, algo):
        simulator.fault("lost_updates", count=100)
        order_id = await algo.order(1, market_order("7"))
        await algo.told(order_id, "OrderSent")
        await until(lambda: held(simulator, "AAPL") == 7, "the fill")
        await algo.told(order_id, "OrderFilled")
        await until(lambda: oms.book.position("AAPL", "alpha") == 7, "the missed fill")
        await until(lambda: oms.oms.engine.observed.agreed_ns > 0, "book and broker to agree")
        assert oms.counts["missed_updates"] == 1


async def test_a_halted_share_is_not_ordered_until_it_resumes(
    simulator: Simulator, md_url: str, orders_url: str
) -> None:
    broker = AlpacaBroker(simulator.key, simulator.secret, SystemClock(), url=simulator.trading_url)
    async with (
        ingesting(settings_for(simulator, md_url, orders_url)) as ingest,
        ingest.wanting("alpha", bars=["AAPL"]),
        running(md_url, orders_url, broker, limits=limits_with(price_age_seconds=20)) as oms,
        trading(orders_url) as algo,
    ):
        await until(lambda: "AAPL" in ingest.subscribed().get("statuses", []), "the OMS's wants")
        assert ingest.subscribed()["quotes"] == ingest.subscribed()["trades"] == ["AAPL"]
        simulator.fault("halt", symbol="AAPL")
        statuses = streams.market("AAPL", "statuses")
        await until(lambda: _holds(oms.market, statuses, b'"sc":"H"'), "the halt")
        refused = await algo.told(await algo.order(1, market_order("7")), "OrderRefused")
        assert [reason.code for reason in refused.reasons] == ["market_halted"]
        simulator.clear_faults()
        await until(lambda: _holds(oms.market, statuses, b'"sc":"T"'), "the resumption")
        await until(lambda: isinstance(oms.oms.prices.known.get("AAPL"), Price), "a price since")
        await algo.told(await algo.order(2, market_order("7")), "OrderSent")


async def _holds(market: Any, stream: str, text: bytes) -> bool:
    return any(text in fields[b"d"] for _, fields in await market.xrange(stream))


async def test_a_delayed_feed_is_stale(simulator: Simulator, md_url: str, orders_url: str) -> None:
    """Each entry was received just now, and tells what the market was a quarter of an hour ago."""
    simulator.fault("clock_skew", skew_ms=-900_000)
    # What is asked for has the right time, and would be a price of now.
    simulator.fault("http_error", status=500, on="data", count=100_000)
    async with traded(simulator, md_url, orders_url) as (_, algo):
        refused = await algo.told(await algo.order(1, market_order("7", symbol="MSFT")), "OrderRefused")
        (reason,) = refused.reasons
        assert reason.code == "stale_price"
        assert "[feed.iex] price_age_seconds" in reason.message
        assert int(reason.value) > 850_000
        assert refused.at_ns - refused.basis.price_received_ns < 20 * 10**9


async def test_a_symbol_in_which_nothing_happens_has_a_price_on_demand(md_url: str, orders_url: str) -> None:
    """Nobody has wanted the symbol before, and its streams are silent."""
    with Simulator.start("--symbols", "AAPL", "--rate", "0.01") as simulator:
        broker = AlpacaBroker(simulator.key, simulator.secret, SystemClock(), url=simulator.trading_url)
        async with (
            ingesting(settings_for(simulator, md_url, orders_url)),
            running(md_url, orders_url, broker, limits=limits_with(price_age_seconds=60)) as oms,
            trading(orders_url) as algo,
        ):
            # The harness writes a price by itself.
            await oms.market.delete(streams.market("AAPL", "trades"))
            refused = await algo.told(await algo.order(1, market_order("7")), "OrderRefused")
            assert [reason.code for reason in refused.reasons] == ["no_price"]
            await until(lambda: _written(oms.market, streams.market("AAPL", "snapshots")), "the snapshot")
            # Seconds after an order was asked for nobody reads on, until the next one is.
            await until(lambda: _priced(oms.oms.prices), "the price")
            await algo.told(await algo.order(2, market_order("7")), "OrderSent")
            assert not await oms.market.exists(streams.market("AAPL", "trades"))


async def _priced(prices: Prices) -> bool:
    return await prices.refresh(["AAPL"]) and isinstance(prices.known.get("AAPL"), Price)


async def _written(market: Any, stream: str) -> bool:
    return bool(await market.xlen(stream))
