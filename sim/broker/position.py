"""What is held of one asset, and what it cost."""

from dataclasses import dataclass
from decimal import Decimal

from sim.exchange.assets import Asset

ZERO = Decimal(0)


@dataclass(slots=True)
class Position:
    """What is held of one asset: negative is short; `cost_basis` has the sign of the quantity."""

    asset: Asset
    qty: Decimal = ZERO
    cost_basis: Decimal = ZERO

    @property
    def avg_entry_price(self) -> Decimal:
        """What a share of it cost on average."""
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
        """What it is worth at a price, with the sign of the quantity; without a price, what it cost."""
        return self.cost_basis if price is None else self.qty * price
