"""Limits that became stricter while an approved order waited: it must pass them before it is sent. Pure.

The order is among what is open by now, so it is looked at as what takes its own place. Price, times and what
the market was are those of its decision: no limit changed by them.
"""

from decimal import Decimal

from msgspec.structs import replace

from bus.halt_state import HaltState
from bus.order_events import Basis
from bus.order_messages import Reason, ReplaceRequest
from oms.amounts import ZERO
from oms.book.book import Book
from oms.limits.limits_in_force import LimitsInForce
from oms.prices.reference_price import Price
from oms.risk.approval import Approved
from oms.risk.assets import MarketClock
from oms.risk.buying_power import capital
from oms.risk.checks import (
    Check,
    above,
    named,
    open_orders,
    order_quantity,
    order_value,
    position_quantity,
    position_value,
    price_collar,
    reference_price,
    restricted,
)
from oms.risk.exposure_checks import CHECKS as CHECKS_OF_EXPOSURE
from oms.risk.market_checks import market_closed, short_sale, symbol_allowed
from oms.risk.preconditions import Context
from oms.risk.repetition_checks import price_band
from oms.risk.subject import Subject, subject_of

_OF_A_REDUCTION: tuple[Check, ...] = (reference_price, restricted, price_collar)
_OF_LIMITS: tuple[Check, ...] = (
    *_OF_A_REDUCTION,
    order_quantity,
    order_value,
    position_quantity,
    position_value,
    open_orders,
    capital,
    *CHECKS_OF_EXPOSURE,
    symbol_allowed,
    short_sale,
    market_closed,
    price_band,
)


def objection(
    approved: Approved, book: Book, force: LimitsInForce, account: str, clock: MarketClock
) -> Reason | None:
    """What limits have against an order that was approved before they became as strict as they are now."""
    event, basis = approved.event, approved.event.basis
    if basis is None or basis.limits_version >= force.stricter:
        return None
    limits, order = force.limits, book.orders.get(event.client_order_id)
    if limits is None or order is None:
        return None
    terms = event.working or event.terms
    effective = limits.effective(event.algorithm, terms.symbol)
    context = Context(
        account=account,
        algorithm=event.algorithm,
        now_ns=event.approved_ns,
        halts=HaltState(known=True),
        control_fresh=True,
        not_ready=None,
        lease=basis.lease,
        market_open=clock.is_open(event.approved_ns),
    )
    as_it_stands = ReplaceRequest(
        client_order_id=event.client_order_id,
        replaces=event.client_order_id,
        terms=terms,
        lease=basis.lease,
        trigger=event.trigger,
        received_ns=event.received_ns,
        requested_ns=event.requested_ns,
    )
    band_ns = effective.band[1] if effective.band is not None else 0
    subject = subject_of(as_it_stands, terms, order, book, effective, price_seen(basis, band_ns), context)
    checks = (_allows_none, *(_OF_A_REDUCTION if subject.reduces else _OF_LIMITS))
    for find in checks:
        reason = find(subject, book, context)
        if reason is not None:
            since = f"; limits version {force.stricter} came into force before it was sent"
            return replace(reason, message=reason.message + since)
    return None


def _allows_none(subject: Subject, book: Book, context: Context) -> Reason | None:
    """A rate of zero: it allows nothing, where any other counts requests as they come."""
    del book, context
    for holder in subject.holders:
        if holder.scope.orders_per_second == 0:
            return above("order_rate", f"orders a second in {named(holder)}", ZERO, Decimal(1))
    return None


def price_seen(basis: Basis, band_ns: int) -> Price | None:
    """The price that the decision saw, with that of some minutes before where it looked at one."""
    if basis.price is None or basis.price_at_ns is None or basis.price_received_ns is None:
        return None
    at_ns, received_ns, feed = basis.price_at_ns, basis.price_received_ns, basis.price_feed
    before = basis.band_price
    past = () if before is None else (Price(before, at_ns - band_ns, received_ns - band_ns, feed),)
    return Price(basis.price, at_ns, received_ns, feed, past)
