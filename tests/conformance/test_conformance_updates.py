"""Trade updates: what happens to an order, told in order, to alpaca-py's stream and to a plain client."""

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from agreement import Agreement
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, TimeInForce
from alpaca.trading.models import Order, TradeUpdate
from alpaca.trading.requests import LimitOrderRequest, ReplaceOrderRequest
from frames import Frame, Wire
from placing import COIN_QTY, FAR_COIN_PRICE, Placing
from plain_socket import opened
from streaming import Heard, updates_of
from target import Target
from trading_shapes import FILL_UPDATE, UPDATE
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

Tell = Callable[[Wire, Frame], None]
# Whether these come is the broker's choice; the others must.
MAY_COME_FIRST = ("pending_new", "accepted")


def of(heard: Heard, *orders: Order) -> list[dict[str, Any]]:
    """What was told of these orders, without what may come or not."""
    names = {str(order.id) for order in orders}
    told = [message["data"] for message in heard.messages if message["data"]["order"]["id"] in names]
    return [update for update in told if update["event"] not in MAY_COME_FIRST]


def events(updates: list[dict[str, Any]]) -> list[str]:
    return [update["event"] for update in updates]


async def test_a_fill_is_told_with_its_price_and_quantity(
    target: Target, tell: Tell, placing: Placing, agrees: Agreement
) -> None:
    async with updates_of(target, tell) as heard:
        order = await asyncio.to_thread(placing.buy)
        await heard.until(lambda: "fill" in events(of(heard, order)), "the fill")
        held = await asyncio.to_thread(placing.held, target.coin)
        told = of(heard, order)
    assert set(heard.messages[0]) == {"stream", "data"}
    assert heard.messages[0]["stream"] == "trade_updates"
    assert events(told)[0] == "new"
    assert set(events(told)[1:-1]) <= {"partial_fill"}
    agrees.of(told[0], UPDATE, "new")
    for update in told[1:]:
        agrees.of(update, FILL_UPDATE, update["event"])
    fill = told[-1]
    assert (fill["order"]["status"], fill["order"]["filled_qty"]) == ("filled", order.filled_qty)
    # Price and quantity are of this execution alone; the order has the sum and the average.
    assert sum(Decimal(update["qty"]) for update in told[1:]) == Decimal(str(order.filled_qty))
    assert Decimal(fill["position_qty"]) == held
    assert len({update["execution_id"] for update in told}) == len(told)


async def test_every_update_becomes_alpaca_pys_model(target: Target, tell: Tell, placing: Placing) -> None:
    async with updates_of(target, tell, raw_data=False) as heard:
        order = await asyncio.to_thread(placing.buy)

        def filled() -> bool:
            return any(one.event == "fill" and one.order.id == order.id for one in heard.messages)

        await heard.until(filled, "the fill")
    assert all(isinstance(message, TradeUpdate) for message in heard.messages)


async def test_a_cancel_is_told(
    target: Target, tell: Tell, placing: Placing, trading: TradingClient, agrees: Agreement
) -> None:
    async with updates_of(target, tell) as heard:
        order = await asyncio.to_thread(placing.rest, target.coin)
        await heard.until(lambda: events(of(heard, order)) == ["new"], "the order")
        await asyncio.to_thread(trading.cancel_order_by_id, order.id)
        await heard.until(lambda: "canceled" in events(of(heard, order)), "the cancel")
        told = of(heard, order)
    assert [event for event in events(told) if event != "pending_cancel"] == ["new", "canceled"]
    agrees.of(told[-1], UPDATE, "canceled")
    assert told[-1]["order"]["canceled_at"] is not None


async def test_a_chain_of_replacements_is_told_link_by_link(
    target: Target, tell: Tell, placing: Placing, trading: TradingClient, agrees: Agreement
) -> None:
    def replaced(order: Order, price: float) -> Order:
        request = ReplaceOrderRequest(limit_price=price, client_order_id=placing.name())
        placing.until(order, OrderStatus.NEW)
        made = trading.replace_order_by_id(order.id, request)
        assert isinstance(made, Order)
        return made

    async with updates_of(target, tell) as heard:
        first = await asyncio.to_thread(placing.rest, target.coin)
        second = await asyncio.to_thread(replaced, first, 1001.0)
        third = await asyncio.to_thread(replaced, second, 1002.0)
        await asyncio.to_thread(placing.until, third, OrderStatus.NEW)
        await asyncio.to_thread(trading.cancel_order_by_id, third.id)
        await heard.until(lambda: "canceled" in events(of(heard, third)), "the end of the chain")
        told = [of(heard, order) for order in (first, second, third)]
    quiet = ("pending_replace", "pending_cancel")
    assert [[event for event in events(one) if event not in quiet] for one in told] == [
        ["new", "replaced"], ["new", "replaced"], ["new", "canceled"],
    ]  # fmt: skip
    for old, new in pairwise(told):
        agrees.of(old[-1], UPDATE, "replaced")
        assert old[-1]["order"]["replaced_by"] == new[0]["order"]["id"]
        assert new[0]["order"]["replaces"] == old[-1]["order"]["id"]


async def test_what_cannot_fill_now_is_told_as_canceled(target: Target, tell: Tell, placing: Placing) -> None:
    request = LimitOrderRequest(
        symbol=target.coin, qty=COIN_QTY, side=OrderSide.BUY, time_in_force=TimeInForce.IOC,
        limit_price=FAR_COIN_PRICE,
    )  # fmt: skip
    async with updates_of(target, tell) as heard:
        order = await asyncio.to_thread(placing.submit, request)
        await heard.until(lambda: "canceled" in events(of(heard, order)), "the cancel")
        assert set(events(of(heard, order))) <= {"new", "canceled"}


async def test_frames_are_binary_and_hold_json(target: Target, tell: Tell) -> None:
    async with updates_of(target, tell) as heard:
        frames = [one for one in heard.wire.frames if one.direction == "received" and one.opcode != "ping"]
    assert {frame.opcode for frame in frames} == {"binary"}
    authorized = {"status": "authorized", "action": "authenticate"}
    assert [json.loads(frame.data) for frame in frames[:2]] == [
        {"stream": "authorization", "data": authorized},
        {"stream": "listening", "data": {"streams": ["trade_updates"]}},
    ]


async def test_the_wrong_secret_is_told_and_listening_needs_a_login(target: Target, tell: Tell) -> None:
    listen = {"action": "listen", "data": {"streams": ["trade_updates"]}}
    login = {"action": "authenticate", "data": {"key_id": target.key, "secret_key": "wrong"}}
    async with opened(target, target.updates_url, tell) as socket:
        await socket.say_raw(json.dumps(login))
        assert json.loads(await socket.connection.recv()) == {
            "stream": "authorization", "data": {"status": "unauthorized", "action": "authenticate"},
        }  # fmt: skip
    async with opened(target, target.updates_url, tell) as socket:
        await socket.say_raw(json.dumps(listen))
        assert json.loads(await socket.connection.recv()) == {
            "stream": "authorization", "data": {"status": "unauthorized", "action": "listen"},
        }  # fmt: skip


async def test_listening_replaces_what_was_listened_to(target: Target, tell: Tell, placing: Placing) -> None:
    login = {"action": "authenticate", "data": {"key_id": target.key, "secret_key": target.secret}}
    async with opened(target, target.updates_url, tell) as socket:
        await socket.say_raw(json.dumps(login))
        assert json.loads(await socket.connection.recv())["data"]["status"] == "authorized"
        for streams in (["trade_updates"], []):
            await socket.say_raw(json.dumps({"action": "listen", "data": {"streams": streams}}))
            assert json.loads(await socket.connection.recv()) == {
                "stream": "listening", "data": {"streams": streams},
            }  # fmt: skip


async def test_a_second_listener_is_refused_at_the_handshake(target: Target, tell: Tell) -> None:
    async with updates_of(target, tell):
        with pytest.raises(InvalidStatus) as error:
            await connect(target.updates_url, proxy=None)
    assert error.value.response.status_code == 429


async def test_msgpack_is_spoken_where_the_handshake_asks_for_it(target: Target, tell: Tell) -> None:
    login = {"action": "authenticate", "data": {"key_id": target.key, "secret_key": target.secret}}
    async with opened(target, target.updates_url, tell, is_msgpack=True) as socket:
        await socket.say(login)
        authorized = {"status": "authorized", "action": "authenticate"}
        assert await socket.hear() == {"stream": "authorization", "data": authorized}
