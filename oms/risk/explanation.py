"""Why an order was approved or refused: each rule, its limit, and what was used of it. Pure.

The checks themselves tell what they measure: each is asked under a limit that nothing passes, and says by how
much. So what is explained is what was decided, whatever a check comes to count.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from msgspec.structs import replace as changed

from bus.order_messages import Reason
from oms.amounts import text
from oms.book.book import Book
from oms.limits.limit_scopes import Effective, Scope
from oms.limits.limits import Limits
from oms.risk import checks, exposure_checks, market_checks, own_orders, repetition_checks
from oms.risk.buying_power import capital, left_of_capital
from oms.risk.checks import Check
from oms.risk.limit_use import Binding, binding
from oms.risk.preconditions import Context
from oms.risk.subject import Holder, Subject

_EVER_NS = 10**18
_SECOND_NS = 1_000_000_000
_FAR = Decimal(10) ** 14
# Under it nothing passes.
_NEVER = -_FAR

# Held against what a holder comes to have with the order.
_Bound = dict[tuple[str, str | None], Binding]

_OF_HOLDERS: dict[str, Check] = {
    "position_quantity": checks.position_quantity,
    "position_value": checks.position_value,
    "open_orders": checks.open_orders,
    "orders_per_second": checks.order_rate,
    "gross_exposure": exposure_checks.gross_exposure,
    "net_exposure": exposure_checks.net_exposure,
    "unexecuted_value": exposure_checks.unexecuted_value,
}
_OF_ORDERS: dict[str, Check] = {
    "order_quantity": checks.order_quantity,
    "order_value": checks.order_value,
}
# What holds or does not, without a number.
_PLAIN: dict[str, Check] = {
    "restricted": checks.restricted,
    "symbols": market_checks.symbol_allowed,
    "crosses_zero": own_orders.crosses_zero,
    "held_for_orders": own_orders.held_for_orders,
    "wash_trade": own_orders.wash_trade,
}
# They do not bind an order that only reduces.
_NOT_OF_A_REDUCTION = {
    *_OF_ORDERS, *_OF_HOLDERS, "capital", "symbols", "short_sales", "duplicate_seconds", "repeated_orders",
    "price_band_percent",
} - {"orders_per_second"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as an order met it: `value` is with the order, `used` without it; "" for what has none.

    `whose` is the algorithm's name, `account`, or "" for a rule of the order alone. `outcome` is `passed`,
    `refused`, or `exempt` for an order that only reduces.
    """

    name: str
    whose: str
    limit: str
    value: str
    used: str
    section: str
    outcome: str


def explained(subject: Subject, book: Book, context: Context, limits: Limits) -> list[Rule]:
    """Every rule of the limits that are set, and those of the account's own orders."""
    bound = {
        (one.name, one.whose): one for one in binding(limits, book, context.algorithm, subject.terms.symbol)
    }
    found = [
        *_of_holders(subject, book, context, bound),
        *_of_orders(subject, book, context, bound),
        *_of_capital(subject, book, context, bound),
        *_of_prices(subject, book, context, bound),
        *_of_repetition(subject, book, context, bound),
    ]
    for name, check in _PLAIN.items():
        reason = check(subject, book, context)
        found.append(_rule(name, "", reason, limit="", value="", bound=None, subject=subject))
    return found


def _of_holders(subject: Subject, book: Book, context: Context, bound: _Bound) -> Iterator[Rule]:
    """What the algorithm and the account come to have with the order."""
    for holder in subject.holders:
        for name, check in _OF_HOLDERS.items():
            limit = getattr(holder.scope, name)
            if limit is None:
                continue
            measured = check(_holding(subject, holder, _never(name)), book, context)
            reason = check(_holding(subject, holder, holder.scope), book, context)
            yield _rule(
                name, holder.name or "account", reason, limit=text(limit), value=_value(measured),
                bound=bound.get((name, holder.name)), subject=subject,
            )  # fmt: skip


def _holding(subject: Subject, holder: Holder, scope: Scope) -> Subject:
    """The same order, with this one of its holders held to other limits and the other one to none."""
    holders = tuple(changed(one, scope=scope if one is holder else Scope()) for one in subject.holders)
    return changed(subject, holders=holders)


def _of_orders(subject: Subject, book: Book, context: Context, bound: _Bound) -> Iterator[Rule]:
    """How large the order is."""
    for name, check in _OF_ORDERS.items():
        limit = getattr(subject.effective.account, name)
        if limit is None:
            continue
        measured = check(_under(subject, account=_never(name)), book, context)
        yield _rule(
            name, "", check(subject, book, context), limit=text(limit), value=_value(measured),
            bound=bound.get((name, None)), subject=subject,
        )  # fmt: skip


def _of_capital(subject: Subject, book: Book, context: Context, bound: _Bound) -> Iterator[Rule]:
    """What the order costs of what is left of the algorithm's capital."""
    limit = subject.effective.own.capital
    if limit is None:
        return
    measured = capital(_holding(subject, subject.holders[0], Scope(capital=_NEVER)), book, context)
    left = left_of_capital(book, context.algorithm, limit)
    yield _rule(
        "capital", context.algorithm, capital(subject, book, context), limit=text(left),
        value=_value(measured), bound=bound.get(("capital", context.algorithm)), subject=subject,
    )  # fmt: skip


def _of_prices(subject: Subject, book: Book, context: Context, bound: _Bound) -> Iterator[Rule]:
    """How old the reference price is, and how far from it and from an earlier one the order reaches."""
    price, terms = subject.price, subject.terms
    if price is None:
        yield _rule(
            "price_age_seconds", "", checks.reference_price(subject, book, context), limit="", value="none",
            bound=None, subject=subject,
        )  # fmt: skip
        return
    age = subject.effective.price_age(price.feed)
    yield _rule(
        "price_age_seconds", "", checks.reference_price(subject, book, context),
        limit=_seconds(age.most_ns), value=_seconds(price.age_ns(context.now_ns)), bound=None,
        subject=subject, section=age.setting.rpartition(" ")[0],
    )  # fmt: skip
    far = _FAR if terms.side == "buy" else Decimal(1) / 10**9
    beyond = changed(subject, terms=changed(terms, limit_price=far))
    for name, check, asked in (
        ("price_collar_percent", checks.price_collar, terms.limit_price),
        ("price_band_percent", repetition_checks.price_band, _asked(subject)),
    ):
        measured = check(beyond, book, context)
        if asked is not None and measured is not None:
            yield _rule(
                name, "", check(subject, book, context), limit=measured.limit or "", value=text(asked),
                bound=bound.get((name, None)), subject=subject,
            )  # fmt: skip


def _of_repetition(subject: Subject, book: Book, context: Context, bound: _Bound) -> Iterator[Rule]:
    """Whether it was ordered just so a moment ago, how often lately, and whether it sells short."""
    effective, terms = subject.effective, subject.request.terms
    if effective.duplicate_ns:
        check = repetition_checks.duplicate_request
        measured = check(_under(subject, duplicate_ns=_EVER_NS), book, context)
        yield _rule(
            "duplicate_seconds", "", check(subject, book, context), limit=_seconds(effective.duplicate_ns),
            value="never before" if measured is None else f"{measured.value} s ago",
            bound=bound.get(("duplicate_seconds", None)), subject=subject,
        )  # fmt: skip
    most, within_ns = effective.repeated
    if within_ns:
        count = 0
        while (nth := book.repetition.nth_last_ns(count + 1, context.algorithm, terms)) is not None:
            if not repetition_checks.is_within(nth, context.now_ns, within_ns):
                break
            count += 1
        yield _rule(
            "repeated_orders", "", repetition_checks.repeated_order(subject, book, context),
            limit=str(most), value=str(count + 1), bound=bound.get(("repeated_orders", None)),
            subject=subject,
        )  # fmt: skip
    for holder in subject.holders:
        if terms.side == "sell" and holder.scope.short_sales is False:
            reason = market_checks.short_sale(_holding(subject, holder, holder.scope), book, context)
            yield _rule(
                "short_sales", holder.name or "account", reason, limit="0", value=text(-holder.reached),
                bound=bound.get(("short_sales", holder.name)), subject=subject,
            )  # fmt: skip


def _rule(
    name: str,
    whose: str,
    reason: Reason | None,
    *,
    limit: str,
    value: str,
    bound: Binding | None,
    subject: Subject,
    section: str = "",
) -> Rule:
    exempt = subject.reduces and name in _NOT_OF_A_REDUCTION
    used = "" if bound is None or bound.used is None else text(bound.used)
    outcome = "exempt" if exempt else "passed" if reason is None else "refused"
    return Rule(name, whose, limit, value, used, bound.section if bound is not None else section, outcome)


def _under(subject: Subject, **limits: object) -> Subject:
    """The same order under other limits."""
    effective: Effective = replace(subject.effective, **limits)  # type: ignore[arg-type]
    return changed(subject, effective=effective)


def _asked(subject: Subject) -> Decimal | None:
    """The price that the band is held against."""
    terms, price = subject.terms, subject.price
    if terms.limit_price is not None or price is None:
        return terms.limit_price
    return terms.stop_price or price.price


def _never(name: str) -> Scope:
    """A section under which nothing passes this limit."""
    return replace(Scope(), **{name: _NEVER})  # type: ignore[arg-type]


def _value(measured: Reason | None) -> str:
    return "0" if measured is None or measured.value is None else measured.value


def _seconds(nanoseconds: int) -> str:
    return f"{text(Decimal(nanoseconds // 1_000_000) / 1000)} s"
