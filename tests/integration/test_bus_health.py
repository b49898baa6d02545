"""A process is healthy only with a fresh heartbeat that says it is at work."""

import json
import time

import pytest
import redis

from bus import health
from bus.streams import alive


def answer(orders_url: str, monkeypatch: pytest.MonkeyPatch, process: str = "oms") -> int:
    """The exit code of the check, as a container's health check runs it."""
    monkeypatch.setenv("ORDERS_REDIS_URL", orders_url)
    return health.main([process])


def beat(orders_url: str, *, age_s: float = 0.0, **fields: object) -> None:
    """Write a heartbeat of the OMS this old."""
    entry = {"state": "ready", "at_ns": time.time_ns() - int(age_s * 1e9), "details": {}} | fields
    with redis.Redis.from_url(orders_url) as client:
        client.set(alive("oms"), json.dumps(entry))


@pytest.mark.parametrize("state", ["ready", "running", "leader", "follower"])
def test_a_process_at_work_is_healthy(
    orders_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    beat(orders_url, state=state, details={"ready": True})
    assert answer(orders_url, monkeypatch) == 0
    assert capsys.readouterr().out == "oms is healthy\n"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"state": "starting"}, "oms is not at work: starting"),
        ({"state": "aborted"}, "oms is not at work: aborted"),
        ({"state": "stocks: connection refused"}, "oms is not at work: stocks: connection refused"),
        ({"details": {"ready": False, "why_not": ["no limits"]}}, "oms is not ready: ['no limits']"),
        ({"age_s": 3.5}, "oms last gave a heartbeat 3.5 s ago"),
        ({"at_ns": "soon"}, "oms has a heartbeat that cannot be read"),
    ],
)
def test_any_other_state_is_not(
    orders_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fields: dict[str, object],
    said: str,
) -> None:
    beat(orders_url, **fields)  # type: ignore[arg-type]
    assert answer(orders_url, monkeypatch) == 1
    assert capsys.readouterr().out.startswith(said)


def test_a_process_without_heartbeat_is_not(
    orders_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(orders_url, monkeypatch) == 1
    assert capsys.readouterr().out.startswith("oms has no heartbeat")


def test_no_server_no_health(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer("redis://:hush@127.0.0.1:1/0", monkeypatch) == 1
    said = capsys.readouterr().err
    assert "127.0.0.1:1" in said
    assert "hush" not in said


def test_a_misspelt_setting_is_bad_input(
    orders_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKBONE_ACOUNT", "paper")
    assert answer(orders_url, monkeypatch) == 2
    assert "BACKBONE_ACOUNT" in capsys.readouterr().err
