"""Servers, simulator, ingest, OMS and an algorithm: each a process that a test may kill and start again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from backbone import backbone, environment
from oms_run import limits_text
from simulator import Simulator

from bus import embedded, streams

ROOT = Path(__file__).resolve().parents[2]

# It orders once for each file `wanted` that a test puts there: "buy 0.01" of coins, which trade at all hours.
ALGORITHM = """
import os
from pathlib import Path

from algos import Algorithm, Trade

HERE = Path(os.environ["HERE"])


class OnWish(Algorithm):
    symbols = ("BTC/USD",)

    def on_trade(self, trade: Trade) -> None:
        wish = HERE / "wanted"
        if not wish.exists():
            return
        side, quantity, *price = wish.read_text().split()
        wish.unlink()
        order = self.buy if side == "buy" else self.sell
        order(trade.symbol, quantity, **({"limit_price": price[0]} if price else {}))
"""


class WholeRun:
    """Everything as processes. Mutable: those that run, by name; the two servers; `variables` of services."""

    def __init__(self, simulator: Simulator, home: Path, **variables: str) -> None:
        self.simulator = simulator
        self.home = home
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.servers: dict[str, embedded.EmbeddedServer] = {}
        self.variables = variables
        (home / "limits.toml").write_text(limits_text(price_age_seconds=3600))
        self.oms = ("oms", "--limits", f"{home}/limits.toml")
        self.alpha = ("algos", f"{home}/mine.py:OnWish", "--name", "alpha")
        (home / "mine.py").write_text(ALGORITHM)
        for role in ("market", "orders"):
            self.start_server(role)

    @property
    def within(self) -> dict[str, str]:
        """The environment of every process and command."""
        servers = {
            "MD_REDIS_URL": self.servers["market"].url,
            "ORDERS_REDIS_URL": self.servers["orders"].url,
        }
        ours = {"PYTHONPATH": str(ROOT), "HERE": str(self.home)}
        return environment(self.home, **servers, **ours, **self.simulator.environment, **self.variables)

    def start_server(self, role: Any) -> None:
        """Start a server with the data that it left."""
        port = self.servers[role].port if role in self.servers else None
        self.servers[role] = embedded.start(role, self.home / role, port)

    def start(self, name: str, *command: str) -> None:
        """Start a process of ours; what it logs is in `<name>.log`."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command], env=self.within, cwd=ROOT, stdout=log, stderr=log
            )

    def start_services(self) -> None:
        """Start ingest, the OMS and the algorithm `alpha`."""
        self.start("ingest", "ingest")
        self.start("oms", *self.oms)
        self.start("alpha", *self.alpha)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        process = self.servers[name].process if name in self.servers else self.processes.pop(name)
        process.kill()
        process.wait(10)

    def stop(self) -> None:
        """End everything."""
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(10)
        for server in self.servers.values():
            if server.process.poll() is None:
                os.kill(server.process.pid, signal.SIGCONT)
            server.stop()

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `backbone` with these arguments."""
        return backbone(*arguments, within=self.within)

    def status(self) -> dict[str, Any]:
        """What `backbone status --json` says; empty where it fails."""
        told = self.command("status", "--json")
        return json.loads(told.stdout) if told.returncode == 0 else {}

    def halts(self) -> dict[str, bytes]:
        """What is halted, by the halt key."""
        with redis.Redis.from_url(self.servers["orders"].url) as client:
            found: Any = client.hgetall(streams.HALT)
        return {scope.decode(): halt for scope, halt in found.items() if scope != b"initialised"}

    def heartbeat(self, process: str) -> dict[str, Any]:
        """The details of the heartbeat of a process that runs now; empty where it has none."""
        pid = self.processes[process].pid
        with redis.Redis.from_url(self.servers["orders"].url) as client:
            keys: Any = list(client.scan_iter(match=streams.alive("*", process, "*")))
            values: Any = client.mget(keys) if keys else []
        beats = [json.loads(value) for value in values if value]
        return next((beat["details"] or {} for beat in beats if beat["pid"] == pid), {})

    def log(self, name: str) -> str:
        """What a process has logged so far, of all its lives."""
        return (self.home / f"{name}.log").read_text()

    def told(self, algorithm: str) -> list[str]:
        """The kinds of the events that an algorithm was told."""
        with redis.Redis.from_url(self.servers["orders"].url) as client:
            entries: Any = client.xrange(streams.events("paper", algorithm))
        return [fields[b"type"].decode() for _, fields in entries]

    def order(self, *words: str) -> None:
        """Have the algorithm order: side, quantity, and a limit price."""
        whole = self.home / "wish"
        whole.write_text(" ".join(words))
        whole.rename(self.home / "wanted")


@contextlib.contextmanager
def whole_run(home: Path, *arguments: str, **variables: str) -> Iterator[WholeRun]:
    """Everything, started; ended with the block. `arguments` are the simulator's."""
    with Simulator.start("--symbols", "AAPL,BTC/USD", *arguments) as simulator:
        run = WholeRun(simulator, home, **variables)
        try:
            run.start_services()
            yield run
        finally:
            run.stop()
