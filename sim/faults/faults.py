"""Keeps the faults that are on, whom they concern, and how often each struck."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

# The fields that say whom a fault concerns; a fault without one concerns all.
_WHOM = ("account", "stream", "api", "on", "symbol")


@dataclass(eq=False, slots=True)
class Active:
    """A fault that is on: `left` is how often it may still strike, None for always."""

    fault: dict[str, Any]
    left: int | None
    ends_ns: int | None
    struck: int = 0

    @property
    def name(self) -> str:
        """Its kind."""
        return str(self.fault["fault"])

    @property
    def whom(self) -> tuple[Any, ...]:
        """The fields that tell it from others of its kind."""
        return (self.name, *(self.fault.get(field) for field in _WHOM))


class Faults:
    """The faults that are on, in the order of turning on; the fault switch ends those with a duration."""

    def __init__(self) -> None:
        self.struck: Counter[str] = Counter()
        self._active: dict[str, list[Active]] = {}

    @property
    def is_quiet(self) -> bool:
        """Whether no fault is on; then single ones need not be looked for."""
        return not self._active

    def turn_on(self, fault: dict[str, Any], ends_ns: int | None = None) -> Active:
        """Turn on a parsed fault; it replaces one of the same kind that concerns the same."""
        begun = Active(fault, fault.get("count"), ends_ns)
        same_kind = self._active.get(begun.name, [])
        self._active[begun.name] = [other for other in same_kind if other.whom != begun.whom] + [begun]
        return begun

    def end(self, active: Active) -> None:
        """End this fault; does nothing if it has ended already."""
        rest = [other for other in self._active.get(active.name, ()) if other is not active]
        if rest:
            self._active[active.name] = rest
        else:
            self._active.pop(active.name, None)

    def find(self, name: str, **about: Any) -> Active | None:
        """Return the first of a kind that concerns `about`, or None; nothing is counted.

        `about` has fields such as stream or account; where a fault names one, it must be the same.
        """
        for active in self._active.get(name, ()):
            fault = active.fault
            if all(fault.get(field) in (None, about.get(field)) for field in _WHOM):
                return active
        return None

    def strike(self, name: str, **about: Any) -> dict[str, Any] | None:
        """Return the fault of a kind that concerns `about`, and count it; None where none does."""
        active = self.find(name, **about) if self._active else None
        return None if active is None else self.hit(active)

    def hit(self, active: Active, times: int = 1) -> dict[str, Any]:
        """Count that it struck; it ends when it has struck as often as it should."""
        self.struck[active.name] += times
        active.struck += times
        if active.left is not None:
            active.left -= times
            if active.left <= 0:
                self.end(active)
        return active.fault

    def active(self) -> list[Active]:
        """Return the faults that are on."""
        return [active for same_kind in self._active.values() for active in same_kind]
