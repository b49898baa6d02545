"""`backbone flatten`: the command itself."""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from bus.acting_user import acting_user
from ops.given_reason import given_reason

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.control_messages import Flatten
    from ops.flatten.progress import Progress

_ALGO = Annotated[str | None, typer.Option(help="only what this algorithm holds and ordered")]
_SYMBOL = Annotated[str | None, typer.Option(help="only this symbol, whoever holds it")]
_REASON = Annotated[str, typer.Option(help="why; everyone is told, and it stays on record")]
_WAIT = Annotated[float, typer.Option(min=0, max=3600, help="seconds to wait for the end")]
_JSON = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(flatten)


def flatten(
    reason: _REASON,
    algo: _ALGO = None,
    symbol: _SYMBOL = None,
    wait: _WAIT = 60.0,
    as_json: _JSON = False,
) -> None:
    """Cancel every open order, then sell and buy back every position at the market.

    Of the whole account, or with --algo or --symbol of that alone. Orders and positions of other programs and
    those made by hand are included, except with --algo. New orders are refused there until it has ended; to
    have them refused afterwards too, halt first, or use `backbone halt --flatten`. Neither halts nor limits
    hold it back. It needs an OMS that is alive, which goes on with it whether or not this command waits. Exit
    code 1 where something is left at the end, with the broker's words.

    Example: backbone flatten --symbol AAPL --reason "out of it"
    """
    from bus.control_messages import Flatten
    from bus.halt_state import scope_of

    why = given_reason(reason, "find their positions closed")
    scope = None if algo is symbol is None else scope_of(algorithm=algo, symbol=symbol and symbol.upper())

    def message(account: str) -> "Flatten":
        whole = scope or scope_of(account=account)
        return Flatten(scope=whole, reason=why, by=acting_user(), at_ns=time.time_ns())

    try:
        raise typer.Exit(asyncio.run(_run(message, wait, as_json)))
    except KeyboardInterrupt:
        print("stopped waiting; an OMS that has taken it goes on with it", file=sys.stderr)
        raise


async def _run(message: Callable[[str], "Flatten"], wait_s: float, as_json: bool) -> int:
    from ops.flatten import through_oms
    from ops.orders_server import orders_server

    async with orders_server("ops-flatten") as (client, account):
        said = message(account)
        progress = await through_oms.flatten(client, account, said, wait_s, teller(as_json))
    if as_json:
        print_json(progress)
    else:
        print(sentence(progress))
    return 0 if progress.flat else 1


def teller(as_json: bool) -> Callable[[str], None]:
    """Say how far it is: on stdout for people, on stderr beside JSON."""
    return lambda line: print(line, file=sys.stderr if as_json else sys.stdout, flush=True)


def print_json(progress: "Progress") -> None:
    """Print what came of it as one object."""
    import msgspec

    print(msgspec.json.encode({"command": "Flatten", **as_dict(progress)}).decode())


def as_dict(progress: "Progress") -> dict[str, object]:
    """What came of it, for JSON."""
    begun = progress.begun
    return {
        "scope": begun.scope,
        "reason": begun.reason,
        "by": begun.by,
        "ended": progress.ended,
        "flat": progress.flat,
        "orders_canceled": len(begun.orders) - len(progress.canceling),
        "symbols": list(progress.outcomes.values()),
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
