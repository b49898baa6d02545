"""Counts of one feed that go on through restarts and takeovers, kept beside its streams."""

from collections.abc import Mapping

from bus.connection import Client
from bus.outage import Outage
from bus.streams import market_counts


class KeptCounts:
    """What was ever counted of a feed, whoever served it.

    Totals are written, once a second and where they changed: a kill loses a second's counts at most, and one
    that is written again changes nothing. Mutable: what we and others had counted when this turn
    began, and the totals written last.
    """

    def __init__(self, client: Client, feed: str) -> None:
        self._client = client
        self._key = market_counts(feed)
        self._before: dict[str, int] = {}
        self._of_others: dict[str, int] | None = None
        self._written: dict[str, int] = {}
        self._not_kept = Outage("counts not kept", feed=feed)

    def __repr__(self) -> str:
        return f"<counts in {self._key}>"

    def begin(self, counted: Mapping[str, int]) -> None:
        """The feed is ours to serve: others may have counted since it was last, when this was our count."""
        self._before, self._of_others, self._written = dict(counted), None, {}

    async def keep(self, counted: Mapping[str, int]) -> None:
        """Write the totals with what was counted here; a server that is away gets them later."""
        with self._not_kept:
            if self._of_others is None:
                stored = await self._client.hmget(self._key, list(counted))
                self._of_others = {
                    name: int(total or 0) - self._before.get(name, 0)
                    for name, total in zip(counted, stored, strict=True)
                }
            totals = self.totals(counted)
            changed = {name: total for name, total in totals.items() if self._written.get(name) != total}
            if changed:
                await self._client.hset(self._key, mapping=changed)
            self._written = totals

    def totals(self, counted: Mapping[str, int]) -> dict[str, int]:
        """The totals with what was counted here until now."""
        of_others = self._of_others or {}
        return {name: count + of_others.get(name, 0) for name, count in counted.items()}
