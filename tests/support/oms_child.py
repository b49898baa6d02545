"""An OMS as a process of its own that kills itself at a named point: `python oms_child.py POINT COUNT`.

Points: `never`, `before_journal` (an approval was decided, nothing is written), `before_send` (the approval
is durable, the broker has heard nothing), `after_send` (the broker has the order, its answer is not written),
`before_cancel` and `after_cancel` (of all orders), `before_end` (a flatten is done, and that is not written).
It dies when the point is reached for the COUNTth time.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bus.codec import Message
from bus.delivery import Delivery
from bus.flatten_messages import FlattenEnded
from bus.order_events import OrderApproved
from oms.__main__ import alpaca, start
from oms.broker.protocol import Broker, MaySend, Outcome
from oms.journal.journal import Journal
from oms.risk.approval import Approved
from oms.settings import OmsSettings

# What is written after a point is reached.
_BEFORE: dict[str, type[Message]] = {
    "before_journal": OrderApproved,
    "before_end": FlattenEnded,
}

_point, _left = sys.argv[1], int(sys.argv[2])


def _reached(point: str) -> None:
    global _left
    if point == _point:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingJournal(Journal):
    """Dies before it writes what a point is about."""

    def commit(
        self, events: Sequence[Message], acknowledged: Sequence[Delivery] = ()
    ) -> "asyncio.Future[None]":
        """As the journal does, unless it dies first."""
        for point, kind in _BEFORE.items():
            if any(isinstance(event, kind) for event in events):
                _reached(point)
        return super().commit(events, acknowledged)


def _dying(settings: OmsSettings) -> Broker:
    broker = alpaca(settings)

    def dying(send: Callable[[Approved, MaySend], Awaitable[Outcome]]) -> Any:
        async def sent(approved: Approved, may_send: MaySend) -> Outcome:
            _reached("before_send")
            outcome = await send(approved, may_send)
            _reached("after_send")
            return outcome

        return sent

    cancel_all = broker.cancel_all

    async def canceled() -> None:
        _reached("before_cancel")
        await cancel_all()
        _reached("after_cancel")

    broker.cancel_all = canceled  # type: ignore[method-assign]
    broker.submit = dying(broker.submit)  # type: ignore[method-assign]
    broker.replace = dying(broker.replace)  # type: ignore[method-assign]
    return broker


if __name__ == "__main__":
    sys.exit(start(None, _dying, DyingJournal))
