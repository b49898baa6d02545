"""Asks history about one feed that says nothing: a mute connection is made anew, a quiet one is believed."""

import asyncio
from typing import Protocol

import structlog

from bus.clock import Clock
from bus.feed_kinds import NEWS
from bus.outage import Outage
from ingest.data_api.alpaca_data import DataUnreachable, NotGiven
from ingest.fallback.polled_feed import PolledFeed
from ingest.settings import IngestSettings
from ingest.silence.unheard import Question, Unheard, Verdict
from ingest.streams.alpaca_market import MarketFeed
from ingest.wants import Subscription

LOOK_S = 1.0

# Of a feed that fell silent: when it is first asked about, and how far apart at the most. So long nothing was
# to be told before a market is believed to be quiet.
FIRST_S, LONGEST_S = 30, 300

# How late something may be in history, or on the stream, and how far off our clock may be. The time of news
# is when they were written.
GRACE_S, NEWS_GRACE_S = 10, 120

_S = 1_000_000_000

log = structlog.get_logger()


class Archive(Protocol):
    """What was told of a feed, as the data API has it."""

    async def any_of(self, subscription: Subscription, since_ns: int, until_ns: int) -> str | None:
        """Something that the stream had to tell between these times, in words; "" where there is nothing.

        None where that cannot be asked. Raises NotGiven and DataUnreachable.
        """


class HistoryWatch:
    """Watches one feed for as long as it is served. Mutable: what is known of it."""

    def __init__(
        self, feed: MarketFeed | PolledFeed, archive: Archive, clock: Clock, settings: IngestSettings
    ) -> None:
        self._feed = feed
        self._archive = archive
        self._clock = clock
        self._not_known = Outage("not known whether a feed is mute", feed=feed.name)
        is_news = feed.kind == NEWS
        first_s, longest_s = (settings.ingest_news_seconds,) * 2 if is_news else (FIRST_S, LONGEST_S)
        self._unheard = Unheard(
            clock.now_ns(),
            is_always=is_news,
            first_ns=first_s * _S,
            longest_ns=longest_s * _S,
            grace_ns=(NEWS_GRACE_S if is_news else GRACE_S) * _S,
        )

    def __repr__(self) -> str:
        return f"{self._feed.name}: {self._unheard!r}"

    async def run(self) -> None:
        """Look and ask, until cancelled. What is polled is asked for anyway."""
        while True:
            await asyncio.sleep(LOOK_S)
            if isinstance(self._feed, MarketFeed):
                await self._look(self._feed)

    async def _look(self, feed: MarketFeed) -> None:
        connection, heard_ns = feed.connects, feed.last_data_ns
        question = self._unheard.question(
            self._clock.now_ns(),
            connection=connection,
            is_carried=feed.live and feed.subscription.settled and not feed.full,
            is_doubted=bool(feed.doubt),
            heard_ns=heard_ns,
        )
        if question is None:
            return
        try:
            told = await self._asked(feed.subscription.acknowledged, question)
        except (NotGiven, DataUnreachable) as error:
            self._not_known.goes_on(error)
            return
        self._not_known.ended()
        is_the_same = feed.live and (feed.connects, feed.last_data_ns) == (connection, heard_ns)
        if told is None or not is_the_same:
            return
        what, is_before = told
        match self._unheard.verdict(question, is_told_since=bool(what), is_told_before=is_before):
            case Verdict.MUTE:
                log.error("feed mute", feed=feed.name, what=what)
                feed.silent(f"{what} did not come")
            case Verdict.QUIET:
                feed.trust()
            case Verdict.UNKNOWN:
                log.warning("feed may be mute still", feed=feed.name)

    async def _asked(self, subscription: Subscription, question: Question) -> tuple[str, bool] | None:
        """What the connection had to tell, "" for nothing; whether an earlier one had to. None: unknown."""
        what = await self._archive.any_of(subscription, question.since_ns, question.until_ns)
        if what or what is None:
            return None if what is None else (what, False)
        if question.before_ns >= question.since_ns:
            return "", False
        before = await self._archive.any_of(subscription, question.before_ns, question.since_ns)
        return None if before is None else ("", bool(before))
