"""Options over REST: there are no contracts, and no positions in them to exercise."""

import re
from uuid import UUID

from aiohttp import web

from sim import refusals
from sim.refusals import Refused
from sim.rest import trading_query as asked
from sim.rest.json_bodies import answer

MOST = 10_000
DEFAULT_LIMIT = 100
NOT_TRADED = "options are not traded here"

_CONTRACT = re.compile(r"[A-Z0-9]{1,6}\d{6}[CP]\d{8}")
_DAYS = ("expiration_date", "expiration_date_gte", "expiration_date_lte")
_STRIKES = ("strike_price_gte", "strike_price_lte")


def routes() -> list[web.RouteDef]:
    """Return the routes, which are the same for every account."""
    return [
        web.get("/v2/options/contracts", contracts),
        web.get("/v2/options/contracts/{name}", contract),
        web.post("/v2/positions/{name}/exercise", exercise),
        web.post("/v2/positions/{name}/do-not-exercise", exercise),
    ]


async def contracts(request: web.Request) -> web.Response:
    """GET /v2/options/contracts: none, for every query."""
    query = request.query
    asked.one_of(query, "status", ("active", "inactive"), "active")
    asked.one_of(query, "type", ("call", "put"), "")
    asked.one_of(query, "style", ("american", "european"), "")
    asked.count(query, "limit", DEFAULT_LIMIT, MOST)
    for name in _DAYS:
        asked.day(query, name)
    for name in _STRIKES:
        asked.amount(query, name)
    for name in ("show_deliverables", "ppind"):
        asked.truth(query, name)
    return answer({"option_contracts": [], "next_page_token": None})


async def contract(request: web.Request) -> web.Response:
    """GET /v2/options/contracts/{symbol or id}: 404."""
    raise refusals.not_found(f"option contract {request.match_info['name']} not found; {NOT_TRADED}")


async def exercise(request: web.Request) -> web.Response:
    """POST of an exercise or do-not-exercise: 403 for a contract, 422 for what cannot be one."""
    name = request.match_info["name"]
    if not _CONTRACT.fullmatch(name) and not _is_id(name):
        raise refusals.invalid("invalid symbol")
    raise Refused(403, 40310000, f"no available position for the specified contract; {NOT_TRADED}")


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
