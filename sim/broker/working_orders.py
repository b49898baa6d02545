"""Finds one symbol's working orders by the price at which they act, so that a quote costs little."""

import itertools
import sys
from bisect import bisect_left, bisect_right, insort
from decimal import Decimal

from sim.broker.matching import limit_price
from sim.broker.orders import Order
from sim.exchange.touch import Touch

_Entry = tuple[Decimal, int, Order]  # the price, negated where the highest comes first, and a sequence number
_LAST = sys.maxsize
_NO_PRICE = Decimal(0)


class WorkingOrders:
    """Orders that the market may fill at a quote or trigger by a trade."""

    def __init__(self) -> None:
        self._turns = itertools.count()
        self._entries: dict[str, tuple[list[_Entry], _Entry]] = {}
        self._at_any_price: list[_Entry] = []
        self._buys: list[_Entry] = []
        self._sells: list[_Entry] = []
        self._buy_stops: list[_Entry] = []
        self._sell_stops: list[_Entry] = []
        self._trailing: list[_Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, order: Order) -> None:
        """Add an order, or move one that was triggered."""
        self.remove(order)
        entries, price = self._place(order)
        entry = (price, next(self._turns), order)
        insort(entries, entry)
        self._entries[order.id] = (entries, entry)

    def remove(self, order: Order) -> None:
        """Remove an order; does nothing where it is not here."""
        found = self._entries.pop(order.id, None)
        if found is not None:
            entries, entry = found
            del entries[bisect_left(entries, entry)]

    def all(self) -> list[Order]:
        """Return every order."""
        return [entry[2] for _, entry in self._entries.values()]

    def crossed_by(self, touch: Touch) -> list[Order]:
        """Return those that may fill at this quote, the longest at work first."""
        found = list(self._at_any_price)
        if touch.ask is not None and self._buys:
            found += self._buys[: bisect_right(self._buys, (-touch.ask, _LAST))]
        if touch.bid is not None and self._sells:
            found += self._sells[: bisect_right(self._sells, (touch.bid, _LAST))]
        return _in_turn(found)

    def concerned_by(self, traded_at: Decimal) -> list[Order]:
        """Return those that a trade at this price triggers or that trail it, the longest at work first."""
        found = list(self._trailing)
        if self._buy_stops:
            found += self._buy_stops[: bisect_right(self._buy_stops, (traded_at, _LAST))]
        if self._sell_stops:
            found += self._sell_stops[: bisect_right(self._sell_stops, (-traded_at, _LAST))]
        return _in_turn(found)

    def _place(self, order: Order) -> tuple[list[_Entry], Decimal]:
        is_buy = order.ticket.side == "buy"
        if order.waits_for_trigger:
            stop = order.ticket.stop_price
            if stop is None:
                return self._trailing, _NO_PRICE
            return (self._buy_stops, stop) if is_buy else (self._sell_stops, -stop)
        limit = limit_price(order)
        if limit is None:
            return self._at_any_price, _NO_PRICE
        return (self._buys, -limit) if is_buy else (self._sells, limit)


def _in_turn(entries: list[_Entry]) -> list[Order]:
    if len(entries) > 1:
        entries.sort(key=_turn)
    return [order for _, _, order in entries]


def _turn(entry: _Entry) -> int:
    return entry[1]
