"""Reads and checks the parameters of a request for market data.

Refusals have the words of recorded answers of Alpaca's data API; where none was recorded, they follow its
pattern.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sim.exchange.assets import is_plausible
from sim.exchange.hours import new_york
from sim.refusals import Refused
from sim.rest.trading_query import FALSE, TRUE
from sim.times import SECOND_NS, parse_ns

Query = Mapping[str, str]

DEFAULT_LIMIT = 1_000
MOST = 10_000
PAGED = ("symbols", "start", "end", "limit", "page_token", "sort")
OF_STOCKS = ("feed", "currency", "asof")
FEEDS = ("iex", "sip", "otc", "boats", "overnight", "delayed_sip")
PLACES = ("us", "us-1", "eu-1", "bs-1")
_ADJUSTMENTS = ("raw", "split", "dividend", "spin-off", "all")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_PAIR = "^[A-Z]+/[A-Z]+$"
_LETTERS = re.compile(r"[A-Z]+(\.[A-Z]+)?")
LAST_SECOND_NS = 253_402_300_799 * SECOND_NS  # of the year 9999


class Window(NamedTuple):
    """The time asked for, both ends included, in nanoseconds since 1970."""

    start_ns: int
    end_ns: int


def refused(message: str) -> Refused:
    """Return 400: the request is invalid."""
    return Refused(400, None, message)


def check_names(query: Query, allowed: Collection[str]) -> None:
    """Refuse parameters that the endpoint does not have, and those given twice."""
    names = [name for name, _ in query.items()]  # query.keys() would give each name once
    unexpected = [name for name in dict.fromkeys(names) if name not in allowed]
    if unexpected:
        raise refused(f"unexpected query parameter(s): {', '.join(sorted(unexpected))}")
    for name in names:
        if names.count(name) > 1:
            raise _malformed(name, f"multiple values for single value parameter '{name}'")


def required(query: Query, name: str) -> str:
    """Return a required parameter. Raises Refused (400) where it is missing."""
    text = query.get(name)
    if not text:
        raise _malformed(name, f"query parameter '{name}' is required")
    return text


def stock_symbols(text: str, is_known: Callable[[str], bool]) -> list[str]:
    """Return a list's symbols, each once and in order; one that cannot be a share's refuses all of them.

    Alpaca allows letters only; a share of this market may have digits in its symbol.
    """
    for symbol in text.split(","):
        if not (_LETTERS.fullmatch(symbol) and is_plausible(symbol)) and not is_known(symbol):
            raise refused(f"code=400, message=invalid symbol: {symbol}")
    return sorted(set(text.split(",")))


def coin_symbols(text: str, is_known: Callable[[str], bool]) -> list[str]:
    """Return a list's pairs, each once and in order; one that is no pair refuses all of them."""
    for symbol in text.split(","):
        if not re.fullmatch(_PAIR, symbol) and not ("/" in symbol and is_known(symbol)):
            raise refused(f"invalid symbol: {symbol} does not match {_PAIR}")
    return sorted(set(text.split(",")))


def alone(symbol: str) -> str:
    """Return the one symbol of a path, which is no list."""
    if "," in symbol:
        raise refused(f"code=400, message=invalid symbol: {symbol}")
    return symbol


def check_place(place: str) -> None:
    """Refuse a location without a crypto market."""
    if place not in PLACES:
        raise refused(f"invalid location: {place}")


def limit(query: Query, default: int = DEFAULT_LIMIT, most: int = MOST, name: str = "limit") -> int:
    """Return the most items of a page, of all symbols together."""
    text = query.get(name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text):
        words = f'strconv.ParseInt: parsing "{text}": invalid syntax'
        raise _malformed(name, f"error binding string parameter: {words}")
    if not 1 <= int(text) <= most:
        raise refused(f"invalid {name}, {name} must be between 1 and {most}")
    return int(text)


def is_descending(query: Query, default: str = "asc") -> bool:
    """Return whether the newest come first."""
    text = query.get("sort", default)
    if text not in ("asc", "desc"):
        raise refused(f"invalid sort: {text}")
    return text == "desc"


def is_true(query: Query, name: str) -> bool:
    """Return whether a flag is set; alpaca-py writes True, others true."""
    text = query.get(name, "false")
    if text not in TRUE | FALSE:
        words = f'strconv.ParseBool: parsing "{text}": invalid syntax'
        raise _malformed(name, f"error binding string parameter: {words}")
    return text in TRUE


def window(
    query: Query, now_ns: int, day_zone: ZoneInfo, date_zone: ZoneInfo | None, delay_ns: int
) -> Window:
    """Return the time from `start` to `end`, by default from the beginning of the day until now.

    `day_zone` is the zone of that day, `date_zone` that of dates without a time, None for UTC. A date as the
    end includes the whole day. `delay_ns` is how old data must be for this plan and feed: they end there by
    default, and asking for more is refused.
    """
    newest_ns = now_ns - delay_ns
    end_ns = _moment(query, "end", date_zone, is_end=True)
    if end_ns is None:
        end_ns = newest_ns
    elif delay_ns and end_ns > newest_ns:
        raise too_recent()
    start_ns = _moment(query, "start", date_zone, is_end=False)
    if start_ns is None:
        start_ns = min(_day_start_ns(now_ns, day_zone), newest_ns, end_ns)
    if end_ns < start_ns:
        raise refused("end should not be before start")
    return Window(start_ns, end_ns)


def too_recent() -> Refused:
    """Return 403: the plan does not include the last quarter of an hour of the consolidated tape."""
    return Refused(403, None, "subscription does not permit querying recent SIP data")


def feed(query: Query, default: str) -> str:
    """Return the feed of stock data that is asked for."""
    text = query.get("feed", default)
    if text not in FEEDS:
        raise refused(f"invalid feed: {text}")
    return text


def currency(query: Query) -> str | None:
    """Return the currency asked for, or None; this market has prices in dollars only."""
    text = query.get("currency")
    if text is not None and text != "USD":
        raise refused(f"invalid currency: {text}")
    return text


def said_currency(query: Query) -> dict[str, str]:
    """Return what an answer says about the currency: only what was asked for."""
    asked = currency(query)
    return {} if asked is None else {"currency": asked}


def check_adjustment(query: Query) -> None:
    """Refuse an unknown adjustment; this market has no splits and no dividends, so all give the same."""
    for part in query.get("adjustment", "raw").split(","):
        if part not in _ADJUSTMENTS:
            raise refused(f"invalid adjustment: {part}")


def check_asof(query: Query) -> None:
    """Refuse what is neither a date nor a dash; no symbol is ever renamed in this market."""
    text = query.get("asof", "-")
    if text != "-":
        _parsed("asof", text)


def _moment(query: Query, name: str, date_zone: ZoneInfo | None, *, is_end: bool) -> int | None:
    text = query.get(name)
    if not text:
        return None
    if _MOMENT.fullmatch(text):
        try:
            return parse_ns(text)
        except (ValueError, OverflowError) as error:
            raise _unparsable(name, text, "day out of range") from error
    day = _parsed(name, text)
    if is_end and day == date.max:
        return LAST_SECOND_NS
    day += timedelta(is_end)
    midnight = datetime(day.year, day.month, day.day, tzinfo=date_zone or UTC)
    return int(midnight.timestamp()) * SECOND_NS - is_end


def _parsed(name: str, text: str) -> date:
    if not _DAY.match(text):
        raise _unparsable(name, text, f'cannot parse "{text}" as "2006"')
    if len(text) > 10:
        raise _unparsable(name, text, f'extra text: "{text[10:]}"', is_colon_due=True)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise _unparsable(name, text, "day out of range", is_colon_due=True) from error


def _unparsable(name: str, text: str, why: str, *, is_colon_due: bool = False) -> Refused:
    words = f'parsing time "{text}"' + (f": {why}" if is_colon_due else f' as "2006-01-02": {why}')
    return _malformed(name, f"error parsing '{text}' as RFC3339 or 2006-01-02 time: {words}")


def _malformed(name: str, why: str) -> Refused:
    return refused(f"Invalid format for parameter {name}: {why}")


def _day_start_ns(now_ns: int, zone: ZoneInfo) -> int:
    today = new_york(now_ns).astimezone(zone)
    return int(datetime(today.year, today.month, today.day, tzinfo=zone).timestamp()) * SECOND_NS
