"""Comparing the book with the broker while orders are taken: what was missed is booked, the rest told. Pure.

An update may be on its way while the broker is asked, so one look proves nothing: a difference counts once a
second look, some seconds later, finds the same. An account that never rests is compared all the same:
position by position, between the bounds that what is under way leaves.
"""

from collections.abc import Collection, Mapping, Sequence

from oms.amounts import text
from oms.book.book import Book
from oms.book.orders import TERMINAL, Order, advances, differs, is_another
from oms.broker.protocol import BrokerOrder
from oms.reconciliation import accepted_differences, activities, holdings, reconciliation
from oms.reconciliation.holdings import OnDifference
from oms.reconciliation.unexplained import unbooked
from oms.state.inputs import AccountListed, CompareAccount
from oms.state.step import Step

# How long news may be on its way from the broker: a difference is looked at again after this long.
_LOOK_AGAIN_NS = 2_000_000_000

# Clocks differ, and an order may be stamped before we wrote it down.
_MARGIN_NS = 60 * 1_000_000_000


def look(step: Step, every_ns: int) -> None:
    """Ask for orders and positions where it is time to; not while the book is being brought level anyway."""
    observed = step.observed
    if not observed.started or observed.behind or observed.stopping:
        return
    wait_ns = _LOOK_AGAIN_NS if observed.look_again else every_ns
    now_ns = observed.monotonic_ns
    if observed.compared_monotonic_ns is None:
        observed.compared_monotonic_ns, observed.compared_ns = now_ns, step.now_ns
    if observed.compare_now or now_ns - observed.compared_monotonic_ns >= wait_ns:
        observed.compare_now = False
        # Where the clock has been set back since, nothing is submitted yet at the time of the last look.
        since_ns = max(0, min(observed.compared_ns, step.now_ns) - _MARGIN_NS)
        # One at a time: a clock that goes back to where it was makes each a question of its own.
        if not any(isinstance(one, CompareAccount) for one in observed.asked):
            observed.filled_before.clear()
            observed.booked_since.clear()
            step.ask(CompareAccount(since_ns, activities.since_ns(step)))


def take_account(
    step: Step, account: AccountListed, on_difference: OnDifference, asked_monotonic_ns: int
) -> None:
    """Compare orders, positions, and cash where the account is at rest."""
    observed = step.observed
    observed.trouble = ""
    if observed.behind:
        return  # What was asked before a break is older than what was missed.
    orders = reconciliation.understood(step, account.orders)
    before = observed.suspected
    missing = {known.client_order_id for known in _missing(step, orders)}
    suspected = _suspected(step, account, orders, missing)
    for order in orders:
        if order.client_order_id in suspected and suspected[order.client_order_id] == before.get(
            order.client_order_id
        ):
            step.warn("missed on the broker's stream", client_order_id=order.client_order_id)
            step.observed.counts["missed_updates"] += 1
            reconciliation.compare(step, order)
            del suspected[order.client_order_id]
    _ask_for_exits(step, orders)
    _ask_for_partly_told(step)
    for order in orders:
        if _trails(order):
            _take_trail(step, order, suspected)
    for client_order_id, said in suspected.items():
        if said == ("missing",) == before.get(client_order_id):
            step.look_up(client_order_id)
    observed.suspected = suspected
    observed.compared_monotonic_ns, observed.compared_ns = observed.monotonic_ns, step.now_ns
    observed.activities_ns = step.now_ns
    # What stays suspected is looked at as often as anything else: it must not use up the request budget.
    observed.look_again = any(before.get(name) != said for name, said in suspected.items())
    # What an order in doubt was filled for is in the broker's positions, and in the book once it is found.
    on_their_way = observed.under_way | observed.doubts.keys()
    is_at_rest = account.before is None and not (suspected or on_their_way)
    booked_since = frozenset(observed.booked_since)
    if step.state.cash_opened:
        # They were listed before positions were asked for: these have them in.
        activities.book(step, account.activities)
    if account.positions is not None:
        unseen = on_their_way | missing
        was = orders if account.before is None else account.before
        spans = unbooked(step.book, was, orders, observed.filled_before, unseen)
        unproven = holdings.compare_positions(step, account.positions, spans, booked_since, on_difference)
        if is_at_rest:
            holdings.compare_cash(step, account, on_difference)
            holdings.agree(step, account.positions, unproven)
        positions = holdings.understood(step, account.positions)
        not_compared = unproven if unproven or not is_at_rest else None
        accepted_differences.go_on(step, positions, asked_monotonic_ns, not_compared)
    # Somebody waits for what a look finds that sees the account at rest.
    observed.look_again |= bool(observed.reconciling)


def _suspected(
    step: Step, account: AccountListed, orders: Sequence[BrokerOrder], missing: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """What the broker says of orders that is news to the book; of one that moves now it is on its way."""
    found = {order.client_order_id: said for order in orders if (said := _news(step, order))}
    found |= dict.fromkeys(missing, ("missing",))
    if account.before is None:
        return found
    now = {order.client_order_id: order for order in orders}
    was = {order.client_order_id: order for order in account.before if isinstance(order, BrokerOrder)}
    return {name: said for name, said in found.items() if now.get(name) == was.get(name)}


def take_unanswered(step: Step, question: CompareAccount) -> None:
    """Wait for the next time: nothing depends on it, and asking on would use up the request budget."""
    step.observed.asked.discard(question)
    step.observed.compared_monotonic_ns = step.observed.monotonic_ns
    step.observed.look_again = False
    accepted_differences.give_up(step)


def _news(step: Step, order: BrokerOrder) -> tuple[str, ...]:
    """What the broker's order says that the book does not know; nothing of one that is on its way."""
    known = step.order(order.client_order_id)
    if known is None:
        replaces_ours = order.replaces in step.book.by_broker_id
        came_to_nothing = order.status in TERMINAL and not order.filled_quantity and not replaces_ours
        named = f"order {order.id}" in step.state.not_understood
        return () if came_to_nothing or named else ("unknown", text(order.filled_quantity), order.status)
    if is_another(known, order.id):
        return ()  # Its position shows.
    order_id, observed = order.client_order_id, step.observed
    on_its_way = not known.answered and (order_id in observed.under_way or order_id in observed.doubts)
    # The stop of a trailing order moves by itself.
    stop_price = None if _trails(order) else order.stop_price
    restated = known.open and differs(known, order.quantity, order.limit_price, stop_price)
    moved_on = order.filled_quantity > known.filled or advances(known, order.status)
    if on_its_way or not (moved_on or restated):
        return ()
    stands = [str(amount) for amount in (order.quantity, order.limit_price, stop_price)]
    return ("known", text(order.filled_quantity), order.status, *stands)


def _trails(order: BrokerOrder) -> bool:
    return order.trail_price is not None or order.trail_percent is not None


def _take_trail(step: Step, order: BrokerOrder, suspected: Mapping[str, tuple[str, ...]]) -> None:
    """Book where a trailing stop stands by now: no update tells of it."""
    known = step.order(order.client_order_id)
    moved = known is not None and known.open and differs(known, None, None, order.stop_price)
    if moved and order.client_order_id not in suspected:
        reconciliation.compare(step, order)


def _missing(step: Step, orders: list[BrokerOrder]) -> list[Order]:
    """Orders that the book has open at the broker, and that are in neither of its lists; not exits."""
    listed = {order.client_order_id for order in orders}
    return [
        known
        for known in step.book.open_orders()
        if known.broker_order_id and known.parent is None and known.client_order_id not in listed
    ]


def _ask_for_exits(step: Step, orders: list[BrokerOrder]) -> None:
    """Ask for exits that no list shows, by the order that they belong to.

    Alpaca's open orders leave out the exits of an entry that is filled, and the one that is held
    (alpacahq/alpaca-trade-api-js#80, alpaca-trade-api-python#322): that they are not there says nothing.
    """
    listed = {order.client_order_id for order in orders}
    hidden = {
        known.client_order_id if _was_replaced(step.book, known) else known.parent
        for known in step.book.open_orders()
        if known.parent is not None and known.client_order_id not in listed
    }
    for order_id in hidden:
        step.look_up(order_id)


def _was_replaced(book: Book, leg: Order) -> bool:
    """Whether the order that an exit belongs to does not show it any more, or may not.

    It does not once another stands in the place of the exit, or in its own.
    """
    parent = book.order(leg.parent or "")
    return book.replacement(leg) is not None or (parent is not None and book.replacement(parent) is not None)


def _ask_for_partly_told(step: Step) -> None:
    """Ask for orders that ended with more than was told: they may stand in no list any more."""
    for order_id in tuple(step.observed.partly_told):
        order = step.order(order_id)
        if order is not None and order.outstanding():
            step.look_up(order_id)
        else:
            step.observed.partly_told.discard(order_id)
