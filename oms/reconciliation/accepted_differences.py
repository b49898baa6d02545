"""Comparing at an operator's word, and accepting what differs: how a halt for a difference is left. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from bus.account_messages import PositionAgrees
from bus.book_messages import Booked, CashAgrees, Difference, Reconciled
from bus.control_messages import Halt, Reconcile, Resume
from bus.streams import EXTERNAL
from bus.symbols import canonical_symbol
from oms.amounts import ZERO, minus
from oms.book.contracts import worth_of_one
from oms.broker.protocol import BrokerPosition
from oms.reconciliation.holdings import HALTED_FOR, HALTED_FOR_CASH
from oms.state.observed import Reconciling
from oms.state.step import Step

CASH = "cash"

# Whoever asked waits no longer: what was to be accepted then may be something else by now.
_WAITS_NS = 20 * 1_000_000_000


def take(step: Step, entry_id: str, message: Reconcile) -> None:
    """Have the broker asked now, and the answer told once a look sees the account at rest."""
    step.observed.reconciling[entry_id] = Reconciling(message, step.observed.monotonic_ns)
    step.observed.compare_now = True


def give_up(step: Step) -> None:
    """Answer nobody any more: the broker does not answer either."""
    step.observed.reconciling.clear()


def go_on(
    step: Step, positions: Sequence[BrokerPosition], asked_monotonic_ns: int, unproven: set[str] | None
) -> None:
    """Answer those who asked before this look did, where nothing that it found needs a second one.

    `unproven` are symbols of which it proves nothing, None where it saw the account at rest. Whoever accepts
    differences of single symbols waits for these alone: other algorithms may never rest.
    """
    observed = step.observed
    for entry_id, one in list(observed.reconciling.items()):
        if observed.monotonic_ns - one.since_monotonic_ns > _WAITS_NS:
            del observed.reconciling[entry_id]
        elif asked_monotonic_ns >= one.since_monotonic_ns and _is_settled(step, one.message, unproven):
            del observed.reconciling[entry_id]
            _answer(step, entry_id, one.message, positions)


def _is_settled(step: Step, message: Reconcile, unproven: set[str] | None) -> bool:
    if unproven is None:
        return not step.observed.look_again
    named = {canonical_symbol(name) for name in message.accept if name != CASH}
    if message.accept_all or CASH in message.accept:
        return False
    return bool(named) and named.isdisjoint(unproven | step.observed.suspected_positions.keys())


def _answer(step: Step, entry_id: str, message: Reconcile, positions: Sequence[BrokerPosition]) -> None:
    differing = [
        Difference(what=symbol, booked=booked, at_broker=at_broker)
        for symbol, (booked, at_broker) in sorted(step.state.differences.items())
    ]
    if step.state.cash_difference is not None:
        booked, at_broker = step.state.cash_difference
        differing.append(Difference(what=CASH, booked=booked, at_broker=at_broker))
    wanted = {name if name == CASH else canonical_symbol(name) for name in message.accept}
    accepted = [one for one in differing if message.accept_all or one.what in wanted]
    for one in accepted:
        _accept(step, entry_id, message, one, positions)
    unread = {what: why for what, why in step.state.not_understood.items() if what.startswith("position ")}
    step.record(
        Reconciled(
            entry_id=entry_id,
            agrees=len(accepted) == len(differing) and not unread,
            accepted=tuple(accepted),
            differences=tuple(one for one in differing if one not in accepted),
            reason=message.reason,
            by=message.by,
            unread=unread,
            at_ns=step.now_ns,
        )
    )
    _lift(step, message, {one.what for one in accepted})


def _accept(
    step: Step, entry_id: str, message: Reconcile, one: Difference, positions: Sequence[BrokerPosition]
) -> None:
    """Book a difference as a known fact of `external`; shares at the broker's price of them."""
    missing, is_cash = minus(one.at_broker, one.booked), one.what == CASH
    step.warn("difference accepted", what=one.what, by=message.by, reason=message.reason)
    step.record(
        Booked(
            algorithm=EXTERNAL,
            kind="accepted",
            symbol="" if is_cash else one.what,
            quantity=ZERO if is_cash else missing,
            price=None if is_cash else _price(step, one.what, positions),
            cash=missing if is_cash else ZERO,
            reference=entry_id,
            reason=message.reason,
            by=message.by,
            at_ns=step.now_ns,
        )
    )
    at_ns = step.now_ns
    step.record(CashAgrees(at_ns=at_ns) if is_cash else PositionAgrees(symbol=one.what, at_ns=at_ns))


def _price(step: Step, symbol: str, positions: Sequence[BrokerPosition]) -> Decimal:
    """What the shares cost as the broker has it; of those that are gone, as the book has it."""
    for position in positions:
        if position.symbol == symbol:
            return worth_of_one(symbol, position.average_price)
    held = step.book.ledger.holdings(EXTERNAL).get(symbol) or step.book.ledger.holdings().get(symbol)
    return ZERO if held is None else held.average_price


def _lift(step: Step, message: Reconcile, accepted: set[str]) -> None:
    """Lift the halts that stood for what was accepted, and no others: somebody had a reason of their own."""
    left = step.state.differences or step.state.cash_difference is not None
    scopes = [f"symbol:{what}" for what in sorted(accepted - {CASH})]
    scopes += [] if left or not accepted else [f"account:{step.account}"]
    for scope in scopes:
        halt = step.state.halts.scopes.get(scope)
        is_ours = isinstance(halt, Halt) and halt.by == "oms"
        if halt is not None and is_ours and halt.reason.startswith((HALTED_FOR, HALTED_FOR_CASH)):
            reason = f"difference accepted: {message.reason}"
            step.effects.resume.append(Resume(scope=scope, reason=reason, by=message.by, at_ns=step.now_ns))
