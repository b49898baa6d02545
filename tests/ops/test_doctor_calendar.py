"""What the doctor makes of the market calendar and of Alpaca's clock."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from backbone import backbone, environment
from simulator import Simulator

from bus.trading_day import NEW_YORK, session_on
from ingest.silence.market_hours import Calendar
from ops.doctor import calendar_rules

TODAY = date(2026, 11, 23)
DAYS = [TODAY + timedelta(n) for n in range(90)]
CLOSES_NS = {day: session.closes_ns for day in DAYS if (session := session_on(day)) is not None}
PUBLISHED = Calendar(CLOSES_NS, DAYS[0], DAYS[-1])


def new_york(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=NEW_YORK)


def clock(at: str, is_open: bool, next_open: str, next_close: str) -> dict[str, Any]:
    """An answer as Alpaca gives it, in New York's time with its offset."""
    times = {"timestamp": at, "next_open": next_open, "next_close": next_close}
    return {"is_open": is_open} | {name: new_york(text).isoformat() for name, text in times.items()}


@pytest.mark.parametrize(
    "answer",
    [
        clock("2026-11-24 12:00:00", True, "2026-11-25 09:30", "2026-11-24 16:00"),
        clock("2026-11-25 17:00:00", False, "2026-11-27 09:30", "2026-11-27 13:00"),
        clock("2026-11-27 12:59:59", True, "2026-11-30 09:30", "2026-11-27 13:00"),
        clock("2026-11-28 12:00:00", False, "2026-11-30 09:30", "2026-11-30 16:00"),
    ],
)
def test_a_clock_that_agrees_is_ok(answer: dict[str, Any]) -> None:
    finding = calendar_rules.alpaca_clock(PUBLISHED, datetime.fromisoformat(answer["timestamp"]), answer)
    assert finding.level == "ok", finding.sentence
    assert "next open 2026-11" in finding.sentence


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            clock("2026-11-24 12:00:00", False, "2026-11-25 09:30", "2026-11-24 16:00"),
            "the market is closed, and should be open",
        ),
        (
            clock("2026-11-25 17:00:00", False, "2026-11-26 09:30", "2026-11-27 13:00"),
            "the next open is 2026-11-26 09:30, and should be 2026-11-27 09:30 New York",
        ),
        (
            clock("2026-11-27 12:00:00", True, "2026-11-30 09:30", "2026-11-27 16:00"),
            "the next close is 2026-11-27 16:00, and should be 2026-11-27 13:00 New York",
        ),
    ],
)
def test_where_the_clock_says_otherwise_it_is_said(answer: dict[str, Any], said: str) -> None:
    finding = calendar_rules.alpaca_clock(PUBLISHED, datetime.fromisoformat(answer["timestamp"]), answer)
    assert (finding.level, said in finding.sentence) == ("warning", True), finding.sentence


@pytest.mark.parametrize(
    ("seconds", "said"), [(31, "31 s behind ours"), (-31, "31 s ahead of ours"), (30, "")]
)
def test_a_clock_of_ours_that_is_off_is_told(seconds: int, said: str) -> None:
    answer = clock("2026-11-24 12:00:00", True, "2026-11-25 09:30", "2026-11-24 16:00")
    now = datetime.fromisoformat(answer["timestamp"]).astimezone(UTC) + timedelta(seconds=seconds)
    finding = calendar_rules.alpaca_clock(PUBLISHED, now, answer)
    assert (finding.level == "ok") == (not said)
    assert said in finding.sentence


@pytest.mark.parametrize("answer", [{}, {"timestamp": "now"}, {"timestamp": "2026-11-24T12:00:00"}])
def test_an_answer_that_cannot_be_read_is_an_error(answer: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        calendar_rules.alpaca_clock(PUBLISHED, datetime(2026, 11, 24, tzinfo=UTC), answer)


@pytest.mark.parametrize(("days", "level"), [(60, "ok"), (59, "warning")])
def test_a_calendar_that_ends_within_sixty_days_is_a_warning(days: int, level: str) -> None:
    finding = calendar_rules.calendar(PUBLISHED, DAYS[-1] - timedelta(days))
    assert finding.level == level
    assert str(DAYS[-1]) in finding.sentence


def test_days_that_the_rules_count_otherwise_are_named() -> None:
    closes_ns = {day: ns for day, ns in CLOSES_NS.items() if day != date(2026, 12, 9)}
    disputed = Calendar(closes_ns, DAYS[0], DAYS[-1])
    finding = calendar_rules.calendar(disputed, TODAY)
    assert (finding.level, "2026-12-09" in finding.sentence) == ("warning", True)
    assert calendar_rules.calendar(disputed, date(2026, 12, 10)).level == "ok"


def test_the_doctor_holds_alpacas_clock_against_the_calendar(tmp_path: Path) -> None:
    with Simulator.start("--hours", "exchange") as simulator:
        within = environment(tmp_path) | simulator.environment
        told = backbone("doctor", within=within).stdout
        assert "market calendar: New York's trading days are known until" in told
        assert "Alpaca's clock: it agrees with the market calendar:" in told
        told = backbone("doctor", within=within | {"BACKBONE_INGEST_HOURS": "always"}).stdout
        assert "market calendar: not used" in told
