"""Asks an account's OMS for something on control, and waits for its answer in the journal."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from bus.errors import BackboneError, InvalidInput

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.codec import Message
    from bus.connection import Client
    from bus.control_messages import AccountCommand


async def asked(
    client: "Client",
    account: str,
    message: "AccountCommand",
    is_answer: "Callable[[Message, str], bool]",
    wait_s: float,
    nothing_done: str,
) -> "Message":
    """Say it, and return the OMS's answer, which `is_answer` knows by the entry's id in control.

    Raises InvalidInput with the OMS's own words where it declines, and BackboneError where no answer comes.
    """
    from bus import control
    from bus.book_messages import Declined
    from ops.following import Following

    following = await Following.begin(client, account)
    entry_id = await control.tell(client, message)
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        for event in await following.next():
            if isinstance(event, Declined) and event.entry_id == entry_id:
                raise InvalidInput(event.why)
            if is_answer(event, entry_id):
                return event
    raise BackboneError(f"no answer within {wait_s:g} s: {nothing_done}. See `backbone status`")
