"""Risk limits by account, algorithm and symbol, from TOML; wherever several apply, the tightest holds."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from bus.errors import InvalidInput
from bus.streams import checked_name
from bus.symbols import checked_symbol, spellings
from oms.amounts import is_amount
from oms.limits.limit_kinds import (
    FEEDS,
    MOST,
    NUMBERS,
    ON_SILENCE,
    REQUIRED,
    SECTIONS,
    SWITCHES,
    WHOLE,
    may_stand,
)
from oms.limits.limit_scopes import AgeLimit, Effective, Scope, effective, merged, tightest


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
        return tightest((self.each_algorithm, self.algorithms.get(algorithm, Scope())), "capital")

    def responsible_person(self, algorithm: str) -> str:
        """Who answers for an algorithm's orders; "" where the limits name nobody."""
        own = self.algorithms.get(algorithm)
        return (
            (own.responsible_person if own is not None else "")
            or self.each_algorithm.responsible_person
            or self.account.responsible_person
        )

    def day_losses(self) -> dict[str, Decimal | None]:
        """The most that may be lost in a day, by section."""
        of_algorithms = {name: scope.day_loss for name, scope in self.algorithms.items()}
        return of_algorithms | {"[a]": self.account.day_loss, "[e]": self.each_algorithm.day_loss}

    def _worked_out(self, algorithm: str, symbol: str) -> Effective:
        written = spellings(symbol)
        whole = {"account": self.account}
        whole |= {f'symbol."{name}"': self.symbols[name] for name in written if name in self.symbols}
        own = {
            "each_algorithm": self.each_algorithm,
            f"algorithm.{algorithm}": self.algorithms.get(algorithm, Scope()),
        }
        ages = {feed: self._price_age(feed, algorithm, symbol) for feed in ("", *self.feeds)}
        return effective(whole, own, ages, written)

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
            "account": self.account.as_dict(),
            "each_algorithm": self.each_algorithm.as_dict(),
            "algorithm": {name: scope.as_dict() for name, scope in self.algorithms.items()},
            "symbol": {name: scope.as_dict() for name, scope in self.symbols.items()},
            "feed": {name: scope.as_dict() for name, scope in self.feeds.items()},
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
        if name not in SECTIONS:
            raise InvalidInput(f"{source}: unknown section [{name}]: use {', '.join(SECTIONS)}")
    account = _scope(source, "account", raw.get("account", {}))
    for name, meaning in REQUIRED.items():
        if getattr(account, name) is None:
            raise InvalidInput(f"{source}: [account] must set {name} ({meaning}): nothing trades without it")
    return Limits(
        account=account,
        each_algorithm=_scope(source, "each_algorithm", raw.get("each_algorithm", {})),
        algorithms={
            _checked(source, "algorithm", name): _scope(source, f"algorithm.{name}", table)
            for name, table in _table(source, "algorithm", raw.get("algorithm", {})).items()
        },
        symbols=_by_symbol(source, _table(source, "symbol", raw.get("symbol", {}))),
        feeds={
            _checked(source, "feed", name): _scope(source, f"feed.{name}", table)
            for name, table in _table(source, "feed", raw.get("feed", {})).items()
        },
    )


def _by_symbol(source: str, tables: Mapping[str, object]) -> dict[str, Scope]:
    """The section of each symbol; of a pair that has two, one for each spelling, the tightest holds."""
    found: dict[str, Scope] = {}
    for name, table in tables.items():
        scope = _scope(source, f'symbol."{name}"', table)
        symbol = _checked(source, "symbol", name)
        found[symbol] = merged(found[symbol], scope) if symbol in found else scope
    return found


def _with_numbers(shown: Mapping[str, object]) -> dict[str, object]:
    """Numbers are text in `as_dict`, so that JSON keeps them exact; text that is no number stays as it is."""
    return {
        name: _exact(value)
        if name in NUMBERS and isinstance(value, str)
        else _with_numbers(value)
        if isinstance(value, Mapping)
        else value
        for name, value in shown.items()
    }


def _exact(written: str) -> Decimal | str:
    try:
        return Decimal(written)
    except InvalidOperation:
        return written


def _scope(source: str, section: str, raw: object) -> Scope:
    kind = section.partition(".")[0]
    allowed = may_stand(kind)
    found: dict[str, Any] = {}
    for name, value in _table(source, section, raw).items():
        if name not in allowed:
            raise InvalidInput(f"{source}: [{section}] {name} is unknown: use {', '.join(allowed)}")
        if name in NUMBERS:
            found[name] = _number(source, section, name, value)
        elif name in SWITCHES:
            found[name] = _switch(source, section, name, value)
        elif name == "responsible_person":
            found[name] = _person(source, section, value)
        elif name == "on_silence":
            found[name] = _on_silence(source, section, value)
        else:
            found[name] = _symbols(source, section, name, value)
    return Scope(**found)


def _on_silence(source: str, section: str, value: object) -> str:
    if value not in ON_SILENCE:
        raise InvalidInput(f"{source}: [{section}] on_silence is {value!r}: use {', '.join(ON_SILENCE)}")
    return str(value)


def _number(source: str, section: str, name: str, value: object) -> Decimal:
    where = f"{source}: [{section}] {name}"
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise InvalidInput(f"{where} is {value!r}: it must be a number, zero or more ({NUMBERS[name]})")
    number = Decimal(value)
    if not is_amount(number) or number < 0:
        raise InvalidInput(f"{where} is {value}: it must be zero or more, with at most nine places")
    if name in WHOLE and number != number.to_integral_value():
        raise InvalidInput(f"{where} is {value}: it must be a whole number, zero or more")
    if name == "price_collar_percent" and number >= 100:
        raise InvalidInput(f"{where} is {value}: it must be below 100")
    if name in MOST and number > MOST[name]:
        raise InvalidInput(f"{where} is {value}: it must be {MOST[name]} at most")
    return number


def _switch(source: str, section: str, name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(
            f"{source}: [{section}] {name} is {value!r}: it must be true or false ({SWITCHES[name]})"
        )
    return value


def _person(source: str, section: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise InvalidInput(
            f"{source}: [{section}] responsible_person is {value!r}: it must be the name of who answers for "
            "the orders"
        )
    return value.strip()


def _symbols(source: str, section: str, name: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidInput(f'{source}: [{section}] {name} must be a list of symbols, such as ["GME"]')
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
