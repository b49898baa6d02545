"""Setting limits while the OMS runs, at an operator's word: answered once, by an event or a refusal. Pure."""

from typing import Any

from bus.book_messages import Declined
from bus.errors import InvalidInput
from bus.limit_messages import (
    LimitChange,
    LimitCommand,
    LimitMode,
    LimitsSet,
    LoadLimits,
    SetLimit,
    UnsetLimit,
)
from oms.limits.limit_places import Place, Values, checked_section, flat, place_text, shaped, value_text
from oms.limits.limit_strictness import absent, is_looser
from oms.limits.limits import from_dict
from oms.limits.limits_in_force import LimitsInForce
from oms.requests import shadow
from oms.risk.limit_codes import in_shadow
from oms.state.step import Step


def take(step: Step, entry_id: str, message: LimitCommand) -> None:
    """Put what is asked for into force, all of it, or say why not and change nothing."""
    force = step.state.limits_in_force
    source = message.source if isinstance(message, LoadLimits) else ""
    try:
        if force.limits is None:
            raise InvalidInput("no limits are in force yet")
        changes = _changes(force, message)
        if not message.loosen:
            require_no_looser(changes, force.values())
        event = limits_set(step, entry_id, changes, source=source, reason=message.reason, by=message.by)
        force.require_valid(event)
    except InvalidInput as error:
        step.record(Declined(entry_id=entry_id, why=str(error), by=message.by, at_ns=step.now_ns))
        return
    shadow.tell(step, everything=True)
    step.record(event)


def limits_set(
    step: Step, entry_id: str, changes: tuple[LimitChange, ...], *, source: str, reason: str, by: str
) -> LimitsSet:
    """The event by which changes come into force."""
    return LimitsSet(
        entry_id=entry_id,
        limits_version=step.state.limits_in_force.version + 1,
        changes=changes,
        source=source,
        reason=reason,
        by=by,
        at_ns=step.now_ns,
    )


def require_no_looser(changes: tuple[LimitChange, ...], values: Values) -> None:
    """Raise InvalidInput that names every change that loosens a limit."""
    looser = [
        f"{place_text(place)} is {value_text(one.before)} and would be {value_text(one.value)}"
        for one in changes
        if one.mode in ("set", "taken_back")
        and is_looser(one.name, one.before, one.value, absent(place := (one.section, one.name), values))
    ]
    if looser:
        raise InvalidInput(f"{'; '.join(looser)}: that is looser, and needs --loosen")


def differences(force: LimitsInForce, wanted: Values) -> tuple[LimitChange, ...]:
    """What has to be set so that exactly these limits hold, in the order of their places."""
    before = force.values()
    return tuple(
        _change(force, place, "set", before.get(place), wanted.get(place))
        for place in sorted(before.keys() | wanted.keys())
        if before.get(place) != wanted.get(place)
    )


def loaded(force: LimitsInForce, wanted: Values) -> tuple[LimitChange, ...]:
    """The same, and what ends a difference to the file, though no other value holds for it."""
    settled = tuple(
        _change(force, place, "set", wanted.get(place), wanted.get(place))
        for place in sorted(force.set_here)
        if force.differs(place) and force.values().get(place) == wanted.get(place)
    )
    return differences(force, wanted) + settled


def _changes(force: LimitsInForce, message: LimitCommand) -> tuple[LimitChange, ...]:
    if isinstance(message, LoadLimits):
        return loaded(force, flat(from_dict(message.limits, message.source, 0).as_dict()))
    place = checked_section(message.section), message.name
    if isinstance(message, UnsetLimit):
        return (_taken_back(force, place, shadow=message.shadow),)
    return (_set(force, place, message),)


def _set(force: LimitsInForce, place: Place, message: SetLimit) -> LimitChange:
    values = force.values()
    before = values.get(place)
    if message.value is None:
        if message.shadow:
            raise _no_value(place)
        if before is None:
            raise InvalidInput(f"{place_text(place)} is not set: there is no such limit to take away")
    elif message.shadow and not in_shadow(message.name):
        raise InvalidInput(
            f"{message.name} cannot be in shadow: it refuses no single order. `backbone limits explain "
            f"{message.name}` says what it does"
        )
    values[place] = message.value
    if message.value is None:
        del values[place]
    # In the one spelling of numbers and symbols; a name or a value that may not stand there is told here.
    checked = flat(from_dict(shaped(values), "not set", 0).as_dict())
    if message.shadow and checked.get(place) is None:
        raise _no_value(place)
    return _change(force, place, "shadow" if message.shadow else "set", before, checked.get(place))


def _no_value(place: Place) -> InvalidInput:
    return InvalidInput(f"{place_text(place)}: a limit in shadow has a value")


def _taken_back(force: LimitsInForce, place: Place, *, shadow: bool) -> LimitChange:
    before = force.values().get(place)
    if shadow:
        if place not in force.shadows:
            raise InvalidInput(f"{place_text(place)} is not in shadow: there is nothing to take back")
        return _change(force, place, "shadow_ended", before, None)
    if place not in force.set_here:
        raise InvalidInput(
            f"{place_text(place)} was not set while the OMS ran: {value_text(before)} is what "
            f"{force.source} says"
        )
    return _change(force, place, "taken_back", before, force.file.get(place))


def _change(force: LimitsInForce, place: Place, mode: LimitMode, before: Any, value: Any) -> LimitChange:
    section, name = place
    return LimitChange(
        section=section,
        name=name,
        mode=mode,
        before=before,
        value=value,
        in_file=force.file.get(place),
    )
