"""`backbone flatten`: the command itself."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from bus.acting_user import acting_user
from bus.errors import InvalidInput
from ops.given_reason import given_reason

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.control_messages import Flatten
    from ops.flatten.progress import Progress

_ALGO = Annotated[str | None, typer.Option(help="only what this algorithm holds and ordered")]
_SYMBOL = Annotated[str | None, typer.Option(help="only this symbol, whoever holds it")]
_REASON = Annotated[str, typer.Option(help="why; everyone is told, and it stays on record")]
_WAIT = Annotated[float, typer.Option(min=0, max=3600, help="seconds to wait for the end")]
_WITHOUT = Annotated[
    bool,
    typer.Option(
        "--without-oms",
        help="have the broker itself close the whole account, with the keys of the environment: only where "
        "no OMS is alive",
    ),
]
_YES = Annotated[bool, typer.Option("--yes", help="with --without-oms: do not ask")]
_SUSPEND = Annotated[
    bool,
    typer.Option(
        "--suspend",
        help="once flat, have Alpaca refuse every order of the account until `resume --lift-suspension`; "
        "needs the keys",
    ),
]
_JSON = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(flatten)


def flatten(
    reason: _REASON,
    algo: _ALGO = None,
    symbol: _SYMBOL = None,
    wait: _WAIT = 60.0,
    without_oms: _WITHOUT = False,
    yes: _YES = False,
    suspend: _SUSPEND = False,
    as_json: _JSON = False,
) -> None:
    """Cancel every open order, then sell and buy back every position at the market.

    Of the whole account, or with --algo or --symbol of that alone. Orders and positions of other programs and
    those made by hand are included, except with --algo. New orders are refused there until it has ended; to
    have them refused afterwards too, halt first, or use `backbone halt --flatten`. Neither halts nor limits
    hold it back. It needs an OMS that is alive, which goes on with it whether or not this command waits;
    where there is none, see --without-oms. Exit code 1 where something is left at the end, with the broker's
    words.

    Example: backbone flatten --symbol AAPL --reason "out of it"
    """
    from bus.control_messages import Flatten
    from bus.halt_state import scope_of

    why = given_reason(reason, "find their positions closed")
    if (without_oms or suspend) and not (algo is symbol is None):
        named = "--without-oms" if without_oms else "--suspend"
        raise InvalidInput(f"{named} is about the whole account: leave out --algo and --symbol")
    if without_oms:
        from ops.flatten.without_oms import run

        raise typer.Exit(asyncio.run(run(why, wait, yes=yes, suspend=suspend, as_json=as_json)))
    scope = None if algo is symbol is None else scope_of(algorithm=algo, symbol=symbol and symbol.upper())

    def message(account: str) -> "Flatten":
        whole = scope or scope_of(account=account)
        return Flatten(scope=whole, reason=why, by=acting_user(), at_ns=time.time_ns())

    try:
        raise typer.Exit(asyncio.run(_run(message, wait, suspend, as_json)))
    except KeyboardInterrupt:
        print("stopped waiting; an OMS that has taken it goes on with it", file=sys.stderr)
        raise


async def _run(message: Callable[[str], "Flatten"], wait_s: float, suspend: bool, as_json: bool) -> int:
    from ops.flatten import through_oms
    from ops.orders_server import orders_server

    async with contextlib.AsyncExitStack() as stack:
        at_broker = None
        if suspend:
            from ops.flatten.at_broker import account_at_broker

            # First: keys that are missing or wrong must not be found out once all is closed.
            at_broker = await stack.enter_async_context(account_at_broker())
        client, account = await stack.enter_async_context(orders_server("ops-flatten"))
        progress = await through_oms.flatten(client, account, message(account), wait_s, teller(as_json))
        suspended = at_broker is not None and progress.flat and await at_broker.broker.suspend(True)
    if as_json:
        print_json(progress, suspended=suspended)
        return 0 if progress.flat else 1
    print(sentence(progress))
    if suspended:
        print("Alpaca refuses every order of it until `backbone resume --lift-suspension --reason ...`.")
    elif suspend:
        print("It is not suspended at Alpaca: that would refuse the orders which close the rest.")
    return 0 if progress.flat else 1


def teller(as_json: bool) -> Callable[[str], None]:
    """Say how far it is: on stdout for people, on stderr beside JSON."""
    return lambda line: print(line, file=sys.stderr if as_json else sys.stdout, flush=True)


def print_json(progress: "Progress", *, suspended: bool) -> None:
    """Print what came of it as one object."""
    import msgspec

    print(msgspec.json.encode({"command": "Flatten", **as_dict(progress), "suspended": suspended}).decode())


def as_dict(progress: "Progress") -> dict[str, object]:
    """What came of it, for JSON."""
    from bus.codec import whole

    begun = progress.begun
    return {
        "scope": begun.scope,
        "reason": begun.reason,
        "by": begun.by,
        "ended": progress.ended,
        "flat": progress.flat,
        "orders_canceled": len(begun.orders) - len(progress.canceling),
        "symbols": whole(list(progress.outcomes.values())),
        "waiting_for": progress.under_way(),
    }


def sentence(progress: "Progress") -> str:
    """What came of it, for people; the lines of symbols stand before."""
    scope = progress.begun.scope
    if not progress.ended:
        left = [
            *progress.under_way(),
            f"{scope} is not flat yet, and the OMS goes on with it: is the market open, is a symbol halted? "
            "`backbone tail` shows the rest, `backbone cancel-all` ends it.",
        ]
        return "\n".join(left)
    if not progress.outcomes:
        return f"Nothing was held or open in {scope}."
    return f"{scope} is flat." if progress.flat else f"{scope} is NOT flat: see above what is left and why."
