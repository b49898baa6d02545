"""The orders server of an account; where nothing runs, ours is started for as long as it is needed."""

import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from bus import embedded
from bus.connection import Client, connect, require_server
from bus.errors import InvalidInput
from bus.settings import BusSettings, load
from ops import running
from ops.parent_death import end_with_this_process


class AccountServer(NamedTuple):
    """A client of the orders server, the account's name, and the server's address."""

    client: Client
    account: str
    url: str


@contextlib.asynccontextmanager
async def server_of_account(name: str, *, may_be_new: bool = False) -> AsyncIterator[AccountServer]:
    """Open a client of the orders server, called `name` there; closed with the block.

    Raises InvalidInput where no server is named, none runs, and none of ours ever kept this account, unless
    it `may_be_new`: then ours begins to keep it.
    """
    settings = load(BusSettings)
    account = settings.account
    here = running.of(account)
    known = running.given_servers(settings, orders_only=True) or (here.servers if here is not None else None)
    if known is not None:
        async with _client(known.orders, name) as client:
            await require_server(client, known.orders, "ORDERS_REDIS_URL")
            yield AccountServer(client, account, known.orders)
        return
    directory = running.data_directory(account) / "orders"
    claim = running.claim(account)
    if claim is None:
        raise InvalidInput(f"`backbone demo` or `backbone up` of account {account} starts just now: stop it")
    try:
        if not directory.is_dir() and not may_be_new:
            raise InvalidInput(
                f"account {account} has no journal here ({directory} is missing): set BACKBONE_ACCOUNT, "
                "BACKBONE_HOME or ORDERS_REDIS_URL to where it is"
            )
        server = embedded.start("orders", directory, before_exec=end_with_this_process())
        try:
            async with _client(server.url, name) as client:
                yield AccountServer(client, account, server.url)
        finally:
            server.stop()
    finally:
        claim.release()


@contextlib.asynccontextmanager
async def _client(url: str, name: str) -> AsyncIterator[Client]:
    client = connect(url, name=name)
    try:
        yield client
    finally:
        await client.aclose()
