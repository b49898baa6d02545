"""The book: orders and reservations by algorithm, with the ledger, as a fold over the journal."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from bus.book_messages import Booked
from bus.codec import Message
from bus.journal_messages import OrdersPutAway
from bus.order_events import (
    ExternalOrderFound,
    FillAbsorbed,
    LegFound,
    OrderApproved,
    OrderFilled,
    OrderRefused,
    OrderSent,
    OrdersRefused,
    OrderUncertain,
    OrderUpdated,
)
from bus.order_messages import Side
from bus.streams import EXTERNAL
from bus.symbols import canonical_symbol
from oms.amounts import ZERO, plus
from oms.book import groups, orders
from oms.book.contracts import worth_of_one
from oms.book.exposure import Exposure
from oms.book.groups import Group
from oms.book.ledger import ACCOUNT, Ledger
from oms.book.open_groups import OpenGroups
from oms.book.open_orders import OpenOrders
from oms.book.order_rate import OrderRate
from oms.book.orders import Order
from oms.book.put_away import PutAway
from oms.book.repetition import Repetition
from oms.book.reservations import OpenSums, Reservations


class Book:
    """Every event of the journal, applied in its order, gives the same book. Mutable: all of it, by `apply`.

    Sums are kept as orders change, so that every question a check asks is a look-up.
    """

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.by_broker_id: dict[str, Order] = {}
        self.put_away = PutAway(self.orders)
        self.open = OpenOrders()
        self.open_groups = OpenGroups()
        self.ledger = Ledger()
        self._reservations = Reservations(self.orders)
        self.exposure = Exposure(self.ledger.position, self._reservations.pending)
        self.repetition = Repetition()
        self.approvals = OrderRate()
        self._appliers: dict[type[Message], Callable[[Message], None]] = {
            OrderApproved: self._approved,  # type: ignore[dict-item]
            OrderRefused: self._refused,  # type: ignore[dict-item]
            OrderSent: self._sent,  # type: ignore[dict-item]
            LegFound: self._leg_found,  # type: ignore[dict-item]
            OrderUncertain: self._uncertain,  # type: ignore[dict-item]
            OrderUpdated: self._updated,  # type: ignore[dict-item]
            OrderFilled: self._filled,  # type: ignore[dict-item]
            FillAbsorbed: self._absorbed,  # type: ignore[dict-item]
            ExternalOrderFound: self._found_elsewhere,  # type: ignore[dict-item]
        }
        # Orders that changed since somebody took note of it (`digest.py`).
        self.changed: set[str] = set()
        # While many events are taken in at once: orders that the sums are still to be brought in line with.
        self._is_late = False
        self._late: dict[str, Order] = {}

    def __repr__(self) -> str:
        return f"<book of {len(self.orders)} orders, {len(self.open)} open>"

    def apply(self, event: Message) -> bool:
        """Take one event in. False for those that change nothing here (such as Registered)."""
        apply = self._appliers.get(type(event))
        if apply is not None:
            self.changed.add(event.client_order_id)  # type: ignore[attr-defined]
            apply(event)
            return True
        match event:
            case OrdersRefused():
                for refused in event.one_by_one():
                    self.apply(refused)
            case OrdersPutAway():
                self._put_away(event)
            case Booked():
                self._booked(event)
            case _:
                return False
        return True

    def apply_all(self, events: Iterable[Message], apply: Callable[[Message], None]) -> None:
        """Have many events applied; which orders are open, and their sums, is worked out once, at the end.

        Most orders of a long journal have ended by then, and add nothing. Nobody may ask for a sum meanwhile.
        """
        self._is_late = True
        try:
            for event in events:
                apply(event)
        finally:
            self._is_late = False
            self._catch_up()

    def comparable(self) -> list[object]:
        """Everything but the orders that tells two books apart, in an order of its own."""
        return [
            *self.ledger.comparable(),
            self.put_away.comparable(),
            self.approvals.comparable(),
        ]

    # Questions.

    def order(self, client_order_id: str) -> Order | None:
        """The order of this client id, also one that was put away: not to be changed then."""
        return self.orders.get(client_order_id) or self.put_away.order(client_order_id)

    def knows(self, client_order_id: str) -> bool:
        """Whether there ever was an order of this client id."""
        return client_order_id in self.orders or client_order_id in self.put_away

    def open_orders(self) -> Iterator[Order]:
        """Orders that may still be filled, oldest first."""
        return iter(self.open.all())

    def unanswered(self) -> Iterator[Order]:
        """Approved orders of which nobody has heard what the broker did with them, oldest first."""
        return (order for order in self.open.all() if not order.answered)

    def replaced(self, order: Order) -> Order | None:
        """The order whose place this one takes, or is to take."""
        return self._reservations.replaced(order)

    def replacement(self, order: Order) -> Order | None:
        """The order that was last approved to take the place of this one, whatever became of it."""
        return self._reservations.replacement(order)

    def is_in_chain(self, order: Order) -> bool:
        """Whether it replaces another order, or another was approved to replace it."""
        return self._reservations.is_in_chain(order)

    def was_replaced_before(self, order: Order) -> bool:
        """Whether more than one order was approved to take the place of this one."""
        return self._reservations.was_replaced_before(order)

    def open_sums(self, holder: str) -> OpenSums:
        """What the open orders of an algorithm come to, or, under "", those of the account."""
        return self._reservations.of(holder)

    def position(self, symbol: str, algorithm: str = ACCOUNT) -> Decimal:
        """Signed quantity held; of the whole account where no algorithm is named."""
        return self.ledger.position(symbol, algorithm)

    def positions(self) -> dict[str, dict[str, Decimal]]:
        """What each algorithm and `external` hold, without the zeros."""
        ledger = self.ledger
        held = {
            name: {symbol: holding.quantity for symbol, holding in ledger.holdings(name).items()}
            for name in ledger.names()
        }
        return {name: quantities for name, quantities in held.items() if quantities}

    def holders(self, symbol: str) -> dict[str, Decimal]:
        """Who holds how much of a symbol, `external` too, without the zeros."""
        return {name: size for name in self.ledger.names() if (size := self.ledger.position(symbol, name))}

    def quantities(self) -> dict[str, Decimal]:
        """What the whole account holds by symbol, without the zeros."""
        return {symbol: holding.quantity for symbol, holding in self.ledger.holdings().items()}

    def cash(self, algorithm: str = ACCOUNT) -> Decimal:
        """What came in less what went out, since the journal began."""
        return self.ledger.cash(algorithm)

    def pending(self, symbol: str, side: Side, algorithm: str = ACCOUNT) -> Decimal:
        """The quantity that open orders of this side may still fill."""
        return self._reservations.pending(symbol, algorithm)[side]

    def reserved(self, algorithm: str = ACCOUNT) -> Decimal:
        """The value of what open buy orders may still buy, at their reserve prices."""
        return self._reservations.of(algorithm).purchases

    def unexecuted(self, algorithm: str = ACCOUNT) -> Decimal:
        """The value of what open orders of both sides may still trade, at their reserve prices."""
        return self._reservations.of(algorithm).value

    def open_count(self, algorithm: str = ACCOUNT) -> int:
        """How many orders are open."""
        return self._reservations.of(algorithm).count

    def symbols(self) -> set[str]:
        """Symbols with a position or an open order."""
        return self.ledger.holdings().keys() | self.open.symbols()

    # Events.

    def split(self, symbol: str, new: int, old: int) -> None:
        """Count what groups opened in new shares, as positions are: those are booked by events of their own.

        How their orders change is the broker's word.
        """
        for algorithm, of, _ in self.open_groups:
            for group in self.open_groups.of(algorithm, symbol) if of == symbol else ():
                group.split(new, old)
                self._group_changed(group)

    def _approved(self, event: OrderApproved) -> None:
        if event.client_order_id in self.orders:
            return
        order = orders.approved(event)
        old = self.replaced(order)
        if old is not None:
            self._reservations.replace(old, order)
            quantity = order.working.quantity if order.working is not None else None
            order.most = None if quantity is None else plus(max(old.filled, old.reported), quantity)
        if old is not None and old.group is not None:
            order.parent = old.parent
            old.group.join(order, old.role)
        else:
            groups.begun(order)
        self.orders[event.client_order_id] = order
        self.approvals.note(ACCOUNT, event.approved_ns)
        self.approvals.note(event.algorithm, event.approved_ns)
        self.repetition.approved(event)
        price = event.reserve_price if event.basis is None else event.basis.price
        if price is not None:
            self.exposure.priced(order.symbol, price)
        self._hold(order)

    def _found_elsewhere(self, event: ExternalOrderFound) -> None:
        if event.client_order_id in self.orders:
            return
        order = orders.found_elsewhere(event)
        self.orders[event.client_order_id] = order
        self._hold(order)

    def _leg_found(self, event: LegFound) -> None:
        parent, order = self.orders.get(event.parent), self.orders.get(event.client_order_id)
        if parent is None or (order is not None and order.algorithm != event.algorithm):
            return
        if order is None:
            order = self.orders[event.client_order_id] = orders.leg(event, parent.approved_ns)
        if parent.group is None:
            # One that was made elsewhere: what it is for shows by its leg.
            Group().join(parent, "take_profit" if parent.side == order.side else "entry")
            self.open.put(parent)
        assert parent.group is not None
        order.parent = event.parent
        parent.group.join(order, event.role)
        self._hold(order)

    def _refused(self, event: OrderRefused) -> None:
        if (order := self.orders.get(event.client_order_id)) is not None:
            orders.refused(order, event)
            self._hold(order)
        elif event.terms is not None and event.client_order_id not in self.put_away:
            # Remembered, so that the same request, delivered again, gets the same answer.
            self.orders[event.client_order_id] = orders.refused_at_once(event, event.terms)

    def _sent(self, event: OrderSent) -> None:
        order = self.orders.get(event.client_order_id)
        if order is not None:
            orders.sent(order, event)
            self._hold(order)

    def _uncertain(self, event: OrderUncertain) -> None:
        order = self.orders.get(event.client_order_id)
        if order is not None:
            orders.uncertain(order, event)

    def _absorbed(self, event: FillAbsorbed) -> None:
        order = self.orders.get(event.client_order_id)
        if order is not None:
            orders.absorbed(order, event)

    def _updated(self, event: OrderUpdated) -> None:
        order = self.put_away.taken_back(event.client_order_id)
        if order is None:
            order = Order(event.algorithm, event.client_order_id, event.symbol, "buy", status=orders.SENT)
            self.orders[event.client_order_id] = order
        orders.updated(order, event)
        self._hold(order)

    def _filled(self, event: OrderFilled) -> None:
        order = self.put_away.taken_back(event.client_order_id)
        if order is None:
            order = Order(
                event.algorithm, event.client_order_id, event.symbol, event.side, status=orders.SENT
            )
            self.orders[event.client_order_id] = order
        if not orders.fill(order, event):
            return
        before = self._position_of_groups(order.algorithm, order.symbol)
        price = worth_of_one(order.symbol, event.price)
        self.ledger.fill(order.algorithm, event.symbol, event.side, event.quantity, price, event.fee)
        self.exposure.filled_at(order.symbol, price, elsewhere=order.algorithm == EXTERNAL)
        self.repetition.filled(order.algorithm, order.symbol, event.side)
        self._settle(order.algorithm, order.symbol, order.group, before)
        self._hold(order, moved=True)

    def _booked(self, event: Booked) -> None:
        name, symbol = event.algorithm, canonical_symbol(event.symbol)
        before = self._position_of_groups(name, symbol)
        self.ledger.book(event)
        self._settle(name, symbol, None, before)
        if symbol:
            self._exposure_changed(name, symbol)

    def _position_of_groups(self, algorithm: str, symbol: str) -> Decimal:
        """The position that groups have a part in; 0 where there are none."""
        return self.position(symbol, algorithm) if self.open_groups.of(algorithm, symbol) else ZERO

    def _settle(self, algorithm: str, symbol: str, own: Group | None, before: Decimal) -> None:
        """Where a position is closed, whatever groups opened is closed with it, by whichever order or word.

        The own group of the order that closed it counts what its exits close; they may be told of before the
        entry is.
        """
        if not before or self.position(symbol, algorithm) * before > ZERO:
            return
        for group in self.open_groups.of(algorithm, symbol):
            if group is not own:
                group.settle()
                self._group_changed(group)

    def _group_changed(self, group: Group) -> None:
        self.changed.add(group.first.client_order_id)
        self._hold(group.first)

    def _hold(self, order: Order, *, moved: bool = False) -> None:
        """Bring indexes and sums in line with what an order may still do; `moved`: its position is new."""
        if order.broker_order_id:
            self.by_broker_id.setdefault(order.broker_order_id, order)
        if order.group is not None:
            self.open_groups.keep(order.group)
        if moved:
            self._exposure_changed(order.algorithm, order.symbol)
        if self._is_late:
            self._late[order.client_order_id] = order
        else:
            self._sum_up(order)

    def _sum_up(self, order: Order) -> None:
        self.open.put(order)
        if self._reservations.hold(order):
            self._exposure_changed(order.algorithm, order.symbol)

    def _catch_up(self) -> None:
        """Bring the sums in line with all orders that are late."""
        for order in self._late.values():
            self._sum_up(order)
        self._late.clear()

    def _exposure_changed(self, algorithm: str, symbol: str) -> None:
        self.exposure.changed(ACCOUNT, symbol)
        self.exposure.changed(algorithm, symbol)

    def _put_away(self, event: OrdersPutAway) -> None:
        self._catch_up()
        for order in self.put_away.turn(event.kept, self._is_needed):
            self.changed.add(order.client_order_id)
            self._reservations.forget(order)
            if self.by_broker_id.get(order.broker_order_id) is order:
                del self.by_broker_id[order.broker_order_id]

    def _is_needed(self, order: Order) -> bool:
        """Whether what an order that works may still do depends on this one."""
        for other in (self.replaced(order), self.replacement(order)):
            if other is not None and other.open:
                return True
        return order.group is not None and order.group in self.open_groups
