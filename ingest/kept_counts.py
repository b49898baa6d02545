"""Counts of one feed that go on through restarts and takeovers, kept beside its streams."""

from collections.abc import Mapping

from bus.connection import Client
from bus.outage import Outage
from bus.streams import market_counts


class KeptCounts:
    """What was ever counted of a feed, whoever served it.

    What is counted here is added once a second: a kill loses a second's counts at most. Mutable: the totals
    as they were kept last, and how much of what is counted here is in them.
    """

    def __init__(self, client: Client, feed: str) -> None:
        self._client = client
        self._key = market_counts(feed)
        self._kept: dict[str, int] = {}
        self._added: dict[str, int] = {}
        self._not_kept = Outage("counts not kept", feed=feed)

    def __repr__(self) -> str:
        return f"<counts in {self._key}>"

    async def keep(self, counted: Mapping[str, int]) -> None:
        """Add what was counted since the last time; a server that is away gets it later."""
        with self._not_kept:
            pipeline = self._client.pipeline(transaction=True)
            for name, count in counted.items():
                pipeline.hincrby(self._key, name, count - self._added.get(name, 0))
            self._kept = dict(zip(counted, await pipeline.execute(), strict=True))
            self._added = dict(counted)

    def totals(self, counted: Mapping[str, int]) -> dict[str, int]:
        """The totals with what was counted here until now."""
        return {
            name: count + self._kept.get(name, 0) - self._added.get(name, 0)
            for name, count in counted.items()
        }
