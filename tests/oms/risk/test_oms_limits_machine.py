"""No sequence of approved requests exceeds a limit, whatever the broker does, however late it is heard of.

The machine keeps an account of its own, as the broker has it: what was filled, what works, what is on its
way. Limits are drawn close to what the account can come to at first, so that most requests are near one.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from risk_day import NOW_NS, Day, codes, limited, name, replace_request, request, terms

from bus.codec import Message
from bus.order_events import OrderFilled, OrderRefused, OrderSent, OrderUpdated
from bus.order_messages import OrderTerms, Reason, Side
from oms.amounts import ZERO
from oms.book.ledger import ACCOUNT
from oms.prices.reference_price import Price
from oms.risk.approval import Approved, Refused

PRICES = {"AAPL": Decimal(100), "MSFT": Decimal(50), "TSLA": Decimal(200), "KO": Decimal(25)}
ALGORITHMS = ("alpha", "beta")
HOLDERS = (ACCOUNT, *ALGORITHMS)

# What one unit of size is worth, in every symbol.
UNIT = Decimal(100)

# Limits of what may be at risk: those that bind no order that only reduces.
AT_RISK = (
    "gross_exposure", "net_exposure", "unexecuted_value",
    "position_quantity", "position_value", "open_orders",
)  # fmt: skip

units = st.integers(1, 6)
symbols = st.sampled_from(list(PRICES))
holdings = st.dictionaries(
    st.tuples(st.sampled_from(ALGORITHMS), symbols), st.integers(-6, 6).filter(bool), max_size=5
)
# How far above what there is at first each limit lies, or below; None: there is no such limit.
room = st.fixed_dictionaries(dict.fromkeys(AT_RISK, st.none() | st.none() | st.integers(-3, 16)))


@dataclass
class Real:
    """An order as it really is; `asked` is its quantity, of a replacement what it and the old may fill."""

    order_id: str
    algorithm: str
    terms: OrderTerms
    reserve: Decimal
    asked: Decimal
    replaces: "Real | None" = None
    filled: Decimal = ZERO
    state: str = "on its way"

    @property
    def broker_id(self) -> str:
        """The broker's own id of it."""
        return f"b-{self.order_id}"

    def may_fill(self) -> Decimal:
        """What may still be filled of it alone."""
        if self.state == "ended":
            return ZERO
        if self.state == "works" or self.replaces is None:
            return self.asked - self.filled
        if self.replaces.state != "works":
            return ZERO
        return max(ZERO, self.asked - self.replaces.filled)


@dataclass(frozen=True)
class Reach:
    """The furthest that a holder can get from here."""

    gross: Decimal
    highest: Decimal
    lowest: Decimal
    unexecuted: Decimal
    orders: int
    positions: dict[tuple[str, Side], Decimal]

    def no_further_than(self, other: "Reach", *, but: tuple[str, ...] = ()) -> bool:
        """Whether in nothing it is further than this one."""
        pairs = {
            "gross": self.gross <= other.gross,
            "highest": self.highest <= other.highest,
            "lowest": self.lowest >= other.lowest,
            "unexecuted": self.unexecuted <= other.unexecuted,
            "orders": self.orders <= other.orders,
            "positions": all(reached <= other.positions[key] for key, reached in self.positions.items()),
        }
        return all(holds for what, holds in pairs.items() if what not in but)


def measured(reach: Reach, wanted: OrderTerms) -> dict[str, Decimal]:
    """What each limit is held against, on the side of this order and in its symbol."""
    position = reach.positions[wanted.symbol, wanted.side]
    return {
        "gross_exposure": reach.gross,
        "net_exposure": reach.highest if wanted.side == "buy" else -reach.lowest,
        "unexecuted_value": reach.unexecuted,
        "position_quantity": position,
        "position_value": position * PRICES[wanted.symbol],
        "open_orders": Decimal(reach.orders),
    }


class LimitsMachine(RuleBasedStateMachine):
    """Requests, what the broker does, and what is heard of it, each at its own time."""

    def __init__(self) -> None:
        super().__init__()
        self.day = Day()
        self.real: dict[str, Real] = {}
        self.held: dict[tuple[str, str], Decimal] = {}
        self.news: list[Message] = []
        self.limits: dict[str, dict[str, Decimal]] = {}
        self.count = 0
        self.before: dict[str, Reach] = {}

    @initialize(held=holdings, of_account=room, of_algorithms=room)
    def begin(
        self, held: dict[tuple[str, str], int], of_account: dict[str, Any], of_algorithms: dict[str, Any]
    ) -> None:
        """Positions, and limits a little above what they come to."""
        self.held = {key: size * UNIT / PRICES[key[1]] for key, size in held.items()}
        own = self.near(of_algorithms, ALGORITHMS)
        account = self.near(of_account, (ACCOUNT,))
        section = "\n".join(f"{code} = {limit}" for code, limit in own.items())
        self.day = limited(f"[each_algorithm]\n{section}\n", **account)
        self.limits = {ACCOUNT: account, **dict.fromkeys(ALGORITHMS, own)}
        self.day.prices = {symbol: Price(price, NOW_NS, NOW_NS) for symbol, price in PRICES.items()}
        for (algorithm, symbol), size in self.held.items():
            self.day.hold(str(size), symbol, algorithm, str(PRICES[symbol]))
        self.before = self.reaches()

    def near(self, above: dict[str, int | None], holders: tuple[str, ...]) -> dict[str, Decimal]:
        """Limits so many units above the furthest that one of these is now."""
        reaches = [self.reach(holder) for holder in holders]
        position = max((abs(size) * PRICES[symbol] for (_, symbol), size in self.held.items()), default=ZERO)
        now = {
            "gross_exposure": max(reach.gross for reach in reaches),
            "net_exposure": max(max(reach.highest, -reach.lowest) for reach in reaches),
            "unexecuted_value": ZERO,
        }
        found: dict[str, Decimal] = {}
        for code, size in above.items():
            if size is None:
                continue
            if code == "open_orders":
                found[code] = Decimal(max(1, size // 2))
                continue
            limit = max(UNIT, now.get(code, position) + (1 + size) * UNIT)
            found[code] = limit / PRICES["MSFT"] if code == "position_quantity" else limit
        return found

    @rule(
        algorithm=st.sampled_from(ALGORITHMS),
        symbol=symbols,
        side=st.sampled_from(["buy", "sell"]),
        size=units,
        offset=st.sampled_from([None, -10, 0, 10]),
        at_once=st.booleans(),
    )
    def ask(
        self, algorithm: str, symbol: str, side: Side, size: int, offset: int | None, at_once: bool
    ) -> None:
        """An order is asked for; `at_once`: the broker takes it, and that is known."""
        self.count += 1
        price = PRICES[symbol]
        limit: dict[str, Any] = (
            {} if offset is None else {"type": "limit", "limit_price": price * (100 + offset) / 100}
        )
        wanted = terms(str(size * UNIT / price), symbol=symbol, side=side, **limit)
        asked = request(wanted, self.count, client_order_id=name(self.count, algorithm))
        verdict = self.day.judge(asked, algorithm=algorithm)
        if self.is_quiet():
            assert set(codes(verdict)) & set(AT_RISK) == self.expected(algorithm, wanted)
        self.take(verdict, None, at_once=at_once)

    @precondition(lambda self: self.working())
    @rule(
        data=st.data(),
        size=st.none() | units,
        offset=st.sampled_from([-10, 0, 10]),
        part=st.sampled_from([None, 2, 4]),
        at_once=st.booleans(),
    )
    def replace(
        self, data: st.DataObject, size: int | None, offset: int, part: int | None, at_once: bool
    ) -> None:
        """An order that works, as far as is known, is to have another price, and quantity perhaps.

        A part of it was filled before, and is heard of.
        """
        old = data.draw(st.sampled_from(self.working()), label="old")
        if part is not None and old.state == "works":
            self.execute(old, part)
            self.hear_all()
        price = PRICES[old.terms.symbol]
        wanted = msgspec.structs.replace(
            old.terms,
            limit_price=price * (100 + offset) / 100,
            quantity=old.terms.quantity if size is None else size * UNIT / price,
        )
        self.count += 1
        new_id = name(self.count, old.algorithm)
        asked = msgspec.structs.replace(replace_request(old.order_id, wanted), client_order_id=new_id)
        verdict = self.day.judge(asked, algorithm=old.algorithm)
        if self.is_quiet() and old.state == "works" and "not_replaceable" not in codes(verdict):
            assert set(codes(verdict)) & set(AT_RISK) == self.expected(old.algorithm, wanted, old)
        self.take(verdict, old, at_once=at_once)

    def take(self, verdict: Approved | Refused, old: Real | None, *, at_once: bool) -> None:
        """An approval goes into the book, and on its way; what it leads to is within every limit."""
        if isinstance(verdict, Refused):
            return
        event = verdict.event
        self.day.book.apply(event)
        asked = event.terms.quantity or ZERO
        if old is not None and "quantity" not in verdict.changes:
            asked = old.asked
        self.real[event.client_order_id] = Real(
            event.client_order_id, event.algorithm, event.terms, event.reserve_price, asked, old
        )
        self.is_within(verdict)
        if at_once:
            self.come(self.real[event.client_order_id])
            self.hear_all()

    def is_within(self, verdict: Approved) -> None:
        """One that only reduces leads no further; any other leads no further than the limits."""
        event = verdict.event
        side = event.terms.side
        for holder, reach in self.reaches().items():
            before = self.before[holder]
            onward = "highest" if side == "buy" else "lowest"
            if verdict.reduces:
                assert reach.no_further_than(before, but=(onward, "unexecuted", "orders", "positions"))
            elif holder in (ACCOUNT, event.algorithm):
                assert self.exceeded(holder, reach, event.terms, before) == set()
                free = ("gross", onward, "unexecuted", "orders", "positions")
                assert reach.no_further_than(before, but=free)
            else:
                assert reach.no_further_than(before)
        self.before = self.reaches()

    def exceeded(
        self, holder: str, reach: Reach, wanted: OrderTerms, before: Reach | None = None
    ) -> set[str]:
        """The limits of this holder, on this side, that so much exceeds; not where that was so `before`."""
        now, was = measured(reach, wanted), {} if before is None else measured(before, wanted)
        limits = self.limits[holder].items()
        return {code for code, limit in limits if now[code] > max(limit, was.get(code, limit))}

    def expected(self, algorithm: str, wanted: OrderTerms, old: Real | None = None) -> set[str]:
        """The limits that this order would exceed in the place of an old one, worked out from the account."""
        price, quantity = PRICES[wanted.symbol], wanted.quantity or ZERO
        reserve = wanted.limit_price or (price * Decimal("1.5") if wanted.side == "buy" else price)
        if wanted.side == "sell":
            reserve = max(reserve, price)
        if old is not None:
            quantity, old.state = (
                (old.asked if quantity == old.terms.quantity else quantity) - old.filled,
                "ended",
            )
        self.real["asked"] = Real("asked", algorithm, wanted, reserve, quantity)
        reaches = {holder: self.reach(holder) for holder in (ACCOUNT, algorithm)}
        del self.real["asked"]
        if old is not None:
            old.state = "works"
        if quantity > 0 and max(one.positions[wanted.symbol, wanted.side] for one in reaches.values()) <= 0:
            return set()
        return {code for holder, reach in reaches.items() for code in self.exceeded(holder, reach, wanted)}

    @precondition(lambda self: self.in_state("on its way"))
    @rule(data=st.data(), is_taken=st.sampled_from([True, True, True, False]))
    def arrive(self, data: st.DataObject, is_taken: bool) -> None:
        """An order, or a replace, comes to the broker, which takes it or not."""
        self.come(data.draw(st.sampled_from(self.in_state("on its way")), label="order"), is_taken=is_taken)

    def come(self, order: Real, *, is_taken: bool = True) -> None:
        """The broker has it now; a replace comes too late where the order has ended, or all is filled."""
        old = order.replaces
        if not is_taken or (old is not None and (old.state != "works" or order.asked <= old.filled)):
            order.state = "ended"
            reason = Reason(code="broker_42210000", message="no")
            self.news.append(
                OrderRefused(
                    algorithm=order.algorithm, client_order_id=order.order_id, by="broker", reasons=(reason,),
                    at_ns=NOW_NS, terms=order.terms,
                )
            )  # fmt: skip
            return
        order.state = "works"
        if old is not None:
            old.state = "ended"
            order.asked -= old.filled
            self.tell_of(old, "replaced")
        self.news.append(
            OrderSent(
                algorithm=order.algorithm, client_order_id=order.order_id, broker_order_id=order.broker_id,
                approved_ns=NOW_NS, sent_ns=NOW_NS, acknowledged_ns=NOW_NS, quantity=order.asked,
            )
        )  # fmt: skip

    @precondition(lambda self: self.in_state("works"))
    @rule(data=st.data(), part=st.sampled_from([1, 2, 4]), at_once=st.booleans())
    def fill(self, data: st.DataObject, part: int, at_once: bool) -> None:
        """A part of what is left of an order is filled, or all of it; `at_once`: all news is heard."""
        self.execute(data.draw(st.sampled_from(self.in_state("works")), label="order"), part)
        if at_once:
            self.hear_all()

    def execute(self, order: Real, part: int) -> None:
        """One of so many parts of what is left is filled."""
        size = order.may_fill() / part
        order.filled += size
        is_all = part == 1
        if is_all:
            order.state = "ended"
        key = order.algorithm, order.terms.symbol
        self.held[key] = self.held.get(key, ZERO) + (size if order.terms.side == "buy" else -size)
        self.count += 1
        self.news.append(
            OrderFilled(
                algorithm=order.algorithm, client_order_id=order.order_id, broker_order_id=order.broker_id,
                execution_id=f"x-{self.count}", symbol=order.terms.symbol, side=order.terms.side,
                quantity=size, price=PRICES[order.terms.symbol] * 3, filled_quantity=order.filled,
                status="filled" if is_all else "partially_filled", at_ns=NOW_NS,
            )
        )  # fmt: skip

    @precondition(lambda self: self.in_state("works"))
    @rule(data=st.data(), part=st.sampled_from([None, 2, 4]), last_first=st.booleans())
    def end(self, data: st.DataObject, part: int | None, last_first: bool) -> None:
        """An order ends, a part of it filled just before; `last_first`: that it ended is heard first."""
        order = data.draw(st.sampled_from(self.in_state("works")), label="order")
        if part is not None:
            self.execute(order, part)
        order.state = "ended"
        self.tell_of(order, "canceled")
        if last_first:
            self.day.book.apply(self.news.pop())

    def tell_of(self, order: Real, status: str) -> None:
        """The broker says that an order ended."""
        self.news.append(
            OrderUpdated(
                algorithm=order.algorithm, client_order_id=order.order_id, broker_order_id=order.broker_id,
                symbol=order.terms.symbol, event=status, status=status, filled_quantity=order.filled,
                at_ns=NOW_NS, quantity=order.asked,
            )
        )  # fmt: skip

    @precondition(lambda self: self.news)
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        """One piece of news comes, not the oldest perhaps."""
        which = data.draw(st.integers(0, len(self.news) - 1), label="which")
        self.day.book.apply(self.news.pop(which))

    @precondition(lambda self: self.news)
    @rule()
    def hear_all(self) -> None:
        """All news comes, in its order."""
        while self.news:
            self.day.book.apply(self.news.pop(0))

    @invariant()
    def nothing_leads_further_but_an_approval(self) -> None:
        """Whatever the broker does with what was approved."""
        reaches = self.reaches()
        assert all(reach.no_further_than(self.before[holder]) for holder, reach in reaches.items())
        self.before = reaches

    @invariant()
    def the_book_knows_how_far_it_may_lead(self) -> None:
        """It counts no less than there is, and once all is heard, no more."""
        book = self.day.book
        for holder, reach in self.reaches().items():
            gross, highest, lowest = book.exposure.of(holder)
            counted = (gross, highest, -lowest, book.unexecuted(holder), book.open_count(holder))
            real = (reach.gross, reach.highest, -reach.lowest, reach.unexecuted, reach.orders)
            assert all(one >= other for one, other in zip(counted, real, strict=True)), (
                holder,
                counted,
                real,
            )
            if self.is_quiet():
                assert counted == real, holder

    def is_quiet(self) -> bool:
        """Whether the book may know all that there is to know."""
        return not self.news and not any(one.replaces for one in self.in_state("on its way"))

    def in_state(self, state: str) -> list[Real]:
        """Orders in this state, oldest first."""
        return [order for order in self.real.values() if order.state == state]

    def working(self) -> list[Real]:
        """Limit orders that the book has as working at the broker, whatever is true."""
        orders = self.day.book.orders
        return [
            order
            for order in self.real.values()
            if order.terms.type == "limit"
            and orders[order.order_id].open
            and orders[order.order_id].broker_order_id
        ]

    def reaches(self) -> dict[str, Reach]:
        """How far the account and each algorithm can get."""
        return {holder: self.reach(holder) for holder in HOLDERS}

    def reach(self, holder: str) -> Reach:
        """How far this one can get; of an order and what is to replace it, whichever leads further."""
        left: dict[tuple[str, Side], Decimal] = {}
        unexecuted, count = ZERO, 0
        for order in self.real.values():
            if holder not in (ACCOUNT, order.algorithm) or order.state == "ended":
                continue
            more, worth = order.may_fill(), order.may_fill() * order.reserve
            old = order.replaces if order.state == "on its way" else None
            if old is not None:
                if old.state != "works":
                    continue
                worth = max(ZERO, worth - old.may_fill() * old.reserve)
                more = max(ZERO, more - old.may_fill())
            key = order.terms.symbol, order.terms.side
            left[key] = left.get(key, ZERO) + more
            unexecuted, count = unexecuted + worth, count + (old is None)
        gross = highest = lowest = ZERO
        positions: dict[tuple[str, Side], Decimal] = {}
        for symbol, price in PRICES.items():
            held = sum(
                (
                    size
                    for (whose, of), size in self.held.items()
                    if of == symbol and holder in (ACCOUNT, whose)
                ),
                ZERO,
            )
            high, low = held + left.get((symbol, "buy"), ZERO), held - left.get((symbol, "sell"), ZERO)
            positions[symbol, "buy"], positions[symbol, "sell"] = high, -low
            gross += max(high, -low) * price
            highest, lowest = highest + high * price, lowest + low * price
        return Reach(gross, highest, lowest, unexecuted, count, positions)


TestLimits = LimitsMachine.TestCase
TestLimits.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
