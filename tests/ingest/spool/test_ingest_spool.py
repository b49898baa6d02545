"""Ingest while its servers are away: nothing is lost, nothing doubled, also where ingest dies meanwhile."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from ingest_run import consecutive
from own_server import OwnServer, own_server
from simulator import ROOT, Simulator
from waiting import wait_until

from bus.account_keys import confirm
from bus.connection import connect
from bus.streams import account, account_lease, market, market_lease, wants

pytestmark = [pytest.mark.integration, pytest.mark.slow]

STREAM = market("AAPL", "trades")

Entry = tuple[bytes, dict[bytes, bytes]]


@contextmanager
def _ingest(environment: dict[str, str], *module: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", *module], cwd=ROOT, env=os.environ | environment, start_new_session=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(20)


def _environment(simulator: Simulator, market: OwnServer, orders_url: str, spool: Path) -> dict[str, str]:
    return simulator.environment | {
        "MD_REDIS_URL": market.url,
        "ORDERS_REDIS_URL": orders_url,
        "BACKBONE_INGEST_SPOOL_DIR": str(spool),
        "BACKBONE_LOG_LEVEL": "error",
    }


def _spooled_bytes(spool: Path) -> int:
    return sum(path.stat().st_size for path in spool.rglob("*.spool"))


def _with_text(spool: Path, text: bytes) -> list[Path]:
    return [path for path in spool.rglob("*.spool") if text in path.read_bytes()]


# The other points are tried by `backbone drill outage --at-points`.
def test_what_a_killed_ingest_had_spooled_is_written_first_and_once(
    simulator: Simulator, orders_url: str, tmp_path: Path
) -> None:
    with own_server("market") as server, redis.Redis.from_url(orders_url) as orders:
        client: Any = redis.Redis.from_url(server.url)
        environment = _environment(simulator, server, orders_url, tmp_path)
        orders.set(wants("paper", "me"), b'{"trades": ["AAPL"]}', px=60_000)
        with _ingest(environment, "ops.drill.dying_spool", "before_confirm") as dying:
            wait_until(lambda: client.xlen(STREAM) > 20, "messages")
            server.pause()
            spooled_ns = time.time_ns()
            wait_until(lambda: _spooled_bytes(tmp_path) > 2000, "a spool")
            server.go_on()
            wait_until(lambda: dying.poll() == -signal.SIGKILL, "it to die")
        assert _spooled_bytes(tmp_path) > 0
        # The lease of the dead runs out after seconds: this is that, without the wait.
        client.delete(market_lease("iex"))
        with _ingest(environment, "ingest"):
            wait_until(lambda: b"GapClosed" in _types(client), "the gap of the time without ingest")
            seen = client.xlen(STREAM)
            wait_until(lambda: client.xlen(STREAM) > seen + 20, "live messages")
            entries = client.xrange(STREAM)
        client.close()
        assert list(tmp_path.rglob("*.spool")) == [], "what is written is removed"
    opened = next(n for n, (_, fields) in enumerate(entries) if fields.get(b"type") == b"GapOpened")
    # What was spooled, what was missed, what came live.
    consecutive([json.loads(fields[b"d"]) for _, fields in entries if b"type" not in fields])
    # What was spooled is no gap: that begins with what came last.
    since_ns = json.loads(entries[opened][1][b"d"])["since_ns"]
    assert since_ns >= int(entries[opened - 1][1][b"r"]) > spooled_ns
    assert sum(fields.get(b"type") == b"GapOpened" for _, fields in entries) == 1


def _types(client: Any) -> list[bytes]:
    return [fields[b"type"] for _, fields in client.xrange(STREAM) if b"type" in fields]


def test_broker_messages_of_a_killed_ingest_are_appended_first_and_once(
    simulator: Simulator, md_url: str, tmp_path: Path
) -> None:
    stream = account("paper")
    with own_server() as server:
        client: Any = redis.Redis.from_url(server.url)
        asyncio.run(_confirm(server.url, simulator.key))
        environment = _environment(simulator, server, server.url, tmp_path) | {"MD_REDIS_URL": md_url}
        with _ingest(environment, "ingest") as killed:
            wait_until(lambda: client.xlen(stream) == 1, "the connection")
            server.pause()
            orders = [simulator.trade("AAPL", "buy", str(size))["id"] for size in (1, 2, 3)]
            wait_until(lambda: _with_text(tmp_path, orders[-1].encode()) != [], "the last fill on disk")
            killed.kill()
            killed.wait()
        server.go_on()
        client.delete(account_lease("paper"))
        with _ingest(environment, "ingest"):
            wait_until(lambda: _kinds(client, stream).count("Connected") == 2, "the next connection")
        kinds = _kinds(client, stream)
        raw = [fields[b"data"] for _, fields in client.xrange(stream)]
        client.close()
    assert kinds == ["Connected", *["TradeUpdate"] * (len(kinds) - 2), "Connected"]
    assert len(raw) == len(set(raw)), "each once"
    fills = [json.loads(one)["data"] for one in raw[1:-1]]
    assert [one["order"]["id"] for one in fills if one["event"] == "fill"] == orders
    assert list(tmp_path.rglob("account-*/*.spool")) == []


async def _confirm(url: str, key: str) -> None:
    client = connect(url, name="test")
    await confirm(client, "paper", key)
    await client.aclose()


def _kinds(client: Any, stream: str) -> list[str]:
    return [fields[b"type"].decode() for _, fields in client.xrange(stream)]
