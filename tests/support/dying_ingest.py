"""An ingest that kills itself at one step of filling a gap: `python tests/support/dying_ingest.py <step>`."""

import os
import signal
import sys
from typing import Any

from bus.market_writer import MarketWriter
from ingest import __main__ as ingest
from ingest.data_api.alpaca_history import History
from ingest.gaps.held_back import HeldBack

# What is about to be done, or has just been sent, when it dies; `b` is what came from history.
STEPS = ("asking", "holding", "before b", "after b", "before GapClosed", "after GapClosed", "after releasing")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(step: str) -> None:
    """Make this process die at its first time at this step."""
    write, hold, pages = MarketWriter.write, HeldBack.hold, History.pages
    closed = False

    async def dying_write(self: MarketWriter, batch: Any) -> None:
        nonlocal closed
        if step == f"before {batch.marker}":
            die()
        await write(self, batch)
        if step == f"after {batch.marker}" or (step == "after releasing" and closed and batch.streams):
            die()
        closed = closed or batch.marker == "GapClosed"

    def dying_hold(self: Any, batch: Any) -> Any:
        if step == "holding":
            die()
        return hold(self, batch)

    def dying_pages(self: Any, *asked: Any) -> Any:
        if step == "asking":
            die()
        return pages(self, *asked)

    MarketWriter.write = dying_write  # type: ignore[method-assign]
    HeldBack.hold = dying_hold  # type: ignore[method-assign]
    History.pages = dying_pages  # type: ignore[method-assign]


if __name__ == "__main__":
    assert sys.argv[1] in STEPS, sys.argv[1]
    arm(sys.argv.pop(1))
    ingest.main()
