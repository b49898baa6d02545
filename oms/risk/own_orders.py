"""Checks of an order against the account's own position and orders, before the broker says no. Pure.

Alpaca takes no order that crosses zero, none that closes what other orders are to close already, and none
that could trade with an order of the same account. Of orders made elsewhere only Alpaca knows which belong
together, such as two exits of which one cancels the other: they are left to it.
"""

from collections.abc import Iterable
from decimal import Decimal

from bus.order_messages import OrderTerms, Reason
from bus.streams import EXTERNAL
from oms.amounts import ZERO, minus, quotient_nearest, text
from oms.book.book import Book
from oms.book.open_orders import is_exempt
from oms.book.orders import Order
from oms.risk.checks import Check
from oms.risk.preconditions import Context
from oms.risk.subject import Subject

# So many orders are named in a sentence.
_MOST_NAMED = 3


def crosses_zero(subject: Subject, book: Book, context: Context) -> Reason | None:
    """An order that would close all and open the other way, and a sale of more coins than there are."""
    del book, context
    terms, held = subject.terms, subject.closable
    sells_coins = terms.side == "sell" and "/" in terms.symbol
    if not (held or sells_coins) or subject.account.reached <= ZERO or (asked := _asked(subject)) <= held:
        return None
    if sells_coins:
        do_now = f"sell at most {text(held)}" if held else "buy before you sell"
        why = f"crypto cannot be sold short: {do_now}"
    else:
        then = f"sell {text(minus(asked, held))} short" if terms.side == "sell" else "buy the rest"
        why = f"no order may cross zero: {terms.side} {text(held)} to close, then {then} once that is filled"
    return Reason(
        code="crosses_zero",
        message=f"{terms.side} {text(asked)} {terms.symbol} while the account "
        f"{'holds' if terms.side == 'sell' else 'is short of'} {text(held)}, and {why}",
        limit=text(held),
        value=text(asked),
    )


def held_for_orders(subject: Subject, book: Book, context: Context) -> Reason | None:
    """An order to close what other open orders, of whichever algorithm, are to close already."""
    del context
    terms, held = subject.terms, subject.closable
    if not held or subject.account.reached <= ZERO or (asked := _asked(subject)) > held:
        return None
    taken = minus(_pending_of_ours(terms, book), subject.freed)
    free = max(ZERO, minus(held, taken))
    if asked <= free:
        return None
    others = [
        order
        for order in book.open.on(terms.symbol, terms.side)
        if order is not subject.replaced and order.algorithm != EXTERNAL
    ]
    or_less = f", or {terms.side} at most {text(free)}" if free else ""
    return Reason(
        code="held_for_orders",
        message=f"{text(taken)} of the account's {text(held)} {terms.symbol} are held for open orders "
        f"({_named(others)}): cancel there first{or_less}",
        limit=text(free),
        value=text(asked),
    )


def wash_trade(subject: Subject, book: Book, context: Context) -> Reason | None:
    """An order that could trade with one of the account's own, whoever's it is.

    Two limits do where they cross; what has none, a market or a stop order, does with any on the other side.
    Orders with exits, exits and trailing stops are exempt (Alpaca, User Protection, Preventing Wash Trades).
    """
    del context
    terms = subject.terms
    if is_exempt(terms) or (subject.replaced is not None and subject.replaced.role):
        return None
    price = terms.limit_price
    if not book.open.could_trade_with(terms.symbol, terms.side, price):
        return None
    buys = terms.side == "buy"
    for order in book.open.on(terms.symbol, "sell" if buys else "buy"):
        other = order.working
        if other is None or order is subject.replaced or order.algorithm == EXTERNAL:
            continue
        if order.role or is_exempt(other):
            continue
        if price is not None and other.limit_price is not None:
            if price < other.limit_price if buys else price > other.limit_price:
                continue
            do_now = f"or ask for a price {'below' if buys else 'above'} {text(other.limit_price)}"
        else:
            do_now = "or wait until it is done"
        return Reason(
            code="wash_trade",
            message=f"it could trade with {_named((order,))}, an order of the same account to "
            f"{_shown(other)}: cancel that one first, {do_now}",
            value=order.client_order_id,
        )
    return None


CHECKS: tuple[Check, ...] = (crosses_zero, held_for_orders, wash_trade)


def _pending_of_ours(terms: OrderTerms, book: Book) -> Decimal:
    elsewhere = book.pending(terms.symbol, terms.side, EXTERNAL)
    return minus(book.pending(terms.symbol, terms.side), elsewhere)


def _asked(subject: Subject) -> Decimal:
    """The quantity as the broker will see it: that of a notional order at the price of now."""
    if subject.terms.notional is None or subject.price is None:
        return subject.quantity
    return quotient_nearest(subject.terms.notional, subject.price.price)


def _named(orders: Iterable[Order]) -> str:
    names = [f"{order.client_order_id} of {order.algorithm}" for order in orders]
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _shown(terms: OrderTerms) -> str:
    at = "" if terms.limit_price is None else f" at {text(terms.limit_price)}"
    return f"{terms.side} by a {terms.type} order{at}"
