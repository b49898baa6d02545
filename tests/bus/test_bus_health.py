"""A process is healthy only with a fresh heartbeat that says it is at work."""

import time

import msgspec
import pytest
import redis
from heartbeat_of import heartbeat_of

from bus import health
from bus.heartbeat import Heartbeat, OmsDetails, State, StateReason, encode
from bus.streams import alive

pytestmark = pytest.mark.integration


def answer(orders_url: str, monkeypatch: pytest.MonkeyPatch, process: str = "oms") -> int:
    """The exit code of the check, as a container's health check runs it."""
    monkeypatch.setenv("ORDERS_REDIS_URL", orders_url)
    return health.main([process])


def write(orders_url: str, *heartbeats: Heartbeat, age_s: float = 0.0) -> None:
    """Write these heartbeats as if they were this old."""
    at_ns = time.time_ns() - int(age_s * 1e9)
    with redis.Redis.from_url(orders_url) as client:
        for beat in heartbeats:
            key = alive(beat.account, beat.process, beat.instance)
            client.set(key, encode(msgspec.structs.replace(beat, at_ns=at_ns)))


@pytest.mark.parametrize("state", [State.READY, State.LEADER, State.FOLLOWER])
def test_a_process_at_work_is_healthy(
    orders_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: State
) -> None:
    write(orders_url, heartbeat_of("oms", state, OmsDetails(ready=True, leads=True)))
    assert answer(orders_url, monkeypatch) == 0
    assert capsys.readouterr().out == "oms is healthy\n"


HELD = StateReason("lease_held", "another OMS holds the lease")


@pytest.mark.parametrize(
    ("beat", "age_s", "said"),
    [
        (heartbeat_of("oms", State.STARTING), 0, "oms (1f3a) is not at work: starting"),
        (heartbeat_of("oms", State.ABORTED), 0, "oms (1f3a) is not at work: aborted"),
        (
            heartbeat_of("oms", State.WAITING, reasons=(HELD,)),
            0,
            "oms (1f3a) is not at work: waiting: another OMS holds the lease",
        ),
        (heartbeat_of("oms", State.DEGRADED), 0, "oms (1f3a) is not at work: degraded"),
        (
            heartbeat_of(
                "oms", details=OmsDetails(ready=False, leads=True), reasons=(StateReason("x", "no limits"),)
            ),
            0,
            "oms (1f3a) is not ready: no limits",
        ),
        (heartbeat_of("oms"), 1000, "oms (1f3a) last gave a heartbeat 100"),
        (heartbeat_of("oms", format=9), 0, "oms (1f3a) is not understood: it is written by version 1 in"),
    ],
)
def test_any_other_state_is_not(
    orders_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    beat: Heartbeat,
    age_s: float,
    said: str,
) -> None:
    write(orders_url, beat, age_s=age_s)
    assert answer(orders_url, monkeypatch) == 1
    assert capsys.readouterr().out.startswith(said)


def test_one_instance_at_work_is_enough(
    orders_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    standby = heartbeat_of("oms", State.WAITING, instance="aaaa", reasons=(HELD,))
    write(orders_url, standby, heartbeat_of("oms", instance="bbbb", state=State.STARTING))
    assert answer(orders_url, monkeypatch) == 1
    said = capsys.readouterr().out
    assert "oms (aaaa) is not at work" in said
    assert "oms (bbbb) is not at work" in said
    write(orders_url, heartbeat_of("oms", instance="bbbb"))
    assert answer(orders_url, monkeypatch) == 0


def test_another_accounts_process_does_not_count(orders_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(orders_url, heartbeat_of("oms", account="second"))
    assert answer(orders_url, monkeypatch) == 1
    monkeypatch.setenv("BACKBONE_ACCOUNT", "second")
    assert answer(orders_url, monkeypatch) == 0


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
