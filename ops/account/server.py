"""The orders server of an account; where nothing runs, ours is started for as long as it is needed."""

import contextlib
from collections.abc import AsyncIterator

from bus import embedded
from bus.connection import Client, connect
from bus.errors import InvalidInput
from bus.settings import BusSettings, load
from ops import running
from ops.orders_server import orders_server
from ops.parent_death import end_with_this_process


@contextlib.asynccontextmanager
async def server_of_account(name: str) -> AsyncIterator[tuple[Client, str]]:
    """Open a client of the orders server, called `name` there, and name the account; closed with the block.

    Raises InvalidInput where no server is named, none runs, and none of ours ever kept this account.
    """
    settings = load(BusSettings)
    if running.are_named() or running.read(settings) is not None:
        async with orders_server(name) as found:
            yield found
        return
    account = settings.account
    claim, directory = running.claim(account), running.data_directory(account) / "orders"
    if claim is None:
        raise InvalidInput(f"`backbone demo` or `backbone up` of account {account} starts just now: stop it")
    try:
        if not directory.is_dir():
            raise InvalidInput(
                f"account {account} has no journal here ({directory} is missing): set BACKBONE_ACCOUNT, "
                "BACKBONE_HOME or ORDERS_REDIS_URL to where it is"
            )
        server = embedded.start("orders", directory, before_exec=end_with_this_process())
        client = connect(server.url, name=name)
        try:
            yield client, account
        finally:
            await client.aclose()
            server.stop()
    finally:
        claim.release()
