"""The best prices in force."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Touch:
    """The best bid and offer; a side nobody quotes is None."""

    bid: Decimal | None
    ask: Decimal | None
