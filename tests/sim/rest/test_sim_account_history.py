"""Activities, equity, the clock and the calendar of an account in virtual time."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.models import PortfolioHistory
from alpaca.trading.requests import GetCalendarRequest, GetPortfolioHistoryRequest, MarketOrderRequest
from simulator import Simulator

DAY_S = 86_400


class Timed:
    """A simulator whose time only passes when the test says so, and its client."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.client = simulator.trading_client()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        body = {"seconds": seconds}
        assert requests.post(f"{self.simulator.control_url}/clock", json=body, timeout=30).status_code == 200

    def trade(self, side: OrderSide, qty: float) -> None:
        """One market order, filled."""
        request = MarketOrderRequest(symbol="AAPL", qty=qty, side=side, time_in_force=TimeInForce.DAY)
        self.client.submit_order(request)
        self.advance(1)

    def history(self, **fields: Any) -> PortfolioHistory:
        """The portfolio's history."""
        found = self.client.get_portfolio_history(GetPortfolioHistoryRequest(**fields))
        assert isinstance(found, PortfolioHistory)
        return found


@pytest.fixture(scope="module")
def timed() -> Iterator[Timed]:
    # A Monday afternoon.
    arguments = (
        "--virtual-time", "--start", "2026-01-05T15:20:00-05:00", "--hours", "exchange", "--rate", "0.1",
        "--partial-chance", "0", "--requests-per-minute", "100000",
    )  # fmt: skip
    with Simulator.start(*arguments) as simulator:
        made = Timed(simulator)
        for qty in (1, 2, 3):
            made.trade(OrderSide.BUY, qty)
        made.advance(20 * 60 - 3)
        yield made
        made.client._session.close()


def refusal(call: Any) -> tuple[int, int]:
    with pytest.raises(APIError) as error:
        call()
    return error.value.status_code, error.value.code


def activities(timed: Timed, path: str = "/FILL", **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = timed.client.get(f"/account/activities{path}", query)
    return found


def test_fills_are_activities_in_pages(timed: Timed) -> None:
    every = activities(timed, "")
    assert [one["qty"] for one in every] == ["3", "2", "1"]
    assert [one["cum_qty"] for one in every] == ["3", "2", "1"]
    assert every[0]["id"].startswith("20260105152002")
    first = activities(timed, direction="asc", page_size=2)
    rest = activities(timed, direction="asc", page_size=2, page_token=first[-1]["id"])
    assert first + rest == every[::-1]
    assert activities(timed, "", activity_types="FILL,DIV") == every
    assert activities(timed, "", category="trade_activity") == every
    assert activities(timed, "", category="non_trade_activity") == activities(timed, "/DIV") == []


def test_activities_are_found_by_their_time(timed: Timed) -> None:
    every = activities(timed, direction="asc")
    middle = every[1]["transaction_time"]
    assert activities(timed, after="2026-01-05", direction="asc") == every
    assert activities(timed, until=every[2]["transaction_time"])[-1] == every[0]
    assert activities(timed, after=middle) == [every[2]]
    assert activities(timed, date="2026-01-05", direction="asc") == every
    assert activities(timed, date="2026-01-06") == []


@pytest.mark.parametrize(
    "query",
    [
        {"page_size": 101},
        {"page_token": "20260105150000000::nobody's"},
        {"direction": "up"},
        {"date": "2026-01-05", "after": "2026-01-05"},
        {"activity_types": "TIPS"},
        {"activity_types": "FILL", "category": "trade_activity"},
    ],
    ids=str,
)
def test_activities_that_cannot_be_are_refused(timed: Timed, query: dict[str, Any]) -> None:
    assert refusal(lambda: activities(timed, "", **query)) == (422, 40010001)


def test_an_activity_of_an_unknown_type_is_refused(timed: Timed) -> None:
    assert refusal(lambda: activities(timed, "/TIPS")) == (422, 40010001)


def test_equity_is_noted_every_minute_and_agrees_with_the_account(timed: Timed) -> None:
    found = timed.history(period="1D", timeframe="5Min")
    assert [time % 300 for time in found.timestamp] == [0] * 5
    account = timed.client.get_account()
    assert found.equity[-1] == float(account.equity)
    assert found.base_value == 100_000
    for equity, profit, share in zip(found.equity, found.profit_loss, found.profit_loss_pct, strict=True):
        assert Decimal(str(equity)) - Decimal(str(profit)) == 100_000
        assert share == pytest.approx(profit / 100_000, abs=1e-6)


@pytest.mark.parametrize(
    ("fields", "timeframe"),
    [({"period": "1D"}, "1Min"), ({"period": "2W"}, "15Min"), ({}, "1D"), ({"period": "1A"}, "1D")],
)
def test_the_timeframe_follows_the_period(timed: Timed, fields: dict[str, str], timeframe: str) -> None:
    assert timed.history(**fields).timeframe == timeframe


@pytest.mark.parametrize(
    "query",
    [
        {"period": "1Y"},
        {"timeframe": "2Min"},
        {"period": "2M", "timeframe": "1Min"},
        {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z", "period": "1D"},
        {"start": "2026-03-05T00:00:00Z", "end": "2026-03-02T00:00:00Z"},
        {"end": "2026-03-05T00:00:00Z", "date_end": "2026-03-05"},
        {"pnl_reset": "never"},
        {"intraday_reporting": "at_night"},
        {"cashflow_types": "TIPS"},
    ],
    ids=str,
)
def test_a_history_that_cannot_be_is_refused(timed: Timed, query: dict[str, str]) -> None:
    assert refusal(lambda: timed.client.get("/account/portfolio/history", query)) == (422, 40010001)


@pytest.mark.parametrize(
    "query",
    [
        {"start": "0001-01-01T00:00:00Z"},
        {"end": "0001-01-01T00:00:00Z", "timeframe": "1D"},
        {"period": "9999A"},
        {"date_end": "9999-12-31"},
        {"start": "9999-12-31T23:59:59Z", "end": "9999-12-31T23:59:59Z"},
    ],
    ids=str,
)
def test_the_ends_of_time_are_no_trouble(timed: Timed, query: dict[str, str]) -> None:
    url = f"{timed.simulator.trading_url}/v2/account/portfolio/history"
    keys = {"APCA-API-KEY-ID": timed.simulator.key, "APCA-API-SECRET-KEY": timed.simulator.secret}
    assert requests.get(url, query, headers=keys, timeout=10).status_code in (200, 422)


def test_a_new_day_is_measured_against_the_close_before(timed: Timed) -> None:
    client = timed.client
    before = client.get("/clock")
    assert (before["is_open"], before["timestamp"]) == (True, "2026-01-05T15:40:00-05:00")
    assert before["next_close"] == "2026-01-05T16:00:00-05:00"
    assert before["next_open"] == "2026-01-06T09:30:00-05:00"
    timed.advance(20 * 60)
    close = float(client.get_account().equity)
    assert client.get("/clock")["is_open"] is False
    timed.advance(17.5 * 3600 + 60)
    assert client.get("/clock")["is_open"] is True
    timed.trade(OrderSide.SELL, 6)
    daily = timed.history(timeframe="1D", period="1M")
    assert daily.timestamp[1] - daily.timestamp[0] == DAY_S
    assert daily.equity == [close, float(client.get_account().equity)]
    today = client.get("/account/portfolio/history", {"period": "1D", "timeframe": "1H"})
    assert (today["base_value"], today["base_value_asof"]) == (close, "2026-01-05")
    assert float(client.get_account().last_equity) == close
    assert [one["side"] for one in activities(timed, date="2026-01-06")] == ["sell"]
    assert [one["side"] for one in activities(timed, date="2026-01-05")] == ["buy"] * 3


def test_the_calendar_tells_trading_and_settlement(timed: Timed) -> None:
    request = GetCalendarRequest(start=date(2026, 1, 2), end=date(2026, 1, 5))
    days = timed.client.get_calendar(request)
    assert [day.date for day in days] == [date(2026, 1, 2), date(2026, 1, 5)]
    raw = timed.client.get("/calendar", {"start": "2026-01-05", "end": "2026-01-05"})
    assert raw == [
        {
            "date": "2026-01-05", "open": "09:30", "close": "16:00", "session_open": "0400",
            "session_close": "2000", "settlement_date": "2026-01-06",
        }
    ]  # fmt: skip
    settled = {"start": "2026-01-06", "end": "2026-01-06", "date_type": "SETTLEMENT"}
    assert [day["date"] for day in timed.client.get("/calendar", settled)] == ["2026-01-05"]
    assert timed.client.get("/calendar", {"start": "2031-01-01"}) == []
    assert len(timed.client.get_calendar()) > 3000
    for query in ({"start": "soon"}, {"date_type": "x"}, {"start": "2026-01-06", "end": "2026-01-05"}):
        assert refusal(lambda query=query: timed.client.get("/calendar", query)) == (422, 40010001)
