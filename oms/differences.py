"""Comparing the book with the broker while orders are taken: what was missed is booked, the rest told. Pure.

An update may be on its way while the broker is asked, so one look proves nothing: a difference counts once a
second look, some seconds later, finds the same.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

from bus.account_messages import Booked, PositionAgrees, PositionDiffers
from bus.control_messages import Halt
from oms import reconciliation
from oms.amounts import NINTH_PLACE, ZERO, minus, text
from oms.broker import BrokerOrder, BrokerPosition
from oms.inputs import AccountListed, CompareAccount
from oms.orders import TERMINAL, Order, advances, differs, is_another
from oms.step import Step

# What is done about a position that differs: nothing more than telling it, or a halt.
OnDifference = Literal["halt_symbol", "halt_account", "tell"]

# How long news may be on its way from the broker: a difference is looked at again after this long.
_LOOK_AGAIN_NS = 2_000_000_000

# Clocks differ, and an order may be stamped before we wrote it down.
_MARGIN_NS = 60 * 1_000_000_000

# The most that the fees of executions booked as one may be off for being rounded once: of a thousand of them.
_ROUNDINGS = 1000 * NINTH_PLACE


def look(step: Step, every_ns: int) -> None:
    """Ask for orders and positions where it is time to; not while the book is being brought level anyway."""
    observed = step.observed
    if not observed.started or observed.behind or observed.stopping:
        return
    wait_ns = _LOOK_AGAIN_NS if observed.look_again else every_ns
    now_ns = observed.monotonic_ns
    if observed.compared_monotonic_ns is None:
        observed.compared_monotonic_ns, observed.compared_ns = now_ns, step.now_ns
    if now_ns - observed.compared_monotonic_ns >= wait_ns:
        step.ask(CompareAccount(max(0, observed.compared_ns - _MARGIN_NS)))


def take_account(step: Step, account: AccountListed, on_difference: OnDifference) -> None:
    """Compare orders, and positions where the orders agree."""
    observed = step.observed
    observed.trouble = ""
    if observed.behind:
        return  # What was asked before a break is older than what was missed.
    orders = reconciliation.understood(step, account.orders)
    before = observed.suspected
    suspected = {order.client_order_id: said for order in orders if (said := _news(step, order))}
    suspected |= {known.client_order_id: ("missing",) for known in _missing(step, orders)}
    for order in orders:
        if order.client_order_id in suspected and suspected[order.client_order_id] == before.get(
            order.client_order_id
        ):
            step.warn("missed on the broker's stream", client_order_id=order.client_order_id)
            step.observed.counts["missed_updates"] += 1
            reconciliation.compare(step, order)
            del suspected[order.client_order_id]
    for order in orders:
        if order.trail_price is not None or order.trail_percent is not None:
            _take_trail(step, order, suspected)
    for client_order_id, said in suspected.items():
        if said == ("missing",) == before.get(client_order_id):
            step.look_up(client_order_id)
    observed.suspected = suspected
    observed.compared_monotonic_ns, observed.compared_ns = observed.monotonic_ns, step.now_ns
    # What stays suspected is looked at as often as anything else: it must not use up the request budget.
    observed.look_again = any(before.get(name) != said for name, said in suspected.items())
    if account.positions is not None and not suspected and not observed.under_way:
        _compare_positions(step, account.positions, on_difference)
        if not observed.suspected_positions and not step.state.differences:
            observed.agreed_ns = step.now_ns


def take_unanswered(step: Step, question: CompareAccount) -> None:
    """Wait for the next time: nothing depends on it, and asking on would use up the request budget."""
    step.observed.asked.discard(question)
    step.observed.compared_monotonic_ns = step.observed.monotonic_ns
    step.observed.look_again = False


def _news(step: Step, order: BrokerOrder) -> tuple[str, ...]:
    """What the broker's order says that the book does not know; nothing of one that is on its way."""
    known = step.order(order.client_order_id)
    if known is None:
        replaces_ours = order.replaces in step.book.by_broker_id
        came_to_nothing = order.status in TERMINAL and not order.filled_quantity and not replaces_ours
        named = order.id in step.state.not_understood
        return () if came_to_nothing or named else ("unknown", text(order.filled_quantity), order.status)
    if is_another(known, order.id):
        return ()  # Its position shows.
    order_id, observed = order.client_order_id, step.observed
    on_its_way = not known.answered and (order_id in observed.under_way or order_id in observed.doubts)
    if on_its_way or (order.filled_quantity <= known.filled and not advances(known, order.status)):
        return ()
    return ("known", text(order.filled_quantity), order.status)


def _take_trail(step: Step, order: BrokerOrder, suspected: Mapping[str, tuple[str, ...]]) -> None:
    """Book where a trailing stop stands by now: no update tells of it."""
    known = step.order(order.client_order_id)
    moved = known is not None and known.open and differs(known, None, None, order.stop_price)
    if moved and order.client_order_id not in suspected:
        reconciliation.compare(step, order)


def _missing(step: Step, orders: list[BrokerOrder]) -> list[Order]:
    """Orders that the book has open at the broker, and that are in neither of its lists."""
    listed = {order.client_order_id for order in orders}
    return [
        known
        for known in step.book.open_orders()
        if known.broker_order_id and known.client_order_id not in listed
    ]


def _compare_positions(step: Step, positions: Sequence[BrokerPosition], on_difference: OnDifference) -> None:
    """Hold the account's positions against the book's, symbol by symbol."""
    at_broker = {position.symbol: position.quantity for position in positions}
    held = step.book.quantities()
    found = {
        symbol: (held.get(symbol, ZERO), at_broker.get(symbol, ZERO))
        for symbol in held.keys() | at_broker.keys()
        if held.get(symbol, ZERO) != at_broker.get(symbol, ZERO)
    }
    known = step.state.differences
    for symbol in sorted(known.keys() - found.keys()):
        step.record(PositionAgrees(symbol=symbol, at_ns=step.now_ns))
    # One that was told stays told while trading goes on: what is missing is the same.
    news = {
        symbol: pair
        for symbol, pair in found.items()
        if symbol not in known or minus(*pair) != minus(*known[symbol])
    }
    certain = {
        symbol: pair for symbol, pair in news.items() if step.observed.suspected_positions.get(symbol) == pair
    }
    step.observed.suspected_positions = {
        symbol: pair for symbol, pair in news.items() if symbol not in certain
    }
    step.observed.look_again = bool(step.observed.suspected_positions)
    differing = _book_fees(step, certain)
    for symbol in sorted(differing):
        booked, broker = certain[symbol]
        step.error("position differs", symbol=symbol, book=text(booked), broker=text(broker))
        step.record(PositionDiffers(symbol=symbol, booked=booked, at_broker=broker, at_ns=step.now_ns))
    _halt(step, differing, on_difference)


def _halt(step: Step, symbols: list[str], on_difference: OnDifference) -> None:
    if not symbols or on_difference == "tell":
        return
    reason = f"the broker's position differs from the book's: {', '.join(sorted(symbols))}"
    if on_difference == "halt_account" or len(symbols) > 1:
        step.halt_account(reason)
    else:
        scope = f"symbol:{symbols[0]}"
        # One of the whole account that this input has asked for holds here too.
        step.effects.halt = step.effects.halt or Halt(scope=scope, reason=reason, by="oms", at_ns=step.now_ns)


def _book_fees(step: Step, differing: dict[str, tuple[Decimal, Decimal]]) -> list[str]:
    """Book what the broker took less, or more, of coins than was assumed; returns the symbols left over.

    The rate is lower for orders that waited in its book, and for who trades much. A sum of executions that
    was booked as one may be a few roundings off.
    """
    ledger, left = step.book.ledger, []
    for symbol, (booked, at_broker) in differing.items():
        owed = {name: ledger.coin_fees(symbol, name) for name in ledger.names()}
        missing = minus(at_broker, booked)
        if not -_ROUNDINGS <= missing <= ledger.coin_fees(symbol) or not any(owed.values()):
            left.append(symbol)
            continue
        for name in sorted(owed, key=lambda name: owed[name], reverse=True):
            part = min(missing, owed[name])
            missing = minus(missing, part)
            if not part:
                continue
            step.warn("fee differs", symbol=symbol, algorithm=name, quantity=text(part))
            step.record(
                Booked(
                    algorithm=name,
                    kind="fee",
                    symbol=symbol,
                    quantity=part,
                    price=None,
                    cash=ZERO,
                    reference=f"fee-{step.now_ns}",
                    reason=f"the broker's fee in {symbol} is another than was assumed",
                    by="oms",
                    at_ns=step.now_ns,
                )
            )
    return left
