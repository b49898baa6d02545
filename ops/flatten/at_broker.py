"""Closes a whole account at the broker itself, or suspends it there, with the keys of the environment."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from bus import streams
from bus.connection import Client, connect
from bus.errors import BackboneError, InvalidInput, ServerAway, ServerRefused
from bus.settings import load
from oms.__main__ import alpaca
from oms.amounts import text
from oms.broker.alpaca_broker import AlpacaBroker
from oms.broker.protocol import BrokerError, BrokerPosition, OrdersQuery, UnreadablePosition
from oms.settings import OmsSettings
from ops import running
from ops.pinned_account import pinned_account
from ops.status.heartbeat_reader import read_heartbeats

# How often the broker is looked at while its orders end: well within its limit of requests.
_LOOK_S = 1.0

# A position whose orders were not quite canceled yet is refused: it is asked for again, so often.
_TRIES = 5


@dataclass
class AtBroker:
    """An account at the broker, as keys open it. `alive` names processes that order on it, "" for none;
    `doubt` is why that could not be found out. `orders_url` is its orders server, "" where none is known."""

    broker: AlpacaBroker
    name: str
    trading: str
    number: str
    alive: str = ""
    doubt: str = ""
    orders_url: str = ""


@dataclass
class Left:
    """What the broker still holds, by symbol, and its words to those that it did not close."""

    positions: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def size_of(position: BrokerPosition | UnreadablePosition) -> str:
    """So many shares or coins; of a position that cannot be read, that it cannot be."""
    return text(position.quantity) if isinstance(position, BrokerPosition) else "an unreadable number of"


@contextlib.asynccontextmanager
async def account_at_broker() -> AsyncIterator[AtBroker]:
    """The account of the keys; its connections are closed with the block.

    Raises InvalidInput for keys that are missing, or of another account than the journal's.
    """
    settings = load(OmsSettings)
    broker = alpaca(settings)
    try:
        try:
            number = (await broker.account()).number
        except BrokerError as error:
            raise BackboneError(f"the account at Alpaca could not be read: {error}") from error
        found = AtBroker(broker, settings.account, settings.trading, number)
        here = running.of(settings.account)
        known = running.given_servers(settings, orders_only=True) or (here and here.servers)
        if known:
            found.orders_url = known.orders
            client = connect(known.orders, name="ops-at-broker")
            try:
                await _compare(found, client)
            except (ServerAway, ServerRefused) as error:
                found.doubt = str(error)
            finally:
                await client.aclose()
        else:
            found.doubt = "no server is named, and none runs here"
        yield found
    finally:
        await broker.close()


async def _compare(found: AtBroker, client: Client) -> None:
    """Hold the keys against the journal, and see who is alive."""
    account = found.name
    pinned = await pinned_account(client, account)
    if pinned is not None and pinned.number != found.number:
        raise InvalidInput(
            f"the keys are of Alpaca's account {found.number}, and the journal of {account} belongs to "
            f"{pinned.number}: set the keys of that one, or BACKBONE_ACCOUNT"
        )
    beats = await read_heartbeats(client, account)
    alive = [f"{one.process} ({one.instance})" for one in beats if one.process == "oms"]
    if not alive and await client.exists(streams.oms_lease(account)):
        alive = ["one that holds the lease; where it was killed, that runs out within seconds"]
    found.alive = ", ".join(alive)


async def close_all(broker: AlpacaBroker, wait_s: float) -> Left:
    """Cancel every order, then have the broker close every position, and wait for that.

    Raises BrokerError where the broker does not say what it did: look there before trying again.
    """
    until = time.monotonic() + wait_s
    await broker.cancel_all()
    await _until(until, lambda: _nothing_open(broker))
    left = Left()
    for _ in range(_TRIES):
        left.refused = {one.symbol: one.refused for one in await broker.close_all() if one.refused}
        # What was refused was certainly not carried out, and what is being closed has nothing left to close.
        if not left.refused or time.monotonic() >= until:
            break
        await asyncio.sleep(_LOOK_S)
    await _until(until, lambda: _closed(broker, left))
    return left


async def _nothing_open(broker: AlpacaBroker) -> bool:
    return not (await broker.orders_page(OrdersQuery("open"))).orders


async def _closed(broker: AlpacaBroker, left: Left) -> bool:
    left.positions = {one.symbol: held for one in await broker.positions() if (held := size_of(one)) != "0"}
    return not left.positions.keys() - left.refused.keys()


async def _until(until: float, holds: Callable[[], Awaitable[bool]]) -> None:
    """Look until it holds, or the time is over; once at least."""
    while True:
        if await holds() or time.monotonic() >= until:
            return
        await asyncio.sleep(_LOOK_S)
