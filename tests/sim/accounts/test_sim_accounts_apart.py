"""Two accounts of one simulator: neither can see or change what is the other's, by any request."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from simulator import Simulator

ANONYMOUS = "99999999-9999-4999-8999-999999999999"
REST = {
    "symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "1", "time_in_force": "day",
    "client_order_id": "mine",
}  # fmt: skip


class Account:
    """One account, over plain HTTP."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.headers.update({"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret})

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        """One request."""
        return self._session.request(method, self._url + path, json=body, timeout=10)

    def json(self, path: str) -> Any:
        """What GET answers."""
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def close(self) -> None:
        """No more requests."""
        self._session.close()


class Owned:
    """What the first account has: a resting order, a position, its fill, a list."""

    def __init__(self, owner: Account, other: Account) -> None:
        self.owner = owner
        self.other = other
        self.order: str = owner.ask("POST", "/v2/orders", REST).json()["id"]
        owner.ask("POST", "/v2/orders", {
            "symbol": "MSFT", "qty": "2", "side": "buy", "type": "market", "time_in_force": "day",
        })  # fmt: skip
        body = {"name": "mine", "symbols": ["AAPL"]}
        self.watchlist: str = owner.ask("POST", "/v2/watchlists", body).json()["id"]

    @property
    def activity(self) -> str:
        """The id of its fill."""
        found: str = self.owner.json("/v2/account/activities")[0]["id"]
        return found

    def everything(self) -> list[Any]:
        """All that the owner sees of it."""
        paths = ("/v2/orders", "/v2/watchlists", "/v2/account/activities")
        held = [(one["symbol"], one["qty"]) for one in self.owner.json("/v2/positions")]
        return [held, *(self.owner.json(path) for path in paths)]


@pytest.fixture(scope="module")
def owned() -> Iterator[Owned]:
    with Simulator.start(
        "--accounts", "2", "--requests-per-minute", "100000", "--partial-chance", "0", "--rate", "20"
    ) as simulator:
        keys: Any = simulator.urls["accounts"]
        owner, other = (Account(simulator.trading_url, one["key"], one["secret"]) for one in keys)
        made = Owned(owner, other)
        simulator.wait_until(lambda: bool(owner.json("/v2/positions")), "the position is there")
        simulator.trade("NVDA", "buy", "1", price="9000")  # the first account's loss
        yield made
        owner.close()
        other.close()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v2/orders/{order}", None),
        ("GET", "/v2/orders/{order}?nested=True", None),
        ("PATCH", "/v2/orders/{order}", {"qty": "2"}),
        ("DELETE", "/v2/orders/{order}", None),
        ("GET", "/v2/orders:by_client_order_id?client_order_id=mine", None),
        ("GET", "/v2/orders?before_order_id={order}", None),
        ("GET", "/v2/orders?after_order_id={order}", None),
        ("GET", "/v2/positions/MSFT", None),
        ("DELETE", "/v2/positions/MSFT", None),
        ("GET", "/v2/watchlists/{watchlist}", None),
        ("GET", "/v2/watchlists:by_name?name=mine", None),
        ("PUT", "/v2/watchlists/{watchlist}", {"name": "theirs"}),
        ("POST", "/v2/watchlists/{watchlist}", {"symbol": "TSLA"}),
        ("DELETE", "/v2/watchlists/{watchlist}/AAPL", None),
        ("DELETE", "/v2/watchlists/{watchlist}", None),
    ],
    ids=str,
)
def test_what_belongs_to_another_does_not_exist(owned: Owned, method: str, path: str, body: Any) -> None:
    before = owned.everything()

    def refused(order: str, watchlist: str) -> tuple[int, str]:
        answer = owned.other.ask(method, path.format(order=order, watchlist=watchlist), body)
        return answer.status_code, answer.text.replace(order, "").replace(watchlist, "")

    found = refused(owned.order, owned.watchlist)
    assert found[0] == 404
    # Not even the words tell what somebody else has from what nobody has.
    assert found == refused(ANONYMOUS, ANONYMOUS)
    assert owned.everything() == before


def test_a_page_cannot_begin_with_anothers_activity(owned: Owned) -> None:
    path = f"/v2/account/activities/FILL?page_token={owned.activity}"
    assert owned.owner.ask("GET", path).status_code == 200
    answer = owned.other.ask("GET", path)
    assert (answer.status_code, answer.json()["code"]) == (422, 40010001)


@pytest.mark.parametrize(
    "path", ["/v2/orders?status=all", "/v2/positions", "/v2/account/activities", "/v2/watchlists"]
)
def test_lists_hold_ones_own(owned: Owned, path: str) -> None:
    assert owned.owner.json(path)
    assert owned.other.json(path) == []


def test_closing_and_canceling_all_means_ones_own(owned: Owned) -> None:
    before = owned.everything()
    assert owned.other.ask("DELETE", "/v2/orders").json() == []
    assert owned.other.ask("DELETE", "/v2/positions?cancel_orders=true").json() == []
    assert owned.everything() == before


def test_equity_is_ones_own(owned: Owned) -> None:
    ids = {account.json("/v2/account")["id"] for account in (owned.owner, owned.other)}
    assert len(ids) == 2
    path = "/v2/account/portfolio/history?timeframe=1Min&period=1D"
    assert owned.owner.json(path)["equity"][-1] < 95_000
    assert set(owned.other.json(path)["equity"]) == {100_000}


def test_a_client_order_id_is_ones_own(owned: Owned) -> None:
    answer = owned.other.ask("POST", "/v2/orders", REST)
    assert answer.status_code == 200
    assert owned.other.ask("DELETE", f"/v2/orders/{answer.json()['id']}").status_code == 204
