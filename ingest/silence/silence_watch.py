"""Watches one market feed for silence: looks each second, has a mute connection made anew, and says so."""

import asyncio
from datetime import date, timedelta

import structlog

from bus.clock import Clock
from bus.connection import Client
from bus.feed_kinds import STOCKS
from bus.heartbeat import StateReason
from bus.market_writer import MarketWriter
from bus.outage import Outage
from bus.service import run_together
from bus.streams import market_channel, market_symbol
from ingest.fallback.polled_feed import PolledFeed
from ingest.settings import IngestSettings
from ingest.silence.halted_symbols import halted
from ingest.silence.history_watch import Archive, HistoryWatch
from ingest.silence.market_hours import (
    BY_RULE,
    Calendar,
    Hours,
    hours_of,
    is_always_open,
    new_york,
    published_calendar,
)
from ingest.silence.silence import Silence, Suspicion, expected_streams
from ingest.streams.alpaca_market import MarketFeed
from ingest.streams.stream_reasons import named
from ingest.streams.subscription import Pair
from ingest.wants import Subscription
from ingest.writing import FrameWriter

SLICE_S = 1.0

# The calendar is read again after so long: what an exchange decides becomes known with newer libraries, and
# its end moves on.
_READ_AGAIN = timedelta(30)

log = structlog.get_logger()


class SilenceWatch:
    """Watches what one feed receives for as long as it is connected.

    Mutable: what was learned, the calendar once it is needed, and what of the feed was looked at last.
    """

    def __init__(
        self,
        feed: MarketFeed | PolledFeed,
        writing: FrameWriter,
        writer: MarketWriter,
        client: Client,
        clock: Clock,
        settings: IngestSettings,
        archive: Archive,
    ) -> None:
        self._feed = feed
        self._history = HistoryWatch(feed, archive, clock, settings)
        self._writing = writing
        self._writer = writer
        self._client = client
        self._clock = clock
        self._never_closes = settings.ingest_hours == "always" or is_always_open(feed.kind, feed.name)
        # The slice in which the last message came is not over with it.
        self._silence = Silence(settings.ingest_silence_seconds - 1)
        self._calendar: Calendar | None = None
        self._read_on = date.min
        self._last_data_ns = 0
        self._wanted: Subscription = {}
        self._refused: tuple[Pair, ...] = ()
        self._expected: frozenset[str] = frozenset()
        self._not_asked = Outage("trading statuses not read", feed=feed.name)

    def __repr__(self) -> str:
        return f"{self._feed.name}: {self._silence!r}"

    @property
    def reasons(self) -> tuple[StateReason, ...]:
        """What is silent, for people."""
        silence, reasons = self._silence, []
        if silence.is_silent:
            times = f"{silence.alarms} time{'s' if silence.alarms > 1 else ''}"
            sentence = f"{self._feed.name} is silent: {self._sentence()}; connected anew {times}"
            reasons.append(StateReason("silent", sentence))
        elif isinstance(self._feed, MarketFeed) and self._feed.doubt:
            sentence = f"{self._feed.name} fell silent, and nothing came since: {self._feed.doubt}"
            reasons.append(StateReason("silent", sentence))
        if silence.streams:
            some = named([_words(stream) for stream in sorted(silence.streams)])
            sentence = f"silent for longer than chance explains, while others flow: {some}"
            reasons.append(StateReason("silent_symbols", sentence))
        return tuple(reasons)

    async def run(self) -> None:
        """Look at every slice of time, and ask history where that does not say enough, until cancelled."""
        await run_together(self._look_on(), self._history.run())

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(SLICE_S)
            await self._look()

    async def _look(self) -> None:
        seen = frozenset[str]().union(*self._writing.passed)
        self._writing.passed.clear()
        feed, silence = self._feed, self._silence
        if isinstance(feed, PolledFeed):
            return  # What is asked for comes when it is asked for.
        came, self._last_data_ns = feed.last_data_ns != self._last_data_ns, feed.last_data_ns
        # Streams that are not written, not even read, or not subscribed to yet are not silent.
        is_waited_for = feed.subscription.wanted and not feed.subscription.acknowledged
        if not feed.live or feed.full or self._writer.away or is_waited_for:
            return
        was_silent = silence.is_silent
        expected = self._streams()
        hours = await self._hours() if expected else "closed"
        suspicion = silence.tick(
            hours=hours, connection=feed.connects, expected=expected, came=came, seen=seen
        )
        if was_silent and not silence.is_silent:
            log.warning("over: feed silent", feed=feed.name)
        if suspicion:
            await self._judge(suspicion)

    async def _judge(self, suspicion: Suspicion) -> None:
        """Tell what is suspected, unless it is halted."""
        silence = self._silence
        suspects = self._expected if suspicion.whole else suspicion.streams
        excused = await self._halted(suspects)
        if silence.excuse(excused):
            return
        if streams := suspicion.streams - excused:
            silence.name(streams)
            log.warning("streams silent", feed=self._feed.name, streams=sorted(streams))
        if suspicion.whole:
            why = self._sentence()
            silence.alarm()
            log.error("feed silent", feed=self._feed.name, why=why, alarms=silence.alarms)
            if isinstance(self._feed, MarketFeed):
                self._feed.silent(why)

    def _sentence(self) -> str:
        share = self._silence.share
        why = (
            "the market is open" if share is None else f"something came in {share:.0%} of the seconds before"
        )
        return f"nothing for {self._silence.run} s, and {why}"

    def _streams(self) -> frozenset[str]:
        """The streams of which something is expected; the same before and after a reconnect."""
        wanted, refused = self._feed.subscription.wanted, tuple(self._feed.subscription.refused)
        if wanted is not self._wanted or refused != self._refused:
            self._wanted, self._refused = wanted, refused
            self._expected = expected_streams(wanted, refused)
        return self._expected

    async def _hours(self) -> Hours:
        if self._never_closes:
            return "always"
        now_ns = self._clock.now_ns()
        day = new_york(now_ns).date()
        if self._calendar is None or day - self._read_on >= _READ_AGAIN:
            self._calendar, self._read_on = await _read_calendar(day), day
        return hours_of(self._feed.kind, self._feed.name, now_ns, self._calendar)

    async def _halted(self, suspects: frozenset[str]) -> frozenset[str]:
        """Those of these streams whose symbol is halted; none where the server cannot be asked."""
        if self._feed.kind == STOCKS:
            with self._not_asked:
                symbols = await halted(self._client, sorted(set(map(market_symbol, suspects))))
                return frozenset(stream for stream in suspects if market_symbol(stream) in symbols)
        return frozenset()


async def _read_calendar(day: date) -> Calendar:
    try:
        # In a thread: frames come meanwhile.
        calendar = await asyncio.to_thread(published_calendar, day)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        # A library that does not fit another one is no reason to hear nothing.
        log.error("the market calendar cannot be read: trading days are reckoned by rule", error=repr(error))
        return BY_RULE
    if day > calendar.last:
        log.warning(
            "the market calendar has ended: trading days are reckoned by rule", last=str(calendar.last)
        )
    return calendar


def _words(stream: str) -> str:
    return f"{market_channel(stream)} of {market_symbol(stream)}"
