"""An order given to the sender, for a test that waits for what comes of it."""

import asyncio

from oms.broker.protocol import MaySend, Outcome
from oms.broker.sender import Sender
from oms.risk.approval import Approved


def submitted(sender: Sender, approved: Approved, may_send: MaySend) -> "asyncio.Future[Outcome]":
    """A future of what comes of the order."""
    outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def told(_: Approved, answer: Outcome | BaseException) -> None:
        if outcome.cancelled():
            return
        if isinstance(answer, BaseException):
            outcome.set_exception(answer)
        else:
            outcome.set_result(answer)

    sender.submit(approved, lambda _: may_send(), told)
    return outcome
