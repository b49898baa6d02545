"""A small language for the shape of JSON: every key, its type, text or number, null or not."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Kind:
    """A type of value, by a name that reads well after "is not"."""

    name: str
    holds: Callable[[Any], bool]

    def __or__(self, other: "Kind") -> "Kind":
        return Kind(f"{self.name} or {other.name}", lambda value: self.holds(value) or other.holds(value))


@dataclass(frozen=True)
class ListOf:
    """A list whose members all have one shape."""

    shape: "Shape"


@dataclass(frozen=True)
class MapOf:
    """An object with keys of its own, such as symbols, whose values all have one shape."""

    shape: "Shape"


@dataclass(frozen=True)
class OrNull:
    """A shape, or null in its place."""

    shape: "Shape"


@dataclass(frozen=True)
class MayLack:
    """A shape whose key may be absent."""

    shape: "Shape"


Shape = Kind | ListOf | MapOf | OrNull | MayLack | dict[str, "Shape"]


def _matching(name: str, pattern: re.Pattern[str]) -> Kind:
    return Kind(name, lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


NULL = Kind("null", lambda value: value is None)
BOOLEAN = Kind("a boolean", lambda value: isinstance(value, bool))
TEXT = Kind("text", lambda value: isinstance(value, str))
WORD = Kind("text that is not empty", lambda value: isinstance(value, str) and value != "")
WHOLE = Kind("a whole number", _is_whole)
NUMBER = Kind("a number", lambda value: _is_whole(value) or isinstance(value, float))
NUMBER_TEXT = _matching("a number as text", _NUMBER)
ID = _matching("a UUID", _UUID)
DAY = _matching("a date", _DAY)
UTC_TIME = _matching("an RFC 3339 time in UTC", _UTC)
TIME = _matching("an RFC 3339 time", _MOMENT)
STAMP = Kind("a msgpack timestamp", lambda value: isinstance(value, msgpack.Timestamp))
ANY_OBJECT = Kind("an object", lambda value: isinstance(value, dict))
ANY_LIST = Kind("a list", lambda value: isinstance(value, list))


def one_of(*words: str) -> Kind:
    """One of these words."""
    return Kind(f"one of {', '.join(map(repr, words))}", lambda value: value in words)


def differences(value: Any, shape: Shape, name: str, allows_more_keys: bool = False) -> list[str]:
    """What is not as the shape says, a sentence each."""
    if isinstance(shape, MayLack | OrNull):
        if value is None and isinstance(shape, OrNull):
            return []
        return differences(value, shape.shape, name, allows_more_keys)
    if isinstance(shape, Kind):
        return [] if shape.holds(value) else [f"{name} is {value!r}, which is not {shape.name}"]
    if isinstance(shape, ListOf):
        if not isinstance(value, list):
            return [f"{name} is {value!r}, which is not a list"]
        members = [(f"{name}[{index}]", one, shape.shape) for index, one in enumerate(value)]
    elif not isinstance(value, dict):
        return [f"{name} is {value!r}, which is not an object"]
    elif isinstance(shape, MapOf):
        members = [(f"{name}.{key}", one, shape.shape) for key, one in value.items()]
    else:
        members = [(f"{name}.{key}", value[key], inner) for key, inner in shape.items() if key in value]
    found = [] if not isinstance(shape, dict) else _keys(value, shape, name, allows_more_keys)
    for where, one, inner in members:
        found += differences(one, inner, where, allows_more_keys)
    return found


def _keys(value: dict[str, Any], shape: dict[str, "Shape"], name: str, allows_more_keys: bool) -> list[str]:
    lacking = [key for key, inner in shape.items() if key not in value and not isinstance(inner, MayLack)]
    more = [] if allows_more_keys else [key for key in value if key not in shape]
    return [f"{name} lacks {key}" for key in lacking] + [f"{name} has {key}, which is new" for key in more]
