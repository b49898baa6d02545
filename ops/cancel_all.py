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

_ALGO = Annotated[str | None, typer.Option(help="only orders of this algorithm")]
_SYMBOL = Annotated[str | None, typer.Option(help="only orders in this symbol")]
_ACCOUNT = Annotated[str | None, typer.Option(help="only on this account")]
_REASON = Annotated[str, typer.Option(help="why; it stays on record")]
_WAIT = Annotated[float, typer.Option(min=0, max=600, help="seconds to wait for the orders to end")]
_JSON = Annotated[bool, typer.Option("--json", help="print one JSON object")]

# The OMS follows control: it takes what it hears within milliseconds.
_TAKEN_WITHIN_S = 2.0

_POLL_S = 0.01


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
    began = time.monotonic()
    following = await _Following.begin(client, account)
    orders = await following.told(message)
    left = await following.ended(set(orders), began + wait_s)
    took_ms = round((time.monotonic() - began) * 1000)
    return Canceled(len(orders), len(orders) - len(left), sorted(left), took_ms)


class _Following:
    """Follows an account's journal from a moment on. Mutable: how far."""

    def __init__(self, client: "Client", journal: str, position: str) -> None:
        self._client, self._journal, self._position = client, journal, position
        self._ended: set[str] = set()

    @classmethod
    async def begin(cls, client: "Client", account: str) -> "_Following":
        """From the journal's present end on."""
        from bus.streams import journal

        last = await client.xrevrange(journal(account), count=1)
        return cls(client, journal(account), last[0][0].decode() if last else "0-0")

    async def told(self, message: "CancelOrders") -> tuple[str, ...]:
        """Tell the OMS; returns the client ids of what was open. Raises BackboneError without an OMS."""
        from bus import control
        from bus.account_messages import OrdersCanceled
        from bus.errors import BackboneError

        entry_id = await control.tell(self._client, message)
        until = time.monotonic() + _TAKEN_WITHIN_S
        while time.monotonic() < until:
            for event in await self._next():
                if isinstance(event, OrdersCanceled) and event.entry_id == entry_id:
                    return event.orders
        raise BackboneError(
            f"no OMS took it within {_TAKEN_WITHIN_S:g} s: nothing was canceled. See `backbone status`; "
            "where the OMS cannot be started, cancel at the broker"
        )

    async def ended(self, orders: set[str], until: float) -> set[str]:
        """Wait until these have ended; returns those that have not by then."""
        while orders - self._ended and time.monotonic() < until:
            await self._next()
        return orders - self._ended

    async def _next(self) -> list[object]:
        """What the journal says next, after a short wait where it says nothing."""
        from bus.order_events import OrderFilled, OrderRefused, OrderUpdated
        from oms.journal_reader import EVENT_CODEC
        from oms.orders import TERMINAL

        entries = await self._client.xrange(self._journal, f"({self._position}", count=500)
        if not entries:
            await asyncio.sleep(_POLL_S)
        events: list[object] = []
        for entry_id, fields in entries:
            self._position = entry_id.decode()
            event = EVENT_CODEC.decode(fields)
            events.append(event)
            if isinstance(event, OrderRefused) or (
                isinstance(event, OrderUpdated | OrderFilled) and event.status in TERMINAL
            ):
                self._ended.add(event.client_order_id)
        return events
