"""Has the OMS of an account flatten a scope, and follows what becomes of it."""

import time
from collections.abc import Callable

from bus import streams
from bus.connection import Client
from bus.control_messages import Flatten
from bus.errors import BackboneError
from bus.flatten_messages import FlattenBegun
from ops.flatten.progress import Progress
from ops.journal_follower import JournalFollower, NotTaken

# How often somebody who waits is told how far it is.
_TELL_S = 2.0


async def flatten(
    client: Client, account: str, message: Flatten, wait_s: float, say: Callable[[str], None]
) -> Progress:
    """Flatten, and wait for the end; `say` is told each symbol that is done, and how far the others are.

    Raises BackboneError where no OMS takes it: then nothing was sent.
    """
    if not await client.exists(streams.oms_lease(account)):
        raise BackboneError(_no_oms(f"no OMS of account {account} is alive"))
    follower = await JournalFollower.begin(client, account)
    until = time.monotonic() + wait_s
    try:
        progress = Progress(await follower.ask(message, FlattenBegun))
    except NotTaken as error:
        if error.alive:
            raise BackboneError(
                f"{error}. See `backbone status` and `backbone tail` for what it does"
            ) from error
        raise BackboneError(_no_oms(str(error))) from error
    told = time.monotonic()
    while not progress.ended and time.monotonic() < until:
        for line in progress.take(await follower.next()):
            say(line)
        if time.monotonic() - told >= _TELL_S and not progress.ended:
            told = time.monotonic()
            for line in progress.under_way():
                say(f"waiting: {line}")
    return progress


def _no_oms(why: str) -> str:
    return (
        f"{why}: nothing was sent. See `backbone status` and start it with `backbone up` or `backbone oms`; "
        "or have the broker close the whole account: `backbone flatten --without-oms --reason ...`"
    )
