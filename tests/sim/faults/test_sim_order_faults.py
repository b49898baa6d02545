"""Faults of orders, of their updates and of the market, seen by unmodified alpaca-py clients and streams."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import requests
from alpaca.data.live.stock import StockDataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.models import Order, TradeUpdate
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest, ReplaceOrderRequest
from alpaca.trading.stream import TradingStream
from simulator import ROOT, Simulator, running
from waiting import until

pytestmark = pytest.mark.usefixtures("no_faults")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    arguments = ("--requests-per-minute", "100000", "--partial-chance", "0", "--rate", "400")
    with Simulator.start(*arguments, "--symbols", "AAPL,BTC/USD") as started:
        yield started
        assert started.errors == ""


@pytest.fixture
async def heard(simulator: Simulator) -> AsyncIterator[list[TradeUpdate]]:
    """What an unmodified TradingStream hears, parsed."""
    updates: list[TradeUpdate] = []
    stream = TradingStream(simulator.key, simulator.secret, url_override=simulator.trading_stream_url)

    async def on(update: TradeUpdate) -> None:
        updates.append(update)

    stream.subscribe_trade_updates(on)
    async with running(stream):
        await until(lambda: bool(simulator.state()["listening"]), "the stream listens")
        yield updates
    await until(lambda: simulator.state()["clients"]["trade_updates"] == 0, "the stream is gone")


async def submit(client: TradingClient, limit_price: float | None = None) -> Order:
    fields: dict[str, Any] = {"symbol": "AAPL", "qty": 1, "side": "buy", "time_in_force": "day"}
    request: Any = MarketOrderRequest(**fields)
    if limit_price is not None:
        request = LimitOrderRequest(limit_price=limit_price, **fields)
    order = await asyncio.to_thread(client.submit_order, request)
    assert isinstance(order, Order)
    return order


def events(heard: list[TradeUpdate]) -> list[str]:
    return [update.event if isinstance(update.event, str) else update.event.value for update in heard]


def status(client: TradingClient, order: Order) -> str:
    found = client.get_order_by_id(order.id)
    assert isinstance(found, Order)
    return found.status.value


async def test_an_order_is_taken_and_then_rejected(
    simulator: Simulator, client: TradingClient, heard: list[TradeUpdate]
) -> None:
    simulator.fault("reject_order")
    order = await submit(client)
    assert order.status == "pending_new"
    await until(lambda: events(heard) == ["rejected"], "the rejection")
    assert heard[0].order.failed_at is not None
    assert status(client, order) == "rejected"
    await submit(client)
    await until(lambda: events(heard)[1:] == ["new", "fill"], "the next order is filled")


async def test_a_cancel_is_answered_and_then_refused(
    simulator: Simulator, client: TradingClient, heard: list[TradeUpdate]
) -> None:
    order = await submit(client, limit_price=1)
    simulator.fault("reject_cancel")
    await asyncio.to_thread(client.cancel_order_by_id, order.id)
    await until(lambda: events(heard) == ["new", "order_cancel_rejected"], "the refusal")
    assert status(client, order) == "new"
    await asyncio.to_thread(client.cancel_order_by_id, order.id)
    await until(lambda: events(heard)[2:] == ["canceled"], "the second cancel")


async def test_a_replacement_is_answered_and_then_refused(
    simulator: Simulator, client: TradingClient, heard: list[TradeUpdate]
) -> None:
    order = await submit(client, limit_price=1)
    simulator.fault("reject_replace")
    new = await asyncio.to_thread(client.replace_order_by_id, order.id, ReplaceOrderRequest(limit_price=2))
    assert isinstance(new, Order)
    assert (new.status, new.replaces) == ("pending_new", order.id)
    await until(lambda: events(heard) == ["new", "order_replace_rejected", "rejected"], "the refusals")
    assert (status(client, order), status(client, new)) == ("new", "rejected")
    assert new.id not in {one.id for one in client.get_orders() if isinstance(one, Order)}
    await asyncio.to_thread(client.cancel_order_by_id, order.id)


@pytest.mark.parametrize("state", ["suspended", "stopped", "done_for_day", "calculated"])
async def test_an_order_is_held_back_and_works_later(
    simulator: Simulator, client: TradingClient, heard: list[TradeUpdate], state: str
) -> None:
    simulator.fault("hold_order", state=state, ms=150)
    order = await submit(client)
    await until(lambda: events(heard) == ["new", state], "it is held back")
    assert status(client, order) == state
    assert order.id in {one.id for one in client.get_orders() if isinstance(one, Order)}
    await until(lambda: events(heard)[2:] == ["restated", "fill"], "it works again")


async def test_an_order_that_is_held_back_can_be_canceled(
    simulator: Simulator, client: TradingClient, heard: list[TradeUpdate]
) -> None:
    simulator.fault("hold_order", state="suspended", ms=100)
    order = await submit(client)
    await asyncio.to_thread(client.cancel_order_by_id, order.id)
    await until(lambda: events(heard) == ["new", "suspended", "canceled"], "it is canceled")
    simulator.clear_faults()
    await submit(client)
    await until(lambda: events(heard)[3:] == ["new", "fill"], "the next one fills")


async def test_the_chance_of_partial_fills_changes_while_it_runs(
    simulator: Simulator, client: TradingClient, heard: list[TradeUpdate]
) -> None:
    simulator.fault("partial_fills", chance=1)
    fields: dict[str, Any] = {"symbol": "AAPL", "qty": 50, "side": "buy", "time_in_force": "day"}
    request = MarketOrderRequest(**fields)
    await asyncio.to_thread(client.submit_order, request)
    await until(lambda: "partial_fill" in events(heard), "it fills in part")
    simulator.clear_faults()
    await until(lambda: "fill" in events(heard), "it is filled")
    count = len(heard)
    await asyncio.to_thread(client.submit_order, request)
    await until(lambda: events(heard)[count:] == ["new", "fill"], "the next fills at once")


async def test_an_unknown_status_is_lost_on_alpacas_parsed_stream(
    simulator: Simulator, client: TradingClient, heard: list[TradeUpdate]
) -> None:
    simulator.fault("unknown_status", count=1)
    order = await submit(client)
    await until(lambda: events(heard) == ["fill"], "only what it knows arrives")
    assert heard[0].order.id == order.id


async def test_an_unknown_event_arrives_with_an_order_that_is_true(
    simulator: Simulator, client: TradingClient, heard: list[TradeUpdate]
) -> None:
    simulator.fault("unknown_event", count=1)
    await submit(client)
    await until(lambda: events(heard) == ["order_rerouted", "fill"], "both arrive")
    assert heard[0].order.status == "new"


async def test_lost_updates_leave_a_gap_that_rest_fills(
    simulator: Simulator, client: TradingClient, heard: list[TradeUpdate]
) -> None:
    simulator.fault("lost_updates", count=2)
    lost = await submit(client)
    await until(lambda: status(client, lost) == "filled", "it fills in silence")
    told = await submit(client)
    await until(lambda: events(heard) == ["new", "fill"], "the next is told")
    assert {update.order.id for update in heard} == {told.id}


async def test_late_updates_come_after_all(
    simulator: Simulator, client: TradingClient, heard: list[TradeUpdate]
) -> None:
    simulator.fault("late_updates", ms=300)
    order = await submit(client)
    await until(lambda: status(client, order) == "filled", "it is filled")
    assert events(heard) == []
    await until(lambda: events(heard) == ["new", "fill"], "they arrive")


async def test_the_market_jumps_halts_errs_and_corrects_itself(
    simulator: Simulator, client: TradingClient
) -> None:
    seen: dict[str, list[Any]] = {name: [] for name in ("t", "q", "s", "c", "x")}

    def keep(name: str) -> Callable[[Any], Any]:
        async def on(message: Any) -> None:
            seen[name].append(message)

        return on

    stream = StockDataStream(simulator.key, simulator.secret, url_override=simulator.stocks_stream_url)
    stream.subscribe_trades(keep("t"), "AAPL")
    stream.subscribe_quotes(keep("q"), "AAPL")
    stream.subscribe_trading_statuses(keep("s"), "AAPL")
    stream.register_trade_corrections(keep("c"))
    stream.register_trade_cancels(keep("x"))
    async with running(stream):
        await until(lambda: len(seen["q"]) > 5 and len(seen["t"]) > 5, "the market plays")
        calm = seen["t"][-1].price
        simulator.fault("price_jump", symbol="AAPL", percent=50)
        await until(lambda: seen["t"][-1].price > calm * 1.4, "it jumps")
        simulator.fault("bad_quote", symbol="AAPL", quote="crossed")
        await until(lambda: any(one.bid_price > one.ask_price for one in seen["q"]), "a crossed quote")
        simulator.fault("bad_quote", symbol="AAPL", quote="zero")
        await until(lambda: any(one.bid_price == one.ask_price == 0 for one in seen["q"]), "an empty quote")
        simulator.fault("bad_quote", symbol="AAPL", quote="stale")
        times = seen["q"]
        await until(
            lambda: any((b.timestamp - a.timestamp).total_seconds() < -30 for a, b in pairwise(times)),
            "a stale quote",
        )
        simulator.fault("correct_trade", symbol="AAPL", size=7)
        await until(lambda: [one.corrected_size for one in seen["c"]] == [7], "a correction")
        simulator.fault("cancel_trade", symbol="AAPL")
        await until(lambda: len(seen["x"]) == 1, "a cancel")
        simulator.fault("halt", symbol="AAPL", seconds=0.5)
        await until(lambda: len(seen["s"]) == 1, "a halt")
        waiting = await submit(client)
        await until(lambda: status(client, waiting) == "new", "the order waits")
        await until(lambda: len(seen["s"]) > 1, "trading resumes")
        await until(lambda: status(client, waiting) == "filled", "the order is filled")


@pytest.mark.parametrize("name", ["price_jump", "bad_quote", "halt", "cancel_trade"])
def test_a_symbol_that_is_not_played_is_named(simulator: Simulator, name: str) -> None:
    example = next(kind["example"] for kind in simulator.faults() if kind["name"] == name)
    answer = requests.post(f"{simulator.control_url}/faults", json=example | {"symbol": "ZZZZ"}, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("symbol is 'ZZZZ'")


def test_streams_of_events_end_and_go_on_where_they_ended(
    simulator: Simulator, client: TradingClient
) -> None:
    url = f"{simulator.trading_url}/v2/events/trades"
    headers = client._get_auth_headers()

    def told(count: int | None, **query: str) -> list[dict[str, Any]]:
        """So many events, or all until the stream ends."""
        heard: list[dict[str, Any]] = []
        with requests.get(url, headers=headers, params=query, stream=True, timeout=10) as response:
            if count is None:
                simulator.fault("end_events")
            else:
                simulator.trade("AAPL", "buy", "1")
            for line in response.iter_lines(chunk_size=1):
                if line.startswith(b"data: "):
                    heard.append(json.loads(line.removeprefix(b"data: ")))
                    if len(heard) == count:
                        break
        return heard

    before = told(2)
    assert told(None) == []
    simulator.trade("AAPL", "sell", "1")
    missed = told(4, since_id=before[-1]["event_id"])
    assert [event["event"] for event in missed] == ["new", "fill", "new", "fill"]
    assert missed[0]["order"]["side"] == "sell"


def test_a_fault_of_the_command_line_that_cannot_be_ends_the_run_with_a_sentence() -> None:
    for arguments, words in (
        (["--fault", "halt:symbol=ZZZZ"], "--fault: symbol is 'ZZZZ'"),
        (["--fault", "mute:stream=stocks,account=2"], "--fault: account is unknown; allowed:"),
        (["--symbols", "BTC/USD", "--chaos", "1", "--chaos-faults", "halt"], "--chaos-faults: halt"),
    ):
        command = [sys.executable, "-m", "sim", "--json", *arguments]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
        assert words in ended.stderr
