"""A demo under load whose servers refuse for a while, each in each way: what came of it, as a table.

    PYTHONPATH=tests/support .venv/bin/python tests/support/refusal_drill.py --seconds 25 > table.md

It takes a minute for each row. A row is as it should be where nothing ended and nothing was restarted,
the line said who refused, orders were approved afterwards, the books agree, and the exit code is 0.
"""

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import redis
from backbone import Demo, environment
from own_server import OwnServer, own_server
from proxy import Proxy
from refusals import BY_A_PROXY, BY_THE_SERVER, refusing

from bus import streams

ROLES = ("market", "orders")
_AFTERWARDS_S = 12.0
_STARTED_WITHIN_S = 40.0


async def row(role: str, kind: str, seconds: float) -> dict[str, Any]:
    """One demo, in the middle of which one server refuses."""
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="bb-") as home:
        servers = {each: stack.enter_context(own_server(each)) for each in ROLES}  # type: ignore[arg-type]
        async with _between(servers, role, kind) as (proxy, urls):
            demo = Demo(environment(Path(home), **urls), Path(home), "--symbols", "AAPL,MSFT,BTC/USD")
            try:
                return await _drilled(demo, servers, role, kind, seconds, proxy)
            finally:
                demo.leave_nothing()


@asynccontextmanager
async def _between(
    servers: dict[str, OwnServer], role: str, kind: str
) -> AsyncIterator[tuple[Proxy | None, dict[str, str]]]:
    urls = {each: server.tcp_url for each, server in servers.items()}
    if kind not in BY_A_PROXY:
        yield None, _variables(urls)
        return
    async with Proxy(servers[role].url) as proxy:
        yield proxy, _variables(urls | {role: proxy.url})


def _variables(urls: dict[str, str]) -> dict[str, str]:
    return {"MD_REDIS_URL": urls["market"], "ORDERS_REDIS_URL": urls["orders"]}


async def _drilled(
    demo: Demo, servers: dict[str, OwnServer], role: str, kind: str, seconds: float, proxy: Proxy | None
) -> dict[str, Any]:
    orders = servers["orders"]
    deadline = time.monotonic() + _STARTED_WITHIN_S
    while _approved(orders) < 5:
        assert time.monotonic() < deadline, demo.errors
        assert demo.process.poll() is None, demo.errors
        await asyncio.sleep(0.2)
    said_before = len(demo.errors)
    async with refusing(servers[role].url, proxy, kind):
        ended_during = await _runs_for(demo, seconds)
    during, approved = demo.errors[said_before:], _approved(orders)
    ended = await _runs_for(demo, _AFTERWARDS_S)
    after, said_after = _approved(orders) - approved, demo.errors[said_before + len(during) :]
    demo.interrupt()
    try:
        await asyncio.to_thread(demo.process.wait, 90)
        summary = json.loads((demo._output.read_text().splitlines() or ["{}"])[-1])
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a row of the table
        summary = {"differences": [repr(error)]}
    return {
        "server": role,
        "answer": kind,
        "ended": "during" if ended_during else "afterwards" if ended else "no",
        "exit": demo.process.returncode,
        "restarts": summary.get("restarts", "?"),
        "failed": re.findall(r"(\S+) ended with code \d+ after \d+ restarts", demo.errors),
        "approved afterwards": after,
        "gaps": summary.get("gaps"),
        "said": _shown(during),
        "last said": _shown(said_after),
        "differences": summary.get("differences", []),
    }


async def _runs_for(demo: Demo, seconds: float) -> bool:
    """Wait; whether it ended meanwhile."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if demo.process.poll() is not None:
            return True
        await asyncio.sleep(0.1)
    return False


def _approved(server: OwnServer) -> int:
    """How many orders were approved; 0 while the server does not say."""
    try:
        with redis.Redis.from_url(server.url, socket_timeout=5) as client:
            entries: Any = client.xrange(streams.journal("paper"))
    except redis.RedisError:
        return 0
    return sum(fields[b"type"] == b"OrderApproved" for _, fields in entries)


def _shown(errors: str) -> str:
    """What the last line of a run said of how it stands."""
    lines = [line.partition(" s  ")[2] for line in errors.splitlines() if " s  " in line]
    lines = [re.sub(r"^.*(ticks/s), .*fills, (tick to order [^,]*, )?", "", line) for line in lines]
    return lines[-1][:160] if lines else ""


def main() -> None:
    """Print a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--answers", default=",".join((*BY_THE_SERVER, *BY_A_PROXY)))
    parser.add_argument("--servers", default=",".join(ROLES))
    given = parser.parse_args()
    first = True
    for role in given.servers.split(","):
        for kind in given.answers.split(","):
            found = asyncio.run(row(role, kind, given.seconds))
            if first:
                sys.stdout.write("| " + " | ".join(found) + " |\n" + "| --- " * len(found) + "|\n")
                first = False
            sys.stdout.write("| " + " | ".join(str(value) for value in found.values()) + " |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
