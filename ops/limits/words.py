"""What somebody types of a limit, as the OMS is told it: the section, the name and the value. Pure."""

from decimal import Decimal, InvalidOperation
from typing import Any

from bus.errors import InvalidInput
from bus.near_names import did_you_mean
from bus.streams import checked_name
from bus.symbols import checked_symbol
from oms.limits.limit_kinds import LISTS, MEANINGS, NUMBERS, ON_SILENCE, SECTIONS, SWITCHES, may_stand

_NONE = "none"


def section_of(algo: str | None, symbol: str | None, feed: str | None, *, each_algorithm: bool) -> str:
    """The section of the limits file that is meant. Raises InvalidInput for two, and for a wrong name."""
    found = [
        *([f"algorithm.{checked_name(algo, 'algorithm')}"] if algo is not None else []),
        *([f"symbol.{checked_symbol(symbol.upper())}"] if symbol is not None else []),
        *([f"feed.{feed}"] if feed is not None else []),
        *(["each_algorithm"] if each_algorithm else []),
    ]
    if len(found) > 1:
        raise InvalidInput(
            "a limit stands in one section: give one of --algo, --symbol, --each-algorithm and --feed, or "
            "none for the account"
        )
    return found[0] if found else "account"


def checked_limit(name: str) -> str:
    """The name of a limit. Raises InvalidInput that names those there are."""
    if name not in MEANINGS:
        near = did_you_mean((name,), MEANINGS)
        raise InvalidInput(f"NAME is {name!r}: no limit is called so; there are {', '.join(MEANINGS)}{near}")
    return name


def value_of(name: str, written: str) -> Any:
    """The value that was typed; None for `none`. Raises InvalidInput that says what it may be."""
    if written == _NONE:
        return None
    if name in SWITCHES:
        if written not in ("true", "false"):
            raise InvalidInput(f"VALUE is {written!r}: {name} is true, false or none")
        return written == "true"
    if name in LISTS:
        return [checked_symbol(symbol.strip().upper()) for symbol in written.split(",") if symbol.strip()]
    if name in NUMBERS:
        try:
            Decimal(written.replace("_", ""))
        except InvalidOperation:
            raise InvalidInput(
                f"VALUE is {written!r}: {name} is a number, zero or more, or none ({NUMBERS[name]})"
            ) from None
        return written.replace("_", "")
    if name == "on_silence" and written not in ON_SILENCE:
        raise InvalidInput(f"VALUE is {written!r}: {name} is {', '.join(ON_SILENCE)} or none")
    return written


def sections(name: str) -> list[str]:
    """Where a limit may stand, as the file writes it."""
    shown = {
        "account": "[account]",
        "each_algorithm": "[each_algorithm]",
        "algorithm": "[algorithm.NAME]",
        "symbol": '[symbol."SYMBOL"]',
        "feed": "[feed.NAME]",
    }
    return [shown[kind] for kind in SECTIONS if name in may_stand(kind)]
