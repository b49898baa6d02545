"""`backbone limits set`, `unset` and `load`: limits change at the OMS that leads, which journals them."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bus.acting_user import acting_user
from ops.ask_oms import ask_oms
from ops.given_reason import given_reason

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.limit_messages import LimitChange, LimitCommand

NAME = Annotated[str, typer.Argument(help="the limit, as the limits file calls it")]
ALGO = Annotated[str | None, typer.Option(help="of this algorithm alone")]
SYMBOL = Annotated[str | None, typer.Option(help="in this symbol alone")]
EACH = Annotated[bool, typer.Option("--each-algorithm", help="of each algorithm by itself")]
FEED = Annotated[str | None, typer.Option(help="of prices of this feed (price_age_seconds)")]
_VALUE = Annotated[
    str, typer.Argument(help="a number, true or false, symbols as A,B, or none for no such limit")
]
_REASON = Annotated[str, typer.Option(help="why; it stays on record")]
_LOOSEN = Annotated[bool, typer.Option("--loosen", help="let it be looser than what holds")]
_SHADOW = Annotated[
    bool, typer.Option("--shadow", help="hold it against orders and count, but refuse none by it")
]
_ENDED = Annotated[bool, typer.Option("--shadow", help="the one in shadow")]
_FILE = Annotated[Path, typer.Argument(help="a whole limits file, as TOML")]
JSON = Annotated[bool, typer.Option("--json", help="print one JSON object")]

_READERS = "find an order refused by it"
_UNDONE = "no limit was changed"


def set_limit(
    name: NAME,
    value: _VALUE,
    reason: _REASON,
    algo: ALGO = None,
    symbol: SYMBOL = None,
    each_algorithm: EACH = False,
    feed: FEED = None,
    loosen: _LOOSEN = False,
    shadow: _SHADOW = False,
    as_json: JSON = False,
) -> None:
    """Give a limit another value, at once and for good: it holds after a restart, too.

    Of the account, or of what --algo, --symbol, --each-algorithm or --feed names. Orders that wait to be sent
    are held against it as well. While the limits file says what it says now, this value holds; once it says
    something else the tighter of both does. What is looser than before needs --loosen.

    Example: backbone limits set order_value 5000 --algo ma-cross --reason "earnings tonight"
    """
    from bus.limit_messages import SetLimit
    from ops.limits.words import checked_limit, section_of, value_of

    section = section_of(algo, symbol, feed, each_algorithm=each_algorithm)
    wanted, why = value_of(checked_limit(name), value), given_reason(reason, _READERS)
    command = partial(
        SetLimit, section=section, name=name, value=wanted, shadow=shadow, loosen=loosen, reason=why
    )
    _change(command, (algo, symbol), as_json)


def unset(
    name: NAME,
    reason: _REASON,
    algo: ALGO = None,
    symbol: SYMBOL = None,
    each_algorithm: EACH = False,
    feed: FEED = None,
    loosen: _LOOSEN = False,
    shadow: _ENDED = False,
    as_json: JSON = False,
) -> None:
    """Take back what was set: what the limits file says holds again.

    What the file itself says is taken away with `backbone limits set NAME none --loosen`. With --shadow the
    limit in shadow ends.

    Example: backbone limits unset order_value --algo ma-cross --loosen --reason "earnings are out"
    """
    from bus.limit_messages import UnsetLimit
    from ops.limits.words import checked_limit, section_of

    section = section_of(algo, symbol, feed, each_algorithm=each_algorithm)
    checked_limit(name)
    why = given_reason(reason, _READERS)
    command = partial(UnsetLimit, section=section, name=name, shadow=shadow, loosen=loosen, reason=why)
    _change(command, (algo, symbol), as_json)


def load(file: _FILE, reason: _REASON, loosen: _LOOSEN = False, as_json: JSON = False) -> None:
    """Have exactly the limits of a file hold, all at once; what will change is printed first.

    Also what was set before and does not stand in the file is no more. Where anything is looser than what
    holds nothing changes, unless --loosen is given. An OMS that is started with the same file then goes on
    with it.

    Example: backbone limits load limits.toml --reason "the plan for December"
    """
    from bus.limit_messages import LoadLimits
    from oms.limits.limits_file import read_limits
    from ops.limits.reading import differences

    limits, why = read_limits(file), given_reason(reason, _READERS)
    announced = [] if as_json else lines(asyncio.run(differences(limits)))
    for line in announced:
        print(line, flush=True)
    command = partial(LoadLimits, limits=limits.as_dict(), source=str(file), loosen=loosen, reason=why)
    _change(command, (), as_json, announced)


def lines(changes: "Sequence[LimitChange]") -> list[str]:
    """A line for each change."""
    from oms.limits.limit_places import place_text, value_text

    shown = []
    for one in changes:
        place = place_text((one.section, one.name))
        if one.mode == "shadow":
            shown.append(f"{place}: {value_text(one.value)} in shadow; {value_text(one.before)} holds")
        elif one.mode == "shadow_ended":
            shown.append(f"{place}: in shadow no more")
        elif one.before == one.value:
            shown.append(f"{place}: {value_text(one.value)} holds, as before")
        else:
            shown.append(f"{place}: {value_text(one.before)} -> {value_text(one.value)}")
    return shown


def _change(
    command: "Callable[..., LimitCommand]",
    named: tuple[str | None, ...],
    as_json: bool,
    announced: Sequence[str] = (),
) -> None:
    """Have the OMS take it, and print what it made of it, unless that was `announced`.

    `command` lacks account, time and who gives it; `named` are an algorithm and a symbol.
    """
    from bus.codec import whole
    from bus.limit_messages import LimitsSet
    from ops.limits.reading import doubts

    def message(account: str) -> "LimitCommand":
        return command(account=account, by=acting_user(), at_ns=time.time_ns())

    told = asyncio.run(ask_oms("ops-limits", message, LimitsSet, undone=_UNDONE))
    warnings = asyncio.run(doubts(*named)) if any(named) else []
    if as_json:
        print(json.dumps(whole(told) | {"warnings": warnings}))
        return
    changed = lines(told.changes)
    if changed != list(announced):
        print("\n".join(changed))
    what = f"{len(changed)} changed, in force" if changed else "nothing differs"
    print(f"limits version {told.limits_version}: {what}")
    for warning in warnings:
        print(f"WARNING: {warning}")
