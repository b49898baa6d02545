"""Describes a kind of fault: what it concerns, its fields, and its effect in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TIMED: Mapping[str, Any] = {"seconds": None, "account": None}
COUNTED: Mapping[str, Any] = {"count": None, "seconds": None, "account": None}
# Without a count and seconds it strikes once.
ONCE: Mapping[str, Any] = {"count": 1, "seconds": None, "account": None}
AT_ONCE: Mapping[str, Any] = {"account": None}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    `target` is what it concerns: stream, request, update, order or market. `example` is a body to send.
    `optional` holds the fields that may be left out, with their defaults; the others must be given.
    `is_over_at_once` means that it acts when it is turned on and does not stay.
    """

    target: str
    example: Mapping[str, Any]
    optional: Mapping[str, Any]
    explanation: str
    is_over_at_once: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field it takes, beside its name."""
        return tuple(dict.fromkeys([*(name for name in self.example if name != "fault"), *self.optional]))
