"""The book: orders and reservations by algorithm, with the ledger, as a fold over the journal."""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal

from bus.account_messages import Booked
from bus.codec import Message
from bus.order_events import (
    ExternalOrderFound,
    FillAbsorbed,
    OrderApproved,
    OrderFilled,
    OrderRefused,
    OrderSent,
    OrderUncertain,
    OrderUpdated,
)
from bus.order_messages import OrderTerms
from bus.streams import EXTERNAL
from oms import orders
from oms.amounts import ZERO, minus, plus, times
from oms.ledger import ACCOUNT, Ledger
from oms.orders import Order

_SECOND_NS = 1_000_000_000
_NO_ORDERS: dict[str, Order] = {}


class Book:
    """Every event of the journal, applied in its order, gives the same book. Mutable: all of it, by `apply`.

    Sums are kept as orders change, so that every question a check asks is a look-up.
    """

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.by_broker_id: dict[str, Order] = {}
        self._open: dict[str, Order] = {}
        self._open_elsewhere: dict[str, Order] = {}
        # By the client id of the order that is replaced.
        self._replacements: dict[str, Order] = {}
        self._open_on: dict[tuple[str, str], dict[str, Order]] = defaultdict(dict)
        self.ledger = Ledger()
        self._open_count: dict[str, int] = defaultdict(int)
        self._pending: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
        self._reserved: dict[str, Decimal] = defaultdict(Decimal)
        self._approvals: dict[str, deque[int]] = defaultdict(deque)
        self._appliers: dict[type[Message], Callable[[Message], None]] = {
            OrderApproved: self._approved,  # type: ignore[dict-item]
            OrderRefused: self._refused,  # type: ignore[dict-item]
            OrderSent: self._sent,  # type: ignore[dict-item]
            OrderUncertain: self._uncertain,  # type: ignore[dict-item]
            OrderUpdated: self._updated,  # type: ignore[dict-item]
            OrderFilled: self._filled,  # type: ignore[dict-item]
            FillAbsorbed: self._absorbed,  # type: ignore[dict-item]
            ExternalOrderFound: self._found_elsewhere,  # type: ignore[dict-item]
        }
        # Orders that changed since somebody took note of it (`digest.py`).
        self.changed: set[str] = set()

    def __repr__(self) -> str:
        return f"<book of {len(self.orders)} orders, {len(self._open)} open>"

    def apply(self, event: Message) -> bool:
        """Take one event in. False for those that change nothing here (such as Registered)."""
        if isinstance(event, Booked):
            self.ledger.book(event)
            return True
        apply = self._appliers.get(type(event))
        if apply is None:
            return False
        self.changed.add(event.client_order_id)  # type: ignore[attr-defined]
        apply(event)
        return True

    def comparable(self) -> list[object]:
        """Everything but the orders that tells two books apart, in an order of its own."""
        return [
            *self.ledger.comparable(),
            # Each time is in its order too: how many they are, and from when to when, tells the rest.
            sorted((name, len(times), times[0], times[-1]) for name, times in self._approvals.items()),
        ]

    # Questions.

    def open_orders(self) -> Iterator[Order]:
        """Orders that may still be filled, oldest first."""
        return iter(tuple(self._open.values()))

    def open_elsewhere(self) -> list[Order]:
        """Open orders that were made elsewhere on the account, oldest first."""
        return list(self._open_elsewhere.values())

    def open_on(self, symbol: str, side: str) -> Collection[Order]:
        """Those of them in this symbol and on this side, oldest first; not to be kept."""
        return self._open_on.get((symbol, side), _NO_ORDERS).values()

    def unanswered(self) -> Iterator[Order]:
        """Approved orders of which nobody has heard what the broker did with them, oldest first."""
        return (order for order in tuple(self._open.values()) if not order.answered)

    def replaced(self, order: Order) -> Order | None:
        """The order whose place this one takes, or is to take."""
        return None if order.replaces is None else self.orders.get(order.replaces)

    def replacement(self, order: Order) -> Order | None:
        """The order that was last approved to take the place of this one, whatever became of it."""
        return self._replacements.get(order.client_order_id)

    def is_in_chain(self, order: Order) -> bool:
        """Whether it replaces another order, or another was approved to replace it."""
        return order.replaces is not None or order.client_order_id in self._replacements

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

    def quantities(self) -> dict[str, Decimal]:
        """What the whole account holds by symbol, without the zeros."""
        return {symbol: holding.quantity for symbol, holding in self.ledger.holdings().items()}

    def cash(self, algorithm: str = ACCOUNT) -> Decimal:
        """What came in less what went out, since the journal began."""
        return self.ledger.cash(algorithm)

    def pending(self, symbol: str, side: str, algorithm: str = ACCOUNT) -> Decimal:
        """The quantity that open orders of this side may still fill."""
        return self._pending.get((algorithm, symbol, side), ZERO)

    def reserved(self, algorithm: str = ACCOUNT) -> Decimal:
        """The value of what open buy orders may still buy, at their reserve prices."""
        return self._reserved.get(algorithm, ZERO)

    def open_count(self, algorithm: str = ACCOUNT) -> int:
        """How many orders are open."""
        return self._open_count.get(algorithm, 0)

    def approvals_since(self, since_ns: int, algorithm: str = ACCOUNT) -> int:
        """How many orders were approved in the second after this time.

        A clock that was set back by less than a second counts them all the same; what was approved further
        in the future is of before it was set back by more, and would hold up every order for as long.
        """
        times_ns = self._approvals.get(algorithm)
        if times_ns is None:
            return 0
        # They never fall, so only those at both ends need a look.
        count, until_ns = len(times_ns), since_ns + 2 * _SECOND_NS
        for at_ns in times_ns:
            if at_ns > since_ns:
                break
            count -= 1
        for at_ns in reversed(times_ns):
            if at_ns <= until_ns:
                break
            count -= 1
        return count

    def symbols(self) -> set[str]:
        """Symbols with a position or an open order."""
        return self.ledger.holdings().keys() | {order.symbol for order in self._open.values()}

    # Events.

    def _approved(self, event: OrderApproved) -> None:
        if event.client_order_id in self.orders:
            return
        order = Order(
            algorithm=event.algorithm,
            client_order_id=event.client_order_id,
            symbol=event.terms.symbol,
            side=event.terms.side,
            terms=event.terms,
            working=event.working or event.terms,
            reserve_price=event.reserve_price,
            approved_ns=event.approved_ns,
            replaces=event.replaces,
        )
        old = self.replaced(order)
        if old is not None:
            self._replacements[old.client_order_id] = order
            quantity = order.working.quantity if order.working is not None else None
            order.most = None if quantity is None else plus(max(old.filled, old.reported), quantity)
        self.orders[event.client_order_id] = order
        for name in (ACCOUNT, event.algorithm):
            _note_time(self._approvals[name], event.approved_ns)
        self._hold(order)

    def _found_elsewhere(self, event: ExternalOrderFound) -> None:
        if event.client_order_id in self.orders:
            return
        order = Order(
            algorithm=event.algorithm,
            client_order_id=event.client_order_id,
            symbol=event.symbol,
            side=event.side,
            working=OrderTerms(
                symbol=event.symbol,
                side=event.side,
                # Any word of Alpaca's: nothing here depends on what an external order's type is.
                type=event.type,  # type: ignore[arg-type]
                time_in_force=event.time_in_force,  # type: ignore[arg-type]
                quantity=event.quantity,
                notional=event.notional,
                limit_price=event.limit_price,
                stop_price=event.stop_price,
            ),
            told=True,
            reserve_price=event.reserve_price,
            broker_order_id=event.broker_order_id,
            status=event.status,
        )
        self.orders[event.client_order_id] = order
        self._hold(order)

    def _refused(self, event: OrderRefused) -> None:
        order = self.orders.get(event.client_order_id)
        if order is not None:
            orders.refused(order, event)
            self._hold(order)
        elif event.terms is not None:
            # Remembered, so that the same request, delivered again, gets the same answer.
            self.orders[event.client_order_id] = Order(
                algorithm=event.algorithm,
                client_order_id=event.client_order_id,
                symbol=event.terms.symbol,
                side=event.terms.side,
                terms=event.terms,
                status=orders.REFUSED,
                refusal=event.reasons[0].code if event.reasons else "",
            )

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
        order = self.orders.get(event.client_order_id)
        if order is None:
            order = Order(event.algorithm, event.client_order_id, event.symbol, "buy", status=orders.SENT)
            self.orders[event.client_order_id] = order
        orders.updated(order, event)
        self._hold(order)

    def _filled(self, event: OrderFilled) -> None:
        order = self.orders.get(event.client_order_id)
        if order is None:
            order = Order(
                event.algorithm, event.client_order_id, event.symbol, event.side, status=orders.SENT
            )
            self.orders[event.client_order_id] = order
        if not orders.fill(order, event):
            return
        self.ledger.fill(order.algorithm, event.symbol, event.side, event.quantity, event.price, event.fee)
        self._hold(order)

    def _hold(self, order: Order) -> None:
        """Bring indexes and sums in line with what this order and those of its chain may still do."""
        if order.broker_order_id:
            self.by_broker_id.setdefault(order.broker_order_id, order)
        self._index(order)
        if not self.is_in_chain(order):
            quantity = order.leaves()
            value = times(quantity, order.reserve_price) if order.side == "buy" else ZERO
            self._reserve(order, quantity, value, order.open)
            return
        old, replacement = self.replaced(order), self.replacement(order)
        if old is not None and old.open:
            self._reserve_beyond_replaced(old)
        self._reserve_beyond_replaced(order)
        while replacement is not None and replacement.open:
            self._reserve_beyond_replaced(replacement)
            replacement = self.replacement(replacement)

    def _index(self, order: Order) -> None:
        order_id, on = order.client_order_id, self._open_on[order.symbol, order.side]
        if order.open:
            self._open[order_id] = on[order_id] = order
            if order.algorithm == EXTERNAL:
                self._open_elsewhere[order_id] = order
        else:
            for index in (self._open, on, self._open_elsewhere):
                index.pop(order_id, None)

    def _reserve_beyond_replaced(self, order: Order) -> None:
        """Count what this order may still do beyond the one that it replaces.

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
        self._reserve(order, max(ZERO, minus(quantity, most)), max(ZERO, minus(value, most_worth)), counts)

    def _reserve(self, order: Order, quantity: Decimal, value: Decimal, counts: bool) -> None:
        """Have the sums contain so much of an order; `counts`: it is one of those that are open."""
        if quantity == order.held_quantity and value == order.held_value and counts == order.held_open:
            return
        more, worth = minus(quantity, order.held_quantity), minus(value, order.held_value)
        count = counts - order.held_open
        for name in (ACCOUNT, order.algorithm):
            self._pending[name, order.symbol, order.side] += more
            self._reserved[name] = plus(self._reserved[name], worth)
            self._open_count[name] += count
        order.held_quantity, order.held_value, order.held_open = quantity, value, counts

    def _fillable(self, order: Order) -> tuple[Decimal, Decimal]:
        """The quantity that may still be booked as filled; of a purchase its value too, at its reserve price.

        Once the broker has a replacement, the quantity of that one tells how much of the old was filled by
        then: what is missing of it is still to be heard.
        """
        quantity = order.leaves()
        replacement = self.replacement(order)
        took_over = replacement is not None and replacement.told and not replacement.never_came
        if quantity and replacement is not None and took_over and replacement.most is not None:
            unheard = minus(minus(replacement.most, order.filled), replacement.wanted())
            quantity = max(ZERO, min(quantity, unheard))
        return quantity, times(quantity, order.reserve_price) if order.side == "buy" else ZERO


def _note_time(times_ns: deque[int], at_ns: int) -> None:
    """Append a time and forget those a second older, and those of before the clock was set back."""
    while times_ns and times_ns[-1] > at_ns + _SECOND_NS:
        times_ns.pop()
    times_ns.append(max(at_ns, times_ns[-1]) if times_ns else at_ns)
    while times_ns[0] <= times_ns[-1] - _SECOND_NS:
        times_ns.popleft()
