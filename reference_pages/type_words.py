"""The types of messages in words, such as "text" for `str`."""

from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

_WORDS: dict[Any, str] = {
    str: "text",
    int: "integer",
    bool: "true or false",
    Decimal: "decimal",
    NoneType: "null",
    Any: "anything",
}


def words(annotation: Any) -> str:
    """Say a type in words. Raises LookupError for one that no message has had so far."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(inner)
    if origin in (Union, UnionType):
        return " or ".join(map(words, sorted(inner, key=lambda one: one is NoneType)))
    if origin is tuple:
        return f"list of {words(inner[0])}"
    if origin is dict:
        return f"object of {words(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation.__name__
    return _WORDS[annotation]
