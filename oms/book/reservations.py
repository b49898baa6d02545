"""What open orders may still do, as sums by algorithm and symbol, kept as each order changes. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

from bus.order_messages import Side
from oms.amounts import ZERO, minus, plus, times
from oms.book.groups import Group
from oms.book.ledger import ACCOUNT
from oms.book.orders import Order

_NOTHING_PENDING: Mapping[Side, Decimal] = {"buy": ZERO, "sell": ZERO}


class OpenSums:
    """What the open orders of one holder come to: of an algorithm, or of the account.

    Mutable, by the reservations: the `count` of them, the value of what they may still trade at their reserve
    prices (`purchases`, `sales`), and the quantity of it, by symbol and side.
    """

    __slots__ = ("_pending", "count", "purchases", "sales")

    def __init__(self) -> None:
        self.count = 0
        self.purchases = self.sales = ZERO
        self._pending: dict[str, dict[Side, Decimal]] = {}

    def __repr__(self) -> str:
        return f"<{self.count} open orders>"

    @property
    def value(self) -> Decimal:
        """The value of what they may still trade, on both sides."""
        return plus(self.purchases, self.sales)

    def pending(self, symbol: str) -> Mapping[Side, Decimal]:
        """The quantity that they may still fill in a symbol, by side."""
        return self._pending.get(symbol, _NOTHING_PENDING)

    def add(self, symbol: str, side: Side, quantity: Decimal, value: Decimal, count: int) -> None:
        """Count so much more."""
        pending = self._pending.get(symbol)
        if pending is None:
            pending = self._pending[symbol] = dict(_NOTHING_PENDING)
        pending[side] = plus(pending[side], quantity)
        if side == "buy":
            self.purchases = plus(self.purchases, value)
        else:
            self.sales = plus(self.sales, value)
        self.count += count


_NO_SUMS = OpenSums()


class Reservations:
    """Sums over open orders. An order and what is to replace it count once, and so do an order and its exits.

    `orders` are those of the book, by client id. Mutable: the sums, and what each order says they hold of it.
    """

    def __init__(self, orders: Mapping[str, Order]) -> None:
        self._orders = orders
        # By the client id of the order that is replaced.
        self._replacements: dict[str, Order] = {}
        self._replaced_again: set[str] = set()
        self._sums: dict[str, OpenSums] = defaultdict(OpenSums)

    def of(self, holder: str) -> OpenSums:
        """What a holder's open orders come to."""
        return self._sums.get(holder, _NO_SUMS)

    def pending(self, symbol: str, holder: str) -> Mapping[Side, Decimal]:
        """The quantity that a holder's open orders in a symbol may still fill, by side."""
        return self._sums.get(holder, _NO_SUMS).pending(symbol)

    def replaced(self, order: Order) -> Order | None:
        """The order whose place this one takes, or is to take."""
        return None if order.replaces is None else self._orders.get(order.replaces)

    def replacement(self, order: Order) -> Order | None:
        """The order that was last approved to take the place of this one, whatever became of it."""
        return self._replacements.get(order.client_order_id)

    def is_in_chain(self, order: Order) -> bool:
        """Whether it replaces another order, or another was approved to replace it."""
        return order.replaces is not None or order.client_order_id in self._replacements

    def was_replaced_before(self, order: Order) -> bool:
        """Whether more than one order was approved to take the place of this one."""
        return order.client_order_id in self._replaced_again

    def replace(self, old: Order, new: Order) -> None:
        """Note that one order was approved to take the place of another."""
        if old.client_order_id in self._replacements:
            self._replaced_again.add(old.client_order_id)
        self._replacements[old.client_order_id] = new

    def forget(self, order: Order) -> None:
        """Let go of an order that ended long ago."""
        self._replacements.pop(order.client_order_id, None)
        if order.replaces is not None and self._replacements.get(order.replaces) is order:
            del self._replacements[order.replaces]

    def hold(self, order: Order) -> bool:
        """Bring the sums in line with what this order, those of its chain and of its group may still do.

        False where they were so already: whatever hangs on them need not be worked out again.
        """
        if order.group is not None:
            return self._hold_group(order.group)
        if not self.is_in_chain(order):
            quantity = order.outstanding()
            return self._reserve(order, quantity, times(quantity, order.reserve_price), order.open)
        old, replacement, changed = self.replaced(order), self.replacement(order), False
        if old is not None and old.open:
            changed |= self._reserve(old, *self._beyond_replaced(old))
        changed |= self._reserve(order, *self._beyond_replaced(order))
        # One that was filled while its order was still thought to work may have more than was told of it.
        while replacement is not None and (replacement.open or replacement.outstanding()):
            changed |= self._reserve(replacement, *self._beyond_replaced(replacement))
            replacement = self.replacement(replacement)
        return changed

    def _hold_group(self, group: Group) -> bool:
        """The same for an order with exits: together these count what the worse of them may do."""
        changed = False
        for order in group.entry:
            changed |= self._reserve(order, *self._beyond_replaced(order))
        for order, quantity, value, counts in group.shares(self._quantity_beyond_replaced):
            changed |= self._reserve(order, quantity, value, counts)
        return changed

    def _quantity_beyond_replaced(self, order: Order) -> tuple[Decimal, bool]:
        quantity, _, counts = self._beyond_replaced(order)
        return quantity, counts

    def _beyond_replaced(self, order: Order) -> tuple[Decimal, Decimal, bool]:
        """What this order may still do beyond the one that it replaces: quantity, value, whether it counts.

        Until the broker has taken a replacement, either the old order is filled or the new one: the new one
        adds what it may do beyond the old. Both count as one order until the old one has ended.
        """
        quantity, value = self._fillable(order)
        old = self.replaced(order)
        counts = order.open and (old is None or not old.open)
        most, most_worth, link = ZERO, ZERO, order
        while old is not None and old.open and not link.told:
            of_old, worth_of_old = self._fillable(old)
            most, most_worth = max(most, of_old), max(most_worth, worth_of_old)
            link, old = old, self.replaced(old)
        return max(ZERO, minus(quantity, most)), max(ZERO, minus(value, most_worth)), counts

    def _reserve(self, order: Order, quantity: Decimal, value: Decimal, counts: bool) -> bool:
        """Have the sums contain so much of an order; `counts`: it is one of those that are open."""
        if quantity == order.held_quantity and value == order.held_value and counts == order.held_open:
            return False
        more, worth, count = quantity, value, counts - order.held_open
        if order.held_quantity or order.held_value:
            more, worth = minus(quantity, order.held_quantity), minus(value, order.held_value)
        self._sums[ACCOUNT].add(order.symbol, order.side, more, worth, count)
        self._sums[order.algorithm].add(order.symbol, order.side, more, worth, count)
        order.held_quantity, order.held_value, order.held_open = quantity, value, counts
        return True

    def _fillable(self, order: Order) -> tuple[Decimal, Decimal]:
        """The quantity that may still be booked as filled, and its value at its reserve price.

        Once the broker has a replacement, the quantity of that one tells how much of the old was filled by
        then: what is missing of it is still to be heard.
        """
        quantity = order.outstanding()
        replacement = self.replacement(order)
        took_over = replacement is not None and replacement.told and not replacement.never_came
        if quantity and replacement is not None and took_over and replacement.most is not None:
            unheard = minus(minus(replacement.most, order.filled), replacement.wanted())
            quantity = max(ZERO, min(quantity, unheard))
        return quantity, times(quantity, order.reserve_price)
