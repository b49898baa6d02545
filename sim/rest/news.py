"""News over REST: the articles of the news stream, in pages, the newest first."""

import base64
import binascii
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from sim.clock import Clock
from sim.exchange.market_messages import Article
from sim.exchange.news_archive import NewsArchive
from sim.rest import data_query
from sim.rest.data_query import PAGED, Query, refused
from sim.rest.json_bodies import answer
from sim.times import rfc3339

DEFAULT_LIMIT = 10
MOST = 50
_UTC = ZoneInfo("UTC")


def article_json(article: Article, with_content: bool) -> dict[str, Any]:
    """Return an article as history shows it: with images, of which there are none here."""
    return {
        "id": article.id,
        "headline": article.headline,
        "author": article.author,
        "created_at": rfc3339(article.created_ns),
        "updated_at": rfc3339(article.updated_ns),
        "summary": article.summary,
        "content": article.content if with_content else "",
        "url": article.url,
        "images": [],
        "symbols": article.symbols,
        "source": article.source,
    }


class NewsRoutes:
    """The handler, on the articles kept."""

    def __init__(self, news_archive: NewsArchive, clock: Clock) -> None:
        self._news_archive = news_archive
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/v1beta1/news", self.news)]

    async def news(self, request: web.Request) -> web.Response:
        """GET /v1beta1/news: by the time of the last update; without content unless it is asked for."""
        query = request.query
        data_query.check_names(query, (*PAGED, "include_content", "exclude_contentless"))
        limit = data_query.limit(query, DEFAULT_LIMIT, MOST)
        with_content = data_query.is_true(query, "include_content")
        found = self._found(query, data_query.is_descending(query, "desc"))
        page, rest = found[:limit], found[limit:]
        token = _written(page[-1]) if rest else None
        shown = [article_json(article, with_content) for article in page]
        return answer({"news": shown, "next_page_token": token})

    def _found(self, query: Query, is_descending: bool) -> list[Article]:
        """Return the requested articles from the page's beginning on."""
        window = data_query.window(query, self._clock.now_ns(), _UTC, None, 0)
        named = {name.replace("/", "") for name in query.get("symbols", "").split(",") if name}
        needs_content = data_query.is_true(query, "exclude_contentless")
        found = [
            article
            for article in sorted(self._news_archive.articles, key=_place, reverse=is_descending)
            if window.start_ns <= article.updated_ns <= window.end_ns
            and (not named or named.intersection(article.symbols))
            and (article.content or not needs_content)
        ]
        after = _read(query.get("page_token"))
        if after is None:
            return found
        if is_descending:
            return [article for article in found if _place(article) < after]
        return [article for article in found if _place(article) > after]


def _place(article: Article) -> tuple[int, int]:
    return article.updated_ns, article.id


def _written(article: Article) -> str:
    return base64.b64encode("|".join(map(str, _place(article))).encode()).decode()


def _read(token: str | None) -> tuple[int, int] | None:
    if not token:
        return None
    try:
        updated_ns, number = base64.b64decode(token, validate=True).decode().split("|")
        return int(updated_ns), int(number)
    except (binascii.Error, ValueError) as error:
        raise refused("invalid page token") from error
