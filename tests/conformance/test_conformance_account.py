"""The account, assets, clock and calendar, as TradingClient asks for them."""

from datetime import date, timedelta

import pytest
import requests
from agreement import Agreement
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetClass, AssetStatus
from alpaca.trading.models import Asset, Clock, TradeAccount
from alpaca.trading.requests import GetAssetsRequest, GetCalendarRequest
from edge import Edge
from shapes import ListOf
from target import Target
from trading_shapes import (
    ACCOUNT,
    CALENDAR_DAY,
    CLOCK,
    COIN_ASSET,
    GONE_FROM_THE_ACCOUNT,
    POSITION,
    STOCK_ASSET,
)


def test_the_account_has_every_key(trading: TradingClient, agrees: Agreement) -> None:
    account = trading.get_account()
    assert isinstance(account, TradeAccount)
    body = agrees.answer(ACCOUNT)
    assert not [key for key in GONE_FROM_THE_ACCOUNT if key in body]
    assert str(account.id) == body["id"]


def test_money_in_the_account_is_in_whole_cents(trading: TradingClient, agrees: Agreement) -> None:
    trading.get_account()
    cash = agrees.answer(ACCOUNT)["cash"]
    assert len(cash.partition(".")[2]) <= 2, cash


def test_an_answer_tells_what_is_left_of_the_minute(trading: TradingClient, edge: Edge) -> None:
    clock = trading.get_clock()
    headers = edge.last.headers
    limit, remaining = int(headers["X-RateLimit-Limit"]), int(headers["X-RateLimit-Remaining"])
    assert 0 <= remaining < limit
    assert isinstance(clock, Clock)
    seconds = int(headers["X-RateLimit-Reset"]) - clock.timestamp.timestamp()
    assert -5 < seconds < 65


def test_answers_are_json(trading: TradingClient, edge: Edge) -> None:
    trading.get_clock()
    assert edge.last.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("secret", ["", "wrong"])
def test_without_the_right_secret_nobody_enters(target: Target, plain: requests.Session, secret: str) -> None:
    answer = plain.get(
        f"{target.trading_url}/v2/account", headers={"APCA-API-SECRET-KEY": secret}, timeout=30
    )
    assert answer.status_code in (401, 403)
    assert isinstance(answer.json()["message"], str)


def test_a_stock_has_every_key(target: Target, trading: TradingClient, agrees: Agreement) -> None:
    asset = trading.get_asset(target.stock)
    assert isinstance(asset, Asset)
    assert asset.asset_class == AssetClass.US_EQUITY
    body = agrees.answer(STOCK_ASSET)
    by_id = trading.get_asset(asset.id)
    assert isinstance(by_id, Asset)
    assert agrees.answer(STOCK_ASSET) == body


def test_a_coin_is_found_by_its_path_with_a_slash(
    target: Target, trading: TradingClient, edge: Edge, agrees: Agreement
) -> None:
    asset = trading.get_asset(target.coin)
    assert isinstance(asset, Asset)
    assert (asset.asset_class, asset.symbol) == (AssetClass.CRYPTO, target.coin)
    assert edge.last.path == f"/v2/assets/{target.coin}"
    agrees.answer(COIN_ASSET)


def test_assets_are_listed_by_their_filters(
    target: Target, trading: TradingClient, edge: Edge, agrees: Agreement
) -> None:
    found = trading.get_all_assets(GetAssetsRequest(status=AssetStatus.ACTIVE, asset_class=AssetClass.CRYPTO))
    assert edge.last.asked == {"status": "active", "asset_class": "crypto"}
    assert {target.coin, target.other_coin} <= {asset.symbol for asset in found if isinstance(asset, Asset)}
    body = agrees.answer(ListOf(COIN_ASSET))
    assert {asset["class"] for asset in body} == {"crypto"}


def test_an_unknown_asset_is_not_found(trading: TradingClient, agrees: Agreement) -> None:
    body = agrees.refusal(404, 40410000, lambda: trading.get_asset("ZZZZQX"))
    assert "asset not found" in body["message"]


def test_the_clock_has_every_key(trading: TradingClient, agrees: Agreement) -> None:
    clock = trading.get_clock()
    assert isinstance(clock, Clock)
    body = agrees.answer(CLOCK)
    assert clock.next_open > clock.timestamp
    assert clock.next_close > clock.timestamp
    # New York's own time, not UTC.
    assert body["next_close"][-6:] in ("-05:00", "-04:00")
    assert clock.is_open == (clock.next_close < clock.next_open)


def test_the_calendar_has_every_key(trading: TradingClient, edge: Edge, agrees: Agreement) -> None:
    days = trading.get_calendar(GetCalendarRequest(start=date(2026, 11, 23), end=date(2026, 11, 29)))
    assert edge.last.asked == {"start": "2026-11-23", "end": "2026-11-29"}
    body = agrees.answer(ListOf(CALENDAR_DAY))
    # Thanksgiving is a holiday, and the day after ends early.
    assert [(day["date"], day["open"], day["close"]) for day in body] == [
        ("2026-11-23", "09:30", "16:00"),
        ("2026-11-24", "09:30", "16:00"),
        ("2026-11-25", "09:30", "16:00"),
        ("2026-11-27", "09:30", "13:00"),
    ]
    assert {(day["session_open"], day["session_close"]) for day in body} <= {
        ("0400", "2000"), ("0400", "1700"),
    }  # fmt: skip
    assert len(days) == 4


def test_the_calendar_without_dates_holds_today(trading: TradingClient, agrees: Agreement) -> None:
    trading.get_calendar()
    days = [date.fromisoformat(day["date"]) for day in agrees.answer(ListOf(CALENDAR_DAY))]
    clock = trading.get_clock()
    assert isinstance(clock, Clock)
    assert min(days) <= clock.next_close.date() <= max(days) + timedelta(days=7)
    assert days == sorted(set(days))


def test_positions_are_a_list(trading: TradingClient, agrees: Agreement) -> None:
    trading.get_all_positions()
    agrees.answer(ListOf(POSITION))


def test_a_position_that_nobody_has_does_not_exist(trading: TradingClient, agrees: Agreement) -> None:
    trading.get_all_positions()
    held = {position["symbol"] for position in agrees.answer(ListOf(POSITION))}
    symbol = next(one for one in ("NFLX", "KO", "GE", "F") if one not in held)
    body = agrees.refusal(404, 40410000, lambda: trading.get_open_position(symbol))
    assert body["message"] == "position does not exist"


@pytest.mark.parametrize("path", ["/v2/nowhere", "/v2/orders/by/nobody"])
def test_what_is_nowhere_is_404_and_json(target: Target, plain: requests.Session, path: str) -> None:
    answer = plain.get(target.trading_url + path, timeout=30)
    assert answer.status_code == 404
    assert isinstance(answer.json()["message"], str)
