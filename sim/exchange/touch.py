"""The best bid and ask."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Touch:
    """The best bid and ask; a side without a quote is None."""

    bid: Decimal | None
    ask: Decimal | None
