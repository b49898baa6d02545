"""One position: its quantity and its cost."""

from dataclasses import dataclass
from decimal import Decimal

from sim.exchange.assets import Asset

ZERO = Decimal(0)


@dataclass(slots=True)
class Position:
    """A position in one asset: negative is short; `cost_basis` has the sign of the quantity."""

    asset: Asset
    qty: Decimal = ZERO
    cost_basis: Decimal = ZERO

    @property
    def avg_entry_price(self) -> Decimal:
        """The average price paid per share."""
        return self.cost_basis / self.qty

    def add(self, signed_qty: Decimal, price: Decimal) -> None:
        """Buy (or, with a negative quantity, sell) at a price; through zero, the rest opens at that price."""
        after = self.qty + signed_qty
        if self.qty * signed_qty >= 0:
            self.cost_basis += signed_qty * price
        elif after * self.qty > 0:
            self.cost_basis = self.cost_basis * after / self.qty
        else:
            self.cost_basis = after * price
        self.qty = after

    def value(self, price: Decimal | None) -> Decimal:
        """Return the value at a price, with the sign of the quantity; without a price, the cost."""
        return self.cost_basis if price is None else self.qty * price
