"""Holds the market calendar against the rules of the trading day, and against Alpaca's clock."""

from datetime import UTC, datetime

import orjson

from bus.settings import AlpacaSettings, load
from ingest.settings import IngestSettings
from ingest.silence.market_hours import Calendar, published_calendar
from ops.doctor import calendar_rules
from ops.doctor.rules import Finding
from ops.doctor.trading_api import NoAnswer, ask, has_keys


async def calendar_findings(settings: AlpacaSettings) -> list[Finding]:
    """What the calendar says of itself, and Alpaca's clock of it where there are keys to ask with."""
    if load(IngestSettings).ingest_hours == "always":
        sentence = "not used: BACKBONE_INGEST_HOURS=always expects shares to trade at all times"
        return [Finding(calendar_rules.CHECK, "ok", sentence)]
    now = datetime.now(UTC)
    published = published_calendar(now.date())
    clock = await _clock(settings, published)
    return [calendar_rules.calendar(published, now.date()), *([] if clock is None else [clock])]


async def _clock(settings: AlpacaSettings, published: Calendar) -> Finding | None:
    """None without keys, and where Alpaca does not answer: what that means is told of the keys."""
    if not has_keys(settings):
        return None
    try:
        code, body = await ask(settings, "/v2/clock")
        if code != 200:
            return None
        return calendar_rules.alpaca_clock(published, datetime.now(UTC), orjson.loads(body))
    except NoAnswer:
        return None
    except (ValueError, AttributeError) as error:
        return Finding(calendar_rules.CLOCK, "warning", f"its answer cannot be read: {error}")
