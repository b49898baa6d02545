"""Faults of REST requests, as an unmodified alpaca-py TradingClient and a plain socket see them."""

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import MarketOrderRequest, ReplaceOrderRequest
from simulator import Simulator

pytestmark = pytest.mark.usefixtures("no_faults")

ARGUMENTS = ("--requests-per-minute", "100000", "--partial-chance", "0", "--accounts", "2", "--rate", "20")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start(*ARGUMENTS, "--fault", "rate_limit:count=1,api=data") as started:
        yield started
        assert started.errors == ""


@pytest.fixture
def client(simulator: Simulator) -> Iterator[TradingClient]:
    made = simulator.trading_client()
    made._retry_wait = 0
    yield made
    made._session.close()


def submit(client: TradingClient, client_order_id: str) -> Order:
    request = MarketOrderRequest(
        symbol="AAPL",
        qty=1,
        side=OrderSide.BUY,
        time_in_force=TimeInForce.DAY,
        client_order_id=client_order_id,
    )
    order = client.submit_order(request)
    assert isinstance(order, Order)
    return order


def lives(client: TradingClient, client_order_id: str) -> bool:
    orders: Any = client.get("/orders", {"status": "all", "limit": 500})
    return any(order["client_order_id"] == client_order_id for order in orders)


def struck(simulator: Simulator, name: str) -> int:
    found: int = next(kind["struck"] for kind in simulator.faults() if kind["name"] == name)
    return found


def test_a_fault_of_the_command_line_is_on_from_the_start(simulator: Simulator) -> None:
    data = simulator.stock_data_client()
    url = f"{simulator.data_url}/v2/stocks/quotes/latest?symbols=AAPL"
    answers = [requests.get(url, headers=data._get_auth_headers(), timeout=10) for _ in range(2)]
    data._session.close()
    assert [answer.status_code for answer in answers] == [429, 200]
    assert int(answers[0].headers["X-RateLimit-Remaining"]) == 0
    assert int(answers[0].headers["X-RateLimit-Reset"]) >= time.time() - 1


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("accepted", [True, False])
def test_an_error_hides_whether_the_order_was_taken(
    simulator: Simulator, client: TradingClient, status: int, accepted: bool
) -> None:
    name = f"error {status} {accepted}"
    before = struck(simulator, "http_error")
    simulator.fault("http_error", status=status, accepted=accepted)
    with pytest.raises(APIError) as error:
        submit(client, name)
    assert error.value.status_code == status
    assert error.value.code == status * 100_000 + 10_000
    assert lives(client, name) == accepted
    assert struck(simulator, "http_error") == before + 1


def test_an_error_of_a_proxy_has_a_body_of_html(simulator: Simulator, client: TradingClient) -> None:
    simulator.fault("http_error", status=502, html=True, on="trading")
    with pytest.raises(APIError) as error:
        client.get_account()
    assert error.value.status_code == 502
    with pytest.raises(json.JSONDecodeError):
        _ = error.value.code


@pytest.mark.parametrize("accepted", [True, False])
def test_a_reset_hides_whether_the_order_was_taken(
    simulator: Simulator, client: TradingClient, accepted: bool
) -> None:
    simulator.fault("reset", accepted=accepted)
    with pytest.raises(requests.ConnectionError):
        submit(client, f"reset {accepted}")
    assert lives(client, f"reset {accepted}") == accepted


def test_an_answer_breaks_off_in_the_middle(simulator: Simulator, client: TradingClient) -> None:
    simulator.fault("truncated")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        submit(client, "truncated")
    assert lives(client, "truncated")


def test_an_answer_drips_and_the_order_lives(simulator: Simulator, client: TradingClient) -> None:
    """Each byte comes in time, and so no timeout of a read ends it."""
    assert submit(client, "whole").qty == "1"
    simulator.fault("drip", ms=1)
    assert submit(client, "dripped").qty == "1"
    assert lives(client, "dripped")
    simulator.fault("drip", ms=1, on="cancel")
    with pytest.raises(APIError, match="not"):
        client.cancel_order_by_id("00000000-0000-4000-8000-000000000000")


def test_connections_are_refused_and_taken_again_at_the_same_address(
    simulator: Simulator, client: TradingClient
) -> None:
    """Also where one was open: it ends, and another cannot be made."""
    submit(client, "before")
    simulator.fault("refuse_connections")
    # The request may still go out on the one that was open, and be cut off with it.
    with pytest.raises(requests.ConnectionError, match=r"refused|aborted"):
        submit(client, "refused")
    simulator.clear_faults()
    submit(client, "after")
    assert not lives(client, "refused")
    simulator.fault("refuse_connections", seconds=0.2)
    simulator.wait_until(lambda: _connects(simulator), "connections to be taken again")
    assert struck(simulator, "refuse_connections") == 2


def _connects(simulator: Simulator) -> bool:
    parts = urlsplit(simulator.trading_url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_request_hangs_and_the_order_lives(simulator: Simulator, client: TradingClient) -> None:
    simulator.fault("hang", ms=600)
    began = time.monotonic()
    waiting = threading.Thread(target=submit, args=(client, "hung"))
    waiting.start()
    other = simulator.trading_client()
    while not lives(other, "hung"):
        assert time.monotonic() - began < 0.6
    other._session.close()
    waiting.join()
    assert time.monotonic() - began >= 0.6


def test_a_hung_request_that_was_never_carried_out_ends_in_a_reset(
    simulator: Simulator, client: TradingClient
) -> None:
    simulator.fault("hang", ms=100, accepted=False)
    with pytest.raises(requests.ConnectionError):
        submit(client, "lost")
    assert not lives(client, "lost")


def test_cancels_and_replaces_have_faults_of_their_own(simulator: Simulator, client: TradingClient) -> None:
    simulator.fault("http_error", status=503, on="replace")
    simulator.fault("reset", on="cancel", accepted=True)
    request = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "limit", "time_in_force": "day"}
    resting: Any = client.post("/orders", {**request, "limit_price": 1})
    with pytest.raises(APIError) as error:
        client.replace_order_by_id(resting["id"], ReplaceOrderRequest(limit_price=2))
    assert error.value.status_code == 503
    with pytest.raises(requests.ConnectionError):
        client.cancel_order_by_id(resting["id"])
    found: Any = client.get_order_by_id(resting["id"])
    assert found.status == "canceled"


def test_a_fault_of_one_account_spares_the_other(simulator: Simulator, client: TradingClient) -> None:
    other: Any = json.loads(json.dumps(simulator.urls))["accounts"][1]
    spared = TradingClient(other["key"], other["secret"], url_override=simulator.trading_url)
    simulator.fault("error_500", count=2, account=1)
    assert submit(spared, "spared").client_order_id == "spared"
    spared._session.close()
    with pytest.raises(APIError):
        submit(client, "not spared")


def test_a_reset_is_a_reset_on_the_wire(simulator: Simulator) -> None:
    simulator.fault("reset", on="trading")
    address = urlsplit(simulator.trading_url)
    with socket.create_connection((address.hostname, address.port or 0), timeout=10) as plain:
        keys = f"APCA-API-KEY-ID: {simulator.key}\r\nAPCA-API-SECRET-KEY: {simulator.secret}\r\n"
        plain.sendall(f"GET /v2/account HTTP/1.1\r\nHost: here\r\n{keys}\r\n".encode())
        with pytest.raises(ConnectionResetError):
            plain.recv(1000)


def test_faults_end_by_name_and_say_what_they_may_be(simulator: Simulator) -> None:
    url = f"{simulator.control_url}/faults"
    simulator.fault("latency", ms=1)
    simulator.fault("error_500", count=3)
    listed = requests.get(url, timeout=10).json()
    latency = next(kind for kind in listed["faults"] if kind["name"] == "latency")
    assert latency["optional"]["at"] == "request"
    assert latency["allowed"]["at"] == "request, response"
    assert listed["active"] == ["error_500", "latency"]
    assert {one["fault"]: one["left"] for one in listed["on"]} == {"error_500": 3, "latency": None}
    assert requests.delete(f"{url}/latency", timeout=10).json() == {"active": ["error_500"]}
    assert requests.delete(f"{url}/earthquake", timeout=10).status_code == 400
    with pytest.raises(ValueError, match="account is unknown"):
        simulator.fault("error_500", account="nobody")


def test_a_hung_request_does_not_keep_the_simulator_from_ending() -> None:
    with Simulator.start("--fault", "hang:on=trading") as simulator:
        client = simulator.trading_client()

        def ask() -> None:
            with pytest.raises(requests.ConnectionError):
                client.get_account()

        asking = threading.Thread(target=ask)
        asking.start()
        simulator.wait_until(lambda: struck(simulator, "hang") == 1, "the request hangs")
        simulator.process.send_signal(signal.SIGTERM)
        assert simulator.process.wait(8) == 0
        asking.join()
        client._session.close()
        assert simulator.errors == ""
