"""An account in numbers: its value, what is bound of it, and what can still be bought."""

from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)
LEAST_MARGIN_EQUITY = Decimal(2_000)  # with less in it, nothing is lent on an account and nothing sold short


@dataclass(frozen=True, slots=True)
class Summary:
    """The account in numbers, in dollars; `margin` and `held_margin` are what positions and orders bind."""

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
        """What is held and what is owed, together."""
        return self.long_value - self.short_value

    @property
    def free_margin(self) -> Decimal:
        """What can still be bound."""
        return max(ZERO, self.equity - self.margin - self.held_margin)

    @property
    def overnight_margin(self) -> Decimal:
        """What Regulation T leaves to be bound, which lends no more than half; coins are bought for it."""
        return min(self.free_margin, max(ZERO, self.equity - self.initial_margin - self.held_margin))

    @property
    def buying_power(self) -> Decimal:
        """What shares can be bought for."""
        return self.free_margin * self.multiplier

    @property
    def may_short(self) -> bool:
        """Whether money is lent on the account at all, without which nothing is sold short."""
        return self.equity >= LEAST_MARGIN_EQUITY and self.multiplier > 1
