"""The limits in force: what the file says, and what was set while the OMS ran. Pure.

What was set holds over restarts, for as long as the file says what it said then. Where it says something else
since, the tighter of the two holds: whoever changed the file and whoever set the limit may not know of each
other. A file that says what was set has taken it over.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bus.limit_messages import LimitsChanged, LimitsSet, RefusedInShadow
from oms.limits.limit_places import Place, Values, flat, place_text, shaped, value_text
from oms.limits.limit_strictness import absent, is_looser, tightest_value
from oms.limits.limits import Limits, from_dict


@dataclass(frozen=True, slots=True)
class LimitSetHere:
    """A limit that was set while the OMS ran, None for no such limit; and what the file said of it then."""

    value: Any
    in_file: Any
    source: str
    reason: str
    by: str
    at_ns: int

    def __str__(self) -> str:
        at = datetime.fromtimestamp(self.at_ns // 1_000_000_000, UTC)
        where = f" from {self.source}" if self.source else ""
        return f"{value_text(self.value)}{where} by {self.by} at {at:%Y-%m-%d %H:%M:%S} UTC: {self.reason}"


@dataclass(slots=True)
class ShadowLimit:
    """A limit that refuses nothing. Mutable: how many orders it would have refused, by algorithm."""

    value: Any
    reason: str
    by: str
    at_ns: int
    refused: Counter[str] = field(default_factory=Counter)


class LimitsInForce:
    """Mutable, all by the journal's events: the version, which counts all changes; what the file said last,
    and its name; what was set and what is in shadow, by place; `limits`, which are in force, None before any;
    `with_shadows`, the same with those in shadow, None where there is none; and the version `stricter` of the
    last change that refuses anything more."""

    def __init__(self) -> None:
        self.version = 0
        self.file: Values = {}
        self.source = ""
        self.set_here: dict[Place, LimitSetHere] = {}
        self.shadows: dict[Place, ShadowLimit] = {}
        self.limits: Limits | None = None
        self.with_shadows: Limits | None = None
        self.stricter = 0
        self._shown: dict[str, Any] = {}

    def __repr__(self) -> str:
        return (
            f"<limits of version {self.version}: {self.source}, {len(self.set_here)} set, "
            f"{len(self.shadows)} in shadow>"
        )

    def read(self, event: LimitsChanged) -> None:
        """Take what the file says."""
        self._shown = from_dict(event.limits, event.source, event.limits_version).as_dict()
        self.file, self.source = flat(self._shown), event.source
        for place, one in list(self.set_here.items()):
            if one.value == self.file.get(place):
                del self.set_here[place]
        self._work_out(event.limits_version)

    def set(self, event: LimitsSet) -> None:
        """Take what was set."""
        for change in event.changes:
            place = change.section, change.name
            if change.mode in ("taken_back", "set"):
                self.set_here.pop(place, None)
            if change.mode in ("shadow", "shadow_ended", "set"):
                self.shadows.pop(place, None)
            if change.mode == "set" and change.value != change.in_file:
                self.set_here[place] = LimitSetHere(
                    change.value, change.in_file, event.source, event.reason, event.by, event.at_ns
                )
            elif change.mode == "shadow":
                self.shadows[place] = ShadowLimit(change.value, event.reason, event.by, event.at_ns)
        self._work_out(event.limits_version)

    def require_valid(self, event: LimitsSet) -> None:
        """Raise InvalidInput where these changes would not make limits: what is journalled must fold."""
        tried = LimitsInForce()
        tried.__dict__.update(self.__dict__)
        tried.set_here, tried.shadows = dict(self.set_here), dict(self.shadows)
        tried.set(event)

    def refused_in_shadow(self, event: RefusedInShadow) -> None:
        """Count what a limit in shadow would have refused."""
        shadow = self.shadows.get((event.section, event.name))
        if shadow is not None:
            shadow.refused[event.whose] += event.orders

    def values(self) -> Values:
        """What holds, by place."""
        values = dict(self.file)
        for place, one in self.set_here.items():
            value = self._held(place, one)
            if value is None:
                values.pop(place, None)
            else:
                values[place] = value
        return values

    def differs(self, place: Place) -> bool:
        """Whether the file says something else of what was set than it said then."""
        return bool(self.file.get(place) != self.set_here[place].in_file)

    def differing(self) -> list[str]:
        """A sentence for each limit of which the file says something else than when it was set."""
        return [
            f"{place_text(place)}: the file says {value_text(self.file.get(place))}, it said "
            f"{value_text(one.in_file)} when this was set: {one}; the tighter holds, "
            f"{value_text(self._held(place, one))}"
            for place, one in self.set_here.items()
            if self.differs(place)
        ]

    def comparable(self) -> list[object]:
        """What tells two of them apart, beside the limits in force."""
        return [
            sorted(
                (*place, repr(one.value), repr(one.in_file), one.at_ns)
                for place, one in self.set_here.items()
            ),
            sorted(
                (*place, repr(one.value), sorted(one.refused.items())) for place, one in self.shadows.items()
            ),
        ]

    def _held(self, place: Place, one: LimitSetHere) -> Any:
        in_file = self.file.get(place)
        if in_file == one.in_file:
            return one.value
        return tightest_value(place[1], one.value, in_file, absent(place, self.file))

    def _work_out(self, version: int) -> None:
        before = None if self.limits is None else flat(self.limits.as_dict())
        values = self.values()
        shown = shaped(values) if self.set_here else self._shown
        self.limits = from_dict(shown, f"the limits of version {version}", version)
        in_shadow = values | {place: one.value for place, one in self.shadows.items()}
        self.with_shadows = (
            from_dict(shaped(in_shadow), f"the limits in shadow of version {version}", version)
            if self.shadows
            else None
        )
        self.version = version
        if before is None or any(
            is_looser(place[1], values.get(place), before.get(place), absent(place, values))
            for place in values.keys() | before.keys()
        ):
            self.stricter = version
