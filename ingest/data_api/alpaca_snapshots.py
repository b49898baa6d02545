"""Asks Alpaca's market-data API for the last trade and quote of what is wanted, within its own budget."""

import asyncio
from typing import Any

import orjson
import structlog

from bus.clock import Clock
from bus.feed_kinds import CRYPTO, REST
from ingest.buffer import Buffer
from ingest.buffered_item import Item
from ingest.data_api.alpaca_data import DataApi, DataUnreachable, NotGiven
from ingest.data_api.request_budget import SNAPSHOTS, RequestBudget
from ingest.data_api.snapshots import SnapshotState

# At most one request a second and feed; the budget decides whether there is one.
REQUEST_EVERY_S = 1.0

# After a refusal, or without an answer, the API is left alone for so long.
TROUBLE_S = 10.0

# For one request from its first byte to its last.
ANSWER_TIMEOUT_S = 5.0

_INVALID = (400, 422)

log = structlog.get_logger()


class Snapshots:
    """Asks for one feed's snapshots, and hands what is new to its writer.

    Mutable: the state of who is asked for; whether there was an answer ever; `trouble`, what went wrong last,
    told once, or "".
    """

    def __init__(
        self,
        kind: str,
        feed: str,
        url: str,
        key: str,
        secret: str,
        buffer: Buffer[Item],
        budget: RequestBudget,
        clock: Clock,
        state: SnapshotState | None = None,
    ) -> None:
        self.state = SnapshotState() if state is None else state
        self.is_answered = False
        self._kind = kind
        self._feed = feed
        self._url = url
        self._keys = key, secret
        self._buffer = buffer
        self._budget = budget
        self._clock = clock
        self.trouble = ""

    def __repr__(self) -> str:
        return f"<{self.state!r} of {self._feed}>"

    def want(self, symbols: frozenset[str]) -> None:
        """Ask for these and no others; what the test stream plays, the API does not know."""
        if self._feed != "test":
            self.state.want(symbols)

    async def run(self) -> None:
        """Ask for what is due, until cancelled."""
        async with DataApi(
            self._url,
            *self._keys,
            lane=SNAPSHOTS,
            budget=self._budget,
            clock=self._clock,
            answer_s=ANSWER_TIMEOUT_S,
        ) as api:
            while True:
                # What cannot be written now would be old when it is.
                symbols = [] if self._buffer.full else self.state.due(self._clock.monotonic_ns())
                trouble = await self._ask(api, symbols) if symbols else ""
                if trouble and trouble != self.trouble:
                    log.warning("snapshots not answered", feed=self._feed, error=trouble)
                self.trouble = trouble
                await asyncio.sleep(TROUBLE_S if trouble else REQUEST_EVERY_S)

    async def _ask(self, api: DataApi, symbols: list[str]) -> str:
        """Ask once; returns what went wrong, or nothing."""
        self.state.postpone(symbols, self._clock.monotonic_ns())
        path, query = "/v2/stocks/snapshots", {"symbols": ",".join(symbols), "feed": self._feed}
        if self._feed == REST:
            # Alpaca takes the best one of the plan.
            del query["feed"]
        if self._kind == CRYPTO:
            path, query = "/v1beta3/crypto/us/snapshots", {"symbols": ",".join(symbols)}
        try:
            content = await api.get(path, query)
        except DataUnreachable as error:
            return str(error)
        except NotGiven as error:
            if error.code not in _INVALID:
                return str(error)
            if (left_out := self.state.refuse(symbols, self._clock.monotonic_ns())) is not None:
                log.warning("no snapshots of this symbol", symbol=left_out, error=error.text)
            return ""
        return self._take(content)

    def _take(self, content: bytes) -> str:
        try:
            answer: Any = orjson.loads(content)
            found = answer["snapshots"] if self._kind == CRYPTO else answer
            batch = self.state.batch(found, self._clock.now_ns(), self._feed)
        except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
            return f"{self._url} answered with what cannot be read: {error!r}"
        self.is_answered = True
        if batch.streams:
            self._buffer.add(batch, len(content))
        return ""
