"""`backbone reconcile`: compare the book with the broker now, and accept what differs."""

import asyncio
import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from bus.acting_user import acting_user
from bus.errors import InvalidInput
from oms.amounts import text
from ops.ask_oms import ask_oms
from ops.given_reason import given_reason

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.book_messages import Difference, Reconciled

_ACCEPT = Annotated[list[str] | None, typer.Option(help="book this symbol's difference, or that of `cash`")]
_ALL = Annotated[bool, typer.Option("--all", help="book every difference")]
_REASON = Annotated[str, typer.Option(help="why it is accepted; it stays on record")]
_JSON = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def reconcile(
    accept: _ACCEPT = None, everything: _ALL = False, reason: _REASON = "", as_json: _JSON = False
) -> None:
    """Ask the broker now, and say where the book differs: positions, cash.

    With --accept or --all what differs is booked as it is at the broker, under `external`, and the halt that
    stood for it is lifted: only then say so, when you know where it came from. Exit code 1 while anything
    differs.

    Example: backbone reconcile --accept AAPL --reason "bought by hand on the phone"
    """
    from bus.book_messages import Reconciled
    from bus.control_messages import Reconcile
    from bus.symbols import checked_symbol

    names = tuple(name if name == "cash" else checked_symbol(name.upper()) for name in accept or ())
    accepts = bool(names or everything)
    if reason and not accepts:
        raise InvalidInput("--reason goes with --accept SYMBOL or --all: comparing needs none")
    why = given_reason(reason, "find the difference accepted") if accepts else ""

    def message(account: str) -> Reconcile:
        return Reconcile(
            account=account,
            accept=names,
            accept_all=everything,
            reason=why,
            by=acting_user(),
            at_ns=time.time_ns(),
        )

    hindered = "the broker does not answer it, or orders change all the time"
    undone = "nothing is known, and nothing was accepted"
    told = asyncio.run(ask_oms("ops-reconcile", message, Reconciled, undone=undone, hindered=hindered))
    unknown = sorted(set(names) - {one.what for one in (*told.accepted, *told.differences)})
    if as_json:
        print(json.dumps(_as_dict(told, unknown)))
    else:
        print("\n".join(_lines(told, unknown)))
    raise typer.Exit(0 if told.agrees else 1)


def _lines(told: "Reconciled", unknown: list[str]) -> list[str]:
    lines = [f"accepted: {_sentence(one)}" for one in told.accepted]
    lines += [f"differs: {_sentence(one)}" for one in told.differences]
    lines += [f"{name} does not differ: nothing to accept" for name in unknown]
    lines += [f"not understood: {what}: {why}" for what, why in told.unread.items()]
    if told.agrees:
        lines.append("books agree: orders, positions and cash, asked just now")
    elif told.differences:
        lines.append(
            "Find out where it came from; then trade it away, or accept it with --accept NAME --reason ..."
        )
    return lines


def _sentence(one: "Difference") -> str:
    return f"{one.what}: {text(one.booked)} in the book, {text(one.at_broker)} at the broker"


def _as_dict(told: "Reconciled", unknown: list[str]) -> dict[str, object]:
    def shown(ones: "tuple[Difference, ...]") -> list[dict[str, str]]:
        return [{"what": one.what, "book": text(one.booked), "broker": text(one.at_broker)} for one in ones]

    return {
        "agrees": told.agrees,
        "differences": shown(told.differences),
        "accepted": shown(told.accepted),
        "not_differing": unknown,
        "not_understood": told.unread,
        "at_ns": told.at_ns,
    }
