"""An OMS that kills itself at a point: `python -m ops.drill.dying_oms POINT KIND [COUNT [LIMITS]]`.

Points: `before_journal` (it was decided, nothing is written), `before_call` (what was decided is durable, the
broker has heard nothing), `after_call` (the broker has answered, and that is written nowhere); `never`.
Kinds: `order` (with a limit: those at the market are the load beside it), `bracket`, `replace` and `cancel`,
which has no approval; for tests also `approval` (each of the first three, and the load), `cancel_all`, and
`flatten_end`, which is only written. It dies where both are met for the COUNTth time, once without one.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
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

POINTS = ("before_journal", "before_call", "after_call")
KINDS = ("order", "bracket", "replace", "cancel")


class Death:
    """Where this process is to die. Mutable: how often it is to come there until then."""

    def __init__(self, point: str, kind: str, count: int) -> None:
        self._point, self._kind, self._left = point, kind, count

    def reached(self, point: str, *kinds: str) -> None:
        """Die here where it is the point, and what is done is of the kind."""
        if point == self._point and self._kind in kinds:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def journal(self) -> Callable[..., Journal]:
        """A journal that dies before it writes what is of the kind."""
        reached = self.reached

        class DyingJournal(Journal):
            def commit(
                self,
                events: Sequence[Message],
                acknowledged: Sequence[Delivery] = (),
                *,
                tell_later: bool = False,
            ) -> "asyncio.Future[None]":
                for event in events:
                    if isinstance(event, OrderApproved):
                        reached("before_journal", *_kinds_of(event))
                    elif isinstance(event, FlattenEnded):
                        reached("before_journal", "flatten_end")
                return super().commit(events, acknowledged, tell_later=tell_later)

        return DyingJournal

    def broker(self, settings: OmsSettings) -> Broker:
        """Alpaca's broker that dies before or after a call of the kind."""
        broker = alpaca(settings)
        cancel, cancel_all = broker.cancel, broker.cancel_all

        async def canceled(broker_order_id: str) -> None:
            with self._around("cancel"):
                await cancel(broker_order_id)

        async def all_canceled() -> None:
            with self._around("cancel_all"):
                await cancel_all()

        broker.submit = self._dying(broker.submit)  # type: ignore[method-assign]
        broker.replace = self._dying(broker.replace)  # type: ignore[method-assign]
        broker.cancel = canceled  # type: ignore[method-assign]
        broker.cancel_all = all_canceled  # type: ignore[method-assign]
        return broker

    def _dying(self, send: Callable[[Approved, MaySend], Awaitable[Outcome]]) -> Any:
        async def sent(approved: Approved, may_send: MaySend) -> Outcome:
            with self._around(*_kinds_of(approved.event)):
                return await send(approved, may_send)

        return sent

    @contextmanager
    def _around(self, *kinds: str) -> Iterator[None]:
        self.reached("before_call", *kinds)
        try:
            yield
        finally:
            self.reached("after_call", *kinds)


def _kinds_of(event: OrderApproved) -> tuple[str, str]:
    if event.replaces is not None:
        return "approval", "replace"
    if event.terms.order_class != "simple":
        return "approval", "bracket"
    return "approval", "load" if event.terms.type == "market" else "order"


if __name__ == "__main__":
    point, kind, *more = sys.argv[1:]
    death = Death(point, kind, int(more[0]) if more else 1)
    limits = Path(more[1]) if len(more) > 1 else None
    sys.exit(start(limits, death.broker, death.journal()))
