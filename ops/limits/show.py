"""`backbone limits show` and `explain`: what holds, where it is from, and what it means."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from oms.state.state import State

_ALGO = Annotated[str | None, typer.Option(help="what binds this algorithm")]
_SYMBOL = Annotated[str | None, typer.Option(help="what binds in this symbol")]
_NAME = Annotated[str, typer.Argument(help="the limit, as the limits file calls it")]
_JSON = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def show(algo: _ALGO = None, symbol: _SYMBOL = None, as_json: _JSON = False) -> None:
    """List the limits in force: each with its value, where it is from, and how much of it is used.

    With --algo, --symbol or both, only what applies to it, and below that which of them bind: the tightest of
    each, of one order, of the algorithm and of the account. What is used is as of the journal's last entry,
    at the prices of the last decisions.

    Example: backbone limits show --algo ma-cross --symbol AAPL
    """
    from bus.streams import checked_name
    from bus.symbols import checked_symbol
    from ops.limits.reading import doubts, state
    from ops.limits.rows import bindings, rows

    name = None if algo is None else checked_name(algo, "algorithm")
    of_symbol = None if symbol is None else checked_symbol(symbol.upper())
    found = asyncio.run(state())
    warnings = asyncio.run(doubts(name, of_symbol)) if algo or symbol else []
    listed = rows(found, name, of_symbol)
    bound = bindings(found, name, of_symbol) if algo or symbol else None
    if as_json:
        body = {
            "limits_version": found.limits_in_force.version,
            "limits": listed,
            "differ": found.limits_in_force.differing(),
            "warnings": warnings,
        }
        print(json.dumps(body | ({} if bound is None else {"binding": bound})))
        return
    _print(found, listed, bound, warnings)


def explain(name: _NAME, as_json: _JSON = False) -> None:
    """Say what a limit means, where it may stand, what refuses by it, and what is in force.

    Example: backbone limits explain price_collar_percent
    """
    from bus.errors import InvalidInput, ServerAway, ServerRefused
    from oms.limits.limit_kinds import DEFAULTS, LONGER_IS_TIGHTER, MEANINGS, NUMBERS, UNITS
    from oms.risk.limit_codes import CODES, in_shadow
    from oms.risk.refusals import REFUSALS
    from ops.limits.reading import state
    from ops.limits.rows import rows
    from ops.limits.words import checked_limit, sections

    checked_limit(name)
    told: dict[str, Any] = {
        "name": name,
        "meaning": MEANINGS[name],
        "unit": UNITS.get(name, ""),
        "sections": sections(name),
        "default": str(DEFAULTS[name]) if name in DEFAULTS else None,
        "tighter": ("longer" if name in LONGER_IS_TIGHTER else "lower") if name in NUMBERS else None,
        "can_be_in_shadow": in_shadow(name),
        "refuses": [
            {"code": one.code, "meaning": one.meaning, "do_now": one.do_now}
            for one in REFUSALS
            if one.code in CODES[name]
        ],
    }
    try:
        told["in_force"] = [row for row in rows(asyncio.run(state()), None, None) if row["name"] == name]
    except (InvalidInput, ServerAway, ServerRefused) as error:
        told["in_force"], told["not_known"] = None, str(error)
    print(json.dumps(told) if as_json else "\n".join(_explained(told)))


def _explained(told: dict[str, Any]) -> list[str]:
    from oms.limits.limit_places import place_text
    from oms.limits.limit_places import value_text as shown
    from ops.limits.rows import origin

    unit = f", in {told['unit']}" if told["unit"] and told["unit"] not in told["meaning"] else ""
    lines = [f"{told['name']}: {told['meaning']}{unit}", f"may stand in {', '.join(told['sections'])}"]
    if told["default"]:
        lines.append(f"where nobody sets it: {told['default']}")
    if told["tighter"]:
        lines.append(f"the {told['tighter']} number is the tighter; the tightest of all that apply holds")
    for one in told["refuses"]:
        lines += [f"refuses with {one['code']}: {one['meaning']}", f"  what to do: {one['do_now']}"]
    if not told["refuses"]:
        lines.append("it refuses no single order")
    if told["in_force"] is None:
        lines.append(f"in force: not known ({told['not_known']})")
    elif not told["in_force"]:
        lines.append("in force: nowhere")
    for row in told["in_force"] or ():
        shadow = " in shadow" if row["shadow"] else ""
        place = place_text((row["section"], row["name"]))
        lines.append(f"in force{shadow}: {place} = {shown(row['value'])} ({origin(row)})")
    return lines


def _print(
    found: "State", listed: list[dict[str, Any]], bound: list[dict[str, Any]] | None, warnings: list[str]
) -> None:
    from oms.limits.limit_places import value_text
    from ops.columns import columns

    print(_table(listed))
    if bound is not None:
        lines = [("binding limit", "of", "value", "used", "section")]
        lines += [
            (one["name"], one["whose"], value_text(one["value"]), one["used"] or "", one["section"])
            for one in bound
        ]
        print("\n" + columns(lines))
    for sentence in found.limits_in_force.differing():
        print(f"DIFFERS: {sentence}")
    for warning in warnings:
        print(f"WARNING: {warning}")


def _table(listed: list[dict[str, Any]]) -> str:
    from oms.limits.limit_places import place_text, value_text
    from ops.columns import columns
    from ops.limits.rows import origin

    lines = [("section", "limit", "value", "used", "from")]
    for row in listed:
        value = value_text(row["value"])
        use = row.get("used", "")
        if row["shadow"]:
            value += " (shadow)"
            use = f"would have refused {sum(row['would_have_refused'].values())}"
        section, _, name = place_text((row["section"], row["name"])).rpartition(" ")
        lines.append((section, name, value, use, origin(row)))
    return columns(lines)
