"""What positions and open orders may come to in dollars, over all symbols: gross and net. Pure."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal

from bus.order_messages import Side
from oms.amounts import ZERO, minus, plus, times

# The furthest that positions can get if open orders fill: without signs, upwards, downwards. In each symbol
# either its purchases or its sales fill, whichever leads further.
Sums = tuple[Decimal, Decimal, Decimal]

_NOWHERE: Sums = (ZERO, ZERO, ZERO)


class Exposure:
    """Sums by holder (an algorithm, or the account), kept as positions and orders change.

    Each symbol counts at the price of the last decision in it; before there was one, at that of its last
    fill. `position` tells what a holder has of a symbol, `pending` what its open orders may still fill, by
    side. Mutable: prices and sums; what changes of a sum is worked out when somebody asks for it next.
    """

    def __init__(
        self,
        position: Callable[[str, str], Decimal],
        pending: Callable[[str, str], Mapping[Side, Decimal]],
    ) -> None:
        self._position, self._pending = position, pending
        self._prices: dict[str, Decimal] = {}
        self._sums: dict[str, Sums] = {}
        # What is in the sums, by symbol, then by holder.
        self._parts: dict[str, dict[str, Sums]] = defaultdict(dict)
        # The symbols of each holder whose part is out of date.
        self._changed: dict[str, set[str]] = defaultdict(set)

    def __repr__(self) -> str:
        return f"<exposure of {len(self._changed)} holders in {len(self._prices)} symbols>"

    def changed(self, holder: str, symbol: str) -> None:
        """Take in that a position changed, or what is pending."""
        self._changed[holder].add(symbol)

    def priced(self, symbol: str, price: Decimal) -> None:
        """Take the price at which a symbol counts from now on."""
        if self._prices.get(symbol) != price:
            self._prices[symbol] = price
            for holder in self._parts[symbol]:
                self._changed[holder].add(symbol)

    def filled_at(self, symbol: str, price: Decimal, *, elsewhere: bool) -> None:
        """Take the price of a fill, where no decision tells a better one."""
        if elsewhere or symbol not in self._prices:
            self.priced(symbol, price)

    def price(self, symbol: str) -> Decimal:
        """The price at which a symbol counts; zero before there was any."""
        return self._prices.get(symbol, ZERO)

    def of(self, holder: str) -> Sums:
        """What a holder's positions and orders come to."""
        changed = self._changed[holder]
        while changed:
            self._put_in(holder, changed.pop())
        return self._sums.get(holder, _NOWHERE)

    def without(self, holder: str, symbol: str) -> Sums:
        """What those in all other symbols come to."""
        self._take_out(holder, symbol)
        self._changed[holder].discard(symbol)
        others = self.of(holder)
        self._changed[holder].add(symbol)
        return others

    def _put_in(self, holder: str, symbol: str) -> None:
        """Have the sums contain what a symbol comes to now."""
        self._take_out(holder, symbol)
        held, pending = self._position(symbol, holder), self._pending(symbol, holder)
        most, least = plus(held, pending["buy"]), minus(held, pending["sell"])
        # Also what comes to nothing because there is no price yet: it will with the first.
        if most or least:
            price = self._prices.get(symbol, ZERO)
            highest, lowest = times(most, price), times(least, price)
            furthest = highest if most > -least else -lowest
            self._parts[symbol][holder] = furthest, highest, lowest
            gross, upwards, downwards = self._sums.get(holder, _NOWHERE)
            self._sums[holder] = plus(gross, furthest), plus(upwards, highest), plus(downwards, lowest)

    def _take_out(self, holder: str, symbol: str) -> None:
        """Have the sums contain nothing of a symbol."""
        part = self._parts[symbol].pop(holder, None)
        if part is not None:
            gross, upwards, downwards = self._sums[holder]
            self._sums[holder] = minus(gross, part[0]), minus(upwards, part[1]), minus(downwards, part[2])
