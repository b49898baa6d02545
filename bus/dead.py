"""The former way to keep a dead letter, for callers that do not say which process they are."""

from bus.connection import Client
from bus.dead_letters import write_dead_letter
from bus.delivery import Delivery
from bus.streams import DEAD


async def bury(client: Client, delivery: Delivery, error: BaseException, *, dead: str = DEAD) -> None:
    """Keep an entry in `dead` with the reason; `write_dead_letter` is what to call."""
    await write_dead_letter(client, delivery, error, by="", into=dead)
