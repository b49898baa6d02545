"""Announcements of corporate actions over REST: there are none, for this market has no corporate actions."""

from datetime import timedelta
from uuid import UUID

from aiohttp import web

from sim.refusals import malformed, not_found
from sim.rest import trading_query as asked
from sim.rest.json_bodies import answer

TYPES = ("dividend", "merger", "spinoff", "split")
DATES = ("declaration_date", "ex_date", "record_date", "payable_date")
LONGEST = timedelta(90)


def routes() -> list[web.RouteDef]:
    """Return the routes, which are the same for every account."""
    return [
        web.get("/v2/corporate_actions/announcements", announcements),
        web.get("/v2/corporate_actions/announcements/{announcement_id}", announcement),
    ]


async def announcements(request: web.Request) -> web.Response:
    """GET /v2/corporate_actions/announcements: for at most 90 days, and empty."""
    query = {name: text.lower() if name == "ca_types" else text for name, text in request.query.items()}
    if not asked.several(query, "ca_types", TYPES):
        raise malformed("ca_types is required")
    since, until = asked.day(query, "since"), asked.day(query, "until")
    if since is None or until is None:
        raise malformed("since and until are required")
    if until < since:
        raise malformed("since must not be after until")
    if until - since > LONGEST:
        raise malformed("the date range is limited to 90 days")
    asked.one_of(query, "date_type", DATES, "")
    return answer([])


async def announcement(request: web.Request) -> web.Response:
    """GET /v2/corporate_actions/announcements/{id}: 404."""
    text = request.match_info["announcement_id"]
    try:
        UUID(text)
    except ValueError as error:
        raise malformed("announcement id is missing") from error
    raise not_found(f"announcement not found for {text}")
