"""What changes an account otherwise than a fill: fees, dividends, transfers, splits."""

from dataclasses import dataclass
from decimal import Decimal

# Of these types the quantity is what the position changes by; of others it is what was counted, such as the
# shares that a dividend was paid on.
MOVES_POSITION = frozenset({"ACATS", "CFEE", "JNLS", "SPLIT"})


@dataclass(frozen=True, slots=True)
class Movement:
    """One activity that is no fill; `type` is Alpaca's name. `price` is None where it has none."""

    id: str
    type: str
    symbol: str
    qty: Decimal
    price: Decimal | None
    cash: Decimal
    description: str
    at_ns: int

    @property
    def position_change(self) -> Decimal:
        """What the position changes by."""
        return self.qty if self.type in MOVES_POSITION else Decimal(0)
