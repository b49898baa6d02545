"""What an account remembers: activities in pages, its history, and events over SSE."""

import json
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
import requests
from agreement import Agreement
from alpaca.trading.client import TradingClient
from alpaca.trading.models import PortfolioHistory
from alpaca.trading.requests import GetPortfolioHistoryRequest
from edge import Edge
from placing import Placing
from shapes import ID, UTC_TIME, WORD, ListOf, MayLack, Shape
from target import Target
from trading_shapes import FILL_ACTIVITY, FILL_UPDATE, PORTFOLIO_HISTORY, UPDATE

MORE_OF_AN_EVENT: dict[str, Shape] = {"event_id": WORD, "at": UTC_TIME, "account_id": MayLack(ID)}


def fills(trading: TradingClient, **query: object) -> list[dict[str, Any]]:
    found = trading.get("/account/activities/FILL", query)
    assert isinstance(found, list)
    return found


def test_a_fill_becomes_an_activity(placing: Placing, trading: TradingClient, agrees: Agreement) -> None:
    order = placing.buy()
    mine: list[dict[str, Any]] = []

    def is_there() -> bool:
        nonlocal mine
        mine = [one for one in fills(trading, page_size=10) if one["order_id"] == str(order.id)]
        return bool(mine)

    placing.wait(is_there, "the activity")
    agrees.answer(ListOf(FILL_ACTIVITY))
    assert sum(Decimal(one["qty"]) for one in mine) == Decimal(str(order.filled_qty))
    newest = mine[0]
    assert (newest["type"], newest["side"], newest["symbol"]) == ("fill", "buy", order.symbol)
    assert (newest["leaves_qty"], newest["cum_qty"]) == ("0", order.filled_qty)
    assert "::" in newest["id"]


def test_activities_come_in_pages_either_way(placing: Placing, trading: TradingClient) -> None:
    for _ in range(3):
        placing.buy()
    newest = [one["id"] for one in fills(trading, page_size=3, direction="desc")]
    assert len(newest) == 3
    first = fills(trading, page_size=1, direction="desc")
    second = fills(trading, page_size=2, direction="desc", page_token=first[0]["id"])
    assert [one["id"] for one in first + second] == newest
    oldest = fills(trading, page_size=2, direction="asc")
    times = [one["transaction_time"] for one in oldest]
    assert times == sorted(times)
    third = fills(trading, page_size=1, direction="asc", page_token=oldest[0]["id"])
    assert third[0]["id"] == oldest[1]["id"]


def test_activities_are_found_by_time(placing: Placing, trading: TradingClient) -> None:
    order = placing.buy()
    assert order.submitted_at is not None
    after = fills(trading, after=order.submitted_at.isoformat(), direction="asc")
    assert {one["order_id"] for one in after} == {str(order.id)}
    until = fills(trading, until=order.submitted_at.isoformat(), page_size=100)
    assert str(order.id) not in {one["order_id"] for one in until}


def test_all_activities_hold_the_fills(placing: Placing, trading: TradingClient) -> None:
    order = placing.buy()
    found = trading.get("/account/activities", {"activity_types": "FILL", "page_size": 5})
    assert isinstance(found, list)
    assert str(order.id) in {one["order_id"] for one in found}


@pytest.mark.parametrize("query", ["page_size=101", "page_size=0", "direction=up", "after=yesterday"])
def test_activities_that_cannot_be_asked_for(target: Target, plain: requests.Session, query: str) -> None:
    answer = plain.get(f"{target.trading_url}/v2/account/activities/FILL?{query}", timeout=30)
    assert answer.status_code in (400, 422)
    assert answer.json()["message"]


@pytest.mark.parametrize(
    ("period", "timeframe"), [("1D", "1Min"), ("1D", "5Min"), ("1W", "1H"), ("1M", "1D")]
)
def test_the_history_of_the_account(
    trading: TradingClient, edge: Edge, agrees: Agreement, period: str, timeframe: str
) -> None:
    request = GetPortfolioHistoryRequest(period=period, timeframe=timeframe, extended_hours=True)
    history = trading.get_portfolio_history(request)
    assert isinstance(history, PortfolioHistory)
    assert edge.last.asked == {"period": period, "timeframe": timeframe, "extended_hours": "True"}
    body = agrees.answer(PORTFOLIO_HISTORY)
    assert body["timeframe"] == timeframe
    lengths = {len(body[name]) for name in ("timestamp", "equity", "profit_loss", "profit_loss_pct")}
    assert len(lengths) == 1
    assert body["timestamp"] == sorted(set(body["timestamp"]))


def events(answer: requests.Response) -> Iterator[dict[str, Any]]:
    """The data of each event of an SSE stream."""
    for line in answer.iter_lines(chunk_size=1):
        if line.startswith(b"data:"):
            yield json.loads(line[5:])


def listen(target: Target, plain: requests.Session, **query: str) -> requests.Response:
    answer = plain.get(
        f"{target.trading_url}/v2/events/trades", params=query, stream=True, timeout=target.patience_s
    )
    if answer.status_code == 404 and target.kind == "paper":
        pytest.skip("these keys have no events over SSE")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    return answer


def test_events_are_replayed_from_a_time_and_from_an_id(
    target: Target, placing: Placing, plain: requests.Session, agrees: Agreement
) -> None:
    order = placing.buy()
    assert order.submitted_at is not None
    since = order.submitted_at.isoformat()
    with closing(listen(target, plain, since=since)) as answer:
        stream = (one for one in events(answer) if one["order"]["id"] == str(order.id))
        told = [next(stream)]
        while told[-1]["event"] != "fill":
            told.append(next(stream))
    assert "new" in [event["event"] for event in told]
    for event in told:
        shape = FILL_UPDATE if "fill" in event["event"] else UPDATE
        agrees.of(event, shape | MORE_OF_AN_EVENT, event["event"])
    ids = [event["event_id"] for event in told]
    # ULIDs: they sort as they came.
    assert ids == sorted(set(ids))
    with closing(listen(target, plain, since_id=ids[0])) as answer:
        assert next(events(answer))["event_id"] in ids[:2]
