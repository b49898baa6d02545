"""The environment variables of a settings class, described for help texts and for the reference page."""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bus.settings import BusSettings, variable_name

_KINDS = {int: "a whole number", float: "a number", str: "text", Path: "a path", SecretStr: "text, a secret"}
_BOUNDS = (("gt", "above"), ("ge", "from"), ("lt", "below"), ("le", "up to"))

_HELP_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: its name, what it may hold, its default ("" for none) and its meaning.

    `read_by` names the processes that use it; None where every process does that accepts it.
    """

    name: str
    allowed: str
    default: str
    meaning: str
    read_by: tuple[str, ...] | None


def variables_of(cls: type[BusSettings]) -> tuple[Variable, ...]:
    """Describe every setting of a class, in the order in which they are declared."""
    return tuple(_variable(variable_name(cls, field), info) for field, info in cls.model_fields.items())


def help_text(cls: type[BusSettings], process: str) -> str:
    """Return the section of a help text that names the settings which this process reads."""
    shown = []
    for one in variables_of(cls):
        if one.read_by is not None and process not in one.read_by:
            continue
        default = f"; default {one.default}" if one.default else ""
        shown.append(f"  {one.name}\n" + _indented(f"{one.meaning} ({one.allowed}{default})"))
    note = _indented("Each may be given as NAME_FILE instead, the path of a file that holds the value.", 2)
    return "\n".join(("environment:", *shown, note))


def _indented(text: str, columns: int = 6) -> str:
    indent = " " * columns
    return textwrap.fill(
        text, _HELP_WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _variable(name: str, info: FieldInfo) -> Variable:
    extra = info.json_schema_extra
    read_by = extra.get("read_by") if isinstance(extra, dict) else None
    kind = _without_none(info.annotation)
    return Variable(
        name=name,
        allowed=_allowed(kind, info.metadata),
        default="" if kind is SecretStr else _default(info),
        meaning=info.description or "",
        read_by=tuple(map(str, read_by)) if isinstance(read_by, list) else None,
    )


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    (kind,) = (one for one in get_args(annotation) if one is not type(None))
    return kind


def _allowed(kind: Any, metadata: list[Any]) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    bounds = [
        f"{word} {getattr(one, bound):g}"
        for bound, word in _BOUNDS
        for one in metadata
        if getattr(one, bound, None) is not None
    ]
    return " ".join((_KINDS[kind], ", ".join(bounds))).rstrip()


def _default(info: FieldInfo) -> str:
    extra, value = info.json_schema_extra, info.default
    if isinstance(extra, dict) and "default_shown" in extra:
        # It follows from another setting.
        return str(extra["default_shown"])
    if value is None:
        return ""
    if isinstance(value, Path):
        # Where the package lies is a matter of the machine.
        return f"{value.parent.name}/{value.name}"
    return f"{value:g}" if isinstance(value, float) else str(value)
