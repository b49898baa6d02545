"""A standby: it folds the journal while another OMS leads, so that it has little to do when it takes over."""

import asyncio

from bus.service import ended
from oms.service import Oms

# How often it looks for what was written, and says how far it is.
LOOK_S = 0.1

# Orders that it hashes for its digest each time: nobody waits for it meanwhile, but a takeover.
_MOST_HASHED_WHILE_STANDING_BY = 2_500


async def took_over(oms: Oms) -> bool:
    """Wait until the lease is ours; False where a stop came first.

    The state is then what the journal says, but for what was written last. Raises Unreadable.
    """
    following = asyncio.create_task(_follow(oms))
    taking = asyncio.create_task(oms.lease.take(stopping=oms.service.stopping, tell=oms.wait_for))
    try:
        await asyncio.wait({following, taking}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
        return await taking
    finally:
        await ended(following, taking)


async def _follow(oms: Oms) -> None:
    """Have the state be what the journal says, until cancelled."""
    while True:
        await oms.journal.fold(oms.engine.apply_all)
        oms.tell(_MOST_HASHED_WHILE_STANDING_BY)
        await asyncio.sleep(LOOK_S)
