"""Asks history for what the streams of a group miss."""

from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import Any, Protocol

from bus.clock import Clock
from ingest.gaps.gap_group import Group


class History(Protocol):
    """Messages of the past, as `ingest/data_api/alpaca_history.py` gets them."""

    def pages(
        self, channel: str, symbols: Sequence[str], since_ns: int, until_ns: int
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Messages of these symbols, page by page, each symbol's in order.

        Raises NotGiven, DataUnreachable.
        """


async def asked(source: History, group: Group, until_ns: int, clock: Clock) -> AsyncIterator[None]:
    """Ask for what a group's streams miss; goes on after each page, which their fills have taken."""
    fills = {fill.hole.symbol: fill for fill in group.fills.values()}
    asked_from_ns = {symbol: fill.asked_from_ns for symbol, fill in fills.items()}
    since_ns = min(asked_from_ns.values())
    async for page in source.pages(group.channel, list(fills), since_ns, until_ns):
        now_ns = clock.now_ns()
        for symbol, messages in groupby(page, key=lambda message: message["S"]):
            if symbol in fills:
                # One that is asked for from later on than others has taken what was before.
                begin_ns = asked_from_ns[symbol]
                fills[symbol].take((one for one in messages if one["t"] >= begin_ns), now_ns)
        yield
