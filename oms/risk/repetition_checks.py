"""Checks for loops: the same order again and again, too many requests, prices walked step by step. Pure."""

from decimal import Decimal

from bus.order_messages import Reason, ReplaceRequest
from oms.amounts import text, times
from oms.book.book import Book
from oms.risk.checks import Check, above, named
from oms.risk.preconditions import Context
from oms.risk.subject import Subject

_SECOND_NS = 1_000_000_000
_MINUTE_NS = 60 * _SECOND_NS


def is_within(at_ns: int, now_ns: int, window_ns: int) -> bool:
    """Whether a moment is so short a while ago.

    One that is yet to come, by more than clocks are set right, is of before a clock was set back.
    """
    return -_SECOND_NS <= now_ns - at_ns < window_ns


def duplicate_request(subject: Subject, book: Book, context: Context) -> Reason | None:
    """The same order as one that was approved a moment ago: symbol, side, size, type and prices."""
    window_ns = subject.effective.duplicate_ns
    if not window_ns or isinstance(subject.request, ReplaceRequest):
        return None
    last_ns = book.repetition.last_ns(context.algorithm, subject.request.terms)
    if last_ns is None or not is_within(last_ns, context.now_ns, window_ns):
        return None
    ago, window = Decimal(context.now_ns - last_ns) / _SECOND_NS, Decimal(window_ns) / _SECOND_NS
    return Reason(
        code="duplicate_request",
        message=f"the same order was approved {text(ago)} s ago; duplicate_seconds lets it pass again after "
        f"{text(window)} s",
        limit=text(window),
        value=text(ago),
    )


def repeated_order(subject: Subject, book: Book, context: Context) -> Reason | None:
    """One symbol, side and size ordered more often than a loop may, without a fill that reverses it."""
    most, within_ns = subject.effective.repeated
    if not within_ns or isinstance(subject.request, ReplaceRequest):
        return None
    terms = subject.request.terms
    nth_ns = book.repetition.nth_last_ns(most, context.algorithm, terms) if most else context.now_ns
    if nth_ns is None or not is_within(nth_ns, context.now_ns, within_ns):
        return None
    size = f"${text(terms.notional)} of" if terms.quantity is None and terms.notional is not None else ""
    size = size or text(terms.quantity or Decimal(0))
    return Reason(
        code="repeated_order",
        message=f"{context.algorithm} would {terms.side} {size} {terms.symbol} for the {most + 1}th time in "
        f"{within_ns // _SECOND_NS} s, without a fill that reverses it: it is halted until a named person "
        "resumes it",
        limit=str(most),
        value=str(most + 1),
    )


def message_rate(subject: Subject, book: Book, context: Context) -> Reason | None:
    """Requests that came within the last minute, this one included; cancels count, and always pass."""
    del book
    for holder in subject.holders:
        limit = holder.scope.messages_per_minute
        if limit is not None:
            count = context.requests.within_a_minute(holder.name, context.now_ns)
            if count > limit:
                return above("message_rate", f"requests a minute of {named(holder)}", limit, Decimal(count))
    return None


def price_band(subject: Subject, book: Book, context: Context) -> Reason | None:
    """A price that is too far beyond the market's of some minutes ago, by however many steps it got there."""
    del book, context
    band, price, before = subject.effective.band, subject.price, subject.before
    if band is None or price is None or before is None:
        return None
    part, _ = band
    terms = subject.terms
    asked = terms.limit_price if terms.limit_price is not None else terms.stop_price or price.price
    buys = terms.side == "buy"
    bound = times(before.price, 1 + part if buys else 1 - part)
    if asked <= bound if buys else asked >= bound:
        return None
    return Reason(
        code="price_band",
        message=f"{text(asked)} is more than {text(part * 100)} % beyond {text(before.price)}, the price of "
        f"{terms.symbol} {(price.at_ns - before.at_ns) // _MINUTE_NS} minutes before",
        limit=text(bound),
        value=text(asked),
    )


CHECKS: tuple[Check, ...] = (duplicate_request, repeated_order, message_rate, price_band)

# Of those that are of a limit that need not be set, the limit.
ONLY_WHERE_SET: dict[Check, str] = {
    duplicate_request: "duplicate_seconds",
    message_rate: "messages_per_minute",
    price_band: "price_band_percent",
}
