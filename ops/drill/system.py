"""What a drill runs on: servers, a simulator and processes of its own, in a directory of its own."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

from bus import embedded
from bus.connection import Client, connect
from bus.errors import BackboneError
from ops.parent_death import end_with_this_process
from ops.run import simulator
from ops.run.processes import ingest_process, with_servers, without_keys
from ops.run.simulator import Control
from ops.run.supervise import Supervisor, python
from ops.running import Servers

ACCOUNT = "drill"

# Limits that never bind, and a budget that is never spent: a drill measures something else.
LIMITS = """\
[account]
order_quantity = 1_000_000_000
order_value = 1_000_000_000_000
position_quantity = 1_000_000_000
position_value = 1_000_000_000_000
open_orders = 1_000_000_000
orders_per_second = 1_000_000_000
price_collar_percent = 50
price_age_seconds = 60
repeated_seconds = 0
"""
UNLIMITED = 10_000_000


class System:
    """Processes of one drill. Mutable: those that run, by pid."""

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        market: Client,
        orders: Client,
        control: Control,
    ) -> None:
        self.directory = directory
        self.environment = environment
        self.market = market
        self.orders = orders
        self.control = control
        self.started: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> int:
        """Start `python -m <arguments>` and return its pid; its log is `<name>.log` in the directory."""
        process = python(name, ["-m", *arguments], self.environment, self.directory).start()
        self.started[process.pid] = process
        return process.pid

    def start_oms(self, name: str) -> int:
        """Start an OMS and return its pid."""
        return self.start(name, "oms", "--limits", str(self.directory / "limits.toml"))

    async def kill(self, pid: int) -> None:
        """End a process with SIGKILL, and wait until it is gone."""
        process = self.started.pop(pid)
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)

    async def stop(self) -> None:
        """End every process, and wait until they are gone."""
        for process in self.started.values():
            # One that a signal stopped must go on to hear of its end.
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.started.values():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(15):
                    await asyncio.to_thread(process.wait)
            process.kill()
            process.wait()
        self.started.clear()


class DrillFailed(BackboneError):
    """A drill cannot go on: a process of its system does not do what it should."""


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """A directory for the block; after a DrillFailed it stays, and the error names it."""
    directory = Path(tempfile.mkdtemp(prefix="bb-drill-"))
    stays = False
    try:
        yield directory
    except DrillFailed as error:
        stays = True
        raise DrillFailed(f"{error}; what its processes wrote stays in {directory}") from error
    finally:
        if not stays:
            shutil.rmtree(directory)


@contextlib.asynccontextmanager
async def whole_system(
    simulator_arguments: Sequence[str], *, requests_per_minute: int, with_ingest: bool = True
) -> AsyncIterator[System]:
    """Servers, a simulator that takes so many requests a minute, and ingest; all ended with the block."""
    with _directory() as directory, contextlib.ExitStack() as stack:
        (directory / "limits.toml").write_text(LIMITS)
        servers = []
        for role in ("market", "orders"):
            server = embedded.start(role, directory / role, before_exec=end_with_this_process())
            stack.callback(server.stop)
            servers.append(server)
        environment = with_servers(
            Servers(servers[0].url, servers[1].url, ACCOUNT), without_keys(dict(os.environ))
        )
        supervisor = Supervisor(lambda said: None)
        told = ["--requests-per-minute", str(requests_per_minute), *simulator_arguments]
        supervisor.start(simulator.spec(told, environment, directory))
        addresses = await simulator.ready(supervisor, directory)
        environment |= addresses.environment()
        environment["BACKBONE_OMS_REQUESTS_PER_MINUTE"] = str(requests_per_minute)
        # A halt of a drill must not outlive it, and those of the person who runs it must not hold here.
        environment["BACKBONE_HALT_FILE"] = str(directory / "halts.json")
        environment["BACKBONE_INGEST_SPOOL_DIR"] = str(directory / "spool")
        if with_ingest:
            supervisor.start(ingest_process(environment, directory))
        market, orders = connect(servers[0].url, name="drill"), connect(servers[1].url, name="drill")
        control = Control(addresses)
        system = System(directory, environment, market, orders, control)
        try:
            yield system
        finally:
            await system.stop()
            await control.close()
            await market.aclose()
            await orders.aclose()
            if with_ingest:
                await supervisor.stop("ingest")
            await supervisor.stop(simulator.NAME)
