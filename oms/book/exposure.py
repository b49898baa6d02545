"""What positions and open orders may come to in dollars, over all symbols: gross and net. Pure."""

from collections.abc import Callable
from decimal import Decimal

from bus.order_messages import Side
from oms.amounts import ZERO, minus, plus, times

# The furthest that positions can get if open orders fill: without signs, upwards, downwards. In each symbol
# either its purchases or its sales fill, whichever leads further.
Sums = tuple[Decimal, Decimal, Decimal]

_NOWHERE: Sums = (ZERO, ZERO, ZERO)
_NOTHING: dict[str, Sums] = {}


class Exposure:
    """Sums by holder (an algorithm, or the account), kept as positions and orders change.

    Each symbol counts at the price of the last decision in it; before there was one, at that of its last
    fill. `position` tells what a holder has of a symbol, `pending` what its open orders of one side may still
    fill. Mutable: prices and sums.
    """

    def __init__(
        self, position: Callable[[str, str], Decimal], pending: Callable[[str, str, str], Decimal]
    ) -> None:
        self._position, self._pending = position, pending
        self._prices: dict[str, Decimal] = {}
        self._sums: dict[str, Sums] = {}
        # By symbol, then by holder; those that come to nothing are left out.
        self._parts: dict[str, dict[str, Sums]] = {}

    def __repr__(self) -> str:
        return f"<exposure of {len(self._sums)} holders in {len(self._prices)} symbols>"

    def changed(self, holder: str, symbol: str) -> None:
        """Take in that a position changed, or what is pending."""
        price, parts = self._prices.get(symbol, ZERO), self._parts.get(symbol)
        if parts is None:
            parts = self._parts[symbol] = {}
        held = self._position(symbol, holder)
        highest = times(plus(held, self._pending(symbol, "buy", holder)), price)
        lowest = times(minus(held, self._pending(symbol, "sell", holder)), price)
        old, new = parts.get(holder, _NOWHERE), (max(highest, -lowest), highest, lowest)
        if new == old:
            return
        self._sums[holder] = _moved(self._sums.get(holder, _NOWHERE), old, new)
        if new[0]:
            parts[holder] = new
        else:
            parts.pop(holder, None)

    def priced(self, symbol: str, price: Decimal) -> None:
        """Take the price at which a symbol counts from now on."""
        if self._prices.get(symbol) != price:
            self._prices[symbol] = price
            for holder in tuple(self._parts.get(symbol, ())):
                self.changed(holder, symbol)

    def filled_at(self, symbol: str, price: Decimal, *, elsewhere: bool) -> None:
        """Take the price of a fill, where no decision tells a better one."""
        if elsewhere or symbol not in self._prices:
            self.priced(symbol, price)

    def of(self, holder: str) -> Sums:
        """What a holder's positions and orders come to."""
        return self._sums.get(holder, _NOWHERE)

    def with_order(
        self, holder: str, symbol: str, side: Side, reached: Decimal, price: Decimal
    ) -> tuple[Decimal, Decimal]:
        """What they would come to with an order more, this symbol at this price: gross, and net on its side.

        `reached` is the position to which all open orders on its side and it may lead, counted upwards on the
        way that they go.
        """
        gross, highest, lowest = self._sums.get(holder, _NOWHERE)
        old = self._parts.get(symbol, _NOTHING).get(holder, _NOWHERE)
        held, furthest = self._position(symbol, holder), times(reached, price)
        if side == "buy":
            back = minus(self._pending(symbol, "sell", holder), held)
            net = plus(minus(highest, old[1]), furthest)
        else:
            back = plus(self._pending(symbol, "buy", holder), held)
            net = plus(minus(old[2], lowest), furthest)
        return plus(minus(gross, old[0]), max(furthest, times(back, price))), net


def _moved(total: Sums, old: Sums, new: Sums) -> Sums:
    """A sum in which the part of one symbol changes."""
    if old is _NOWHERE:
        return plus(total[0], new[0]), plus(total[1], new[1]), plus(total[2], new[2])
    return (
        plus(minus(total[0], old[0]), new[0]),
        plus(minus(total[1], old[1]), new[1]),
        plus(minus(total[2], old[2]), new[2]),
    )
