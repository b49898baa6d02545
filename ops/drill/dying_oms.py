"""An OMS that kills itself at a point: `python -m ops.drill.dying_oms POINT KIND LIMITS`.

Points: `before_journal` (an approval was decided, nothing is written), `before_call` (what was decided is
durable, the broker has heard nothing), `after_call` (the broker has answered, and that is written nowhere).
Kinds: `order` (with a limit: those at the market are the load beside it), `bracket`, `replace` and `cancel`,
which has no approval. It dies where both are met first.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from bus.codec import Message
from bus.delivery import Delivery
from bus.order_events import OrderApproved
from oms.__main__ import alpaca, start
from oms.broker.protocol import Broker, MaySend, Outcome
from oms.journal.journal import Journal
from oms.risk.approval import Approved
from oms.settings import OmsSettings

POINTS = ("before_journal", "before_call", "after_call")
KINDS = ("order", "bracket", "replace", "cancel")


class Deaths:
    """Where this process is to die."""

    def __init__(self, point: str, kind: str) -> None:
        self._point, self._kind = point, kind

    def reached(self, point: str, kind: str) -> None:
        """Die here where it is the point."""
        if (point, kind) == (self._point, self._kind):
            os.kill(os.getpid(), signal.SIGKILL)

    def journal(self) -> Callable[..., Journal]:
        """A journal that dies before it writes an approval of the kind."""
        reached = self.reached

        class DyingJournal(Journal):
            def commit(
                self, events: Sequence[Message], acknowledged: Sequence[Delivery] = ()
            ) -> "asyncio.Future[None]":
                for event in events:
                    if isinstance(event, OrderApproved):
                        reached("before_journal", _kind_of(event))
                return super().commit(events, acknowledged)

        return DyingJournal

    def broker(self, settings: OmsSettings) -> Broker:
        """Alpaca's broker that dies before or after a call of the kind."""
        broker = alpaca(settings)
        cancel = broker.cancel

        async def canceled(broker_order_id: str) -> None:
            self.reached("before_call", "cancel")
            try:
                await cancel(broker_order_id)
            finally:
                self.reached("after_call", "cancel")

        broker.submit = self._dying(broker.submit)  # type: ignore[method-assign]
        broker.replace = self._dying(broker.replace)  # type: ignore[method-assign]
        broker.cancel = canceled  # type: ignore[method-assign]
        return broker

    def _dying(self, send: Callable[[Approved, MaySend], Awaitable[Outcome]]) -> Any:
        async def sent(approved: Approved, may_send: MaySend) -> Outcome:
            kind = _kind_of(approved.event)
            self.reached("before_call", kind)
            try:
                return await send(approved, may_send)
            finally:
                self.reached("after_call", kind)

        return sent


def _kind_of(event: OrderApproved) -> str:
    if event.replaces is not None:
        return "replace"
    if event.terms.order_class != "simple":
        return "bracket"
    return "load" if event.terms.type == "market" else "order"


if __name__ == "__main__":
    deaths = Deaths(sys.argv[1], sys.argv[2])
    sys.exit(start(Path(sys.argv[3]), deaths.broker, deaths.journal()))
