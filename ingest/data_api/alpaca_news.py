"""Whether Alpaca's archive of news has articles that the stream had to tell."""

from typing import Any

import orjson

from bus.clock import Clock
from bus.errors import Unreadable
from bus.rfc3339 import time_ns, written
from ingest.data_api.alpaca_data import DataApi, DataUnreachable
from ingest.data_api.request_budget import HISTORY, RequestBudget
from ingest.wants import Subscription

# The most that Alpaca gives at once: articles, and symbols whose names an address has room for.
_MOST, MOST_SYMBOLS = 50, 100

ANSWER_TIMEOUT_S = 10.0


class NewsArchive:
    """The archive behind the data API at `url`; its requests are history's in the budget."""

    def __init__(self, url: str, key: str, secret: str, budget: RequestBudget, clock: Clock) -> None:
        self._url = url
        self._keys = key, secret
        self._budget = budget
        self._clock = clock

    def __repr__(self) -> str:
        return f"<news of {self._url}, {self._budget!r}>"

    async def any_of(self, subscription: Subscription, since_ns: int, until_ns: int) -> str | None:
        """An article between these times, in words; "" without one, None where that cannot be asked.

        One that was only updated in that time does not count. Raises NotGiven and DataUnreachable.
        """
        symbols = subscription.get("news", frozenset())
        if not symbols:
            return None
        query = {
            "start": written(since_ns),
            "end": written(until_ns),
            "sort": "desc",
            "limit": str(_MOST),
        }
        # News write BTCUSD where all others write BTC/USD.
        names = {symbol.replace("/", "") for symbol in symbols}
        if "*" not in symbols and len(names) <= MOST_SYMBOLS:
            query["symbols"] = ",".join(sorted(names))
        async with DataApi(
            self._url,
            *self._keys,
            lane=HISTORY,
            budget=self._budget,
            clock=self._clock,
            answer_s=ANSWER_TIMEOUT_S,
        ) as api:
            content = await api.get("/v1beta1/news", query)
        try:
            articles: list[dict[str, Any]] = orjson.loads(content)["news"] or []
            for article in articles:
                of = [str(symbol) for symbol in article.get("symbols") or ()]
                created = str(article["created_at"])
                is_wanted = "*" in symbols or not names.isdisjoint(of)
                if is_wanted and since_ns <= time_ns(created) <= until_ns:
                    return f"an article of {created} on {', '.join(of) or 'no symbol'}"
        except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError, Unreadable) as error:
            raise DataUnreachable(f"{self._url} answered with what cannot be read: {error!r}") from error
        return ""
