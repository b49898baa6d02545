"""The account's positions and cash at the broker beside the book's: fees are booked, the rest is told. Pure.

What was not found twice is suspected only: news of it may be on its way.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from decimal import Decimal
from typing import Literal

from bus.account_messages import PositionAgrees, PositionDiffers, PositionNotUnderstood
from bus.book_messages import Booked, CashAgrees, CashDiffers, CashOpened
from oms.amounts import NINTH_PLACE, ZERO, minus, plus, text
from oms.book.ledger import DOLLARS
from oms.broker.protocol import BrokerPosition, UnreadablePosition
from oms.reconciliation.unexplained import NOTHING, Span, overlap
from oms.risk.buying_power import used
from oms.risk.preconditions import SpendingPower
from oms.state.inputs import AccountListed
from oms.state.step import Step

# What is done about a position that differs: nothing more than telling it, or a halt. Cash has no symbol to
# halt: it is told, and halts the account only where every difference does.
OnDifference = Literal["halt_symbol", "halt_account", "tell"]

# Begins the reason of every halt for a difference: accepting the difference lifts it.
HALTED_FOR = "the broker's position differs from the book's: "
HALTED_FOR_CASH = "the broker's cash differs from the book's"

# The most that the fees of executions booked as one may be off for being rounded once: of a thousand of them.
_ROUNDINGS = 1000 * NINTH_PLACE

# Alpaca tells cash in whole cents, and it was rounded when the book was opened too.
_CENT = Decimal("0.01")


def remember_money(step: Step, account: AccountListed) -> None:
    """Remember what may be spent by the broker's word, as of a moment at which no order was under way."""
    money = account.account
    if money is not None:
        step.observed.spending_power = SpendingPower(money.buying_power, money.cash, used(step.book))


def understood(step: Step, positions: Iterable[BrokerPosition | UnreadablePosition]) -> list[BrokerPosition]:
    """Those positions that can be read; each other one is told once, and halts its symbol."""
    found = []
    for one in positions:
        if isinstance(one, BrokerPosition):
            found.append(one)
        elif f"position {one.symbol}" not in step.state.not_understood:
            step.error("position at the broker not understood", symbol=one.symbol, error=one.why)
            step.record(PositionNotUnderstood(symbol=one.symbol, error=one.why, at_ns=step.now_ns))
            if one.symbol:
                reason = f"the position in {one.symbol} at the broker cannot be read: {one.why}"
                step.halt(f"symbol:{one.symbol}", "position_unreadable", reason)
    return found


def compare_positions(
    step: Step,
    positions: Sequence[BrokerPosition | UnreadablePosition],
    spans: Mapping[str, Span],
    booked_since: Set[str],
    on_difference: OnDifference,
) -> set[str]:
    """Hold positions against the book's; returns the symbols of which this look proves nothing.

    `spans` is what the book lacks of executions by the moment of the positions; `booked_since` are symbols in
    which something else was booked since the broker was asked.
    """
    at_broker = {one.symbol: one.quantity for one in understood(step, positions)}
    not_said = {one.symbol for one in positions if isinstance(one, UnreadablePosition)}
    held, state, observed = step.book.quantities(), step.state, step.observed
    told = state.differences.keys() | {one for one in at_broker if f"position {one}" in state.not_understood}
    suspected, observed.suspected_positions = observed.suspected_positions, {}
    unproven, differing = set(booked_since), []
    for symbol in sorted((held.keys() | at_broker.keys() | told) - not_said - booked_since):
        beyond = minus(at_broker.get(symbol, ZERO), held.get(symbol, ZERO))
        span = spans.get(symbol, NOTHING)
        missing = minus(beyond, span[1]), minus(beyond, span[0])
        if missing == NOTHING:
            if symbol in told:
                step.record(PositionAgrees(symbol=symbol, at_ns=step.now_ns))
        elif symbol in state.differences and _contains(missing, minus(*reversed(state.differences[symbol]))):
            # One that was told stays told while trading goes on: what is missing is the same.
            if missing[0] != missing[1]:
                unproven.add(symbol)
        elif _contains(missing, ZERO):
            unproven.add(symbol)
            if symbol in suspected and overlap(suspected[symbol], missing) is not None:
                observed.suspected_positions[symbol] = suspected[symbol]
        elif symbol not in suspected or (certain := overlap(suspected[symbol], missing)) is None:
            observed.suspected_positions[symbol] = missing
            observed.look_again = True
        elif not _book_fees(step, symbol, min(certain, key=abs)):
            differing.append(symbol)
            _tell(step, symbol, min(certain, key=abs))
    _halt(step, differing, on_difference)
    return unproven


def _contains(span: Span, value: Decimal) -> bool:
    return span[0] <= value <= span[1]


def _tell(step: Step, symbol: str, missing: Decimal) -> None:
    booked = step.book.position(symbol)
    at_broker = plus(booked, missing)
    step.error("position differs", symbol=symbol, book=text(booked), broker=text(at_broker))
    step.record(PositionDiffers(symbol=symbol, booked=booked, at_broker=at_broker, at_ns=step.now_ns))


def compare_cash(step: Step, account: AccountListed, on_difference: OnDifference) -> None:
    """The same for cash, of an account at rest: what there was when counting begins is taken over."""
    remember_money(step, account)
    state, observed = step.state, step.observed
    if account.account is None:
        return
    if not state.cash_opened:
        ids = tuple(one.id for one in account.activities)
        step.record(CashOpened(cash=account.account.cash, activities=ids, at_ns=step.now_ns))
        return
    pair = step.book.cash(), account.account.cash
    missing, known = minus(pair[1], pair[0]), state.cash_difference
    if abs(missing) <= _CENT:
        observed.suspected_cash = None
        if known is not None:
            step.record(CashAgrees(at_ns=step.now_ns))
        return
    if known is not None and abs(minus(missing, minus(known[1], known[0]))) <= _CENT:
        return
    if observed.suspected_cash != missing:
        observed.suspected_cash, observed.look_again = missing, True
        return
    observed.suspected_cash = None
    if _book_fees(step, "", missing):
        return
    step.error("cash differs", book=text(pair[0]), broker=text(pair[1]))
    step.record(CashDiffers(booked=pair[0], at_broker=pair[1], at_ns=step.now_ns))
    if on_difference == "halt_account":
        step.halt_account(
            "cash_differs", f"{HALTED_FOR_CASH}: {text(pair[0])} in the book, {text(pair[1])} at the broker"
        )


def agree(
    step: Step, positions: Iterable[BrokerPosition | UnreadablePosition], unproven: Collection[str]
) -> None:
    """Remember that all of it was found the same, where it was; the account must be at rest."""
    observed, state = step.observed, step.state
    suspected = observed.suspected_positions or observed.suspected_cash is not None
    all_read = all(isinstance(one, BrokerPosition) for one in positions)
    if all_read and not (suspected or unproven or state.differences) and state.cash_difference is None:
        observed.agreed_ns = step.now_ns


def _halt(step: Step, symbols: list[str], on_difference: OnDifference) -> None:
    if not symbols or on_difference == "tell":
        return
    reason = f"{HALTED_FOR}{', '.join(symbols)}"
    if on_difference == "halt_account" or len(symbols) > 1:
        step.halt_account("position_differs", reason)
    else:
        step.halt(f"symbol:{symbols[0]}", "position_differs", reason)


def _book_fees(step: Step, symbol: str, missing: Decimal) -> bool:
    """Book what the broker took less than was assumed as its fees; False where that explains nothing.

    Its rate is lower for orders that waited in its book, and for who trades much. A sum of executions that
    was booked as one may be a few roundings off. `symbol` is "" for fees in dollars, of sales.
    """
    ledger = step.book.ledger
    taken = {name: ledger.taken_fees(symbol or DOLLARS, name) for name in ledger.names()}
    if not any(taken.values()) or not -_ROUNDINGS <= missing <= ledger.taken_fees(symbol or DOLLARS):
        return False
    for name in sorted(taken, key=lambda name: taken[name], reverse=True):
        part = min(missing, taken[name])
        missing = minus(missing, part)
        if not part:
            continue
        step.warn("fee differs", of=symbol or DOLLARS, algorithm=name, amount=text(part))
        step.record(
            Booked(
                algorithm=name,
                kind="fee",
                symbol=symbol,
                quantity=part if symbol else ZERO,
                price=None,
                cash=ZERO if symbol else part,
                reference=f"fee-{step.now_ns}",
                reason=f"the broker's fee in {symbol or DOLLARS} is another than was assumed",
                by="oms",
                at_ns=step.now_ns,
            )
        )
    return True
