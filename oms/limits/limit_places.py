"""Where a limit stands: its section and its name, as the file writes them and as they are kept. Pure."""

from collections.abc import Mapping
from typing import Any

from bus.errors import InvalidInput
from bus.symbols import checked_symbol
from oms.limits.limit_kinds import SECTIONS

# A section, such as `account`, `algorithm.ma-cross` or `symbol.BTC/USD`, and a name in it.
Place = tuple[str, str]

# What limits say, by place, as plain JSON values; where there is no such limit there is no such place.
Values = dict[Place, Any]

_SINGLE = ("account", "each_algorithm")


def checked_section(section: str) -> str:
    """The section, a pair in its one spelling. Raises InvalidInput for what is none."""
    kind, dot, name = section.partition(".")
    if kind not in SECTIONS or (kind in _SINGLE) == bool(dot) or (dot and not name):
        raise InvalidInput(
            f"section {section!r}: use {', '.join(_SINGLE)} or algorithm., symbol. or feed. and a name"
        )
    return f"symbol.{checked_symbol(name)}" if kind == "symbol" else section


def flat(shown: Mapping[str, Any]) -> Values:
    """Limits in the shape of the file, by place."""
    values: Values = {}
    for kind, table in shown.items():
        sections = (
            {kind: table} if kind in _SINGLE else {f"{kind}.{name}": one for name, one in table.items()}
        )
        for section, limits in sections.items():
            values.update(((section, name), value) for name, value in limits.items())
    return values


def shaped(values: Values) -> dict[str, Any]:
    """The same in the shape of the file."""
    shown: dict[str, Any] = {}
    for (section, name), value in values.items():
        kind, dot, whose = section.partition(".")
        table = shown.setdefault(kind, {})
        (table.setdefault(whose, {}) if dot else table)[name] = value
    return shown


def place_text(place: Place) -> str:
    """A place as one reads it: `[symbol."BTC/USD"] order_value`."""
    section, name = place
    kind, _, whose = section.partition(".")
    return f'[{kind}."{whose}"] {name}' if kind == "symbol" else f"[{section}] {name}"


def value_text(value: object) -> str:
    """A value as a sentence has it."""
    if value is None:
        return "no limit"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value)
