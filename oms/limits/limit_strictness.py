"""Which of two values of a limit is the tighter. Pure.

A value is plain, as a file's section has it; None where the section does not set it. What holds then is
`absent`: a default, or what another section says; None where nothing does.
"""

from decimal import Decimal
from typing import Any

from oms.amounts import text
from oms.limits.limit_kinds import DEFAULTS, NUMBERS, ON_SILENCE, tighter
from oms.limits.limit_places import Place, Values

_PERMITS = {False: 0, None: 1, True: 2}


def absent(place: Place, values: Values) -> Any:
    """What holds of a limit where its section does not set it, as far as that stands in its place."""
    section, name = place
    if section.startswith("feed."):
        return values.get(("account", name))
    if name == "on_silence":
        of_each = values.get(("each_algorithm", name), "nothing")
        return of_each if section.startswith("algorithm.") else "nothing"
    return text(DEFAULTS[name]) if name in DEFAULTS else None


def is_looser(name: str, before: Any, after: Any, without: Any = None) -> bool:
    """Whether `after` lets anything pass that `before` does not; `without` is what holds where there is none.

    To take a limit away is to loosen it, whatever other sections say.
    """
    if after == before:
        return False
    if name in NUMBERS:
        if after is None and before is not None and (without is None or name in DEFAULTS):
            return True
        left, right = (without if value is None else value for value in (before, after))
        if left is None or right is None:
            return right is None and left is not None
        return tighter(name, Decimal(left), Decimal(right)) != Decimal(right)
    if name == "short_sales":
        return before is False
    if name == "orders_while_closed":
        return _PERMITS[after] > _PERMITS[before]
    if name == "restricted":
        return not set(before or ()) <= set(after or ())
    if name == "symbols":
        return before is not None and (after is None or not set(after) <= set(before))
    if name == "on_silence":
        left, right = before or without, after or without
        return ON_SILENCE.index(right) < ON_SILENCE.index(left)
    return after is None


def tightest_value(name: str, left: Any, right: Any, without: Any = None) -> Any:
    """The tighter of two values; of lists what both forbid, or both permit. The left one where neither is."""
    if name == "restricted":
        return sorted({*(left or ()), *(right or ())}) or None
    if name == "symbols" and left is not None and right is not None:
        return sorted(set(left) & set(right))
    return right if is_looser(name, right, left, without) else left
