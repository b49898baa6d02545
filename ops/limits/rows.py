"""The limits in force as rows: each with its value, where it is from, and how much of it is used. Pure."""

from typing import Any

from oms.amounts import text
from oms.book.book import Book
from oms.book.ledger import ACCOUNT
from oms.limits.limit_places import Place, value_text
from oms.limits.limits_in_force import LimitSetHere, LimitsInForce
from oms.risk.limit_use import Binding, binding, used
from oms.state.state import State

Row = dict[str, Any]


def rows(state: State, algorithm: str | None, symbol: str | None) -> list[Row]:
    """Every limit in force, and those in shadow; of one algorithm and symbol where they are named."""
    force = state.limits_in_force
    found = [
        _row(force, state.book, place, value, algorithm, symbol or "")
        for place, value in sorted(force.values().items())
        if _is_about(place, algorithm, symbol)
    ]
    for place, shadow in sorted(force.shadows.items()):
        if _is_about(place, algorithm, symbol):
            origin = {"by": shadow.by, "at_ns": shadow.at_ns, "reason": shadow.reason}
            found.append(
                _named(place, shadow.value)
                | {"from": "set", "shadow": True, "would_have_refused": dict(shadow.refused)}
                | origin
            )
    return found


def bindings(state: State, algorithm: str | None, symbol: str | None) -> list[Row]:
    """Which limits bind an algorithm in a symbol, each the tightest of all that apply."""
    if state.limits is None:
        return []
    return [
        _bound(one)
        for one in binding(state.limits, state.book, algorithm or "", symbol or "")
        if one.whose in (None, ACCOUNT) or algorithm
    ]


def origin(row: Row) -> str:
    """Where a limit is from, as a table has it."""
    if row["from"] == "file":
        return str(row["source"])
    loaded = f", from {row['source']}" if row.get("source") else ""
    return f"{row['by']}{loaded}: {row['reason']}"


def _bound(one: Binding) -> Row:
    value = one.value if isinstance(one.value, bool) else text(one.value)
    return {
        "name": one.name,
        "whose": "one order" if one.whose is None else one.whose or "account",
        "value": value,
        "section": one.section,
        "used": None if one.used is None else text(one.used),
    }


def _row(
    force: LimitsInForce, book: Book, place: Place, value: Any, algorithm: str | None, symbol: str
) -> Row:
    one = force.set_here.get(place)
    whose = _holder(place, algorithm)
    use = None if whose is None else used(book, place[1], whose, _symbol(place) or symbol)
    row = _named(place, value) | _origin(force, one) | {"shadow": False}
    return row | ({} if use is None else {"used": text(use)})


def _origin(force: LimitsInForce, one: LimitSetHere | None) -> Row:
    if one is None:
        return {"from": "file", "source": force.source}
    return {
        "from": "set",
        "source": one.source,
        "by": one.by,
        "at_ns": one.at_ns,
        "reason": one.reason,
        "set_to": value_text(one.value),
        "file_said": one.in_file,
    }


def _named(place: Place, value: Any) -> Row:
    return {"section": place[0], "name": place[1], "value": value}


def _holder(place: Place, algorithm: str | None) -> str | None:
    """Whose use a section limits: the account's, or an algorithm's; None where none is named."""
    kind, _, name = place[0].partition(".")
    if kind == "algorithm":
        return name
    if kind == "each_algorithm":
        return algorithm
    return ACCOUNT if kind in ("account", "symbol") else None


def _symbol(place: Place) -> str:
    kind, _, name = place[0].partition(".")
    return name if kind == "symbol" else ""


def _is_about(place: Place, algorithm: str | None, symbol: str | None) -> bool:
    kind, _, name = place[0].partition(".")
    if kind == "algorithm":
        return algorithm == name or (algorithm is None and symbol is None)
    if kind == "symbol":
        return symbol == name or (algorithm is None and symbol is None)
    return True
