"""An account's figures: its value, its margin, and its buying power."""

from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)
LEAST_MARGIN_EQUITY = Decimal(2_000)  # of equity; below it an account has no margin and may not sell short


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures in dollars; `margin` and `held_margin` are what positions and open orders require."""

    cash: Decimal
    long_value: Decimal
    short_value: Decimal
    margin: Decimal
    equity: Decimal
    held_margin: Decimal
    multiplier: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal

    @property
    def gross_value(self) -> Decimal:
        """The value of long and short positions together."""
        return self.long_value - self.short_value

    @property
    def free_margin(self) -> Decimal:
        """The margin that is not in use."""
        return max(ZERO, self.equity - self.margin - self.held_margin)

    @property
    def overnight_margin(self) -> Decimal:
        """The margin free under Regulation T, which lends at most half; crypto pairs are bought with it."""
        return min(self.free_margin, max(ZERO, self.equity - self.initial_margin - self.held_margin))

    @property
    def buying_power(self) -> Decimal:
        """The buying power for shares."""
        return self.free_margin * self.multiplier

    @property
    def may_short(self) -> bool:
        """Whether the account has margin at all, without which it may not sell short."""
        return self.equity >= LEAST_MARGIN_EQUITY and self.multiplier > 1
