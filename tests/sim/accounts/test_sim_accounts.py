"""Accounts of one simulator share nothing: what one does, owns or is told never reaches the other."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from raw_http import Answer, RawConnection, RawSocket
from simulator import Simulator

ORDER = {
    "symbol": "AAPL", "qty": "7", "side": "buy", "type": "limit", "time_in_force": "gtc", "limit_price": "1",
    "client_order_id": "the-same-name",
}  # fmt: skip
HEADERS = ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    arguments = ("--virtual-time", "--accounts", "2", "--rate", "5", "--requests-per-minute", "100")
    with Simulator.start(*arguments) as started:
        yield started
        assert started.errors == ""


class Client:
    """One account's requests."""

    def __init__(self, simulator: Simulator, number: int) -> None:
        accounts: Any = simulator.urls["accounts"]
        self.key: str = accounts[number]["key"]
        self.secret: str = accounts[number]["secret"]
        self.url = simulator.trading_url

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        with RawConnection(self.url) as wire:
            data = b"" if body is None else json.dumps(body).encode()
            return wire.request(method, path, dict(zip(HEADERS, (self.key, self.secret), strict=True)), data)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.json()


@pytest.fixture
def one(simulator: Simulator) -> Client:
    return Client(simulator, 0)


@pytest.fixture
def other(simulator: Simulator) -> Client:
    return Client(simulator, 1)


@pytest.fixture(autouse=True)
def a_minute_later(simulator: Simulator) -> Iterator[None]:
    yield
    simulator._ask("POST", "/clock", {"seconds": 61})


def test_an_order_is_unknown_to_the_other(one: Client, other: Client) -> None:
    made = one.ask("POST", "/v2/orders", ORDER).json()
    path = f"/v2/orders/{made['id']}"
    for method in ("GET", "PATCH", "DELETE"):
        assert other.ask(method, path, {"qty": "1"}).status == 404
    assert other.get("/v2/orders?status=all") == []
    assert other.ask("GET", "/v2/orders:by_client_order_id?client_order_id=the-same-name").status == 404
    assert other.ask("DELETE", "/v2/orders").json() == []
    # A client's id is its own: the other may use it too, and only once.
    assert [other.ask("POST", "/v2/orders", ORDER).status for _ in range(2)] == [200, 422]
    found = [
        client.get("/v2/orders:by_client_order_id?client_order_id=the-same-name") for client in (one, other)
    ]
    assert found[0]["id"] != found[1]["id"]
    assert one.get(path)["status"] in ("pending_new", "new")
    for client in (one, other):
        client.ask("DELETE", "/v2/orders")


def test_what_one_holds_changes_nothing_for_the_other(
    simulator: Simulator, one: Client, other: Client
) -> None:
    before = other.get("/v2/account")
    simulator._ask("POST", "/trades", {"symbol": "MSFT", "side": "buy", "qty": "9", "account": one.key})
    simulator._ask("POST", "/clock", {"seconds": 1})
    assert one.get("/v2/positions/MSFT")["qty"] == "9"
    assert other.get("/v2/account") == before
    assert other.get("/v2/positions") == other.get("/v2/account/activities") == []
    assert other.ask("DELETE", "/v2/positions/MSFT").status == 404
    assert other.ask("DELETE", "/v2/positions").json() == []
    (activity,) = one.get("/v2/account/activities")
    assert other.ask("GET", f"/v2/account/activities/FILL?page_token={activity['id']}").status == 422
    ids = [client.get("/v2/account")["id"] for client in (one, other)]
    numbers = [client.get("/v2/account")["account_number"] for client in (one, other)]
    assert (len(set(ids)), len(set(numbers))) == (2, 2)


def test_settings_and_lists_are_each_ones_own(one: Client, other: Client) -> None:
    assert one.ask("PATCH", "/v2/account/configurations", {"suspend_trade": True}).status == 200
    assert other.get("/v2/account/configurations")["suspend_trade"] is False
    assert other.ask("POST", "/v2/orders", ORDER | {"client_order_id": "mine"}).status == 200
    one.ask("PATCH", "/v2/account/configurations", {"suspend_trade": False})
    made = one.ask("POST", "/v2/watchlists", {"name": "mine", "symbols": ["AAPL"]}).json()
    assert other.get("/v2/watchlists") == []
    for method in ("GET", "PUT", "POST", "DELETE"):
        body = {"name": "yours", "symbols": ["MSFT"], "symbol": "MSFT"}
        assert other.ask(method, f"/v2/watchlists/{made['id']}", body).status == 404
    assert other.ask("GET", "/v2/watchlists:by_name?name=mine").status == 404
    assert one.get(f"/v2/watchlists/{made['id']}")["name"] == "mine"


def test_updates_and_events_are_told_to_their_own_account(
    simulator: Simulator, one: Client, other: Client
) -> None:
    with RawSocket(simulator.trading_stream_url) as mine, RawSocket(simulator.trading_stream_url) as theirs:
        for socket, client in ((mine, one), (theirs, other)):
            keys = {"key_id": client.key, "secret_key": client.secret}
            socket.say({"action": "authenticate", "data": keys})
            assert socket.messages()["data"]["status"] == "authorized"
            listen(socket)
        made = one.ask("POST", "/v2/orders", ORDER | {"client_order_id": "heard"}).json()
        simulator._ask("POST", "/clock", {"seconds": 1})
        heard, unheard = listen(mine), listen(theirs)
    assert [update["data"]["order"]["id"] for update in heard] == [made["id"]]
    assert unheard == []
    until = one.get("/v2/clock")["timestamp"]
    simulator._ask("POST", "/clock", {"seconds": 1})
    path = f"/v2/events/trades?since=2026-01-01T00:00:00Z&until={until}"
    told = [everything(client, path) for client in (one, other)]
    assert [made["id"].encode() in one_told for one_told in told] == [True, False]


def everything(client: Client, path: str) -> bytes:
    """The whole of an answer that comes in parts."""
    with RawConnection(client.url) as wire:
        keys = dict(zip(HEADERS, (client.key, client.secret), strict=True))
        wire.request("GET", path, keys | {"Connection": "close"})
        return wire.rest()


def listen(socket: RawSocket) -> list[dict[str, Any]]:
    """What was told until now: the answer to `listen` comes after it."""
    socket.say({"action": "listen", "data": {"streams": ["trade_updates"]}})
    told = []
    while (message := socket.messages())["stream"] != "listening":
        told.append(message)
    return told


def test_one_ones_requests_are_not_counted_for_the_other(one: Client, other: Client) -> None:
    statuses = {one.ask("GET", "/v2/clock").status for _ in range(101)}
    assert statuses == {200, 429}
    assert other.ask("GET", "/v2/clock").status == 200


def test_keys_of_two_accounts_do_not_mix(one: Client, other: Client) -> None:
    with RawConnection(one.url) as wire:
        mixed = dict(zip(HEADERS, (one.key, other.secret), strict=True))
        assert wire.request("GET", "/v2/account", mixed).status == 401
