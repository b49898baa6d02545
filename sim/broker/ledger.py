"""Folds all fills into cash, positions and profit: the truth that the account is compared with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

from sim.broker.movements import Movement

ZERO = Decimal(0)

# In this many digits sums of money are exact, whatever the quantities and prices.
EXACT = Context(prec=80)


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill; `id` is the execution id on trade updates.

    `fee` is what was taken of what it brought: coins of a purchase of crypto, dollars of its sale.
    """

    id: str
    order_id: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    at_ns: int
    fee: Decimal = ZERO

    @property
    def signed_qty(self) -> Decimal:
        """The quantity, negative when sold."""
        return self.qty if self.side == "buy" else -self.qty

    @property
    def position_change(self) -> Decimal:
        """What the position changes by: of a purchase what the fee leaves."""
        return EXACT.subtract(self.signed_qty, self.fee if self.side == "buy" else ZERO)

    @property
    def cash_change(self) -> Decimal:
        """What the cash changes by: of a sale what the fee leaves."""
        return -self.value if self.side == "buy" else EXACT.subtract(self.value, self.fee)

    @property
    def value(self) -> Decimal:
        """Price times quantity."""
        return EXACT.multiply(self.qty, self.price)


def cash_after(opening_cash: Decimal, fills: Iterable[Fill]) -> Decimal:
    """Return the cash that is left of the opening cash after the fills."""
    cash = opening_cash
    for fill in fills:
        cash = EXACT.add(cash, fill.cash_change)
    return cash


@dataclass(frozen=True, slots=True)
class Entry:
    """One fill and the state after it: the cash, the signed position, and the profit that it realized."""

    fill: Fill
    cash: Decimal
    position: Decimal
    realized: Decimal


@dataclass(slots=True)
class SymbolSum:
    """The sums of one symbol's fills; `cost_basis` has the sign of the position.

    Profit is realized when a position is reduced, measured against its average price, as Alpaca does. `fees`
    are in dollars, those in coins at the price of their fill: they are in the cost, not in the profit.
    """

    bought_qty: Decimal = ZERO
    bought_value: Decimal = ZERO
    sold_qty: Decimal = ZERO
    sold_value: Decimal = ZERO
    position: Decimal = ZERO
    cost_basis: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    fills: int = 0

    def add(self, fill: Fill) -> Decimal:
        """Add one fill; returns the profit that it realized."""
        self.fills += 1
        if fill.side == "buy":
            self.bought_qty = EXACT.add(self.bought_qty, fill.qty)
            self.bought_value = EXACT.add(self.bought_value, fill.value)
        else:
            self.sold_qty = EXACT.add(self.sold_qty, fill.qty)
            self.sold_value = EXACT.add(self.sold_value, fill.value)
        before, signed = self.position, fill.signed_qty
        closed = min(abs(before), fill.qty) if before * signed < 0 else ZERO
        cost_closed = ZERO
        if closed:
            cost_closed = EXACT.divide(EXACT.multiply(self.cost_basis, closed), abs(before))
        # What is closed takes its share of the cost; what is opened adds the price paid.
        value_closed = EXACT.multiply(closed.copy_sign(before), fill.price)
        value_opened = EXACT.multiply((fill.qty - closed).copy_sign(signed), fill.price)
        realized = EXACT.subtract(value_closed, cost_closed)
        if fill.side == "sell":
            realized = EXACT.subtract(realized, fill.fee)
        self.cost_basis = EXACT.add(EXACT.subtract(self.cost_basis, cost_closed), value_opened)
        self.position = EXACT.add(before, fill.position_change)
        in_dollars = fill.fee if fill.side == "sell" else EXACT.multiply(fill.fee, fill.price)
        self.fees = EXACT.add(self.fees, in_dollars)
        self.realized = EXACT.add(self.realized, realized)
        return realized


class Ledger:
    """A fold of an account's fills that continues where it stopped, so that each fill is read once."""

    def __init__(self, opening_cash: Decimal) -> None:
        self.opening_cash = opening_cash
        self.cash = opening_cash
        self.realized = ZERO
        self.entries: list[Entry] = []
        self.sums: dict[str, SymbolSum] = {}
        self._moved = 0
        self.filled: dict[str, tuple[Decimal, Decimal]] = {}  # quantity and value, by order

    def follow_movements(self, movements: Sequence[Movement]) -> None:
        """Fold what else changed the account since the last call; `movements` is always the whole list."""
        for movement in movements[self._moved :]:
            self.cash = EXACT.add(self.cash, movement.cash)
            if movement.position_change:
                total = self.sums.setdefault(movement.symbol, SymbolSum())
                total.position = EXACT.add(total.position, movement.position_change)
                if movement.price is not None:
                    worth = EXACT.multiply(movement.position_change, movement.price)
                    total.cost_basis = EXACT.add(total.cost_basis, worth)
        self._moved = len(movements)

    def follow(self, fills: Sequence[Fill]) -> None:
        """Fold the fills since the last call; `fills` is always the whole list."""
        for index in range(len(self.entries), len(fills)):
            fill = fills[index]
            self.cash = cash_after(self.cash, (fill,))
            total = self.sums.setdefault(fill.symbol, SymbolSum())
            realized = total.add(fill)
            self.realized = EXACT.add(self.realized, realized)
            self.entries.append(Entry(fill, self.cash, total.position, realized))
            qty, value = self.filled.get(fill.order_id, (ZERO, ZERO))
            self.filled[fill.order_id] = EXACT.add(qty, fill.qty), EXACT.add(value, fill.value)
