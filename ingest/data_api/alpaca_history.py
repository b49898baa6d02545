"""Trades, quotes and minute bars of the past, page by page, from Alpaca's market-data API."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import structlog

from bus.clock import Clock
from bus.errors import Unreadable
from bus.feed_kinds import CRYPTO, DELAYED, STOCKS
from bus.rfc3339 import written
from ingest.data_api.alpaca_data import DataApi, DataUnreachable, NotGiven, TooManyRequests
from ingest.data_api.past_messages import CHANNELS, Page, read_page
from ingest.data_api.request_budget import HISTORY, RequestBudget
from ingest.wants import Subscription

# The most that Alpaca gives, of all symbols together.
MESSAGES_A_PAGE = 10_000

# In one request: their names are in its address.
MOST_SYMBOLS = 100

# For one page from the request's first byte to the answer's last: it has a megabyte or two.
PAGE_TIMEOUT_S = 30.0

# Refusals for the rate in a row before history counts as out of reach: somebody else uses the limit up.
MOST_REFUSALS = 10

_BAR_NS = 60_000_000_000

# How old the delayed tape is, and everybody's history of the consolidated one.
_DELAY_NS = 15 * 60 * 1_000_000_000

_PATHS = {STOCKS: "/v2/stocks/", CRYPTO: "/v1beta3/crypto/us/"}

# Streams whose history has the name of another feed.
HISTORY_OF = {"delayed_sip": "sip", "overnight": "boats"}

log = structlog.get_logger()


class History:
    """History of one feed: `kind` is stocks or crypto, `feed` as the stream's address has it.

    Its requests are history's in the budget that it shares with others; one that `leaves_half` leaves others
    with the same keys half of what Alpaca allows them.
    """

    def __init__(
        self,
        kind: str,
        feed: str,
        url: str,
        key: str,
        secret: str,
        budget: RequestBudget,
        clock: Clock,
        *,
        leaves_half: bool = False,
    ) -> None:
        self._kind = kind
        self._feed = feed
        self._url = url
        self._keys = key, secret
        self._budget = budget
        self._clock = clock
        self._leaves_half = leaves_half

    def __repr__(self) -> str:
        return f"<history of {self._feed}, {self._budget!r}>"

    async def pages(
        self, channel: str, symbols: Sequence[str], since_ns: int, until_ns: int
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Messages whose time is within both ends, each as a stream's entry has it, never an empty page.

        `channel` is trades, quotes or bars (of a minute; one that is not over is left out). Symbols come one
        after the other, the messages of each in order of time. Refusals for the rate are waited for. Raises
        NotGiven where it cannot be had now, or one of the symbols is unknown; DataUnreachable where it may
        be had later.
        """
        if self._kind not in _PATHS:
            _refuse(f"there is no history of {self._kind}: only of {' and '.join(_PATHS)}")
        if channel not in CHANNELS:
            _refuse(f"there is no history of {channel}: only of {', '.join(CHANNELS)}")
        if self._feed == "test":
            _refuse("there is no history of the test stream")
        if self._feed == "delayed_sip":
            until_ns = min(until_ns, self._clock.now_ns() - _DELAY_NS)
        if until_ns < since_ns:
            return
        query = {
            "start": written(since_ns),
            "end": written(until_ns),
            "limit": str(MESSAGES_A_PAGE),
            "sort": "asc",
        }
        if channel == "bars":
            query["timeframe"] = "1Min"
        if self._kind != CRYPTO:
            query["feed"] = HISTORY_OF.get(self._feed, self._feed)
        async with DataApi(
            self._url,
            *self._keys,
            lane=HISTORY,
            budget=self._budget,
            clock=self._clock,
            answer_s=PAGE_TIMEOUT_S,
            leaves_half=self._leaves_half,
        ) as api:
            for first in range(0, len(symbols), MOST_SYMBOLS):
                query["symbols"] = ",".join(symbols[first : first + MOST_SYMBOLS])
                query.pop("page_token", None)
                while True:
                    page = await self._page(api, channel, query)
                    if messages := self._over(channel, page.messages):
                        yield messages
                    if page.next_token is None:
                        break
                    if page.next_token == query.get("page_token"):
                        raise DataUnreachable(f"{self._url} gives the same page of {channel} again and again")
                    query["page_token"] = page.next_token

    async def any_of(self, subscription: Subscription, since_ns: int, until_ns: int) -> str | None:
        """A message that the stream had to tell between these times, in words; "" without one.

        None where that cannot be asked: of all symbols, or of what has no history. Raises as `pages`.
        """
        channels = {channel: subscription[channel] for channel in CHANNELS if subscription.get(channel)}
        for channel, symbols in channels.items():
            # What a delayed feed tells was traded a quarter of an hour ago, and a bar is told at its end.
            told_ns = _DELAY_NS if self._feed in DELAYED else _BAR_NS if channel == "bars" else 0
            some = sorted(symbols - {"*"})
            pages = self.pages(channel, some, since_ns - told_ns, until_ns - told_ns)
            async with contextlib.aclosing(pages):
                async for page in pages:
                    return f"{channel} of {page[0]['S']} of {written(page[0]['t'])}"
        is_all = channels and not any("*" in symbols for symbols in channels.values())
        return "" if is_all else None

    async def _page(self, api: DataApi, channel: str, query: dict[str, str]) -> Page:
        for refusal in range(1, MOST_REFUSALS + 1):
            try:
                content = await api.get(_PATHS[self._kind] + channel, query)
                break
            except TooManyRequests:
                if refusal == MOST_REFUSALS:
                    raise
        try:
            # A thread: ten thousand messages would keep live ones waiting.
            page = await asyncio.to_thread(read_page, content, channel, is_crypto=self._kind == CRYPTO)
        except Unreadable as error:
            raise DataUnreachable(f"{self._url} answered with what cannot be read: {error}") from error
        if page.unreadable:
            log.error("past messages not understood", count=len(page.unreadable), first=page.unreadable[0])
        return page

    def _over(self, channel: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The messages that will not change any more just because time passes."""
        if channel != "bars":
            return messages
        now_ns = self._clock.now_ns()
        return [message for message in messages if message["t"] + _BAR_NS <= now_ns]


def _refuse(sentence: str) -> None:
    raise NotGiven(sentence, 0, sentence)
