"""Trade updates and faults, under an unmodified alpaca-py TradingStream and under plain clients."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, TimeInForce
from alpaca.trading.models import Order, TradeUpdate
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest, ReplaceOrderRequest
from alpaca.trading.stream import TradingStream
from simulator import Simulator, running
from waiting import until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

pytestmark = pytest.mark.usefixtures("no_faults")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start("--requests-per-minute", "100000", "--partial-chance", "0") as started:
        yield started


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[TradingClient]:
    made = simulator.trading_client()
    made._retry_wait = 0
    yield made
    made._session.close()


@pytest.fixture
async def updates(simulator: Simulator) -> AsyncIterator[list[dict[str, Any]]]:
    """What an unmodified TradingStream hears, raw."""
    heard: list[dict[str, Any]] = []
    stream = TradingStream(
        simulator.key, simulator.secret, raw_data=True, url_override=simulator.trading_stream_url
    )

    async def on(message: dict[str, Any]) -> None:
        heard.append(message["data"])

    stream.subscribe_trade_updates(on)
    async with running(stream):
        await until(lambda: bool(simulator.state()["listening"]), "the stream listens")
        yield heard
    await until(lambda: simulator.state()["clients"]["trade_updates"] == 0, "the stream is gone")


async def submit(client: TradingClient, **fields: Any) -> Order:
    request = {"symbol": "AAPL", "qty": 1, "side": OrderSide.BUY, "time_in_force": TimeInForce.DAY, **fields}
    kind = LimitOrderRequest if "limit_price" in fields else MarketOrderRequest
    order = await asyncio.to_thread(client.submit_order, kind(**request))
    assert isinstance(order, Order)
    return order


def events(heard: list[dict[str, Any]]) -> list[str]:
    return [update["event"] for update in heard]


async def test_a_fill_is_told_as_alpaca_tells_it(
    simulator: Simulator, client: TradingClient, updates: list[dict[str, Any]]
) -> None:
    order = await submit(client, qty=2)
    await until(lambda: len(updates) == 2, "new and fill")
    new, fill = updates
    assert (new["event"], fill["event"]) == ("new", "fill")
    assert "price" not in new
    assert fill["order"]["status"] == "filled"
    assert fill["qty"] == "2"
    last = simulator.ledger()["fills"][-1]
    assert (last["order_id"], last["id"]) == (str(order.id), fill["execution_id"])
    assert (last["price"], last["qty"]) == (fill["price"], fill["qty"])
    assert fill["position_qty"] == simulator.ledger()["positions"]["AAPL"]
    parsed = TradeUpdate(**fill)
    assert parsed.order.filled_avg_price == fill["price"]


async def test_cancel_and_replace_are_told(client: TradingClient, updates: list[dict[str, Any]]) -> None:
    first = await submit(client, limit_price=1)
    second = await asyncio.to_thread(client.replace_order_by_id, first.id, ReplaceOrderRequest(limit_price=2))
    assert isinstance(second, Order)
    await until(lambda: len(updates) == 3, "new, replaced, new")
    await asyncio.to_thread(client.cancel_order_by_id, second.id)
    await until(lambda: len(updates) == 4, "canceled")
    assert events(updates) == ["new", "replaced", "new", "canceled"]
    assert updates[1]["order"]["replaced_by"] == updates[2]["order"]["id"] == str(second.id)
    assert updates[3]["order"]["canceled_at"] is not None
    assert len({update["execution_id"] for update in updates}) == 4


async def test_partial_fills_add_up_without_new_quotes() -> None:
    with Simulator.start("--partial-chance", "0.8") as torn:
        client = torn.trading_client()
        order = await submit(client, qty=1000)

        def now() -> Order:
            found = client.get_order_by_id(order.id)
            assert isinstance(found, Order)
            return found

        await until(lambda: now().status == OrderStatus.FILLED, "the order is filled")
        fills = [int(fill["qty"]) for fill in torn.ledger()["fills"]]
        client._session.close()
    assert sum(fills) == 1000
    assert len(fills) > 1


async def test_frames_are_binary_json_and_the_second_listener_gets_429(simulator: Simulator) -> None:
    async with connect(simulator.trading_stream_url) as socket:
        keys = {"key_id": simulator.key, "secret_key": "wrong"}
        for secret, status in (("wrong", "unauthorized"), (simulator.secret, "authorized")):
            keys["secret_key"] = secret
            await socket.send(json.dumps({"action": "authenticate", "data": keys}))
            frame = await socket.recv()
            assert isinstance(frame, bytes)
            expected = {"status": status, "action": "authenticate"}
            assert json.loads(frame) == {"stream": "authorization", "data": expected}
        await socket.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        assert json.loads(await socket.recv()) == {
            "stream": "listening", "data": {"streams": ["trade_updates"]},
        }  # fmt: skip
        with pytest.raises(InvalidStatus) as error:
            await connect(simulator.trading_stream_url)
        assert error.value.response.status_code == 429
    await until(lambda: simulator.state()["clients"]["trade_updates"] == 0, "the listener is gone")


async def test_a_trade_by_hand_is_seen_everywhere(
    simulator: Simulator, client: TradingClient, updates: list[dict[str, Any]]
) -> None:
    held = float(simulator.ledger()["positions"].get("TSLA", "0"))
    order = simulator.trade("TSLA", "buy", "3", price="12.34")
    assert (order["status"], order["filled_avg_price"]) == ("filled", "12.34")
    await until(lambda: events(updates) == ["new", "fill"], "the trade is told")
    assert updates[1]["order"]["id"] == order["id"]
    assert float(simulator.ledger()["positions"]["TSLA"]) == held + 3
    for wrong in ({"symbol": "ZZZZQX"}, {"side": "hold"}, {"qty": "0"}, {"price": "NaN"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            simulator.trade(**{"symbol": "TSLA", "side": "buy", "qty": "1", **wrong})


def test_every_fault_is_listed_with_an_example_that_works(simulator: Simulator) -> None:
    url = f"{simulator.control_url}/faults"
    for kind in simulator.faults():
        assert requests.post(url, json=kind["example"], timeout=10).status_code == 200, kind
    wrong = requests.post(url, json={"fault": "mute", "stream": "x"}, timeout=10)
    assert wrong.status_code == 400
    streams = "stocks, crypto, options, news, test, trade_updates"
    assert wrong.json()["message"] == f"stream is 'x'; allowed: {streams}"


async def test_a_504_hides_an_order_that_lives(simulator: Simulator, client: TradingClient) -> None:
    simulator.fault("accept_then_504", count=1)
    with pytest.raises(APIError) as error:  # alpaca-py asks again by itself, and meets its own order
        await submit(client, client_order_id="hidden")
    assert (error.value.status_code, error.value.code) == (422, 40010001)
    found = client.get_order_by_client_id("hidden")
    assert isinstance(found, Order)


async def test_a_500_means_no_order(simulator: Simulator, client: TradingClient) -> None:
    simulator.fault("error_500", count=1)
    with pytest.raises(APIError) as error:
        await submit(client, client_order_id="never")
    assert error.value.status_code == 500
    with pytest.raises(APIError):
        client.get_order_by_client_id("never")
    assert (await submit(client, client_order_id="never")).client_order_id == "never"


async def test_a_burst_of_429_passes(simulator: Simulator, client: TradingClient) -> None:
    simulator.fault("rate_limit", count=4)
    with pytest.raises(APIError) as error:
        await asyncio.to_thread(client.get_account)
    assert error.value.status_code == 429
    assert client.get_account().cash


@pytest.mark.parametrize("moment", ["request", "response"])
async def test_latency_delays_answers(simulator: Simulator, client: TradingClient, moment: str) -> None:
    simulator.fault("latency", ms=150, at=moment)
    began = time.monotonic()
    await asyncio.to_thread(client.get_clock)
    assert time.monotonic() - began >= 0.15


async def test_updates_are_duplicated(
    simulator: Simulator, client: TradingClient, updates: list[dict[str, Any]]
) -> None:
    simulator.fault("duplicate_updates")
    await submit(client)
    await until(lambda: len(updates) == 4, "everything twice")
    assert events(updates) == ["new", "new", "fill", "fill"]
    assert updates[2] == updates[3]


async def test_updates_change_places(
    simulator: Simulator, client: TradingClient, updates: list[dict[str, Any]]
) -> None:
    simulator.fault("out_of_order_updates")
    await submit(client)
    await until(lambda: len(updates) == 2, "both updates")
    assert events(updates) == ["fill", "new"]


async def test_a_lone_update_does_not_wait_for_ever_to_change_places(
    simulator: Simulator, client: TradingClient, updates: list[dict[str, Any]]
) -> None:
    simulator.fault("out_of_order_updates")
    await submit(client, limit_price=1)
    await until(lambda: events(updates) == ["new"], "the lone update")


async def test_an_update_can_beat_the_answer(
    simulator: Simulator, client: TradingClient, updates: list[dict[str, Any]]
) -> None:
    simulator.fault("update_before_response")
    order = await submit(client)
    # The answer came through a thread: what was heard before it is here already.
    assert events(updates) == ["new", "fill"]
    assert order.status == OrderStatus.PENDING_NEW


async def test_the_updates_stream_can_be_cut_and_refused_for_a_while(
    simulator: Simulator, client: TradingClient, updates: list[dict[str, Any]]
) -> None:
    simulator.fault("disconnect", stream="trade_updates", seconds=0.5)
    await until(lambda: simulator.state()["clients"]["trade_updates"] == 0, "the stream is cut")
    with pytest.raises(InvalidStatus) as error:
        await connect(simulator.trading_stream_url)
    assert error.value.response.status_code == 503
    await submit(client)
    await until(lambda: bool(simulator.state()["listening"]), "alpaca-py came back")
    assert updates == []
    await submit(client)
    await until(lambda: events(updates) == ["new", "fill"], "updates flow again")


async def test_a_muted_stream_stays_connected_and_loses_what_it_had_to_say(
    simulator: Simulator, client: TradingClient, updates: list[dict[str, Any]]
) -> None:
    simulator.fault("mute", stream="trade_updates")
    quiet = await submit(client)

    def status() -> object:
        found = client.get_order_by_id(quiet.id)
        assert isinstance(found, Order)
        return found.status

    await until(lambda: status() == OrderStatus.FILLED, "the order fills in silence")
    simulator.clear_faults()
    loud = await submit(client)
    await until(lambda: events(updates) == ["new", "fill"], "updates flow again")
    assert {update["order"]["id"] for update in updates} == {str(loud.id)}


def test_pending_new_is_an_update_where_that_is_asked_for() -> None:
    start = "2026-01-05T15:00:00Z"
    with Simulator.start("--virtual-time", "--start", start, "--pending-new-updates") as one:
        client = one.trading_client()
        client.submit_order(
            LimitOrderRequest(
                symbol="AAPL", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, limit_price=1
            )
        )
        one.advance(2)
        heard = client._session.get(
            f"{one.trading_url}/v2/events/trades",
            params={"since": start, "until": "2026-01-05T15:00:01Z"},
            headers={"APCA-API-KEY-ID": one.key, "APCA-API-SECRET-KEY": one.secret},
            timeout=5,
        ).text
        client._session.close()
    told = [json.loads(line[5:]) for line in heard.splitlines() if line.startswith("data:")]
    assert [(update["event"], update["order"]["status"]) for update in told] == [
        ("pending_new", "pending_new"),
        ("new", "new"),
    ]
