"""`backbone cancel-all`: every open order of a scope, and what became of each."""

import asyncio
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from bus.acting_user import acting_user
from ops.given_reason import given_reason

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.connection import Client
    from bus.control_messages import CancelOrders
    from ops.journal_follower import JournalFollower

_ALGO = Annotated[str | None, typer.Option(help="only orders of this algorithm")]
_SYMBOL = Annotated[str | None, typer.Option(help="only orders in this symbol")]
_ACCOUNT = Annotated[str | None, typer.Option(help="only on this account")]
_REASON = Annotated[str, typer.Option(help="why; it stays on record")]
_WAIT = Annotated[float, typer.Option(min=0, max=600, help="seconds to wait for the orders to end")]
_JSON = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="cancel-all")(cancel_all)


def cancel_all(
    reason: _REASON,
    algo: _ALGO = None,
    symbol: _SYMBOL = None,
    account: _ACCOUNT = None,
    wait: _WAIT = 5.0,
    as_json: _JSON = False,
) -> None:
    """Cancel every open order, those of other programs on the account too.

    With --algo or --symbol only its orders. New orders are taken as before: halt first, or use
    `backbone halt --cancel`. It needs an OMS that is alive; without one, cancel at the broker. Exit code 1
    where an order is still open at the end.

    Example: backbone cancel-all --symbol AAPL --reason "prices look wrong"
    """
    from bus.control_messages import CancelOrders
    from bus.halt_state import scope_of

    why = given_reason(reason, "find their orders canceled")
    scope = scope_of(algorithm=algo, symbol=symbol and symbol.upper(), account=account)
    message = CancelOrders(scope=scope, reason=why, by=acting_user(), at_ns=time.time_ns())
    raise typer.Exit(asyncio.run(_run(message, wait, as_json)))


async def _run(message: "CancelOrders", wait_s: float, as_json: bool) -> int:
    from ops.orders_server import orders_server

    async with orders_server("ops-cancel") as (client, account):
        canceled = await cancel(client, account, message, wait_s)
    if as_json:
        head = {"command": message.wire, "scope": message.scope, "reason": message.reason, "by": message.by}
        print(json.dumps(head | asdict(canceled)))
    else:
        print(canceled.sentence(message.scope))
    return 1 if canceled.open else 0


@dataclass(frozen=True)
class Canceled:
    """How many orders were open, how many of them have ended, and the client ids of those that have not."""

    orders: int
    ended: int
    open: list[str]
    ms: int

    def sentence(self, scope: str) -> str:
        """The same for people; a line for each order that is still open."""
        if not self.orders:
            return f"No order was open in {scope}."
        done = f"{self.ended} of {self.orders} open orders in {scope} ended in {self.ms} ms."
        left = [f"still open, its cancel was asked for: {client_order_id}" for client_order_id in self.open]
        return "\n".join((done, *left))


async def cancel(client: "Client", account: str, message: "CancelOrders", wait_s: float) -> Canceled:
    """Have orders canceled, and wait for what becomes of them.

    Raises BackboneError where no OMS takes it: then nothing was canceled.
    """
    from bus.account_messages import OrdersCanceled
    from bus.errors import BackboneError
    from ops.journal_follower import JournalFollower, NotTaken

    began = time.monotonic()
    follower = await JournalFollower.begin(client, account)
    try:
        orders = (await follower.ask(message, OrdersCanceled)).orders
    except NotTaken as error:
        came = "" if error.alive else ": nothing was canceled"
        raise BackboneError(
            f"{error}{came}. See `backbone status`; where the OMS cannot be started, cancel at the broker"
        ) from error
    left = await _open_after(follower, set(orders), began + wait_s)
    took_ms = round((time.monotonic() - began) * 1000)
    return Canceled(len(orders), len(orders) - len(left), sorted(left), took_ms)


async def _open_after(follower: "JournalFollower", orders: set[str], until: float) -> set[str]:
    """Wait until these have ended; returns those that have not by then."""
    from bus.order_events import OrderFilled, OrderRefused, OrderUpdated
    from oms.book.orders import TERMINAL

    left = set(orders)
    while left and time.monotonic() < until:
        for event in await follower.next():
            if isinstance(event, OrderRefused) or (
                isinstance(event, OrderUpdated | OrderFilled) and event.status in TERMINAL
            ):
                left.discard(event.client_order_id)
    return left
