"""Starts the two servers of a run that was given none."""

import subprocess
from pathlib import Path

from bus import embedded
from ops.parent_death import end_with_this_process
from ops.run.supervise import Spec, Supervisor
from ops.running import Servers

MARKET = "redis-md"
ORDERS = "redis-orders"


def start(supervisor: Supervisor, directory: Path, account: str) -> tuple[Servers, tuple[int, int]]:
    """Start both servers with their data under `directory`; returns their addresses and ports.

    Raises InvalidInput and ServerUnreachable as `embedded.start` does.
    """
    market = _start(supervisor, MARKET, "market", directory / "md")
    orders = _start(supervisor, ORDERS, "orders", directory / "orders")
    return Servers(market.url, orders.url, account), (market.port, orders.port)


def _start(
    supervisor: Supervisor, name: str, role: embedded.Role, directory: Path
) -> embedded.EmbeddedServer:
    started: list[embedded.EmbeddedServer] = []

    def start_server() -> subprocess.Popen[bytes]:
        # A restarted server keeps its port and its data, so that nobody needs a new address.
        port = started[0].port if started else None
        started.append(embedded.start(role, directory, port, before_exec=end_with_this_process()))
        return started[-1].process

    supervisor.start(Spec(name, start_server, directory / "server.log"))
    return started[0]
