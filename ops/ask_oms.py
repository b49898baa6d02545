"""Asks an account's OMS for something that its book answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from bus.errors import BackboneError
from ops.journal_follower import JournalFollower, NotTaken

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.control_messages import AccountCommand

Answer = TypeVar("Answer")


async def ask_oms(
    name: str,
    message: "Callable[[str], AccountCommand]",
    answer: type[Answer],
    *,
    undone: str,
    hindered: str = "",
) -> Answer:
    """Say the message for the account here, as the client `name`, and return the OMS's answer.

    Raises InvalidInput with the OMS's own words where it declines, and BackboneError where no answer comes:
    with `undone` where no OMS is alive, and where one is, with what may have `hindered` it.
    """
    from ops.orders_server import orders_server

    async with orders_server(name) as (client, account):
        follower = await JournalFollower.begin(client, account)
        try:
            return await follower.ask(message(account), answer)
        except NotTaken as error:
            why = f"{error}; {said}" if (said := hindered if error.alive else undone) else str(error)
            raise BackboneError(f"{why}. See `backbone status`") from error
