"""Risk limits by account, algorithm and symbol, from TOML; wherever several apply, the tightest holds."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from bus.errors import InvalidInput
from bus.streams import checked_name
from bus.symbols import checked_symbol, spellings
from oms.amounts import is_amount, text

# Each name with what it means, for the sentence that answers a mistake.
NUMBERS: dict[str, str] = {
    "order_quantity": "the largest quantity of one order",
    "order_value": "the largest value of one order, in dollars",
    "position_quantity": "the largest position in one symbol, open orders included",
    "position_value": "the largest value of a position in one symbol, in dollars",
    "open_orders": "how many orders may be open at once",
    "orders_per_second": "how many orders may be approved in one second",
    "price_collar_percent": "how far from the reference price a limit may reach",
    "price_age_seconds": "the age up to which a reference price counts",
}
# What an algorithm may have beside; without it there is no such limit.
OF_ALGORITHMS: dict[str, str] = {
    "capital": "what the algorithm may have invested and reserved, in dollars; its realized profit adds to it"
}
_MEANINGS = NUMBERS | OF_ALGORITHMS
_WHOLE = ("open_orders", "orders_per_second")
_PER_SYMBOL = tuple(name for name in NUMBERS if name not in _WHOLE)
_SECTIONS = ("account", "each_algorithm", "algorithm", "symbol", "feed")

# The feeds that ingest names in what it writes: those of stocks, and crypto.
FEEDS = ("iex", "sip", "delayed_sip", "test", "crypto")
_PER_FEED = ("price_age_seconds",)


@dataclass(frozen=True, slots=True)
class Scope:
    """The limits that one section of the file sets; None where it sets none."""

    order_quantity: Decimal | None = None
    order_value: Decimal | None = None
    position_quantity: Decimal | None = None
    position_value: Decimal | None = None
    open_orders: Decimal | None = None
    orders_per_second: Decimal | None = None
    price_collar_percent: Decimal | None = None
    price_age_seconds: Decimal | None = None
    capital: Decimal | None = None
    restricted: frozenset[str] = frozenset()


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
    are by feed; what holds for every other feed is under "".
    """

    account: Scope
    own: Scope
    collar: Decimal
    price_ages: Mapping[str, AgeLimit]
    restricted: bool

    def price_age(self, feed: str) -> AgeLimit:
        """How old a price of this feed may be."""
        return self.price_ages.get(feed) or self.price_ages[""]


@dataclass(slots=True)
class Limits:
    """All limits of a file. Mutable: only the memory of what was worked out, and `version`, once.

    `version` counts the limits that were ever in force on the account; 0 before they are.
    """

    account: Scope
    each_algorithm: Scope
    algorithms: Mapping[str, Scope]
    symbols: Mapping[str, Scope]
    feeds: Mapping[str, Scope]
    version: int = 0
    _effective: dict[tuple[str, str], Effective] = field(default_factory=dict, repr=False, compare=False)

    def effective(self, algorithm: str, symbol: str) -> Effective:
        """What holds for this algorithm in this symbol: the tightest of all scopes that apply."""
        found = self._effective.get((algorithm, symbol))
        if found is None:
            found = self._effective[algorithm, symbol] = self._worked_out(algorithm, symbol)
        return found

    def capital(self, algorithm: str) -> Decimal | None:
        """What this algorithm may have invested and reserved; None where nothing says so."""
        return _tightest((self.each_algorithm, self.algorithms.get(algorithm, Scope())), "capital")

    def _worked_out(self, algorithm: str, symbol: str) -> Effective:
        written = spellings(symbol)
        whole = (self.account, *(self.symbols[name] for name in written if name in self.symbols))
        own = (self.each_algorithm, self.algorithms.get(algorithm, Scope()))
        collar = _tightest((*whole, *own), "price_collar_percent") or Decimal(0)
        return Effective(
            account=_counted(
                whole,
                order_quantity=_tightest((*whole, *own), "order_quantity"),
                order_value=_tightest((*whole, *own), "order_value"),
            ),
            own=_counted(own),
            collar=collar / 100,
            price_ages={feed: self._price_age(feed, algorithm, symbol) for feed in ("", *self.feeds)},
            restricted=any(not scope.restricted.isdisjoint(written) for scope in (*whole, *own)),
        )

    def _price_age(self, feed: str, algorithm: str, symbol: str) -> AgeLimit:
        """The tightest age: what a feed's section says stands in place of the account's."""
        none = Scope()
        scopes = {
            "[account]": self.account,
            f"[feed.{feed}]": self.feeds.get(feed, none),
            "[each_algorithm]": self.each_algorithm,
            f"[algorithm.{algorithm}]": self.algorithms.get(algorithm, none),
            **{f'[symbol."{name}"]': self.symbols.get(name, none) for name in spellings(symbol)},
        }
        if scopes[f"[feed.{feed}]"].price_age_seconds is not None:
            del scopes["[account]"]
        ages = [
            (scope.price_age_seconds, section)
            for section, scope in scopes.items()
            if scope.price_age_seconds is not None
        ]
        seconds, section = min(ages, key=lambda age: age[0])
        return AgeLimit(int(seconds * 1_000_000_000), f"{section} price_age_seconds")

    def as_dict(self) -> dict[str, object]:
        """The limits as plain JSON values, in the shape of the file."""
        return {
            "account": _shown(self.account),
            "each_algorithm": _shown(self.each_algorithm),
            "algorithm": {name: _shown(scope) for name, scope in self.algorithms.items()},
            "symbol": {name: _shown(scope) for name, scope in self.symbols.items()},
            "feed": {name: _shown(scope) for name, scope in self.feeds.items()},
        }


def parse(content: str, source: str) -> Limits:
    """The limits of a TOML text; `source` names it in errors.

    Raises InvalidInput for what is not TOML, and as `checked` does.
    """
    try:
        raw = tomllib.loads(content, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{source}: not valid TOML: {error}") from error
    return checked(raw, source)


def from_dict(shown: Mapping[str, object], source: str, version: int) -> Limits:
    """The limits that `as_dict` wrote. Raises InvalidInput as `checked` does."""
    limits = checked(_with_numbers(shown), source)
    limits.version = version
    return limits


def checked(raw: Mapping[str, object], source: str) -> Limits:
    """The limits of plain values in the shape of the file.

    Raises InvalidInput for an unknown section or name, a value of the wrong type, a negative number, or an
    account section that leaves a limit open.
    """
    for name in raw:
        if name not in _SECTIONS:
            raise InvalidInput(f"{source}: unknown section [{name}]: use {', '.join(_SECTIONS)}")
    account = _scope(source, "account", raw.get("account", {}), tuple(NUMBERS), lists=True)
    for name, meaning in NUMBERS.items():
        if getattr(account, name) is None:
            raise InvalidInput(f"{source}: [account] must set {name} ({meaning}): nothing trades without it")
    return Limits(
        account=account,
        each_algorithm=_scope(
            source, "each_algorithm", raw.get("each_algorithm", {}), tuple(_MEANINGS), lists=True
        ),
        algorithms={
            _checked(source, "algorithm", name): _scope(
                source, f"algorithm.{name}", table, tuple(_MEANINGS), lists=True
            )
            for name, table in _table(source, "algorithm", raw.get("algorithm", {})).items()
        },
        symbols=_by_symbol(source, _table(source, "symbol", raw.get("symbol", {}))),
        feeds={
            _checked(source, "feed", name): _scope(source, f"feed.{name}", table, _PER_FEED, lists=False)
            for name, table in _table(source, "feed", raw.get("feed", {})).items()
        },
    )


def _by_symbol(source: str, tables: Mapping[str, object]) -> dict[str, Scope]:
    """The section of each symbol; of a pair that has two, one for each spelling, the tightest holds."""
    found: dict[str, Scope] = {}
    for name, table in tables.items():
        scope = _scope(source, f'symbol."{name}"', table, _PER_SYMBOL, lists=False)
        symbol = _checked(source, "symbol", name)
        if symbol in found:
            numbers: dict[str, Any] = {
                limit: _tightest((found[symbol], scope), limit) for limit in _PER_SYMBOL
            }
            scope = replace(scope, **numbers)
        found[symbol] = scope
    return found


def _with_numbers(shown: Mapping[str, object]) -> dict[str, object]:
    """Numbers are text in `as_dict`, so that JSON keeps them exact."""
    return {
        name: Decimal(value)
        if name in _MEANINGS and isinstance(value, str)
        else _with_numbers(value)
        if isinstance(value, Mapping)
        else value
        for name, value in shown.items()
    }


def _scope(source: str, section: str, raw: object, names: tuple[str, ...], *, lists: bool) -> Scope:
    table = _table(source, section, raw)
    numbers: dict[str, Decimal] = {}
    restricted: frozenset[str] = frozenset()
    allowed = (*names, "restricted") if lists else names
    for name, value in table.items():
        if name not in allowed:
            raise InvalidInput(f"{source}: [{section}] {name} is unknown: use {', '.join(allowed)}")
        if name == "restricted":
            restricted = _symbols(source, section, value)
        else:
            numbers[name] = _number(source, section, name, value)
    return Scope(restricted=restricted, **numbers)


def _number(source: str, section: str, name: str, value: object) -> Decimal:
    where = f"{source}: [{section}] {name}"
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise InvalidInput(f"{where} is {value!r}: it must be a number, zero or more ({_MEANINGS[name]})")
    number = Decimal(value)
    if not is_amount(number) or number < 0:
        raise InvalidInput(f"{where} is {value}: it must be zero or more, with at most nine places")
    if name in _WHOLE and number != number.to_integral_value():
        raise InvalidInput(f"{where} is {value}: it must be a whole number, zero or more")
    if name == "price_collar_percent" and number >= 100:
        raise InvalidInput(f"{where} is {value}: it must be below 100")
    return number


def _symbols(source: str, section: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidInput(f'{source}: [{section}] restricted must be a list of symbols, such as ["GME"]')
    return frozenset(_checked(source, "symbol", item) for item in value)


def _table(source: str, section: str, raw: object) -> dict[str, object]:
    if not isinstance(raw, dict):
        raise InvalidInput(f"{source}: {section} must be a section, written [{section}], not {raw!r}")
    return raw


def _checked(source: str, what: str, name: str) -> str:
    if what == "feed":
        if name not in FEEDS:
            raise InvalidInput(f"{source}: [feed.{name}]: no feed has that name: use {', '.join(FEEDS)}")
        return name
    try:
        return checked_symbol(name) if what == "symbol" else checked_name(name, what)
    except InvalidInput as error:
        raise InvalidInput(f"{source}: {error}") from error


def _counted(
    scopes: tuple[Scope, ...], *, order_quantity: Decimal | None = None, order_value: Decimal | None = None
) -> Scope:
    return Scope(
        order_quantity=order_quantity,
        order_value=order_value,
        position_quantity=_tightest(scopes, "position_quantity"),
        position_value=_tightest(scopes, "position_value"),
        open_orders=_tightest(scopes, "open_orders"),
        orders_per_second=_tightest(scopes, "orders_per_second"),
        capital=_tightest(scopes, "capital"),
    )


def _tightest(scopes: tuple[Scope, ...], name: str) -> Decimal | None:
    values = [value for scope in scopes if (value := getattr(scope, name)) is not None]
    return min(values) if values else None


def _shown(scope: Scope) -> dict[str, object]:
    shown: dict[str, object] = {
        name: text(value) for name in _MEANINGS if (value := getattr(scope, name)) is not None
    }
    if scope.restricted:
        shown["restricted"] = sorted(scope.restricted)
    return shown
