"""The faults that are on, whom they hit, and how often they struck."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

# The fields that say whom a fault hits; a fault that leaves one out hits all.
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
        """What tells it from others of its kind."""
        return (self.name, *(self.fault.get(field) for field in _WHOM))


class Faults:
    """The faults turned on, in that order; whoever turns one on also ends it when its time is over."""

    def __init__(self) -> None:
        self.struck: Counter[str] = Counter()
        self._active: dict[str, list[Active]] = {}

    @property
    def is_quiet(self) -> bool:
        """Whether none is on: then nobody need ask about any."""
        return not self._active

    def turn_on(self, fault: dict[str, Any], ends_ns: int | None = None) -> Active:
        """Begin a parsed fault; one of the same kind that hits the same takes the place of the old."""
        begun = Active(fault, fault.get("count"), ends_ns)
        same_kind = self._active.get(begun.name, [])
        self._active[begun.name] = [other for other in same_kind if other.whom != begun.whom] + [begun]
        return begun

    def end(self, active: Active) -> None:
        """End this one; nothing happens if it is over already."""
        rest = [other for other in self._active.get(active.name, ()) if other is not active]
        if rest:
            self._active[active.name] = rest
        else:
            self._active.pop(active.name, None)

    def find(self, name: str, **about: Any) -> Active | None:
        """The first of a kind that hits what it is asked about; nothing is counted.

        `about` has fields such as stream or account; where a fault names one, it must be the same.
        """
        for active in self._active.get(name, ()):
            fault = active.fault
            if all(fault.get(field) in (None, about.get(field)) for field in _WHOM):
                return active
        return None

    def strike(self, name: str, **about: Any) -> dict[str, Any] | None:
        """The fault that strikes what it is asked about, counted; None where none does."""
        active = self.find(name, **about) if self._active else None
        return None if active is None else self.hit(active)

    def hit(self, active: Active, times: int = 1) -> dict[str, Any]:
        """Count that it struck; one that has struck as often as it should is over."""
        self.struck[active.name] += times
        active.struck += times
        if active.left is not None:
            active.left -= times
            if active.left <= 0:
                self.end(active)
        return active.fault

    def active(self) -> list[Active]:
        """Those that are on."""
        return [active for same_kind in self._active.values() for active in same_kind]
