"""An account's activities over REST, in pages."""

from datetime import datetime, time, timedelta

from aiohttp import web

from sim.accounts.trading_account import TradingAccounts
from sim.broker.activities import OTHER_TYPES, TRADE_TYPES, TYPES, Activities, Wanted
from sim.exchange.hours import nanoseconds
from sim.exchange.sessions import NEW_YORK
from sim.refusals import malformed
from sim.rest import trading_query as asked
from sim.rest.json_bodies import answer
from sim.rest.middleware import ACCOUNT
from sim.rest.trading_query import Query

MOST = 100
_CATEGORIES = {"trade_activity": TRADE_TYPES, "non_trade_activity": OTHER_TYPES}


class ActivityRoutes:
    """The handlers; each request is about the authenticated account."""

    def __init__(self, accounts: TradingAccounts) -> None:
        self._activities = {
            account.key: Activities(account.history, account.brokerage.movements)
            for account in accounts.all()
        }

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v2/account/activities", self.activities),
            web.get("/v2/account/activities/{activity_type}", self.of_type),
        ]

    async def activities(self, request: web.Request) -> web.Response:
        """GET /v2/account/activities, with activity_types or a category."""
        query = request.query
        types = asked.several(query, "activity_types", TYPES)
        category = asked.one_of(query, "category", _CATEGORIES, "")
        if types and category:
            raise malformed("only one of activity_types and category is allowed")
        return self._page(request, frozenset(types or _CATEGORIES.get(category, TYPES)))

    async def of_type(self, request: web.Request) -> web.Response:
        """GET /v2/account/activities/{type}."""
        activity_type = request.match_info["activity_type"]
        if activity_type not in TYPES:
            raise malformed(f"invalid activity type {activity_type}; allowed: {', '.join(TYPES)}")
        return self._page(request, frozenset({activity_type}))

    def _page(self, request: web.Request, types: frozenset[str]) -> web.Response:
        query = request.query
        after_ns, until_ns = _bounds(query)
        wanted = Wanted(
            types=types,
            after_ns=after_ns,
            until_ns=until_ns,
            is_ascending=asked.one_of(query, "direction", ("asc", "desc"), "desc") == "asc",
            page_size=asked.count(query, "page_size", MOST, MOST),
            page_token=query.get("page_token") or None,
        )
        page = self._activities[request[ACCOUNT]].select(wanted)
        return answer([activity.body for activity in page])


def _bounds(query: Query) -> tuple[int | None, int | None]:
    """Return the bounds, both exclusive; a `date` is a day of New York, as in an activity's id."""
    after_ns, until_ns = asked.moment_ns(query, "after"), asked.moment_ns(query, "until")
    day = asked.day(query, "date")
    if day is None:
        return after_ns, until_ns
    if after_ns is not None or until_ns is not None:
        raise malformed("date cannot be used with after or until")
    try:
        begin = nanoseconds(datetime.combine(day, time(), NEW_YORK))
        end = nanoseconds(datetime.combine(day + timedelta(1), time(), NEW_YORK))
    except OverflowError as error:
        raise malformed(f"invalid date {day}; allowed: a date such as 2026-01-31") from error
    return begin - 1, end
