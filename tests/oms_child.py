"""An OMS as a process of its own that kills itself at a named point: `python tests/oms_child.py POINT COUNT`.

Points: `never`, `before_journal` (an approval was decided, nothing is written), `before_send` (the approval
is durable, the broker has heard nothing), `after_send` (the broker has the order, its answer is not written).
It dies when the point is reached for the COUNTth time.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterable

from bus.consume import Delivery
from bus.order_messages import OrderApproved
from oms.__main__ import alpaca, start
from oms.broker import BeforeSend, Broker, BrokerOrder
from oms.journal import Entry, Journal
from oms.risk import Approved
from oms.settings import OmsSettings

POINTS = ("never", "before_journal", "before_send", "after_send")

_point, _left = sys.argv[1], int(sys.argv[2])


def _reached(point: str) -> None:
    global _left
    if point == _point:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingJournal(Journal):
    """Dies before it writes an approval."""

    def commit(
        self, entries: Iterable[Entry], acknowledged: Iterable[Delivery] = ()
    ) -> "asyncio.Future[None]":
        """As the journal does, unless it dies first."""
        entries = list(entries)
        if any(isinstance(entry.event, OrderApproved) for entry in entries):
            _reached("before_journal")
        return super().commit(entries, acknowledged)


def _dying(settings: OmsSettings) -> Broker:
    broker = alpaca(settings)
    send = broker.submit

    def submit(approved: Approved, before_send: BeforeSend) -> BrokerOrder:
        _reached("before_send")
        order = send(approved, before_send)
        _reached("after_send")
        return order

    broker.submit = submit  # type: ignore[method-assign]
    return broker


if __name__ == "__main__":
    sys.exit(start(None, _dying, DyingJournal))
