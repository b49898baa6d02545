"""What stands against an order before it leaves, and waiting for what a stall kept from being known."""

import asyncio
from collections.abc import Callable

from bus.halt import HaltWatch
from bus.lease import Lease
from bus.order_messages import Reason
from oms.risk.approval import Approved

# A stall, of ours or of the orders server, leaves lease and halt state too old to act on; both are there
# again within milliseconds once it is over. What is not there after this is away.
STALL_OVER_S = 0.5

_LOOK_S = 0.005

_LEASE_LOST = Reason(code="lease_lost", message="this OMS does not hold its lease any more: not sent")
_CONTROL_UNREAD = Reason(code="control_unread", message="the control stream is not readable: not sent")


class Objections:
    """Asks lease, control and rules what stands against an order.

    Whoever asks directly after a stall would hear of what the stall alone has made old: `until_...` waits for
    it first. Mutable: whether the last wait was in vain, then the next one waits no more.
    """

    def __init__(
        self, lease: Lease, halts: HaltWatch, rules_against: Callable[[Approved], Reason | None]
    ) -> None:
        self._lease, self._halts, self._rules_against = lease, halts, rules_against
        self._in_vain = False

    def __repr__(self) -> str:
        return f"<objections: {self._lease!r}, control {'read' if self._halts.fresh() else 'unread'}>"

    def against(self, approved: Approved) -> Reason | None:
        """What stands against an approved order directly before its first byte leaves; None for nothing."""
        if not self._lease.held:
            return _LEASE_LOST
        if not approved.closes and not self._halts.fresh():
            return _CONTROL_UNREAD
        return self._rules_against(approved)

    async def until_control_is_read(self) -> None:
        """Wait until the halt state is fresh, at most `STALL_OVER_S`."""
        await self._until(self._halts.fresh)

    async def until_known(self, approved: Approved) -> None:
        """Wait until the lease is ours and, unless the order closes, the halt state fresh."""
        await self._until(lambda: self._lease.held and (approved.closes or self._halts.fresh()))

    async def _until(self, known: Callable[[], bool]) -> None:
        if known():
            self._in_vain = False
            return
        if self._in_vain:
            return
        try:
            async with asyncio.timeout(STALL_OVER_S):
                while not known():  # noqa: ASYNC110 - the keeper and the watch tell nobody
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            self._in_vain = True
