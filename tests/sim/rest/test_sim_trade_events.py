"""Trade updates as server-sent events: replay, live, several listeners, an end, and nobody else's orders."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from simulator import Simulator
from sseclient import SSEClient

HEARTBEAT_S = 15
START = "2026-01-05T09:30:00-05:00"
Event = dict[str, Any]


class Account:
    """One account of a simulator, over plain HTTP."""

    def __init__(self, simulator: Simulator, key: str, secret: str) -> None:
        self.simulator = simulator
        self._session = requests.Session()
        self._session.headers.update({"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret})

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> requests.Response:
        """One request."""
        url = self.simulator.trading_url + path
        return self._session.request(method, url, json=body, params=query, timeout=10)

    def order(self, limit: str | None = None) -> str:
        """A market order, or a limit order that rests; its id. Time passes until it is told of."""
        kind = {"type": "market"} if limit is None else {"type": "limit", "limit_price": limit}
        fields = {"symbol": "AAPL", "qty": "1", "side": "buy", "time_in_force": "day"}
        order_id: str = self.ask("POST", "/v2/orders", fields | kind).json()["id"]
        advance(self.simulator, 0.01)
        return order_id

    @contextlib.contextmanager
    def listening(self, path: str = "/v2/events/trades", **query: str) -> Iterator["Lines"]:
        """A stream of events."""
        with self._session.get(
            self.simulator.trading_url + path, params=query, stream=True, timeout=10
        ) as response:
            assert response.status_code == 200, response.text
            assert response.headers["Content-Type"] == "text/event-stream"
            yield Lines(response)

    def past(self, **query: str) -> list[Event]:
        """Every event of a range that is over."""
        with self.listening(**query) as lines:
            return list(lines.events())


class Lines:
    """The lines of a stream, as they come."""

    def __init__(self, response: requests.Response) -> None:
        self._lines = (line.decode() for line in response.iter_lines(chunk_size=1) if line)

    def line(self) -> str:
        """The next that is not empty."""
        return next(self._lines)

    def events(self) -> Iterator[Event]:
        """The events until the end of the stream; comments are passed over."""
        for line in self._lines:
            if not line.startswith(":"):
                assert line.startswith("data: ")
                yield json.loads(line.removeprefix("data: "))

    def next(self, count: int) -> list[Event]:
        """The next events."""
        events = self.events()
        return [next(events) for _ in range(count)]


def advance(simulator: Simulator, seconds: float) -> None:
    answer = requests.post(f"{simulator.control_url}/clock", json={"seconds": seconds}, timeout=10)
    assert answer.status_code == 200


@contextlib.contextmanager
def accounts(*arguments: str) -> Iterator[list[Account]]:
    with Simulator.start(
        "--virtual-time", "--accounts", "2", "--rate", "1", "--partial-chance", "0", *arguments
    ) as simulator:
        keys: Any = simulator.urls["accounts"]
        yield [Account(simulator, one["key"], one["secret"]) for one in keys]


@pytest.fixture(scope="module")
def both() -> Iterator[list[Account]]:
    with accounts("--requests-per-minute", "100000") as made:
        for account in made:
            account.order()
            account.order("1")
        yield made


@pytest.fixture
def account(both: list[Account]) -> Account:
    return both[0]


def names(events: list[Event]) -> list[str]:
    return [event["event"] for event in events]


def test_without_a_beginning_only_what_happens_is_told(account: Account) -> None:
    with account.listening() as lines:
        order_id = account.order()
        events = lines.next(2)
    assert names(events) == ["new", "fill"]
    assert {event["order"]["id"] for event in events} == {order_id}


def test_an_event_has_the_keys_of_an_update_and_its_own(account: Account) -> None:
    with account.listening() as lines:
        account.order()
        _, event = lines.next(2)
    own = account.ask("GET", "/v2/account").json()["id"]
    assert set(event) == {
        "account_id", "at", "event", "event_id", "execution_id", "order", "timestamp", "price", "qty",
        "position_qty",
    }  # fmt: skip
    assert (event["account_id"], len(event["event_id"])) == (own, 26)
    assert event["order"]["status"] == "filled"


def test_what_was_is_told_first_and_then_what_happens(account: Account) -> None:
    past = len(replay(account))
    with account.listening(since=START) as lines:
        replayed = lines.next(past)
        account.order()
        live = lines.next(2)
    assert names(live) == ["new", "fill"]
    ids = [event["event_id"] for event in replayed + live]
    assert ids == sorted(set(ids))
    moments = [event["at"] for event in replayed + live]
    assert len(set(moments)) == len(moments)


def replay(account: Account) -> list[Event]:
    """Everything until now."""
    now = requests.get(f"{account.simulator.control_url}/clock", timeout=10).json()["now"]
    advance(account.simulator, 0.001)
    return account.past(since=START, until=now)


def test_who_comes_back_with_the_last_id_misses_nothing(account: Account) -> None:
    everything = replay(account)
    for place, event in enumerate(everything[:-1]):
        with account.listening(since_id=event["event_id"]) as lines:
            assert lines.next(1) == [everything[place + 1]]
    last = everything[-1]
    assert account.past(since_id=everything[0]["event_id"], until_id=last["event_id"]) == everything[1:]
    assert account.past(since=everything[1]["at"], until=last["at"]) == everything[1:]


def test_the_client_that_alpaca_py_uses_for_events_reads_them(account: Account) -> None:
    everything = replay(account)
    query = {"since_id": everything[0]["event_id"], "until_id": everything[-1]["event_id"]}
    answer = account.ask("GET", "/v2/events/trades", **query)
    told = [json.loads(event.data) for event in SSEClient(iter([answer.content])).events()]
    assert told == everything[1:]


def test_a_long_past_is_told_in_order(account: Account) -> None:
    before = len(replay(account))
    orders = [account.order("1.5") for _ in range(130)]
    everything = replay(account)
    assert [event["order"]["id"] for event in everything[before:]] == orders
    assert account.ask("DELETE", "/v2/orders").status_code == 207
    advance(account.simulator, 0.01)


def test_an_end_in_the_future_comes(account: Account) -> None:
    now = requests.get(f"{account.simulator.control_url}/clock", timeout=10).json()["now"]
    until = now[:17] + "59.999Z" if int(now[17:19]) < 58 else now[:14] + "59:59.999Z"
    with account.listening(since=now, until=until) as lines:
        account.order()
        assert names(lines.next(2)) == ["new", "fill"]
        advance(account.simulator, 3600)
        account.order()
        assert list(lines.events()) == []


def test_fills_are_told_as_activities(account: Account) -> None:
    path = "/v2beta1/events/activities"
    with account.listening(path) as lines:
        account.order("1.25")
        order_id = account.order()
        [event] = lines.next(1)
    assert (event["activity_type"], event["settle_date"]) == ("TRD", "2026-01-06")
    assert event["net_amount"] == f"-{event['price']}"
    assert event["details"]["order_id"] == order_id
    [recorded] = account.ask("GET", "/v2/account/activities", page_size="1").json()
    assert recorded["id"].endswith(event["ref_id"])
    assert event["executed_at"] == recorded["transaction_time"]
    with account.listening(path, since=START, until=event["at"]) as lines:
        told = list(lines.events())
    assert told[-1] == event
    assert len(told) == len(account.ask("GET", "/v2/account/activities").json())


def test_who_leaves_is_forgotten(account: Account) -> None:
    simulator = account.simulator

    def listening() -> int:
        found: int = simulator.state()["clients"]["events"]
        return found

    simulator.wait_until(lambda: listening() == 0, "those of other tests are gone")
    with account.listening(), account.listening():
        assert listening() == 2
    simulator.wait_until(lambda: listening() == 0, "both are gone")


def test_silence_is_broken_by_heartbeats(account: Account) -> None:
    with account.listening() as lines:
        advance(account.simulator, HEARTBEAT_S + 1)
        assert lines.line() == ":heartbeat"
        account.order()
        assert names(lines.next(2)) == ["new", "fill"]


def test_everybody_hears_of_his_own_account_alone(both: list[Account]) -> None:
    with contextlib.ExitStack() as stack:
        first, again, other = (stack.enter_context(one.listening()) for one in (both[0], both[0], both[1]))
        mine, hers = both[0].order(), both[1].order()
        heard = [lines.next(2) for lines in (first, again, other)]
    assert [{event["order"]["id"] for event in events} for events in heard] == [{mine}, {mine}, {hers}]
    assert heard[0] == heard[1]
    own = [{event["account_id"] for event in replay(account)} for account in both]
    assert len(own[0]) == len(own[1]) == 1
    assert own[0] != own[1]


@pytest.mark.parametrize(
    "query",
    [
        {"since": START, "since_id": "01ARYZ6S41TSV4RRFFQ69G5FAV"},
        {"until": START},
        {"until_id": "01ARYZ6S41TSV4RRFFQ69G5FAV"},
        {"since_id": "17"},
        {"since": "yesterday"},
    ],
    ids=str,
)
def test_a_range_that_cannot_be_is_refused(account: Account, query: dict[str, str]) -> None:
    answer = account.ask("GET", "/v2/events/trades", **query)
    assert (answer.status_code, answer.json()["code"]) == (422, 40010001)


def test_nobody_listens_without_keys(account: Account) -> None:
    answer = requests.get(f"{account.simulator.trading_url}/v2/events/trades", timeout=10)
    assert answer.status_code == 401


def test_two_runs_tell_the_same_and_end_while_somebody_listens() -> None:
    told: list[list[Event]] = []
    for _ in range(2):
        with accounts("--seed", "7") as [account, _other], account.listening() as lines:
            account.order()
            account.ask("DELETE", f"/v2/orders/{account.order('1')}")
            advance(account.simulator, 0.01)
            told.append(lines.next(4))
    assert names(told[0]) == ["new", "fill", "new", "canceled"]
    assert told[0] == told[1]
