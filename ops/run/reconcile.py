"""Reconciles book, algorithms and broker at the end of a run, once all have heard everything."""

import asyncio

from bus.errors import ServerUnreachable
from ops.run.differences import Ledger, differences
from ops.run.reader import RunReader
from ops.run.simulator import Control

# What has not arrived after ten seconds counts as lost: that is a difference.
WITHIN_S = 10.0

# An order whose outcome is unknown is cleared up only after the OMS's own waits.
UNCERTAIN_WITHIN_S = 40.0
_POLL_S = 0.1


async def reconcile(reader: RunReader, control: Control | None) -> list[str]:
    """Compare until all agree or time is up; returns what does not agree, empty when all is well.

    Orders still rest at the broker and may be filled between two looks: all must agree over two looks at an
    unchanged ledger. Without a control endpoint (Alpaca) the book is compared with the algorithms alone.
    """
    began = asyncio.get_running_loop().time()
    before: Ledger | None = None
    agreed = False
    while True:
        try:
            ledger = await control.ledger() if control is not None else None
        except ServerUnreachable as error:
            return [str(error)]
        totals = await reader.advance()
        found = differences(totals.book, totals.portfolios, ledger, totals.unanswered)
        if not found and agreed and ledger == before:
            return []
        within_s = UNCERTAIN_WITHIN_S if any(totals.book.unanswered()) else WITHIN_S
        if asyncio.get_running_loop().time() - began > within_s:
            return found
        before, agreed = ledger, not found
        await asyncio.sleep(_POLL_S)
