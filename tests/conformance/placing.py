"""Orders of this suite on an account that may be somebody's: small, far from the market, and taken back."""

import itertools
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
from alpaca.trading.models import Order
from alpaca.trading.requests import GetOrdersRequest, LimitOrderRequest, MarketOrderRequest, OrderRequest
from target import Target

PREFIX = "conformance-"
# Far below any market, and above the smallest order in coins of ten dollars.
FAR_STOCK_PRICE = 1.0
FAR_COIN_PRICE = 1000.0
COIN_QTY = 0.02
SMALL_NOTIONAL = 15
# Far above any market.
FAR_STOCK_OFFER = 5000.0
FAR_COIN_OFFER = 500_000.0
_DONE = (OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REPLACED)


def position_name(symbol: str) -> str:
    """How positions name a symbol: a pair without its slash, with which clients report a 404 of Alpaca."""
    return symbol.replace("/", "")


class Placing:
    """Places orders under names of its own and knows what to take back."""

    _count = itertools.count(1)

    def __init__(self, target: Target, client: TradingClient) -> None:
        self._target = target
        self._client = client
        self._run = time.time_ns() // 1_000_000
        self._has_named = False
        self._held_before: dict[str, Decimal] = {}

    def name(self) -> str:
        """A client order id that nobody has had; whoever asks for one is about to order."""
        if not self._target.may_trade:
            pytest.skip("this run may not trade")
        self._has_named = True
        return f"{PREFIX}{self._run}-{next(self._count)}"

    def submit(self, request: OrderRequest) -> Order:
        """Submit an order, under a name of ours where it has none."""
        assert request.symbol is not None
        name = self.name()
        if request.client_order_id is None:
            request.client_order_id = name
        self._held_before.setdefault(request.symbol, self.held(request.symbol))
        order = self._client.submit_order(request)
        assert isinstance(order, Order)
        return order

    def rest(self, symbol: str | None = None, **fields: Any) -> Order:
        """Place a limit order to buy that no market reaches."""
        symbol = symbol or self._target.stock
        is_coin = "/" in symbol
        request = {
            "symbol": symbol,
            "qty": COIN_QTY if is_coin else 1,
            "side": OrderSide.BUY,
            "time_in_force": TimeInForce.GTC if is_coin else TimeInForce.DAY,
            "limit_price": FAR_COIN_PRICE if is_coin else FAR_STOCK_PRICE,
        }
        return self.submit(LimitOrderRequest(**(request | fields)))

    def buy(self, symbol: str | None = None, **fields: Any) -> Order:
        """Buy a little of something at the market, and wait until it is filled; coins trade day and night."""
        symbol = symbol or self._target.coin
        size = {} if "qty" in fields else {"notional": SMALL_NOTIONAL}
        tif = TimeInForce.GTC if "/" in symbol else TimeInForce.DAY
        order = self.submit(
            MarketOrderRequest(symbol=symbol, side=OrderSide.BUY, time_in_force=tif, **size, **fields)
        )
        return self.until(order, OrderStatus.FILLED)

    def offer(self, symbol: str, qty: Decimal) -> Order:
        """Place a limit order to sell that no market reaches."""
        price = FAR_COIN_OFFER if "/" in symbol else FAR_STOCK_OFFER
        tif = TimeInForce.GTC if "/" in symbol else TimeInForce.DAY
        return self.submit(
            LimitOrderRequest(
                symbol=symbol, qty=float(qty), side=OrderSide.SELL, time_in_force=tif, limit_price=price
            )
        )

    def until(self, order: Order, status: OrderStatus) -> Order:
        """Wait until the order has this status, and return it as it then is."""
        found = order

        def has_it() -> bool:
            nonlocal found
            now = self._client.get_order_by_id(order.id)
            assert isinstance(now, Order)
            found = now
            return now.status == status

        self.wait(has_it, f"order {order.client_order_id} to be {status.value}")
        return found

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Return once the condition holds; fails after the target's patience."""
        deadline = time.monotonic() + self._target.patience_s
        while not condition():
            assert time.monotonic() < deadline, f"waited {self._target.patience_s:g} s in vain for {what}"
            threading.Event().wait(self._target.pause_s)

    def held(self, symbol: str) -> Decimal:
        """How much of it the account holds."""
        try:
            position: Any = self._client.get_open_position(position_name(symbol))
        except APIError as error:
            if error.status_code != 404:
                raise
            return Decimal(0)
        return Decimal(position.qty)

    def take_back(self) -> None:
        """Cancel what is open under names of ours or descends from it, and sell what was bought."""
        if not self._has_named:
            return
        ours: set[object] = set()
        listed = self._listed(QueryOrderStatus.ALL)
        for order in listed:
            if order.client_order_id.startswith(f"{PREFIX}{self._run}-") or order.replaces in ours:
                ours.add(order.id)
        for order in listed:
            if order.id in ours and order.status not in _DONE:
                self._cancel(order)
        self.wait(
            lambda: not ours & {order.id for order in self._listed(QueryOrderStatus.OPEN)},
            "the orders of this test to be gone",
        )
        for symbol, before in self._held_before.items():
            more = self.held(symbol) - before
            if more > 0:
                self._sell(symbol, more)

    def _listed(self, status: QueryOrderStatus) -> list[Order]:
        """The newest orders, the oldest of them first: what replaces another comes after it."""
        found = self._client.get_orders(GetOrdersRequest(status=status, limit=500))
        return [order for order in reversed(found) if isinstance(order, Order)]

    def _cancel(self, order: Order) -> None:
        try:
            self._client.cancel_order_by_id(order.id)
        except APIError as error:
            # 422: it ended in the meantime.
            if error.status_code != 422:
                raise

    def _sell(self, symbol: str, qty: Decimal) -> None:
        tif = TimeInForce.GTC if "/" in symbol else TimeInForce.DAY
        order = self._client.submit_order(
            MarketOrderRequest(
                symbol=symbol, qty=float(qty), side=OrderSide.SELL, time_in_force=tif,
                client_order_id=self.name(),
            )
        )  # fmt: skip
        assert isinstance(order, Order)
        self.until(order, OrderStatus.FILLED)
