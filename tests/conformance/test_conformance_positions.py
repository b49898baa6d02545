"""Positions as TradingClient sees and closes them."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import requests
from agreement import Agreement
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, PositionSide
from alpaca.trading.models import Order, Position
from alpaca.trading.requests import ClosePositionRequest
from edge import Edge
from placing import Placing, position_name
from shapes import ListOf
from target import Target
from trading_shapes import CLOSED, NOT_CLOSED, ORDER, POSITION


def closing(trading: TradingClient, symbol: str, **part: str) -> Order:
    order = trading.close_position(position_name(symbol), ClosePositionRequest(**part) if part else None)
    assert isinstance(order, Order)
    assert order.side == OrderSide.SELL
    return order


def test_a_position_in_coins_has_every_key(
    target: Target, placing: Placing, trading: TradingClient, edge: Edge, agrees: Agreement
) -> None:
    before = placing.held(target.coin)
    order = placing.buy()
    position = trading.get_open_position(position_name(target.coin))
    assert edge.last.path == f"/v2/positions/{position_name(target.coin)}"
    assert isinstance(position, Position)
    body = agrees.answer(POSITION)
    assert (position.side, body["asset_class"]) == (PositionSide.LONG, "crypto")
    assert body["symbol"] == position_name(target.coin)
    # Of what was bought Alpaca keeps its fee, 0.25 % at the most.
    bought, filled = Decimal(body["qty"]) - before, Decimal(str(order.filled_qty))
    assert 0 <= filled - bought <= filled * Decimal("0.0025") + Decimal("1e-9")
    assert body["qty_available"] == body["qty"]
    value = Decimal(body["qty"]) * Decimal(body["current_price"])
    assert abs(value - Decimal(body["market_value"])) < Decimal("0.01")
    assert body["asset_marginable"] is False
    trading.get_all_positions()
    assert body["asset_id"] in {one["asset_id"] for one in agrees.answer(ListOf(POSITION))}


def test_a_position_is_found_by_its_assets_id(
    target: Target, placing: Placing, trading: TradingClient, agrees: Agreement
) -> None:
    order = placing.buy()
    trading.get_open_position(str(order.asset_id))
    assert agrees.answer(POSITION)["asset_id"] == str(order.asset_id)


@pytest.mark.open_market
def test_a_position_in_shares_has_every_key(
    target: Target, placing: Placing, trading: TradingClient, agrees: Agreement
) -> None:
    placing.buy(target.stock)
    trading.get_open_position(target.stock)
    body = agrees.answer(POSITION)
    assert (body["symbol"], body["asset_class"]) == (target.stock, "us_equity")
    assert len(body["qty"].partition(".")[2]) <= 9


def test_an_order_to_sell_holds_what_it_would_sell(
    target: Target, placing: Placing, trading: TradingClient, agrees: Agreement
) -> None:
    placing.buy()
    held = placing.held(target.coin)
    order = placing.offer(target.coin, held)
    placing.until(order, OrderStatus.NEW)
    trading.get_open_position(position_name(target.coin))
    body = agrees.answer(POSITION)
    assert (body["qty_available"], Decimal(body["qty"])) == ("0", held)
    refused = agrees.refusal(403, 40310000, lambda: placing.offer(target.coin, held))
    assert "insufficient" in refused["message"]


def test_a_part_of_a_position_is_closed_by_percentage(
    target: Target, placing: Placing, trading: TradingClient, edge: Edge, agrees: Agreement
) -> None:
    placing.buy()
    held = placing.held(target.coin)
    order = closing(trading, target.coin, percentage="50")
    assert (edge.last.method, edge.last.query) == ("DELETE", "percentage=50")
    agrees.answer(ORDER)
    done = placing.until(order, OrderStatus.FILLED)
    assert abs(Decimal(str(done.filled_qty)) - held / 2) <= Decimal("0.000000001")


def test_a_part_of_a_position_is_closed_by_quantity(
    target: Target, placing: Placing, trading: TradingClient, edge: Edge
) -> None:
    placing.buy()
    held = placing.held(target.coin)
    part = f"{held / 4:.9f}"
    order = closing(trading, target.coin, qty=part)
    assert edge.last.query == f"qty={part}"
    assert Decimal(str(placing.until(order, OrderStatus.FILLED).filled_qty)) == Decimal(part)


def test_a_closed_position_does_not_exist(
    target: Target, placing: Placing, trading: TradingClient, agrees: Agreement
) -> None:
    if placing.held(target.other_coin):
        pytest.skip(f"the account holds {target.other_coin} that is not ours to sell")
    placing.buy(target.other_coin)
    order = closing(trading, target.other_coin)
    placing.until(order, OrderStatus.FILLED)
    refusals: tuple[Callable[[], Any], ...] = (
        lambda: trading.get_open_position(position_name(target.other_coin)),
        lambda: trading.close_position(position_name(target.other_coin)),
    )
    for call in refusals:
        body = agrees.refusal(404, 40410000, call)
        assert body["message"] == "position does not exist"


def test_all_positions_are_closed_with_a_line_each(
    target: Target, placing: Placing, trading: TradingClient, edge: Edge, agrees: Agreement
) -> None:
    if target.kind == "paper" and (trading.get_all_positions() or trading.get_orders()):
        pytest.skip("the account has positions or orders that are not ours to end")
    for symbol in (target.coin, target.other_coin):
        placing.buy(symbol)
    placing.rest(target.stock)
    answers: list[Any] = list(trading.close_all_positions(cancel_orders=True))
    assert edge.last.query == "cancel_orders=True"
    body = agrees.answer(ListOf(CLOSED), 207)
    # Positions name a pair without its slash, orders with it.
    named = {position_name(coin) for coin in (target.coin, target.other_coin)}
    assert {(line["symbol"], line["status"]) for line in body} == {(name, 200) for name in named}
    assert {answer.symbol for answer in answers} == named
    placing.wait(lambda: not trading.get_all_positions(), "the positions to be closed")
    placing.wait(lambda: not trading.get_orders(), "the orders to be canceled")


@pytest.mark.open_market
def test_what_an_order_holds_is_not_closed_and_says_why(
    target: Target, placing: Placing, trading: TradingClient, agrees: Agreement
) -> None:
    if trading.get_all_positions():
        pytest.skip("the account has positions that are not ours to end")
    placing.buy(target.stock, qty=1)
    placing.offer(target.stock, Decimal(1))
    trading.close_all_positions(cancel_orders=False)
    (line,) = agrees.answer(ListOf(NOT_CLOSED), 207)
    assert (line["symbol"], line["status"], line["body"]["code"]) == (target.stock, 403, 40310000)
    words = "insufficient qty available for order (requested: 1, available: 0)"
    assert line["body"]["message"] == words


def test_a_part_is_a_quantity_or_a_percentage_and_not_more_than_there_is(
    target: Target, placing: Placing, plain: requests.Session
) -> None:
    placing.buy()
    url = f"{target.trading_url}/v2/positions/{position_name(target.coin)}"
    for query in ("qty=1&percentage=50", "percentage=0", "percentage=101", "qty=x", "qty=-1", "qty=100000"):
        answer = plain.delete(f"{url}?{query}", timeout=30)
        assert answer.status_code in (400, 403, 422), query
        assert isinstance(answer.json()["message"], str)
