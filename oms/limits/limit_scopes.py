"""What one section of the limits sets, and what all of them come to for an order. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from oms.amounts import text
from oms.limits.limit_kinds import (
    DEFAULTS,
    LONGER_IS_TIGHTER,
    NUMBERS,
    OF_ALGORITHMS,
    OPTIONAL,
    SWITCHES,
    tighter,
)

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Scope:
    """The limits that one section of the file sets; None where it sets none.

    `symbols` are the only ones that an algorithm may order in, where they are named.
    """

    order_quantity: Decimal | None = None
    order_value: Decimal | None = None
    position_quantity: Decimal | None = None
    position_value: Decimal | None = None
    open_orders: Decimal | None = None
    orders_per_second: Decimal | None = None
    price_collar_percent: Decimal | None = None
    price_age_seconds: Decimal | None = None
    capital: Decimal | None = None
    gross_exposure: Decimal | None = None
    net_exposure: Decimal | None = None
    unexecuted_value: Decimal | None = None
    messages_per_minute: Decimal | None = None
    duplicate_seconds: Decimal | None = None
    repeated_orders: Decimal | None = None
    repeated_seconds: Decimal | None = None
    price_band_percent: Decimal | None = None
    price_band_minutes: Decimal | None = None
    day_loss: Decimal | None = None
    rejects_per_second: Decimal | None = None
    refusals_per_second: Decimal | None = None
    unanswered_seconds: Decimal | None = None
    short_sales: bool | None = None
    orders_while_closed: bool | None = None
    restricted: frozenset[str] = frozenset()
    symbols: frozenset[str] | None = None
    responsible_person: str = ""
    on_silence: str = ""

    def as_dict(self) -> dict[str, object]:
        """What it sets, as plain JSON values; numbers are text."""
        shown: dict[str, object] = {
            name: text(value) for name in NUMBERS if (value := getattr(self, name)) is not None
        }
        shown |= {name: value for name in SWITCHES if (value := getattr(self, name)) is not None}
        if self.restricted:
            shown["restricted"] = sorted(self.restricted)
        if self.symbols is not None:
            shown["symbols"] = sorted(self.symbols)
        if self.responsible_person:
            shown["responsible_person"] = self.responsible_person
        if self.on_silence:
            shown["on_silence"] = self.on_silence
        return shown


@dataclass(frozen=True, slots=True)
class AgeLimit:
    """The greatest age at which a price counts, and the setting that says so, as it stands in the file."""

    most_ns: int
    setting: str


@dataclass(frozen=True, slots=True)
class Effective:
    """What holds for one algorithm in one symbol.

    `account` is held against what the whole account has in the symbol, `own` against what the algorithm
    has. The limits of a single order are in `account` too, already the tightest of all scopes. `price_ages`
    are by feed; what holds for every other feed is under "". `band` is how far from an earlier price an order
    may reach, and how long ago that was; `repeated` is how often the same may be ordered, and within which
    time; `duplicate_ns` is 0 where duplicates are let through. `optional` names those that are set of the
    limits that need not be. `sections` are those that were weighed, by name, for whoever wants to know where
    a limit comes from.
    """

    account: Scope
    own: Scope
    collar: Decimal
    price_ages: Mapping[str, AgeLimit]
    restricted: bool
    is_allowed: bool
    while_closed: bool
    duplicate_ns: int
    repeated: tuple[int, int]
    band: tuple[Decimal, int] | None
    optional: frozenset[str]
    sections: Mapping[str, Scope]

    def price_age(self, feed: str) -> AgeLimit:
        """How old a price of this feed may be."""
        return self.price_ages.get(feed) or self.price_ages[""]


def effective(
    whole: Mapping[str, Scope],
    own: Mapping[str, Scope],
    price_ages: Mapping[str, AgeLimit],
    spellings: Iterable[str],
) -> Effective:
    """What sections come to: `whole` those of the account and the symbol, `own` those of the algorithm."""
    sections = {**whole, **own}
    every = tuple(sections.values())
    written = frozenset(spellings)
    band = tightest(every, "price_band_percent")
    numbers = {
        name: DEFAULTS.get(name, Decimal(0)) if (set_to := tightest(every, name)) is None else set_to
        for name in (*LONGER_IS_TIGHTER, "repeated_orders")
    }
    seconds = {name: int(number * _SECOND_NS) for name, number in numbers.items()}
    permitted = [scope.symbols for scope in every if scope.symbols is not None]
    return Effective(
        account=_counted(
            tuple(whole.values()),
            order_quantity=tightest(every, "order_quantity"),
            order_value=tightest(every, "order_value"),
        ),
        own=_counted(tuple(own.values())),
        collar=(tightest(every, "price_collar_percent") or Decimal(0)) / 100,
        price_ages=price_ages,
        restricted=any(not scope.restricted.isdisjoint(written) for scope in every),
        is_allowed=all(not symbols.isdisjoint(written) for symbols in permitted),
        while_closed=_all_on(every, "orders_while_closed") is True,
        duplicate_ns=seconds["duplicate_seconds"],
        repeated=(int(numbers["repeated_orders"]), seconds["repeated_seconds"]),
        band=None if band is None else (band / 100, 60 * seconds["price_band_minutes"]),
        optional=frozenset(name for name in OPTIONAL | OF_ALGORITHMS if tightest(every, name) is not None),
        sections=sections,
    )


def tightest(scopes: Iterable[Scope], name: str) -> Decimal | None:
    """The tightest value of a limit; None where no scope sets it."""
    found: Decimal | None = None
    for scope in scopes:
        value = getattr(scope, name)
        if value is not None:
            found = value if found is None else tighter(name, found, value)
    return found


def merged(left: Scope, right: Scope) -> Scope:
    """Two sections of one symbol, held to the tightest."""
    numbers = {name: tightest((left, right), name) for name in NUMBERS}
    switches = {name: _all_on((left, right), name) for name in SWITCHES}
    return Scope(**numbers, **switches)  # type: ignore[arg-type]


def _all_on(scopes: Iterable[Scope], name: str) -> bool | None:
    """Whether a switch is on wherever it is set; None where it is nowhere."""
    values = [value for scope in scopes if (value := getattr(scope, name)) is not None]
    return all(values) if values else None


def _counted(
    scopes: tuple[Scope, ...], *, order_quantity: Decimal | None = None, order_value: Decimal | None = None
) -> Scope:
    """The limits held against what somebody has, and those of a single order where they are given."""
    return Scope(
        order_quantity=order_quantity,
        order_value=order_value,
        position_quantity=tightest(scopes, "position_quantity"),
        position_value=tightest(scopes, "position_value"),
        open_orders=tightest(scopes, "open_orders"),
        orders_per_second=tightest(scopes, "orders_per_second"),
        capital=tightest(scopes, "capital"),
        gross_exposure=tightest(scopes, "gross_exposure"),
        net_exposure=tightest(scopes, "net_exposure"),
        unexecuted_value=tightest(scopes, "unexecuted_value"),
        messages_per_minute=tightest(scopes, "messages_per_minute"),
        short_sales=_all_on(scopes, "short_sales"),
    )
