"""An account's portfolio history over REST."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from aiohttp import web

from sim.accounts.trading_account import TradingAccounts
from sim.accounts.valuation import Valuation
from sim.broker.activities import TYPES
from sim.broker.equity import in_cents
from sim.broker.portfolio_history import (
    DAILY,
    REPORTS,
    TIMEFRAMES_NS,
    PortfolioHistory,
    Span,
    portfolio_history,
)
from sim.exchange.hours import MarketHours, nanoseconds, new_york, trading_day
from sim.exchange.sessions import NEW_YORK
from sim.refusals import malformed
from sim.rest import trading_query as asked
from sim.rest.json_bodies import answer
from sim.rest.middleware import ACCOUNT
from sim.rest.trading_query import Query
from sim.times import parse_ns

_PERIOD = re.compile(r"([1-9]\d{0,3})([DWMA])")
_DAYS = {"D": 1, "W": 7, "M": 30, "A": 365}
_FEW_DAYS = 7  # up to here the default timeframe is a minute
_MOST_DAYS = 30  # for a timeframe of less than a day
_EARLIEST_NS = parse_ns("2000-01-01")  # nothing is older; earlier dates could leave the range of dates


class PortfolioHistoryRoutes:
    """The handler; each request is about the authenticated account."""

    def __init__(self, accounts: TradingAccounts, valuation: Valuation, hours: MarketHours) -> None:
        self._accounts = accounts
        self._valuation = valuation
        self._hours = hours

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/v2/account/portfolio/history", self.history)]

    async def history(self, request: web.Request) -> web.Response:
        """GET /v2/account/portfolio/history."""
        account = self._accounts.of(request[ACCOUNT])
        now_ns = account.clock.now_ns()
        curve = self._valuation.curve(account.key)
        span = _span(request.query, now_ns, self._hours.never_closes)
        equity = in_cents(account.brokerage.summary().equity)
        found = portfolio_history(curve, equity, now_ns, span, self._hours.never_closes)
        return answer(_json(found, span.timeframe))


def _json(found: PortfolioHistory, timeframe: str) -> dict[str, Any]:
    """Return the answer: numbers are JSON numbers here, unlike elsewhere; the cash flow is empty."""
    body: dict[str, Any] = {
        "timestamp": [point.time_s for point in found.points],
        "equity": [float(point.equity) for point in found.points],
        "profit_loss": [float(point.profit) for point in found.points],
        "profit_loss_pct": [None if point.share is None else float(point.share) for point in found.points],
        "base_value": float(found.base),
        "timeframe": timeframe,
        "cashflow": {},
    }
    if found.base_day is not None:
        body["base_value_asof"] = found.base_day.isoformat()
    return body


@dataclass(frozen=True, slots=True)
class _Bounds:
    start_ns: int | None
    end_ns: int
    period: str | None


def _span(query: Query, now_ns: int, never_closes: bool) -> Span:
    bounds = _bounds(query, now_ns)
    usual_report = REPORTS[asked.truth(query, "extended_hours")]
    reporting = asked.one_of(query, "intraday_reporting", REPORTS, usual_report)
    end_ns, is_round = bounds.end_ns, never_closes or reporting == "continuous"
    last_day = new_york(end_ns).date() if is_round else _last_session(end_ns, reporting)
    if bounds.start_ns is None:
        first_day = _shifted(last_day, 1 - _length(bounds.period or "1M"))
        start_ns = _midnight_ns(first_day)
    else:
        start_ns = bounds.start_ns
        first_day = _first_day(start_ns)
        if bounds.period is not None:
            end_ns = min(end_ns, _midnight_ns(_shifted(first_day, _length(bounds.period))) - 1)
            last_day = min(last_day, new_york(end_ns).date())
    days = (last_day - first_day).days + 1
    usual = "1Min" if days < _FEW_DAYS else "15Min" if days < _MOST_DAYS else DAILY
    timeframe = asked.one_of(query, "timeframe", (*TIMEFRAMES_NS, DAILY), usual)
    if timeframe != DAILY and days > _MOST_DAYS + 1:
        raise malformed(f"invalid timeframe {timeframe}; allowed: 1D for more than {_MOST_DAYS} days")
    resets_daily = asked.one_of(query, "pnl_reset", ("per_day", "no_reset"), "per_day") == "per_day"
    return Span(timeframe, first_day, last_day, start_ns, end_ns, reporting, resets_daily)


def _bounds(query: Query, now_ns: int) -> _Bounds:
    start_ns, end_ns = asked.moment_ns(query, "start"), asked.moment_ns(query, "end")
    end_day = asked.day(query, "date_end")
    period = query.get("period") or None
    asked.several(query, "cashflow_types", ("ALL", "NONE", *TYPES))
    if end_ns is not None and end_day is not None:
        raise malformed("only one of end and date_end is allowed")
    if end_day is not None:
        end_ns = _midnight_ns(_shifted(min(end_day, new_york(now_ns).date()), 1)) - 1
    if start_ns is not None and end_ns is not None and period is not None:
        raise malformed("only two of start, end and period are allowed")
    if period is not None and not _PERIOD.fullmatch(period):
        raise malformed(f"invalid period {period}; allowed: a number and D, W, M or A, such as 1M")
    end_ns = now_ns if end_ns is None else min(max(end_ns, _EARLIEST_NS), now_ns)
    if start_ns is not None:
        start_ns = max(start_ns, _EARLIEST_NS)
        if start_ns > end_ns:
            raise malformed("start must not be after end")
    return _Bounds(start_ns, end_ns, period)


def _midnight_ns(day: date) -> int:
    return nanoseconds(datetime.combine(day, time(), NEW_YORK))


def _first_day(start_ns: int) -> date:
    """Return the day of the start; after its session, the next one."""
    day = new_york(start_ns).date()
    found = trading_day(day)
    return day + timedelta(1) if found is not None and start_ns > found.extended_close_ns else day


def _last_session(end_ns: int, reporting: str) -> date:
    """Return the last day whose session has begun."""
    day = new_york(end_ns).date()
    while True:
        found = trading_day(day)
        if found is not None:
            begins_ns = found.extended_open_ns if reporting == "extended_hours" else found.open_ns
            if begins_ns <= end_ns:
                return day
        day -= timedelta(1)


def _length(period: str) -> int:
    found = _PERIOD.fullmatch(period)
    assert found is not None, "the period was checked"
    return int(found[1]) * _DAYS[found[2]]


def _shifted(day: date, days: int) -> date:
    try:
        return day + timedelta(days)
    except OverflowError:
        return date.min if days < 0 else date.max
