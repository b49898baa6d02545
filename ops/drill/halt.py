"""The halt drill: from the command to the last order, and the last cancel, that reached the broker."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

from bus.control_messages import Halt
from bus.errors import BackboneError
from bus.heartbeat import State
from bus.rfc3339 import time_ns
from bus.service import ended
from bus.streams import CONTROL
from ops.drill.load import SYMBOL, Load
from ops.drill.system import ACCOUNT, UNLIMITED, System, whole_system
from ops.run.differences import LedgerOrder
from ops.status.heartbeat_reader import read_heartbeats

# Promised for each trial.
WITHIN_MS = 250

# Far below the market, so that every order rests and is there to be canceled.
_LIMIT = Decimal(5)

# Orders flow for so long before each command: past the burst that the request budget lets through.
_FLOW_S = 2.0

# Without an order and a cancel for so long, none is on its way any more.
_QUIET_S = 2.0

_READY_WITHIN_S = 30.0
_POLL_S = 0.1


@dataclass(frozen=True)
class Asked:
    """How many orders are asked for a second, and how many requests a minute the broker takes; 0: any."""

    a_second: float
    requests_per_minute: int

    def __str__(self) -> str:
        broker = f"{self.requests_per_minute} a minute" if self.requests_per_minute else "any number"
        return f"{self.a_second:g} requests a second, {broker} taken by the broker"


@dataclass(frozen=True)
class Trial:
    """One halt under load, by the clock of this machine, from the moment at which the halt stands in control.

    `last_order_ms`: the last order that reached the ledger, 0 where none did after it. `last_cancel_ms`: the
    last that was canceled; None where nothing was to be. `sent` and `canceled` are how many there were.
    `command_ms` is how long the command took from its start until the halt stood there.
    """

    command: str
    load: str
    sent: int
    canceled: int
    last_order_ms: float
    last_cancel_ms: float | None
    command_ms: float

    @property
    def passed(self) -> bool:
        """Whether it kept what is promised."""
        missing = "--cancel" in self.command and self.canceled < self.sent
        return not missing and max(self.last_order_ms, self.last_cancel_ms or 0.0) <= WITHIN_MS

    def __str__(self) -> str:
        orders = "no order" if not self.last_order_ms else f"last order {self.last_order_ms:.0f} ms"
        cancels = (
            ""
            if self.last_cancel_ms is None
            else f", the last of {self.canceled} cancels {self.last_cancel_ms:.0f} ms"
        )
        verdict = "" if self.passed else f": MORE THAN {WITHIN_MS} ms"
        after = f"after the halt, of {self.sent} sent; the command took {self.command_ms:.0f} ms"
        return f"{self.command} ({self.load}): {orders}{cancels} {after}{verdict}"


async def run(loads: Sequence[Asked], times: int, say: Callable[[str], None]) -> list[Trial]:
    """Halt so many times under each load, by turns with and without --cancel."""
    trials: list[Trial] = []
    for load in loads:
        arguments = ["--symbols", SYMBOL, "--rate", "5", "--cash", "1000000000"]
        budget = load.requests_per_minute or UNLIMITED
        async with whole_system(arguments, requests_per_minute=budget) as system:
            system.start_oms("oms")
            await _until(lambda: _ready(system))
            for number in range(times):
                for command in (("halt",), ("halt", "--cancel")):
                    trials.append(await _trial(system, load, command, f"drill-{len(trials)}"))
                    say(f"{number + 1} of {times}: {trials[-1]}")
    return trials


async def _trial(system: System, load: Asked, command: tuple[str, ...], algorithm: str) -> Trial:
    before = {order.id for order in (await system.control.ledger()).orders}
    async with _asking(system, load, algorithm):
        await _until(lambda: _sent_since(system, len(before)))
        await asyncio.sleep(_FLOW_S)
        began_ms = time.time_ns() / 1e6
        await _command(system, *command)
        at_ms = await _stood_ms(system)
    orders = [order for order in await _quiet(system) if order.id not in before]
    await _command(system, "resume")
    if command == ("halt",):
        # What rests must not be in the next trial's way.
        await _command(system, "cancel-all")
    created_ms = [time_ns(order.created_at) / 1e6 - at_ms for order in orders]
    canceled_ms = [time_ns(one.canceled_at) / 1e6 - at_ms for one in orders if one.canceled_at is not None]
    return Trial(
        command=" ".join(command),
        load=str(load),
        sent=len(orders),
        canceled=len(canceled_ms),
        last_order_ms=max(0.0, *created_ms),
        last_cancel_ms=max(canceled_ms, default=None) if "--cancel" in command else None,
        command_ms=at_ms - began_ms,
    )


@asynccontextmanager
async def _asking(system: System, load: Asked, algorithm: str) -> AsyncIterator[None]:
    """An algorithm of its own that asks for orders: one that was refused often is read more slowly."""
    url = system.environment["ORDERS_REDIS_URL"]
    asking = Load(system.orders, url, algorithm=algorithm, limit_price=_LIMIT)
    wanting = asyncio.create_task(asking.want())
    await asking.begin()
    task = asyncio.create_task(asking.run(load.a_second))
    try:
        yield
    finally:
        await ended(task, wanting)
        await asking.close()


async def _stood_ms(system: System) -> float:
    """When the last halt stood in control, by the clock of the orders server."""
    for entry_id, fields in await system.orders.xrevrange(CONTROL, count=10):
        if fields[b"type"] == Halt.wire.encode():
            return float(entry_id.decode().partition("-")[0])
    raise BackboneError("no halt stands in control")


async def _command(system: System, *arguments: str) -> None:
    """Run a command to its end; that orders have not ended yet is no failure."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops", *arguments, "--reason", "drill", "--json",
        env=dict(system.environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate()
    if not out:
        raise BackboneError(f"`backbone {' '.join(arguments)}` failed: {errors.decode()[-500:]}")


async def _quiet(system: System) -> Sequence[LedgerOrder]:
    """The ledger's orders, once none has come or been canceled for a while."""
    known, since = (0, 0), time.monotonic()
    while True:
        orders = (await system.control.ledger()).orders
        found = len(orders), sum(order.canceled_at is not None for order in orders)
        if found != known:
            known, since = found, time.monotonic()
        elif time.monotonic() - since >= _QUIET_S:
            return orders
        await asyncio.sleep(_POLL_S)


async def _sent_since(system: System, before: int) -> bool:
    return len((await system.control.ledger()).orders) > before


async def _ready(system: System) -> bool:
    beats = await read_heartbeats(system.orders, ACCOUNT)
    return any(one.process == "oms" and getattr(one, "state", "") == State.READY for one in beats)


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_READY_WITHIN_S):
        while True:
            if await holds():
                return
            await asyncio.sleep(_POLL_S)
