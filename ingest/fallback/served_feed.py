"""Makes what a market feed is received by, out of the settings: a stream, or what stands in for one."""

from collections.abc import Mapping

from bus.clock import Clock
from bus.feed_kinds import NEWS, REST
from ingest.buffer import Buffer
from ingest.buffered_item import Item
from ingest.data_api.alpaca_history import History
from ingest.data_api.alpaca_news import NewsArchive
from ingest.data_api.alpaca_snapshots import Snapshots
from ingest.data_api.request_budget import RequestBudget
from ingest.data_api.snapshots import SnapshotState
from ingest.fallback.polled_feed import PolledFeed
from ingest.fallback.polled_messages import PolledState
from ingest.settings import IngestSettings
from ingest.streams.alpaca_market import MarketFeed
from ingest.streams.stream_probe import why_not

ServedFeed = MarketFeed | PolledFeed


class FeedMaker:
    """Makes the parts of feeds of one kind; `name` is what entries call one."""

    def __init__(self, kind: str, settings: IngestSettings, budget: RequestBudget, clock: Clock) -> None:
        self._kind = kind
        self._settings = settings
        self._budget = budget
        self._clock = clock

    def __repr__(self) -> str:
        return f"<maker of feeds of {self._kind}>"

    def feed(self, name: str, frames: Buffer[Item], open_gaps: Mapping[str, int]) -> ServedFeed:
        """The feed of this name, which goes on with gaps that another left open."""
        settings = self._settings
        if name == REST:
            bar_ns = round(settings.ingest_bar_seconds * 1e9)

            def asking(state: PolledState) -> Snapshots:
                return self.snapshots(name, frames, state)

            return PolledFeed(asking, frames, self._clock, bar_ns=bar_ns, open_gaps=open_gaps)
        return MarketFeed(
            self._kind,
            name,
            settings.stream_url(self._kind, name),
            *settings.keys(),
            frames,
            self._clock,
            answer_s=settings.ingest_answer_seconds,
            open_gaps=open_gaps,
        )

    def archive(self, name: str) -> History | NewsArchive:
        """What was told of it, to be asked for over HTTP."""
        settings = self._settings
        asked = settings.data_api_url, *settings.keys(), self._budget, self._clock
        return NewsArchive(*asked) if self._kind == NEWS else History(self._kind, name, *asked)

    def snapshots(self, name: str, frames: Buffer[Item], state: SnapshotState | None = None) -> Snapshots:
        """What asks for its snapshots."""
        settings = self._settings
        return Snapshots(
            self._kind,
            name,
            settings.data_api_url,
            *settings.keys(),
            frames,
            self._budget,
            self._clock,
            state,
        )

    async def why_not(self, name: str) -> str:
        """Why the stream of this name is not to be had; "" where it is."""
        settings = self._settings
        url = settings.stream_url(self._kind, name)
        return await why_not(url, *settings.keys(), settings.ingest_answer_seconds)
