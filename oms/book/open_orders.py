"""Orders that may still be filled: all, those made elsewhere, and those in a symbol on one side. Pure."""

from bisect import bisect_left, insort
from collections.abc import Collection
from decimal import Decimal

from bus.order_messages import OrderTerms, Side
from bus.streams import EXTERNAL
from oms.book.orders import Order

_OTHER: dict[Side, Side] = {"buy": "sell", "sell": "buy"}


class OneSide:
    """Open orders in a symbol on one side. Mutable, by `OpenOrders`: these, and the prices of some of them.

    `prices` are the limits, in ascending order, of those that could trade with another order of the account;
    those of them that have no limit would at any price.
    """

    __slots__ = ("_limits", "orders", "prices")

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.prices: list[Decimal] = []
        # What is counted of each, by client id.
        self._limits: dict[str, Decimal | None] = {}

    def __repr__(self) -> str:
        return f"<{len(self.orders)} orders, {len(self._limits)} that count>"

    def put(self, order: Order) -> None:
        """Take in an open order, or what changed of it."""
        name, working = order.client_order_id, order.working
        self.orders[name] = order
        if working is None or order.role or order.algorithm == EXTERNAL or is_exempt(working):
            self._forget(name)
            return
        limit = working.limit_price
        if name in self._limits:
            if self._limits[name] == limit:
                return
            self._forget(name)
        self._limits[name] = limit
        if limit is None:
            return
        if not self.prices or limit >= self.prices[-1]:
            self.prices.append(limit)
        else:
            insort(self.prices, limit)

    def remove(self, order: Order) -> None:
        """Let an order go that has ended."""
        self.orders.pop(order.client_order_id, None)
        self._forget(order.client_order_id)

    def has_no_limit(self) -> bool:
        """Whether any of those that count would trade at any price."""
        return len(self._limits) > len(self.prices)

    def _forget(self, name: str) -> None:
        price = self._limits.pop(name, None)
        if price is not None:
            del self.prices[bisect_left(self.prices, price)]


class OpenOrders:
    """Mutable, by the book: each order is put in anew whenever it changes."""

    def __init__(self) -> None:
        self._all: dict[str, Order] = {}
        self._elsewhere: dict[str, Order] = {}
        self._sides: dict[tuple[str, str], OneSide] = {}

    def __repr__(self) -> str:
        return f"<{len(self._all)} open orders>"

    def __len__(self) -> int:
        return len(self._all)

    def put(self, order: Order) -> None:
        """Take in what became of an order."""
        name, on = order.client_order_id, (order.symbol, order.side)
        side = self._sides.get(on)
        if side is None:
            side = self._sides[on] = OneSide()
        if order.open:
            self._all[name] = order
            side.put(order)
            if order.algorithm == EXTERNAL:
                self._elsewhere[name] = order
        else:
            side.remove(order)
            self._all.pop(name, None)
            self._elsewhere.pop(name, None)

    def all(self) -> tuple[Order, ...]:
        """All of them, oldest first."""
        return tuple(self._all.values())

    def elsewhere(self) -> list[Order]:
        """Those that were made elsewhere on the account, oldest first."""
        return list(self._elsewhere.values())

    def symbols(self) -> set[str]:
        """The symbols that they are in."""
        return {symbol for (symbol, _), side in self._sides.items() if side.orders}

    def on(self, symbol: str, side: str) -> Collection[Order]:
        """Those in this symbol and on this side, oldest first; not to be kept."""
        found = self._sides.get((symbol, side))
        return () if found is None else found.orders.values()

    def could_trade_with(self, symbol: str, side: Side, limit: Decimal | None) -> bool:
        """Whether an order with this limit, None for none, could trade with any on the other side.

        Those that Alpaca exempts are left out, and those made elsewhere.
        """
        other = self._sides.get((symbol, _OTHER[side]))
        if other is None:
            return False
        prices = other.prices
        if limit is None or not prices or other.has_no_limit():
            return bool(prices) or other.has_no_limit()
        return prices[0] <= limit if side == "buy" else prices[-1] >= limit


def is_exempt(terms: OrderTerms) -> bool:
    """Whether Alpaca lets it trade with orders of the same account: one with exits, or a trailing stop."""
    return terms.order_class != "simple" or terms.type == "trailing_stop"
