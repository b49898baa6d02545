"""The engine beside the simulator's broker: orders with exits, replaced, filled in part, canceled, split.

Answers are lost, updates are lost or come late, the OMS is killed. At each quiet moment the book is the
broker's account: positions, what is open, and what was filled of each order.
"""

import json
from collections import deque
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from broker_harness import BrokerHarness
from engine_run import SECOND_NS, EngineRun
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace
from risk_day import LEASE, LIMITS, name, request, terms

from bus.control_messages import TakeCorporateAction
from bus.order_messages import CancelRequest, Change, Reason, ReplaceRequest
from bus.rfc3339 import written
from oms.amounts import ZERO
from oms.broker.alpaca_account import read_positions
from oms.broker.alpaca_orders import new_order, read_listed, read_order, replacement
from oms.broker.protocol import Accepted, BrokerRefused, Outcome, Rejected, Unknown
from oms.engine import COMPARE_EVERY_NS
from oms.requests.cancels import CANCELED_UNSENT
from oms.requests.protection import SETTLED_AFTER_NS
from oms.risk.approval import Approved
from oms.state.effects import CancelOrder, Effects
from oms.state.inputs import (
    AccountListed,
    Answered,
    CancelAnswered,
    CompareAccount,
    ControlRead,
    FindOrder,
    HaltStateRead,
    Input,
    LeasesRead,
    MarketClockRead,
    OrderAnswered,
    Started,
)
from sim.broker import order_rules, replace_rules
from sim.broker.account_json import position_json
from sim.broker.movements import Movement
from sim.broker.order_requests import OrderRequest as Posted
from sim.broker.order_requests import ReplaceRequest as Patched
from sim.broker.orders import order_json
from sim.broker.update_json import update_json
from sim.exchange.assets import Assets
from sim.refusals import Refused
from sim.rest.json_bodies import body_as
from sim.rest.order_search import search

SIZES = st.integers(1, 10).map(Decimal)
KINDS = st.sampled_from(["market", "limit", "bracket", "oto", "oco"])
Work = Approved | CancelOrder | Any


class Run(EngineRun):
    """Keeps what the engine wants done outside until somebody does it. Mutable: `work`."""

    def __init__(self, now_ns: int) -> None:
        super().__init__()
        self.now_ns = now_ns
        self.work: deque[Work] = deque()

    def take(self, taken: Input) -> Effects:
        """Have the engine take an input, and note what follows from it."""
        effects = super().take(taken)
        assert not effects.halts, effects.notes
        self.work += [*effects.send, *effects.cancel, *effects.ask]
        for order_id in effects.withdraw:
            for one in [one for one in self.work if isinstance(one, Approved)]:
                if one.client_order_id == order_id:
                    self.work.remove(one)
                    self.take(OrderAnswered(order_id, Rejected("oms", CANCELED_UNSENT)))
        return effects


class EngineBesideTheBroker(RuleBasedStateMachine):
    """Requests, the market, what the broker answers and tells: each at its own time, or never."""

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        """An account that nobody has touched, and an OMS that takes orders."""
        self.harness = BrokerHarness(draw=Random(seed).random, partial_chance=0.4)
        self.broker, self.assets = self.harness.broker, Assets()
        self.harness.move("100")
        self.run = Run(self.harness.now_ns)
        self.run.begin(LIMITS)
        self.run.work.clear()
        self.news: list[bytes] = []
        self.requests = 0

    # What the algorithm asks for.

    @rule(kind=KINDS, side=st.sampled_from(["buy", "sell"]), size=SIZES, at_once=st.booleans())
    def ask(self, kind: str, side: str, size: Decimal, at_once: bool) -> None:
        """An order, with exits perhaps; an OCO closes what there is. `at_once`: all is done and heard."""
        held = self.run.engine.state.book.position("AAPL", "alpha")
        if kind == "oco" and held:
            side, size = ("sell" if held > 0 else "buy"), abs(held)
        # An OCO closes with its own side, the others with the opposite.
        is_long = (side == "buy") != (kind == "oco")
        profit, loss = Decimal(105 if is_long else 95), Decimal(95 if is_long else 105)
        fields: dict[str, Any] = {"side": side}
        if kind != "market":
            fields |= {"type": "limit", "limit_price": profit if kind == "oco" else Decimal(100)}
        if kind in ("bracket", "oto", "oco"):
            fields |= {"order_class": kind, "stop_loss": loss}
        if kind == "bracket":
            fields["take_profit"] = profit
        self.requests += 1
        self.run.price("100")
        self.run.read(request(terms(str(size), **fields), self.requests))
        if at_once:
            self.settle()

    @precondition(lambda self: self.standing())
    @rule(data=st.data(), by=st.sampled_from([-1, 1]), at_once=st.booleans())
    def replace_one(self, data: st.DataObject, by: int, at_once: bool) -> None:
        """Another price for an order, or for one exit."""
        old = data.draw(st.sampled_from(self.standing()))
        terms_of = old.terms
        assert terms_of is not None
        field: Change = "stop_price" if terms_of.type == "stop" else "limit_price"
        stands = getattr(old.working, field)
        if stands is None:
            return
        self.requests += 1
        asked = ReplaceRequest(
            client_order_id=name(self.requests), replaces=old.client_order_id,
            terms=replace(terms_of, **{field: stands + by}), lease=LEASE, trigger="t", received_ns=1,
            requested_ns=1, changes=(field,),
        )  # fmt: skip
        self.run.price("100")
        self.run.read(asked)
        if at_once:
            self.settle()

    @precondition(lambda self: self.standing())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """An order, or an exit, is to be canceled."""
        order_id = data.draw(st.sampled_from(self.standing())).client_order_id
        self.run.read(CancelRequest(client_order_id=order_id, lease=LEASE, requested_ns=1))

    def standing(self) -> list[Any]:
        """Open orders of the algorithm, as the book has them."""
        orders = self.run.engine.state.book.open_orders()
        return [one for one in orders if one.working is not None and one.working.type != "market"]

    # What the broker does.

    @rule(price=st.sampled_from(["94", "96", "99", "100", "104", "106"]))
    def market(self, price: str) -> None:
        """The market moves, and with it what it fills, a part of it perhaps."""
        self.harness.move(price)
        self.gather()

    @precondition(lambda self: self.run.work)
    @rule(is_lost=st.sampled_from([False, False, False, True]))
    def do(self, is_lost: bool) -> None:
        """The broker gets what comes next, and its answer arrives or is lost."""
        self.carry_out(self.run.work.popleft(), is_lost=is_lost)

    @precondition(lambda self: self.news)
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        """One update comes, not the oldest perhaps."""
        self.run.told(self.news.pop(data.draw(st.integers(0, min(3, len(self.news) - 1)))))

    @precondition(lambda self: self.news)
    @rule()
    def lose(self) -> None:
        """One update never comes."""
        self.news.pop(0)

    @rule(seconds=st.sampled_from([1, 31]))
    def pass_time(self, seconds: int) -> None:
        """Time passes for both."""
        self.harness.now_ns += seconds * SECOND_NS
        self.run.tick(seconds * SECOND_NS)

    @rule(at_once=st.sampled_from([True, True, False]))
    def kill(self, at_once: bool) -> None:
        """The OMS dies and begins anew; what was on its way to the broker never left."""
        folded = self.run.folded()
        assert folded.digest() == self.run.engine.digest()
        self.run.engine = folded
        self.run.work.clear()
        self.run.take(HaltStateRead(self.run.engine.state.halts))
        self.run.take(LeasesRead({"alpha": LEASE, "beta": "1:beta"}))
        self.run.take(MarketClockRead(is_open=True))
        self.run.take(Started(self.harness.broker.opened_ns, self.run.now_ns))
        if at_once:
            self.settle()

    @precondition(lambda self: self.run.engine.state.book.position("AAPL"))
    @rule(new=st.sampled_from([2, 3]))
    def split(self, new: int) -> None:
        """A morning on which shares have become more, and somebody says so."""
        self.be_quiet()
        held = self.harness.position()
        movement = Movement(
            self.harness.name(), "SPLIT", "AAPL", held * (new - 1), None, ZERO, "split", self.harness.now_ns
        )
        asset = self.harness.ticket().asset
        self.harness.updates += self.broker.split(asset, Fraction(new), movement)
        self.gather()
        action = TakeCorporateAction(
            account="paper", symbol="AAPL", new_symbol="AAPL", new=new, old=1, reason="r", by="ann", at_ns=1
        )
        self.run.now_ns += 25 * 3600 * SECOND_NS
        self.run.take(ControlRead(f"{self.run.now_ns}-0", action))

    def gather(self) -> None:
        """What the broker says of it is on its way."""
        for update in self.harness.updates:
            data = {"stream": "trade_updates", "data": update_json(update)}
            self.news.append(json.dumps(data).encode())
        self.harness.updates.clear()

    def carry_out(self, work: Work, *, is_lost: bool = False) -> None:
        """Do one thing at the broker."""
        if isinstance(work, Approved):
            outcome: Outcome = self.send(work)
            self.gather()
            if is_lost and not isinstance(outcome, Rejected):
                outcome = Unknown("no answer")
            self.run.take(OrderAnswered(work.client_order_id, outcome))
        elif isinstance(work, CancelOrder):
            error = None
            try:
                self.harness.updates += self.broker.cancel(work.broker_order_id, self.harness.now_ns)
            except Refused as declined:
                error = BrokerRefused(str(declined.body.get("code")), str(declined))
            self.gather()
            self.run.take(CancelAnswered(work.client_order_id, error))
        elif is_lost and not isinstance(work, CompareAccount):
            self.run.work.append(work)  # It is asked again.
        else:
            self.run.take(Answered(work, self.answer(work), self.run.monotonic_ns))

    def send(self, approved: Approved) -> Accepted | Rejected:
        """An order, or a replace, as the request to the broker says it."""
        now_ns, run = self.harness.now_ns, self.run
        reason = run.engine.objection(approved, run.engine.state.halts)
        if reason is not None:
            return Rejected("oms", reason)
        try:
            if approved.replaces_broker_id is None:
                body = json.dumps(new_order(approved.terms, approved.client_order_id)).encode()
                ticket = order_rules.ticket(body_as(Posted, body), self.assets, self.harness.name)
                order = self.broker.submit(ticket, now_ns)
            else:
                changed = replacement(approved.terms, approved.changes, approved.client_order_id)
                old = self.broker.find(approved.replaces_broker_id)
                replace_rules.check_replaceable(old)
                wanted = body_as(Patched, json.dumps(changed).encode())
                ticket = replace_rules.replaced(old, wanted, self.harness.name())
                order, self.harness.updates[len(self.harness.updates) :] = self.broker.replace(
                    old.id, ticket, now_ns
                )
        except Refused as declined:
            reason = Reason(code=f"broker_{declined.body.get('code')}", message=str(declined))
            return Rejected("broker", reason)
        answer = read_order(order_json(order, nested=True))
        self.harness.updates += self.broker.accept(order.id, now_ns)
        return Accepted(answer, run.now_ns, run.now_ns)

    def answer(self, question: Any) -> Any:
        """What the broker says when it is asked."""
        if isinstance(question, FindOrder):
            try:
                found = self.broker.find_by_client_id(question.client_order_id)
            except Refused:
                return None
            return read_order(order_json(found, nested=True))
        since_ns = getattr(question, "since_ns", None)
        orders = self.listed("open")
        if since_ns is not None:
            orders = list({one.id: one for one in (*self.listed("all", since_ns), *orders)}.values())
        if not isinstance(question, CompareAccount) and type(question).__name__.startswith("ListO"):
            return orders
        held = [position_json(one, None, []) for one in self.broker.account.positions.values()]
        return AccountListed(orders, read_positions(held))

    def listed(self, status: str, after_ns: int | None = None) -> list[Any]:
        """Orders as Alpaca lists them, each followed by its exits."""
        query: Any = {"status": status, "nested": "true", "limit": "500", "direction": "asc"}
        if after_ns is not None:
            query["after"] = written(after_ns)
        raws = search(self.broker.orders, self.broker.open_orders(), query, self.assets)
        return [one for raw in raws for one in read_listed(raw).with_legs()]

    # What must hold.

    def settle(self) -> None:
        """What is on its way arrives."""
        for _ in range(200):
            if self.news:
                self.run.told(self.news.pop(0))
            elif self.run.work:
                self.carry_out(self.run.work.popleft())
            else:
                return
        raise AssertionError("it does not come to rest")

    def be_quiet(self) -> None:
        """All that is on its way arrives, and whatever the OMS still wants to know is answered."""
        for _ in range(8):
            self.settle()
            self.harness.now_ns += COMPARE_EVERY_NS
            self.run.tick(COMPARE_EVERY_NS)
            self.run.tick(SETTLED_AFTER_NS)

    @rule()
    def the_book_is_the_brokers_account(self) -> None:
        """Positions, what is open, and what was filled of each order."""
        self.be_quiet()
        book = self.run.engine.state.book
        assert self.run.engine.state.differences == {}
        assert book.position("AAPL") == self.harness.position()
        for order in self.broker.orders.values():
            known = book.order(order.ticket.client_order_id)
            assert known is not None, order
            assert (known.open, known.filled) == (order.is_open, order.filled_qty), (order, known)
        if not any(book.open_orders()):
            assert book.open_count() == 0
            assert book.open_sums("").pending("AAPL") == {"buy": ZERO, "sell": ZERO}
        if self.stops() >= abs(self.harness.position()):
            assert self.run.engine.state.unprotected == {}

    def stops(self) -> Decimal:
        """For how much of the position stop-losses stand at the broker."""
        closing = "sell" if self.harness.position() > 0 else "buy"
        found = ZERO
        for order in self.broker.open_orders():
            parent = order.parent
            stands = parent is None or parent.status == "filled" or parent.ticket.side == closing
            if order.ticket.stop_price is not None and order.ticket.side == closing and stands:
                found += order.remaining_qty
        return found

    def teardown(self) -> None:
        """And at the end."""
        if hasattr(self, "requests"):
            self.the_book_is_the_brokers_account()
            assert self.run.folded().digest() == self.run.engine.digest()


TestEngineBesideTheBroker = EngineBesideTheBroker.TestCase
TestEngineBesideTheBroker.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
