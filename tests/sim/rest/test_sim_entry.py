"""Authentication, bodies, and request budgets of the simulator's REST."""

from collections.abc import Iterator

import pytest
import requests
from alpaca.trading.client import TradingClient
from simulator import Simulator


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start() as started:
        yield started


@pytest.mark.parametrize(
    "headers",
    [{}, {"APCA-API-KEY-ID": "KEY", "APCA-API-SECRET-KEY": "no"}, {"Authorization": "Basic !!"},
     {"Authorization": "Bearer KEY"}],
)  # fmt: skip
def test_without_the_right_keys_nobody_enters(simulator: Simulator, headers: dict[str, str]) -> None:
    given = {name: value.replace("KEY", simulator.key) for name, value in headers.items()}
    answer = requests.get(f"{simulator.trading_url}/v2/account", headers=given, timeout=10)
    assert (answer.status_code, answer.json()) == (401, {"message": "unauthorized"})


def test_basic_authentication_is_understood(simulator: Simulator) -> None:
    answer = requests.get(
        f"{simulator.trading_url}/v2/account", auth=(simulator.key, simulator.secret), timeout=10
    )
    assert answer.status_code == 200


def test_an_oauth_token_opens_its_account(simulator: Simulator) -> None:
    client = TradingClient(oauth_token=simulator.secret, url_override=simulator.trading_url)
    assert client.get_account() == simulator.trading_client().get_account()
    client._session.close()


def test_a_body_that_is_no_order_is_refused(simulator: Simulator) -> None:
    keys = (simulator.key, simulator.secret)
    for body in ("{", '{"qty": [1]}', "[]", '{"symbol": 5}'):
        answer = requests.post(f"{simulator.trading_url}/v2/orders", data=body, auth=keys, timeout=10)
        assert answer.status_code == 422
        assert answer.json()["code"] == 40010001


def test_the_minute_has_two_hundred_trading_requests_and_says_so() -> None:
    with Simulator.start() as fresh, requests.Session() as session:
        session.auth = (fresh.key, fresh.secret)
        answers = [session.get(f"{fresh.trading_url}/v2/clock", timeout=10) for _ in range(201)]
        data = session.get(f"{fresh.data_url}/v2/stocks/quotes/latest?symbols=AAPL", timeout=10)
    assert [answer.status_code for answer in answers] == [200] * 200 + [429]
    assert answers[0].headers["X-RateLimit-Limit"] == "200"
    assert answers[0].headers["X-RateLimit-Remaining"] == "199"
    assert answers[200].headers["X-RateLimit-Remaining"] == "0"
    assert int(answers[200].headers["X-RateLimit-Reset"]) > 1_700_000_000
    assert data.status_code == 200
