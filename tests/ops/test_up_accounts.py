"""`backbone up` with keys of two accounts: paper and live share nothing, and no journal changes hands."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from backbone import backbone, environment
from simulator import Simulator

from bus import embedded, streams

pytestmark = pytest.mark.e2e

UP = ("up", "--symbols", "AAPL,MSFT", "--json", "--seconds")


@pytest.fixture(scope="module")
def broker() -> Iterator[Simulator]:
    """A broker at which two accounts have keys."""
    with Simulator.start("--bar-seconds", "1", "--symbols", "AAPL,MSFT", "--accounts", "2") as simulator:
        yield simulator


def keys(broker: Simulator, number: int) -> dict[str, str]:
    """The environment of somebody who has the keys of one of the accounts."""
    one: dict[str, str] = broker.urls["accounts"][number]  # type: ignore[index, assignment]
    return broker.environment | {"ALPACA_API_KEY": one["key"], "ALPACA_SECRET_KEY": one["secret"]}


def kept(directory: Path, account: str) -> dict[bytes, Any]:
    """Every stream of an account's orders and broker messages, with groups and registry."""
    server = embedded.start("orders", directory / "orders")
    try:
        with redis.Redis.from_url(server.url) as client:
            names = [
                key
                for key in client.scan_iter(match=f"*{{{account}}}*", count=500)
                if not streams.is_lease(key.decode()) and not key.endswith((b":lease", b":token"))
            ]
            return {key: _content(client, key) for key in names}
    finally:
        server.stop()


def _content(client: Any, key: bytes) -> Any:
    kind = client.type(key)
    if kind == b"stream":
        return client.xrange(key), client.xinfo_groups(key)
    return {b"hash": client.hgetall, b"set": client.smembers, b"string": client.get}[kind](key)


def test_keys_of_another_account_are_refused_and_paper_and_live_are_apart(
    broker: Simulator, home: Path
) -> None:
    paper, others = environment(home, **keys(broker, 0)), environment(home, **keys(broker, 1))
    first = backbone(*UP, "6", within=paper)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["fills"] > 0
    before = kept(home / "data-paper", "paper")
    assert before

    live_as_paper = others | {"BACKBONE_TRADING": "live", "BACKBONE_ACCOUNT": "paper"}
    for within, kind, reset in ((others, "paper", True), (live_as_paper, "live", False)):
        told = backbone(*UP, "30", within=within)
        assert (told.returncode, told.stdout) == (2, "")
        (sentence,) = [line for line in told.stderr.splitlines() if line.startswith("error: ")]
        assert "the journal of account paper belongs to Alpaca's paper account PA" in sentence
        assert f"the keys are of the {kind} account PA" in sentence
        assert ("backbone account begin-anew" in sentence) is reset
        assert "Traceback" not in told.stderr
        # Not a fill of the other account, nor a group that was moved on.
        assert kept(home / "data-paper", "paper") == before

    live = backbone(*UP, "6", within=others | {"BACKBONE_TRADING": "live"})
    assert live.returncode == 0, live.stderr
    assert kept(home / "data-live", "live")
    assert kept(home / "data-live", "paper") == {}
    assert kept(home / "data-paper", "live") == {}
    assert kept(home / "data-paper", "paper") == before


def test_a_paper_account_that_was_reset_begins_anew(broker: Simulator, home: Path) -> None:
    before, after = environment(home, **keys(broker, 0)), environment(home, **keys(broker, 1))
    assert backbone(*UP, "4", within=before).returncode == 0
    assert "begin-anew" in backbone(*UP, "30", within=after).stderr
    told = backbone("account", "begin-anew", "--reason", "reset", "--yes", "--json", within=after)
    assert told.returncode == 0, told.stderr
    again = backbone(*UP, "6", within=after)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["approved"] > 0
    found = kept(home / "data-paper", "paper")
    assert {json.loads(told.stdout)["kept"][streams.journal("paper")], streams.journal("paper")} <= {
        key.decode() for key in found
    }


def test_a_home_of_an_earlier_release_is_found(broker: Simulator, home: Path) -> None:
    within = environment(home, **keys(broker, 0))
    assert backbone(*UP, "4", within=within).returncode == 0
    (home / "data-paper").rename(home / "data")
    assert backbone(*UP, "4", within=within).returncode == 0
    assert not (home / "data-paper").exists()
    told = backbone(*UP, "4", within=environment(home, **keys(broker, 1)) | {"BACKBONE_TRADING": "live"})
    assert (told.returncode, "is of an earlier release" in told.stderr) == (2, True)
