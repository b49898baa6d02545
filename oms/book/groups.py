"""An order and its exits as one group: what they may do together, and what of a position they protect. Pure.

Of two exits at most one is filled: whatever one fills is taken off the other, and the end of one ends both.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from bus.order_messages import Role, Side
from oms.amounts import ZERO, minus, plus, quotient_down, times
from oms.book.orders import REFUSED, Order

# What an order adds to the sums beside the one that it replaces: quantity, and whether it counts as open.
Beyond = Callable[[Order], tuple[Decimal, bool]]


@dataclass(slots=True, eq=False)
class Group:
    """The orders of one group by role, each with what replaced it, oldest first. Mutable: these lists.

    `entry` is empty for an OCO, which closes what is held: that order itself is the take-profit.
    """

    entry: list[Order] = field(default_factory=list)
    take_profit: list[Order] = field(default_factory=list)
    stop_loss: list[Order] = field(default_factory=list)

    def __eq__(self, other: object) -> bool:
        """Whether the same orders are in the same places; each of them knows its group in turn."""
        return isinstance(other, Group) and self._ids() == other._ids()

    __hash__ = None  # type: ignore[assignment]

    def _ids(self) -> list[list[str]]:
        chains = (self.entry, self.take_profit, self.stop_loss)
        return [[order.client_order_id for order in chain] for chain in chains]

    def __repr__(self) -> str:
        return f"<group of {self.first.client_order_id}>"

    @property
    def first(self) -> Order:
        """The order that was asked for first, whose terms name the exits."""
        return (self.entry or self.take_profit)[0]

    @property
    def closing_side(self) -> Side:
        """The side of its exits."""
        if not self.entry:
            return self.first.side
        return "sell" if self.first.side == "buy" else "buy"

    @property
    def is_open(self) -> bool:
        """Whether any order of it may still be filled."""
        return any(order.open for order in (*self.entry, *self.take_profit, *self.stop_loss))

    def join(self, order: Order, role: Role) -> None:
        """Take an order in, in this role."""
        order.role, order.group = role, self
        chain = self.entry if role == "entry" else self.stop_loss if role == "stop_loss" else self.take_profit
        if not any(known is order for known in chain):
            chain.append(order)

    def opened(self) -> Decimal:
        """The quantity that it opened, or, of an OCO that the broker has taken, that it was to close."""
        if self.entry:
            return sum((max(order.filled, order.reported) for order in self.entry), ZERO)
        return self.first.asked() if self.first.broker_order_id and not self.first.never_came else ZERO

    def unclosed(self) -> Decimal:
        """What of that neither its exits nor other orders closed."""
        closed = sum((order.filled for order in (*self.take_profit, *self.stop_loss)), self.first.settled)
        return max(ZERO, minus(self.opened(), closed))

    def settle(self) -> None:
        """All that it opened is closed, by whatever orders."""
        self.first.settled = plus(self.first.settled, self.unclosed())

    def split(self, new: int, old: int) -> None:
        """What it opened and is not closed is counted in new shares; beyond nine places it is cut off."""
        unclosed = self.unclosed()
        after = quotient_down(times(unclosed, Decimal(new)), Decimal(old))
        self.first.settled = plus(self.first.settled, minus(unclosed, after))

    def protected(self) -> Decimal:
        """The quantity for which a stop-loss stands: none before the entry is filled completely."""
        if self.entry and all(order.status != "filled" for order in self.entry):
            return ZERO
        return sum((order.leaves() for order in self.stop_loss if order.broker_order_id), ZERO)

    @property
    def has_stop_loss(self) -> bool:
        """Whether it was to have one."""
        terms = self.first.terms
        return bool(self.stop_loss) or (terms is not None and terms.stop_loss is not None)

    def shares(self, beyond: Beyond) -> Iterator[tuple[Order, Decimal, Decimal, bool]]:
        """Yield for each exit the quantity and value that it adds to the sums, and whether it counts as open.

        The exits together count what the larger may do, for no more than was opened; and as one order, once
        the entry has ended.
        """
        most = self.unclosed() if self.entry else None
        entered = not any(order.open for order in self.entry)
        of_first, worth_of_first, counted = ZERO, ZERO, not entered
        for chain in (self.take_profit, self.stop_loss):
            left, sum_of_chain, worth_of_chain = most, ZERO, ZERO
            for order in chain:
                quantity, counts = beyond(order)
                if left is not None:
                    quantity = min(quantity, left)
                    left = minus(left, quantity)
                value = times(quantity, order.reserve_price)
                sum_of_chain, worth_of_chain = plus(sum_of_chain, quantity), plus(worth_of_chain, value)
                more = min(quantity, max(ZERO, minus(sum_of_chain, of_first)))
                worth = min(value, max(ZERO, minus(worth_of_chain, worth_of_first)))
                yield order, more, worth, counts and not counted
                counted = counted or counts
            of_first, worth_of_first = sum_of_chain, worth_of_chain


def begun(order: Order) -> Group | None:
    """The group that an order begins by its terms; None where it stands alone."""
    if order.terms is None or order.terms.order_class == "simple":
        return None
    group = Group()
    group.join(order, "take_profit" if order.terms.order_class == "oco" else "entry")
    return group


def expects_legs(order: Order) -> bool:
    """Whether the broker has, or may come to have, exits of this order that the book does not know yet.

    Those of an order that takes another's place are known already: they go over to it. One that was rejected
    after it was taken had some.
    """
    group = order.group
    if group is None or order.terms is None or order is not group.first or order.status == REFUSED:
        return False
    match order.terms.order_class:
        case "bracket":
            return not (group.take_profit and group.stop_loss)
        case "oto":
            return not (group.take_profit or group.stop_loss)
        case _:
            return not group.stop_loss
