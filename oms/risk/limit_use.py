"""Which limits bind one algorithm in one symbol, where each comes from, and how much of it is used. Pure."""

from dataclasses import dataclass
from decimal import Decimal

from oms.amounts import ZERO, minus, plus, times
from oms.book.book import Book
from oms.book.ledger import ACCOUNT
from oms.limits.limit_kinds import NUMBERS, SWITCHES, tighter
from oms.limits.limit_scopes import Scope
from oms.limits.limits import Limits
from oms.risk.buying_power import used as invested_and_reserved

# Held against what a holder has; all others are of one order, or of one price.
_OF_A_HOLDER = frozenset(
    {
        "position_quantity",
        "position_value",
        "open_orders",
        "orders_per_second",
        "capital",
        "gross_exposure",
        "net_exposure",
        "unexecuted_value",
        "messages_per_minute",
        "day_loss",
        "rejects_per_second",
        "refusals_per_second",
        "unanswered_seconds",
        "short_sales",
    }
)


@dataclass(frozen=True, slots=True)
class Binding:
    """The tightest value of a limit, of the account, of an algorithm or, where `whose` is None, of an order.

    `section` says it; `used` is None where that is not known, or counts only as an order comes.
    """

    name: str
    whose: str | None
    value: Decimal | bool
    section: str
    used: Decimal | None


def binding(limits: Limits, book: Book, algorithm: str, symbol: str) -> list[Binding]:
    """What binds an algorithm in a symbol; in none where that is "", so that nothing of one symbol counts."""
    effective = limits.effective(algorithm, symbol)
    own = {name: one for name, one in effective.sections.items() if "algorithm" in name}
    whole = {name: one for name, one in effective.sections.items() if name not in own}
    found = []
    for name in (*NUMBERS, *SWITCHES):
        if name == "price_age_seconds":
            continue
        holders = ((algorithm, own), (ACCOUNT, whole)) if name in _OF_A_HOLDER else ((None, whole | own),)
        for whose, sections in holders:
            tightest = _tightest(name, sections)
            if tightest is not None:
                section, value = tightest
                found.append(Binding(name, whose, value, f"[{section}]", used(book, name, whose, symbol)))
    for feed, age in effective.price_ages.items():
        section, _, name = age.setting.rpartition(" ")
        of_feed = f"{name} of {feed}" if feed else name
        found.append(Binding(of_feed, None, Decimal(age.most_ns) / 1_000_000_000, section, None))
    return found


def used(book: Book, name: str, whose: str | None, symbol: str) -> Decimal | None:
    """How much of a limit is in use now; None where that is not known."""
    if whose is None:
        return None
    if name == "open_orders":
        return Decimal(book.open_count(whose))
    if name == "gross_exposure":
        return book.exposure.of(whose)[0]
    if name == "net_exposure":
        _, highest, lowest = book.exposure.of(whose)
        return max(ZERO, highest, -lowest)
    if name == "unexecuted_value":
        return book.unexecuted(whose)
    if name == "capital":
        return minus(invested_and_reserved(book, whose), book.ledger.realized_profit(whose))
    if name in ("position_quantity", "position_value") and symbol:
        held = book.position(symbol, whose)
        upwards = plus(held, book.pending(symbol, "buy", whose))
        downwards = minus(book.pending(symbol, "sell", whose), held)
        furthest = max(ZERO, upwards, downwards)
        return furthest if name == "position_quantity" else times(furthest, book.exposure.price(symbol))
    return None


def _tightest(name: str, sections: dict[str, Scope]) -> tuple[str, Decimal | bool] | None:
    """The tightest value, and the first section that says it."""
    found: tuple[str, Decimal | bool] | None = None
    for section, scope in sections.items():
        value = getattr(scope, name)
        if value is None:
            continue
        if found is None:
            found = section, value
        elif name in SWITCHES:
            found = found if not found[1] else (section, value)
        elif tighter(name, Decimal(found[1]), value) != found[1]:
            found = section, value
    return found
