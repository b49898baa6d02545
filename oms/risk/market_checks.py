"""Checks of whether a symbol may be traded, by whom, how, and now. Pure."""

from datetime import datetime

from bus.order_messages import Reason
from bus.trading_day import NEW_YORK, is_crypto, phase, session_from
from oms.amounts import text
from oms.book.book import Book
from oms.risk.checks import Check, named
from oms.risk.preconditions import Context
from oms.risk.subject import Subject

_SECOND_NS = 1_000_000_000

# Orders for an auction are left at the broker while the market is closed: that is what they are for.
_FOR_AUCTIONS = frozenset({"opg", "cls"})


def symbol_allowed(subject: Subject, book: Book, context: Context) -> Reason | None:
    """A symbol that the limits do not let this algorithm trade, or that it did not say it would."""
    del book
    symbol = subject.terms.symbol
    if not subject.effective.is_allowed:
        return Reason(
            code="symbol_not_allowed",
            message=f"[algorithm.{context.algorithm}] symbols does not name {symbol}",
            value=symbol,
        )
    declared = context.declared
    if declared is None or symbol in declared or "*" in declared:
        return None
    return Reason(
        code="symbol_not_declared",
        message=f"{context.algorithm} was started without {symbol}; it trades {', '.join(sorted(declared))}",
        value=symbol,
    )


def untradable(subject: Subject, book: Book, context: Context) -> Reason | None:
    """A symbol that the broker does not trade; what it has not said yet is left to it."""
    del book
    symbol = subject.terms.symbol
    asset = context.assets.get(symbol)
    if asset is None or asset.tradable:
        return None
    return Reason(
        code="untradable",
        message=f"the broker does not trade {symbol}: it is {asset.status}",
        value=asset.status,
    )


def short_sale(subject: Subject, book: Book, context: Context) -> Reason | None:
    """A sale that could take a position below zero: where the limits forbid it, or the broker lends none."""
    del book
    terms = subject.terms
    if terms.side != "sell":
        return None
    for holder in subject.holders:
        if holder.reached > 0 and holder.scope.short_sales is False:
            return Reason(
                code="short_sale",
                message=f"it could take the position of {named(holder)} in {terms.symbol} to "
                f"-{text(holder.reached)}, and short_sales is false",
                limit="0",
                value=text(-holder.reached),
            )
    asset = context.assets.get(terms.symbol)
    if subject.account.reached <= 0 or asset is None or asset.can_be_shorted:
        return None
    return Reason(
        code="not_shortable",
        message=f"{terms.symbol} cannot be sold short at the broker: {asset.borrowing}",
        value=asset.borrowing,
    )


def market_closed(subject: Subject, book: Book, context: Context) -> Reason | None:
    """An order that could not trade now: outside the regular session, or outside the extended hours."""
    del book
    terms = subject.terms
    if is_crypto(terms.symbol):
        return None
    if terms.extended_hours and (terms.type != "limit" or terms.time_in_force not in ("day", "gtc")):
        return Reason(
            code="extended_hours",
            message="an order for the extended hours is a limit order, day or gtc; this is a "
            f"{terms.type} order, {terms.time_in_force}",
        )
    if context.market_open or subject.effective.while_closed or terms.time_in_force in _FOR_AUCTIONS:
        return None
    now = phase(context.now_ns)
    if terms.extended_hours and now != "closed":
        return None
    session = session_from(context.now_ns)
    opens_ns = session.extended_opens_ns if terms.extended_hours else session.opens_ns
    if opens_ns <= context.now_ns:
        opens_ns = session_from(session.extended_closes_ns).opens_ns
    opens = datetime.fromtimestamp(opens_ns // _SECOND_NS, NEW_YORK)
    return Reason(
        code="market_closed",
        message=f"the market is closed until {opens:%A %Y-%m-%d %H:%M} in New York, and an order would wait "
        "at the broker until then, at a price of now: set extended_hours on a limit order, or "
        "orders_while_closed in the limits",
        value=now,
    )


CHECKS: tuple[Check, ...] = (symbol_allowed, untradable, short_sale, market_closed)
