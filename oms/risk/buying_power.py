"""Checks of an order's cost against what may be spent: an algorithm's capital, the account's money. Pure."""

from decimal import Decimal

from bus.order_messages import Reason
from oms.amounts import ZERO, minus, plus, text, times
from oms.book.book import Book
from oms.book.ledger import ACCOUNT
from oms.risk.checks import Check, Subject
from oms.risk.preconditions import Context


def used(book: Book, name: str = ACCOUNT) -> Decimal:
    """What open purchases may cost at their reserve prices, and what is held did cost, short or long."""
    return plus(book.reserved(name), book.ledger.invested(name))


def left_of_capital(book: Book, algorithm: str, capital: Decimal) -> Decimal:
    """Capital and realized profit, less what is held and reserved."""
    earned = plus(capital, book.ledger.realized_profit(algorithm))
    return minus(earned, used(book, algorithm))


def capital(subject: Subject, book: Book, context: Context) -> Reason | None:
    """An order that costs more than what is left of the algorithm's capital."""
    limit = subject.effective.own.capital
    if limit is None:
        return None
    left, cost = left_of_capital(book, context.algorithm, limit), _cost(subject, book, context.algorithm)
    if cost <= left:
        return None
    return Reason(
        code="capital",
        message=f"the order may cost {text(cost)}; of the capital of {context.algorithm}, {text(limit)} with "
        f"its realized profit, {text(max(ZERO, left))} is neither invested nor reserved",
        limit=text(left),
        value=text(cost),
    )


def buying_power(subject: Subject, book: Book, context: Context) -> Reason | None:
    """An order that costs more than the broker said may be spent, less what was put to use since.

    What became free since counts at its next word, some seconds later.
    """
    spending = context.spending_power
    if spending is None:
        return None
    of, amount = (
        ("cash", spending.cash) if "/" in subject.terms.symbol else ("buying power", spending.buying_power)
    )
    left, cost = minus(amount, max(ZERO, minus(used(book), spending.used))), _cost(subject, book, ACCOUNT)
    if cost <= left:
        return None
    return Reason(
        code="buying_power",
        message=f"the order may cost {text(cost)}; the account has {text(max(ZERO, left))} left of its {of}",
        limit=text(left),
        value=text(cost),
    )


CHECKS: tuple[Check, ...] = (capital, buying_power)


def _cost(subject: Subject, book: Book, whose: str) -> Decimal:
    """What the order may tie up beyond the one that it replaces.

    Of a sale that is what it, and all others that are open in its symbol, may sell short: nothing is reserved
    for them.
    """
    if subject.reserve_price is None:
        return ZERO
    if subject.terms.side == "buy":
        freed = ZERO if subject.replaced is None else subject.replaced.held_value
        notional = subject.terms.notional
        cost = times(subject.quantity, subject.reserve_price) if notional is None else notional
        return minus(cost, freed)
    reached = subject.reached[0 if whose else 1]
    short_already = max(ZERO, -book.position(subject.terms.symbol, whose))
    return times(max(ZERO, minus(reached, short_already)), subject.reserve_price)
