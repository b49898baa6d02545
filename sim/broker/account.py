"""The account: cash, positions, and what both allow."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from sim.broker.ledger import EXACT
from sim.broker.orders import Order
from sim.exchange.assets import Asset

ZERO = Decimal(0)
MULTIPLIER = Decimal(4)


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


@dataclass(slots=True)
class Account:
    """Cash and positions; every change is a fill."""

    cash: Decimal
    positions: dict[str, Position] = field(default_factory=dict)

    def fill(self, asset: Asset, side: str, qty: Decimal, price: Decimal) -> Decimal:
        """Apply one execution and return the signed position after it."""
        signed_qty = qty if side == "buy" else -qty
        self.cash = EXACT.subtract(self.cash, EXACT.multiply(signed_qty, price))
        position = self.positions.setdefault(asset.symbol, Position(asset))
        position.add(signed_qty, price)
        if position.qty == 0:
            del self.positions[asset.symbol]
        return position.qty

    def qty(self, symbol: str) -> Decimal:
        """The signed quantity held; zero where there is none."""
        position = self.positions.get(symbol)
        return ZERO if position is None else position.qty

    def summary(self, mark: Callable[[str], Decimal | None], orders: Iterable[Order]) -> "Summary":
        """Value and buying power at the marks; a position without a mark counts at cost.

        Shares bind a quarter of their value as margin, coins all of it; so do open orders that would open
        or enlarge a position.
        """
        long_value = short_value = margin = ZERO
        for symbol, position in self.positions.items():
            price = mark(symbol)
            value = position.cost_basis if price is None else position.qty * price
            long_value += max(value, ZERO)
            short_value += min(value, ZERO)
            margin += abs(value) if position.asset.is_crypto else abs(value) / MULTIPLIER
        equity = self.cash + long_value + short_value
        return Summary(self.cash, long_value, short_value, margin, equity, self._held_margin(orders))

    def _held_margin(self, orders: Iterable[Order]) -> Decimal:
        closing = {symbol: position.qty for symbol, position in self.positions.items()}
        held = ZERO
        for order in orders:
            symbol = order.ticket.asset.symbol
            value = order.reserved_value
            left = order.reserved_qty
            against = closing.get(symbol, ZERO) * (-1 if order.ticket.side == "buy" else 1)
            if against > 0 and left > 0:
                covered = min(left, against)
                closing[symbol] -= covered if closing[symbol] > 0 else -covered
                value -= value * covered / left
            held += value if order.ticket.asset.is_crypto else value / MULTIPLIER
        return held


@dataclass(frozen=True, slots=True)
class Summary:
    """The account in numbers, in dollars."""

    cash: Decimal
    long_value: Decimal
    short_value: Decimal
    margin: Decimal
    equity: Decimal
    held_margin: Decimal

    @property
    def free_margin(self) -> Decimal:
        """What can still be bound; also what coins, which nobody lends on, can be bought for."""
        return max(ZERO, self.equity - self.margin - self.held_margin)

    @property
    def buying_power(self) -> Decimal:
        """What shares can be bought for."""
        return self.free_margin * MULTIPLIER
