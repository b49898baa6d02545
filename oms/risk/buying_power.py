"""Checks of an order's cost against what may be spent: an algorithm's capital, the account's money. Pure."""

from decimal import Decimal

from bus.order_messages import Reason
from oms.amounts import ZERO, minus, plus, text, times
from oms.book.book import Book
from oms.book.ledger import ACCOUNT
from oms.risk.checks import Check
from oms.risk.preconditions import Context
from oms.risk.subject import Holder, Subject


def used(book: Book, name: str = ACCOUNT) -> Decimal:
    """What open purchases may cost at their reserve prices, and what is held did cost, short or long."""
    return plus(book.open_sums(name).purchases, book.ledger.invested(name))


def left_of_capital(book: Book, algorithm: str, capital: Decimal) -> Decimal:
    """Capital and realized profit, less what is held and reserved."""
    earned = plus(capital, book.ledger.realized_profit(algorithm))
    return minus(earned, used(book, algorithm))


def capital(subject: Subject, book: Book, context: Context) -> Reason | None:
    """An order that costs more than what is left of the algorithm's capital."""
    holder = subject.holders[0]
    limit = holder.scope.capital
    if limit is None:
        return None
    left, cost = left_of_capital(book, holder.name, limit), _cost(subject, holder)
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
    left, cost = minus(amount, max(ZERO, minus(used(book), spending.used))), _cost(subject, subject.account)
    if cost <= left:
        return None
    return Reason(
        code="buying_power",
        message=f"the order may cost {text(cost)}; the account has {text(max(ZERO, left))} left of its {of}",
        limit=text(left),
        value=text(cost),
    )


CHECKS: tuple[Check, ...] = (capital, buying_power)

# Of those that are of a limit that need not be set, the limit.
ONLY_WHERE_SET: dict[Check, str] = {capital: "capital"}


def _cost(subject: Subject, holder: Holder) -> Decimal:
    """What the order may tie up beyond the one that it replaces.

    Of a sale that is what it, and all others that are open in its symbol, may sell short: nothing is reserved
    for them.
    """
    if subject.reserve_price is None:
        return ZERO
    if subject.terms.side == "buy":
        cost = subject.reserved if subject.terms.notional is None else subject.terms.notional
        return cost if subject.replaced is None else minus(cost, subject.replaced.held_value)
    short_already = max(ZERO, holder.held)
    return times(max(ZERO, minus(holder.reached, short_already)), subject.reserve_price)
