"""`backbone halt` and `backbone resume`: they need the orders server and nobody else."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.acting_user import acting_user

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.connection import Client
    from bus.halt_state import HaltState

_ALGO = Annotated[str | None, typer.Option(help="only this algorithm")]
_SYMBOL = Annotated[str | None, typer.Option(help="only this symbol")]
_ACCOUNT = Annotated[str | None, typer.Option(help="only this account")]
_REASON = Annotated[str, typer.Option(help="why; everyone is told, and it stays on record")]
_JSON = Annotated[bool, typer.Option("--json", help="print one JSON object")]
_REDUCE = Annotated[
    bool, typer.Option("--reduce-only", help="let orders through that bring a position closer to zero")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(halt)
    app.command()(resume)


def halt(
    reason: _REASON,
    algo: _ALGO = None,
    symbol: _SYMBOL = None,
    account: _ACCOUNT = None,
    reduce_only: _REDUCE = False,
    as_json: _JSON = False,
) -> None:
    """Refuse new orders at once.

    Replaces are refused too; cancels still pass. Without --algo, --symbol or --account everything is halted.
    A halt lasts until `backbone resume`, across restarts, and takes hold even where no OMS is alive.

    Example: backbone halt --algo ma-cross --reason "prices look wrong"
    """
    from bus.control_messages import Halt, ReduceOnly
    from bus.halt_state import scope_of

    scope = scope_of(algorithm=algo, symbol=symbol, account=account)
    kind = ReduceOnly if reduce_only else Halt
    message = kind(scope=scope, reason=_given(reason), by=acting_user(), at_ns=time.time_ns())
    asyncio.run(_change(message, as_json))


def resume(
    reason: _REASON,
    algo: _ALGO = None,
    symbol: _SYMBOL = None,
    account: _ACCOUNT = None,
    as_json: _JSON = False,
) -> None:
    """Lift a halt.

    Of exactly this scope; without --algo, --symbol or --account, every halt.

    Example: backbone resume --algo ma-cross --reason "feed checked"
    """
    from bus.control_messages import Resume
    from bus.halt_state import scope_of

    scope = scope_of(algorithm=algo, symbol=symbol, account=account)
    asyncio.run(
        _change(Resume(scope=scope, reason=_given(reason), by=acting_user(), at_ns=time.time_ns()), as_json)
    )


def _given(reason: str) -> str:
    from bus.errors import InvalidInput

    if not reason.strip():
        raise InvalidInput("--reason is empty: say why, for those who find trading halted or resumed")
    return reason.strip()


async def _change(message: Any, as_json: bool) -> None:
    from bus import halt as halts
    from ops.orders_server import orders_server

    async with orders_server("ops-halt") as (client, account):
        before = await halts.read(client)
        notes = await _notes(client, account, message, before)
        state = await halts.change(client, message)
    _print(message, state, notes, as_json)


async def _notes(client: "Client", account: str, message: Any, before: "HaltState") -> list[str]:
    """Return notes on what the operator may have mistyped."""
    from bus.control_messages import Resume
    from bus.streams import algorithms

    kind, _, name = message.scope.partition(":")
    if kind == "algorithm":
        known = sorted(key.decode() for key in await client.hkeys(algorithms(account)))
        if name not in known:
            there = f"known are {', '.join(known)}" if known else "none has registered yet"
            return [f"no algorithm is called {name}; {there}"]
    if isinstance(message, Resume) and message.scope not in (*before.scopes, "all"):
        return [f"{message.scope} was not halted by itself"]
    return []


def _print(message: Any, state: "HaltState", notes: list[str], as_json: bool) -> None:
    import msgspec

    from ops.status.model import shown_halts

    shown = shown_halts(state)
    if as_json:
        body = {
            "command": message.wire,
            "scope": message.scope,
            "reason": message.reason,
            "by": message.by,
            "halts": shown,
            "cancels_pass": True,
            "notes": notes,
        }
        print(msgspec.json.encode(body).decode())
        return
    for note in notes:
        print(f"note: {note}")
    if not shown:
        print("Nothing is halted: trading goes on.")
        return
    for scope, halted in shown.items():
        what = "halted" if halted.mode == "halted" else "reduce only"
        print(f"{what}: {scope}, {halted.reason} (by {halted.by})")
    print("New orders and replaces are refused there; cancels still pass.")
