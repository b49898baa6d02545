"""The OMS's engine: everything that it decides, as one pure function of its state and one input at a time.

It reads no clock, does no I/O and calls nobody back. Live, after a restart, on standby and in a replay, the
same engine is driven with the same inputs.
"""

from collections.abc import Callable, Sequence
from typing import Any

from bus.codec import Message
from bus.halt_state import HaltState
from bus.order_messages import Reason
from oms import broker_messages, end_of_day, operator_commands, rules
from oms.halts import automatic_halts, cancel_scope, flattening
from oms.halts.automatic_halts import HALT_AFTER, HaltAfter
from oms.journal import lost_tail, pinning
from oms.journal.digest import Digest
from oms.reconciliation import differences, reconciliation
from oms.reconciliation.holdings import OnDifference
from oms.requests import cancels, decisions, legs, protection, sent_orders, shadow
from oms.requests.readiness import not_ready
from oms.risk import approval as risk
from oms.risk import tightened
from oms.risk.approval import Approved
from oms.state.effects import Effects
from oms.state.inputs import (
    AccountListed,
    AccountRead,
    AllCancelsAnswered,
    Answered,
    AssetRead,
    BrokerMessagesRead,
    CancelAnswered,
    CompareAccount,
    ControlRead,
    EntriesMissing,
    FindOrder,
    HaltStateRead,
    Input,
    LeasesRead,
    LimitsEdited,
    LimitsRead,
    Listened,
    ListOpenOrders,
    ListPositions,
    MarketClockRead,
    OrderAnswered,
    RequestsRead,
    Started,
    Stopping,
    Tick,
    Unanswered,
)
from oms.state.observed import Observed
from oms.state.state import State
from oms.state.step import Step

# After these only the symbols of the orders that they are about may have changed.
_OF_SINGLE_ORDERS = (OrderAnswered, CancelAnswered, BrokerMessagesRead)

# How often book and broker are compared while orders are taken.
COMPARE_EVERY_NS = 30 * 1_000_000_000


class Engine:
    """One account's engine.

    `state` is durable and changed by `apply` alone: it is the fold of the journal, always. `observed` is not,
    and changed by `take` alone.
    """

    def __init__(
        self,
        account: str,
        *,
        longest_send_ns: int,
        compare_every_ns: int = COMPARE_EVERY_NS,
        on_difference: OnDifference = "halt_symbol",
        halt_after: HaltAfter = HALT_AFTER,
    ) -> None:
        self.account = account
        self.state = State()
        self.observed = Observed()
        self._longest_send_ns = longest_send_ns
        self._compare_every_ns = compare_every_ns
        self._on_difference: OnDifference = on_difference
        self._halt_after = halt_after
        self._digest = Digest(self.state)
        self._takers: dict[type, Callable[[Step, Any], None]] = {
            RequestsRead: decisions.take_requests,
            BrokerMessagesRead: broker_messages.take_messages,
            OrderAnswered: sent_orders.take_outcome,
            CancelAnswered: cancels.take_answer,
            ControlRead: operator_commands.take,
            AllCancelsAnswered: cancel_scope.take_answer,
            Answered: self._answered,
            Unanswered: self._unanswered,
            AccountRead: pinning.take_account,
            EntriesMissing: lost_tail.take,
            HaltStateRead: rules.take_halts,
            LimitsRead: rules.take_limits,
            LimitsEdited: rules.take_limits_edited,
            LeasesRead: rules.take_leases,
            AssetRead: rules.take_asset,
            MarketClockRead: rules.take_market_clock,
            Started: reconciliation.take_started,
            Stopping: self._stopping,
            Tick: self._tick,
            Listened: self._listened,
        }

    def __repr__(self) -> str:
        why = self.not_ready
        return f"<engine of {self.account}: {'ready' if why is None else why.message}; {self.state}>"

    @property
    def not_ready(self) -> Reason | None:
        """Why no orders are taken; None while they are."""
        return not_ready(self.state, self.observed)

    def apply(self, event: Message) -> None:
        """Take in one event of the journal: what `take` does with each event that it returns."""
        self.state.apply(event)

    def apply_all(self, events: Sequence[Message]) -> None:
        """Take in many events of the journal, oldest first."""
        self.state.apply_all(events)

    def restore(self, state: State) -> None:
        """Go on from a state that was folded elsewhere."""
        self.state = state
        self._digest = Digest(state)

    def take(self, taken: Input, now_ns: int) -> Effects:
        """Take one input at this time (since 1970); returns what follows from it.

        The events that it returns are applied already; the rest is to be carried out once these are durable.
        """
        observed = self.observed
        step = Step(self.account, self.state, observed, now_ns)
        self._takers[type(taken)](step, taken)
        if observed.cancels_waiting:
            cancels.go_on(step)
        if self.state.flattens.under_way and not isinstance(taken, RequestsRead):
            flattening.go_on(step, wholly=not isinstance(taken, _OF_SINGLE_ORDERS))
        if observed.replaces_waiting:
            decisions.read_waiting_again(step)
        if observed.behind:
            reconciliation.go_on(step)
        if observed.may_be_legs:
            broker_messages.take_what_may_be_legs(step)
        if observed.refused_now:
            automatic_halts.count_refused(step)
        return step.effects

    def may_cancel(self, client_order_id: str) -> bool:
        """Whether a cancel of this order can do anything: it is open, or what stands in its place."""
        order = cancels.newest(self.state.book, client_order_id)
        return order is not None and order.open

    def objection(self, approved: Approved, halts: HaltState) -> Reason | None:
        """What has come up since against an approved order that is about to be sent, if anything."""
        if approved.client_order_id in self.observed.cancels_waiting:
            # It may have come in the order's own batch: then there was nothing to withdraw yet.
            return cancels.CANCELED_UNSENT
        state, clock = self.state, self.observed.market_clock
        return risk.objection(approved, state.book, halts, self.account) or tightened.objection(
            approved, state.book, state.limits_in_force, self.account, clock
        )

    def digest(self) -> str:
        """A digest of the durable state: equal where two engines hold the same."""
        return self._digest.now()

    def digest_within(self, most_orders: int) -> str | None:
        """The digest, or None where more orders than that have changed since: then ask again, and again."""
        return self._digest.now() if self._digest.take_note(most_orders) else None

    def _answered(self, step: Step, answered: Answered) -> None:
        question = answered.question
        self.observed.asked.discard(question)
        if isinstance(question, ListOpenOrders):
            sent_orders.take_open_orders(step, answered)
            return
        if isinstance(question, ListPositions):
            flattening.take_positions(step, answered)
            return
        if isinstance(question, CompareAccount):
            assert isinstance(answered.answer, AccountListed)
            differences.take_account(step, answered.answer, self._on_difference, answered.asked_monotonic_ns)
            return
        # One question may have been asked for both: the order was in doubt, and has been heard of since.
        if isinstance(question, FindOrder) and question.client_order_id in self.observed.doubts:
            sent_orders.take_found(step, answered)
        reconciliation.take_answer(step, answered)

    def _unanswered(self, step: Step, unanswered: Unanswered) -> None:
        if isinstance(unanswered.question, CompareAccount):
            differences.take_unanswered(step, unanswered.question)
        elif isinstance(unanswered.question, ListPositions):
            flattening.take_unanswered(step, unanswered)
        else:
            reconciliation.take_unanswered(step, unanswered)

    def _stopping(self, step: Step, stopping: Stopping) -> None:
        del stopping
        shadow.tell(step, everything=True)
        self.observed.stopping = True

    def _tick(self, step: Step, tick: Tick) -> None:
        self.observed.monotonic_ns = tick.monotonic_ns
        end_of_day.look(step)
        sent_orders.look_after_doubts(step, self._longest_send_ns)
        legs.ask_for_missing(step)
        protection.look(step)
        differences.look(step, self._compare_every_ns)
        automatic_halts.look(step)
        shadow.tell(step)

    def _listened(self, step: Step, listened: Listened) -> None:
        automatic_halts.take_listened(step, listened, self._halt_after)
