"""Looks whether the limits file says by now what is neither in force nor was read at the start."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bus.errors import InvalidInput
from bus.file_stamp import stamp_of
from oms.limits.limit_places import flat, place_text, value_text
from oms.limits.limits_file import read_limits
from oms.limits.limits_in_force import LimitsInForce

_LOOK_S = 1.0


async def watch(path: Path, in_force: Callable[[], LimitsInForce], tell: Callable[[str], object]) -> None:
    """Tell, until cancelled, what was edited in the file since it was read; "" once nothing is left of it."""
    told, seen = "", None
    while True:
        now = stamp_of(path), in_force().version
        if now != seen:
            seen, said = now, edited(path, in_force())
            if said != told:
                told = said
                tell(said)
        await asyncio.sleep(_LOOK_S)


def edited(path: Path, force: LimitsInForce) -> str:
    """What the file says that is not in force, in a sentence; "" where there is nothing."""
    try:
        said = flat(read_limits(path).as_dict())
    except InvalidInput as error:
        return f"what was read of it holds on, but the next start would fail: {error}"
    values = force.values()
    news = [
        place
        for place in sorted(said.keys() | force.file.keys())
        if said.get(place) not in (force.file.get(place), values.get(place))
    ]
    if not news:
        return ""
    more = f" (and {len(news) - 1} more)" if len(news) > 1 else ""
    return (
        f"{path} was edited, and that is not in force: it says {value_text(said.get(news[0]))} for "
        f"{place_text(news[0])}, {value_text(values.get(news[0]))} holds{more}; `backbone limits load {path} "
        "--reason ...` puts it in force, and so does the next start"
    )
