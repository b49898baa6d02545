"""Alpaca's market-data API: one session, and one request at a time within a limit and the shared budget."""

import asyncio
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Self

import aiohttp
import certifi
import structlog

from bus.clock import Clock
from bus.errors import BackboneError
from ingest.data_api.request_budget import RequestBudget

# After a refusal for the rate that does not say for how long, the API is left alone for so long.
UNTOLD_WAIT_S = 10.0

# Alpaca counts by the minute: whatever the answer says, asking again then is no offence.
LONGEST_WAIT_S = 60.0

# Of an answer's text, enough to see what is meant.
SHOWN_BYTES = 200

log = structlog.get_logger()


class NotGiven(BackboneError):
    """What was asked for is refused, now or for these symbols: the plan lacks it, or there is no such thing.

    `code` is the HTTP status, 0 where Alpaca was not even asked; `text` is what it said. Asking the same
    again at once is no use.
    """

    def __init__(self, sentence: str, code: int, text: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.text = text


class DataUnreachable(BackboneError):
    """The data API gave no answer that can be used; the same request may succeed later."""


class TooManyRequests(DataUnreachable):
    """Refused for the rate. The budget is paused for as long as the answer asks for."""


class DataApi:
    """The data API at `url` for one asker, whose requests are `lane`'s in the budget; an async context.

    Redirections are not followed: the keys would go along. One that `leaves_half` waits for the next minute
    once half of what Alpaca allows its keys in this one is used up, by whomever: for what is not urgent.
    """

    def __init__(
        self,
        url: str,
        key: str,
        secret: str,
        *,
        lane: str,
        budget: RequestBudget,
        clock: Clock,
        answer_s: float,
        leaves_half: bool = False,
    ) -> None:
        self._url = url
        self._headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
        self._lane = lane
        self._budget = budget
        self._clock = clock
        self._leaves_half = leaves_half
        self._timeout = aiohttp.ClientTimeout(total=answer_s)

    def __repr__(self) -> str:
        return f"<{self._url} for {self._lane}, {self._budget!r}>"

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=_trusting() if self._url.startswith("https") else True)
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=self._timeout, connector=connector
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(self, path: str, query: Mapping[str, str]) -> bytes:
        """Wait for a turn, ask once, and return the answer's body.

        Raises NotGiven, DataUnreachable, and TooManyRequests, after which the next turn comes when the answer
        said. From its first byte to its last an answer may take `answer_s`.
        """
        await self._turn()
        try:
            async with self._session.get(self._url + path, params=query, allow_redirects=False) as response:
                content, status, headers = await response.read(), response.status, response.headers
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DataUnreachable(
                f"{self._url} does not answer: {str(error) or type(error).__name__}"
            ) from error
        if status == 200:
            if self._leaves_half and _is_half_used(headers):
                self._pause(headers)
            return content
        text = shown(content)
        sentence = f"{self._url} answered with status {status}: {text}"
        if status == 429:
            wait_s = self._pause(headers)
            log.warning("data API refuses for the rate", asker=self._lane, seconds=round(wait_s, 1))
            raise TooManyRequests(sentence)
        if status < 400 or status >= 500 or status == 408:
            raise DataUnreachable(sentence)
        raise NotGiven(sentence, status, text)

    def _pause(self, headers: Mapping[str, str]) -> float:
        wait_s = _asked_wait_s(headers, self._clock.now_ns())
        self._budget.pause(self._clock.monotonic_ns() + round(wait_s * 1e9))
        return wait_s

    async def _turn(self) -> None:
        while True:
            wait_ns = self._budget.take(self._lane, self._clock.monotonic_ns())
            if not wait_ns:
                return
            await asyncio.sleep(wait_ns / 1e9)


def shown(content: bytes) -> str:
    """The beginning of an answer, for people."""
    return content[:SHOWN_BYTES].decode(errors="replace")


def _is_half_used(headers: Mapping[str, str]) -> bool:
    try:
        return 2 * int(headers["X-RateLimit-Remaining"]) < int(headers["X-RateLimit-Limit"])
    except (KeyError, ValueError):
        return False


def _asked_wait_s(headers: Mapping[str, str], now_ns: int) -> float:
    """The seconds for which an answer asks not to be asked; a clock that is wrong costs at most a minute."""
    asked_s = UNTOLD_WAIT_S
    try:
        if "Retry-After" in headers:
            asked_s = float(headers["Retry-After"])
        elif "X-RateLimit-Reset" in headers:
            asked_s = float(headers["X-RateLimit-Reset"]) - now_ns / 1e9
    except ValueError:
        pass
    # Not a number compares as false.
    return max(0.1, asked_s) if asked_s <= LONGEST_WAIT_S else LONGEST_WAIT_S


@lru_cache(maxsize=1)
def _trusting() -> ssl.SSLContext:
    """Certificates to trust also where Python finds no system's."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    return context
