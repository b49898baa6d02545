"""`backbone halt` and `backbone resume`: they need nobody; the orders server makes a halt hold at once."""

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.acting_user import acting_user
from bus.errors import InvalidInput
from ops.given_reason import given_reason

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.connection import Client
    from bus.halt_state import HaltState
    from ops.cancel_all import Canceled
    from ops.flatten.progress import Progress
    from ops.halt_file import HaltFileChange

_ALGO = Annotated[str | None, typer.Option(help="only this algorithm")]
_SYMBOL = Annotated[str | None, typer.Option(help="only this symbol")]
_ACCOUNT = Annotated[str | None, typer.Option(help="only this account")]
_REASON = Annotated[str, typer.Option(help="why; everyone is told, and it stays on record")]
_BY = Annotated[
    str | None, typer.Option(help="the person who answers for it; needed where the OMS halted an algorithm")
]
_JSON = Annotated[bool, typer.Option("--json", help="print one JSON object")]
_REDUCE = Annotated[
    bool, typer.Option("--reduce-only", help="let orders through that bring a position closer to zero")
]

_CANCEL = Annotated[bool, typer.Option("--cancel", help="and cancel every open order there")]
_FLATTEN = Annotated[
    bool, typer.Option("--flatten", help="and cancel every open order, then close every position there")
]

_LIFT = Annotated[
    bool, typer.Option("--lift-suspension", help="have Alpaca take orders again too; needs the keys")
]

# How long an order may take to end once its cancel was asked for.
_CANCELED_WITHIN_S = 5.0

# How long positions are waited for; the OMS goes on after that.
_FLAT_WITHIN_S = 60.0
# How long the orders server may take: what the halt file says holds meanwhile.
_REACHED_S = 3.0

# How long it is looked for what is known, once the halt holds.
_LOOK_S = 2.0


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
    cancel: _CANCEL = False,
    flatten: _FLATTEN = False,
    as_json: _JSON = False,
) -> None:
    """Refuse new orders at once.

    Replaces are refused too; cancels still pass. Without --algo, --symbol or --account everything is halted.
    A halt lasts until `backbone resume`, across restarts, and takes hold even where no OMS is alive. It is
    written to a file too (BACKBONE_HALT_FILE, or in $BACKBONE_HOME): where the orders server does not answer,
    an OMS that shares the file halts all the same, and so does the next start.
    A name under which nothing is known is halted all the same, with a warning that lists what is known.
    BTC/USD and BTCUSD are one symbol. With --cancel it ends as `backbone cancel-all` does,
    with --flatten as `backbone flatten`.

    Example: backbone halt --algo ma-cross --reason "prices look wrong"
    """
    from bus.control_messages import Halt, ReduceOnly
    from bus.halt_state import scope_of

    scope = scope_of(algorithm=algo, symbol=symbol and symbol.upper(), account=account)
    kind = ReduceOnly if reduce_only else Halt
    message = kind(
        scope=scope,
        reason=_given(reason),
        by=acting_user(),
        at_ns=time.time_ns(),
    )
    raise typer.Exit(asyncio.run(_change(message, as_json, cancel=cancel and not flatten, flatten=flatten)))


def resume(
    reason: _REASON,
    algo: _ALGO = None,
    symbol: _SYMBOL = None,
    account: _ACCOUNT = None,
    lift_suspension: _LIFT = False,
    by: _BY = None,
    as_json: _JSON = False,
) -> None:
    """Lift a halt.

    Of exactly this scope; without --algo, --symbol or --account, every halt. Where it was not halted, that is
    said, with what is. What the halt file has is lifted too; where the orders server does not answer that
    alone, with exit code 1. What the OMS halted because an algorithm ordered the same again and again is
    resumed with --by NAME alone: a person looked at what it did. Where Alpaca itself has the account
    suspended, that is said if the keys are there, and lifted only with --lift-suspension.

    Example: backbone resume --algo ma-cross --reason "feed checked"
    """
    from bus.control_messages import Resume
    from bus.halt_state import scope_of

    scope = scope_of(algorithm=algo, symbol=symbol and symbol.upper(), account=account)
    message = Resume(scope=scope, reason=_given(reason), by=_who(by), at_ns=time.time_ns())
    raise typer.Exit(asyncio.run(_change(message, as_json, lift=lift_suspension)))


def _who(by: str | None) -> str:
    """Return who resumes: the name that was given, and the user and machine in any case."""
    if by is None:
        return acting_user()
    if not by.strip() or not by.isprintable():
        raise InvalidInput("--by is empty: give the name of who answers for it, such as --by 'Ann Lee'")
    return f"{by.strip()} ({acting_user()})"


class _NeedsName(InvalidInput):
    """Only a person who gives a name lifts this."""


def _release(message: Any, before: "HaltState") -> "HaltFileChange":
    """Lift in the halt file what a resume lifts.

    Raises _NeedsName, with nothing lifted, where the OMS halted what a user without a name would resume.
    """
    from bus.halt_state import latched_in
    from ops import halt_file

    latched = latched_in(before, message.scope)
    if latched and message.by == acting_user():
        why = "; ".join(f"{one.scope}: {one.reason}" for one in latched)
        raise _NeedsName(
            f"it stays halted, by the OMS, until a named person lifts it: {why}. Look at what it did, then "
            "give --by NAME"
        )
    return halt_file.change(message)


def _given(reason: str) -> str:
    return given_reason(reason, "find trading halted or resumed")


async def _change(
    message: Any, as_json: bool, *, cancel: bool = False, flatten: bool = False, lift: bool = False
) -> int:
    """Change halt file and halt state, then cancel or flatten where asked; returns the exit code."""
    from bus import halt as halts
    from bus.control_messages import ReduceOnly, Resume
    from bus.errors import ServerAway, ServerRefused
    from bus.halt_state import HaltState, latched_in, united
    from ops import halt_file
    from ops.flatten.suspension import require_keys, suspension
    from ops.orders_server import orders_server

    if lift:
        require_keys()
    # A halt is written down before anything else is asked; what a resume lifts may need a name.
    found = in_file = halt_file.found() if isinstance(message, Resume) else halt_file.change(message)
    async with contextlib.AsyncExitStack() as stack:
        try:
            if in_file.servers is None:
                raise InvalidInput(f"Nothing is running for account {in_file.account}.")
            async with asyncio.timeout(_REACHED_S):
                server = orders_server("ops-halt", in_file.servers)
                client, account = await stack.enter_async_context(server)
                before = await halts.read(client) if isinstance(message, Resume) else None
                if before is not None:
                    in_file = _release(message, united(before, found.modes))
                state = await halts.change(client, message)
        except _NeedsName:
            raise
        except (InvalidInput, ServerAway, ServerRefused, TimeoutError) as error:
            if isinstance(message, Resume) and in_file is found:
                in_file = _release(message, HaltState(known=False, scopes=found.modes))
            why = str(error) or f"The orders server did not answer within {_REACHED_S:g} s."
            return _print_without_server(message, in_file, why, as_json)
        # It holds already: a doubt about a name must neither prevent nor delay a halt.
        canceled = await _cancel(client, account, message) if cancel else None
        flattened = await _flatten(client, account, message, as_json) if flatten else None
        warning = await _doubt(client, message) if before is None else _not_halted(message, before, in_file)
    warnings = [warning] if warning else []
    if isinstance(message, ReduceOnly) and (still := latched_in(state, message.scope)):
        warnings.append(f"{still[0].scope} stays halted until a named person lifts it: {still[0].reason}")
    if before is not None:
        warnings += await suspension(lift=lift)
    _print(message, state, warnings, canceled, flattened, in_file, as_json)
    is_left = (canceled is not None and canceled.open) or (flattened is not None and not flattened.flat)
    return 1 if is_left else 0


async def _cancel(client: "Client", account: str, message: Any) -> "Canceled":
    """Cancel in the scope that was halted. Raises BackboneError without an OMS: the halt holds."""
    from bus.control_messages import CancelOrders
    from bus.errors import BackboneError
    from ops.cancel_all import cancel

    said = CancelOrders(scope=message.scope, reason=message.reason, by=message.by, at_ns=message.at_ns)
    try:
        return await cancel(client, account, said, _CANCELED_WITHIN_S)
    except BackboneError as error:
        raise BackboneError(f"{message.scope} is halted, but {error}") from error


async def _flatten(client: "Client", account: str, message: Any, as_json: bool) -> "Progress":
    """Flatten the scope that was halted. Raises BackboneError without an OMS: the halt holds."""
    from bus.control_messages import Flatten
    from bus.errors import BackboneError
    from ops.flatten.command import teller
    from ops.flatten.through_oms import flatten

    said = Flatten(scope=message.scope, reason=message.reason, by=message.by, at_ns=message.at_ns)
    try:
        return await flatten(client, account, said, _FLAT_WITHIN_S, teller(as_json))
    except BackboneError as error:
        raise BackboneError(f"{message.scope} is halted, but {error}") from error


async def _doubt(client: "Client", message: Any) -> str:
    """Return what may be wrong with the name of what was halted; empty where nothing is."""
    from bus.errors import ServerAway, ServerRefused
    from ops.known_names import doubt, read_known_names

    if message.scope == "all":
        return ""
    try:
        async with asyncio.timeout(_LOOK_S):
            return doubt(message.scope, await read_known_names(client))
    except (ServerAway, ServerRefused, TimeoutError) as error:
        why = str(error) or "no answer in time"
        return f"whether anything is called so could not be found out ({why}); it holds all the same"


def _not_halted(message: Any, before: "HaltState", in_file: "HaltFileChange") -> str:
    """Return that a resume had nothing to lift, and what is halted; empty where it lifted something."""
    from bus.halt_state import same_scopes
    from ops.known_names import listed

    if in_file.lifted:
        return ""
    if message.scope == "all":
        return "" if before.scopes or not before.known else "nothing was halted"
    if not before.scopes.keys().isdisjoint(same_scopes(message.scope)):
        return ""
    there = f"halted are {listed(before.scopes)}" if before.scopes else "nothing is"
    return f"{message.scope} was not halted by itself: {there}"


def _print_without_server(message: Any, in_file: "HaltFileChange", why: str, as_json: bool) -> int:
    """Say what holds although no orders server took it; returns the exit code, 0 for a halt in the file."""
    from bus.control_messages import Resume
    from ops import halt_file

    done = not in_file.error and not isinstance(message, Resume)
    if as_json:
        body = _body(message, in_file) | {"halts_known": False, "reached_server": False, "why": why}
        print(json.dumps(body))
    else:
        print(halt_file.without_server(message, in_file, why))
    return 0 if done else 1


def _body(message: Any, in_file: "HaltFileChange") -> dict[str, Any]:
    """What every answer in JSON begins with."""
    return {
        "command": message.wire,
        "scope": message.scope,
        "reason": message.reason,
        "by": message.by,
        "halt_file": {
            "file": str(in_file.file),
            "lifted": in_file.lifted,
            "left": in_file.left,
            "error": in_file.error,
        },
    }


def _print(
    message: Any,
    state: "HaltState",
    warnings: list[str],
    canceled: "Canceled | None",
    flattened: "Progress | None",
    in_file: "HaltFileChange",
    as_json: bool,
) -> None:
    import msgspec

    from ops import halt_file
    from ops.flatten import command
    from ops.status.model import shown_halts

    shown = shown_halts(state)
    if as_json:
        body = _body(message, in_file) | {
            "reached_server": True,
            "halts": shown,
            "halts_known": state.known,
            "cancels_pass": True,
            "canceled": canceled,
            "flattened": None if flattened is None else command.as_dict(flattened),
            "warnings": warnings,
        }
        print(msgspec.json.encode(body).decode())
        return
    for scope, halted in shown.items():
        what = "halted" if halted.mode == "halted" else "reduce only"
        print(f"{what}: {scope}, {halted.reason} (by {halted.by})")
    if not state.known:
        print(
            "What else is halted is not known, so every new order is refused: look at the account, then "
            "`backbone resume --reason ...`"
        )
    elif not shown:
        print("Nothing is halted: trading goes on.")
    if shown:
        print("New orders and replaces are refused there; cancels still pass.")
    if said := halt_file.sentence(message, in_file):
        print(said)
    if canceled is not None:
        print(canceled.sentence(message.scope))
    if flattened is not None:
        print(command.sentence(flattened))
    for warning in warnings:
        print(f"WARNING: {warning}")
