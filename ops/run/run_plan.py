"""Runs a plan from start to end: starts every process, shows it, stops all in order, and reconciles."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from bus.account_keys import is_confirmed
from bus.acting_user import acting_user
from bus.clock import SystemClock
from bus.connection import Client, connect
from bus.control_messages import Halt
from bus.errors import InvalidInput, RefusedForNow, ServerAway, ServerRefused, ServerUnreachable
from bus.halt_file import write_halt
from bus.heartbeat import ChildDetails, State, StateReason, SupervisorDetails
from bus.retry import until_answered
from bus.service import BAD_INPUT, Service, live, run_together
from bus.settings import AlpacaSettings, load
from bus.streams import journal
from ops import running
from ops.halt_file import file_of
from ops.run import directory as run_directory
from ops.run import own_servers, processes, simulator
from ops.run.plan import Plan
from ops.run.reader import RunReader
from ops.run.reconcile import reconcile
from ops.run.summary import Summary, summary
from ops.run.supervise import ChildFailed, Supervisor
from ops.running import Running, Servers
from ops.status.heartbeat_reader import read_heartbeats
from ops.status.heartbeats import leading_algorithms
from ops.status.snapshot import snapshot
from ops.terminal.view import View, hints

# Time for all children to stop one after another, and for the reconciliation.
GRACE_S = 120.0
_REPORT_S = 0.2
_CONFIRMED_S = 0.05
_DRAIN_WITHIN_S = 10.0

# A server that restarts is back within this, and one that refuses has had its time while the run went on.
_ANSWERED_WITHIN_S = 60.0

Answer = TypeVar("Answer")


async def run_plan(plan: Plan, view: View, environment: Mapping[str, str]) -> Summary:
    """Run a plan to its end and return its summary; no process of it is left.

    Raises InvalidInput for bad input that only a starting process could find.
    """
    service = Service("supervisor", plan.account)
    for number in (signal.SIGINT, signal.SIGTERM):
        # From here on a signal stops what was started in order, and the summary is printed.
        asyncio.get_running_loop().add_signal_handler(number, service.stop, f"signal {number.name}")
    supervisor = Supervisor(view.say)
    claim = running.claim(plan.account)
    directory = run_directory.make()
    one_run = _Run(plan, view, supervisor, directory, environment)
    try:
        if plan.simulator is not None:
            # First, because it takes longest: the servers come up while it imports.
            supervisor.start(simulator.spec(plan.simulator, processes.without_keys(environment), directory))
        place = plan.data_directory or directory
        ports = None
        if plan.servers is not None:
            found = plan.servers
        else:
            found, ports = own_servers.start(supervisor, place, plan.account)
            if plan.data_directory is None:
                # What is halted in a run whose data end with it ends with it too.
                found = msgspec.structs.replace(found, halt_file=str(directory / "halts.json"))
        if plan.halted:
            _halt(found)
        if claim is not None:
            claim.write(Running(os.getpid(), plan.command, found))
        # Whoever named the servers names them again: a hint must not show an address with a password.
        named = claim is not None or plan.servers is not None
        view.hint(hints(found, ports, plan.symbols, named=named))
        await live(service, found.orders, lambda: one_run.live(service, found), grace_s=GRACE_S)
    except InvalidInput:
        # The error says it all: no logs need to be kept.
        one_run.failed = False
        raise
    finally:
        await supervisor.stop(simulator.NAME)
        await supervisor.stop(own_servers.MARKET, own_servers.ORDERS)
        if claim is not None:
            claim.release()
        if one_run.failed:
            # Its first line holds keys: not to be kept with the logs.
            (directory / f"{simulator.NAME}.out").unlink(missing_ok=True)
            run_directory.keep(directory)
            view.say(f"the logs of every process are in {directory}")
        else:
            run_directory.remove(directory)
    assert one_run.summary is not None, "a run that ended without an error has a summary"
    return one_run.summary


class _Run:
    """A run from the moment its servers answer."""

    def __init__(
        self, plan: Plan, view: View, supervisor: Supervisor, directory: Path, environment: Mapping[str, str]
    ) -> None:
        self.summary: Summary | None = None
        self.failed = True
        self._plan = plan
        self._view = view
        self._supervisor = supervisor
        self._directory = directory
        self._environment = environment
        self._control: simulator.Control | None = None
        self._simulator_url = ""
        self._failures: list[str] = []

    async def live(self, service: Service, found: Servers) -> None:
        """Start the services, run until the end of the plan, stop them, reconcile."""
        market, orders = connect(found.market, name="ops-market"), connect(found.orders, name="ops-orders")
        reader = RunReader(market, orders, found.account)
        # Under nohup the signal is ignored, and stays ignored.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _hung_up, service)
        try:
            await self._answered(reader.begin)
            with self._view:
                await self._start(service, orders, found)
                began = time.monotonic()
                service.tell(State.READY)
                await self._until_the_end(service, market, orders, reader)
            service.tell(State.STOPPING, StateReason("run_over", service.stop_reason or "the run is over"))
            await self._end(reader, orders, began)
        except ChildFailed as failure:
            if failure.exit_code != BAD_INPUT:
                raise
            self.failed = False
            raise InvalidInput(str(failure)) from None
        except InvalidInput:
            self.failed = False
            raise
        finally:
            await self._stop_services()
            if self._control is not None:
                await self._control.close()
            await market.aclose()
            await orders.aclose()

    async def _start(self, service: Service, orders: Client, found: Servers) -> None:
        plan, directory = self._plan, self._directory
        environment = processes.with_servers(found, self._environment)
        for_algorithms = environment
        arguments: tuple[str, ...] = ()
        confirmed = not await self._answered(lambda: orders.exists(journal(found.account)))
        if plan.simulator is None:
            key_id, _ = load(AlpacaSettings).keys()
            confirmed = confirmed or await self._is_confirmed(orders, found.account, key_id)
        if confirmed:
            # Started first: they wait for the OMS, and ingest finds their wants when it starts.
            self._start_algorithms(for_algorithms)
        if plan.simulator is not None:
            addresses = await simulator.ready(self._supervisor, directory)
            self._control = simulator.Control(addresses)
            self._simulator_url, key_id = addresses.control_url, addresses.key
            environment = processes.without_keys(environment) | addresses.environment()
            arguments = ("--bar-seconds", "1", "--hours", "always")
        self._supervisor.start(
            processes.oms_process(environment | processes.limits_variable(plan.limits), directory)
        )
        place = None if plan.servers is not None else plan.data_directory or directory
        spool = processes.spool_variable(environment, place)
        self._supervisor.start(processes.ingest_process(environment | spool, directory, *arguments))
        if not confirmed and await self._confirmed(service, orders, found.account, key_id):
            self._start_algorithms(for_algorithms)

    def _start_algorithms(self, environment: Mapping[str, str]) -> None:
        plan = self._plan
        for planned in plan.algorithms:
            self._supervisor.start(
                processes.algorithm_process(planned, plan.symbols, environment, self._directory)
            )

    async def _confirmed(self, service: Service, orders: Client, account: str, key_id: str) -> bool:
        """Wait until the OMS has found that the keys are of the journal's account; False where a stop came.

        Algorithms that know the journal would ask for orders at once. Raises ChildFailed where the OMS
        refuses the keys.
        """
        oms = self._supervisor.children["oms"]
        while not await self._is_confirmed(orders, account, key_id):
            if service.stopping.is_set():
                return False
            self._supervisor.look_after(oms)
            await asyncio.sleep(_CONFIRMED_S)
        return True

    async def _is_confirmed(self, orders: Client, account: str, key_id: str) -> bool:
        return await self._answered(lambda: is_confirmed(orders, account, key_id))

    async def _until_the_end(
        self, service: Service, market: Client, orders: Client, reader: RunReader
    ) -> None:
        """Run until the time is up, the data are played, a stop is asked for, or a process fails for good."""
        try:
            await run_together(
                self._supervisor.watch(),
                self._report(service),
                self._show(market, orders, reader),
                self._end_of_plan(market, orders),
                _wait(service.stopping),
            )
        except ChildFailed as failure:
            if failure.exit_code == BAD_INPUT:
                raise
            self._failures.append(str(failure))
            self._view.say(str(failure))

    async def _report(self, service: Service) -> None:
        """Keep the heartbeat's list of children up to date."""
        while True:
            children = tuple(
                ChildDetails(name, child.process.pid, child.state, child.restarts)
                for name, child in self._supervisor.children.items()
            )
            service.details = SupervisorDetails(children=children, simulator=self._simulator_url)
            await asyncio.sleep(_REPORT_S)

    async def _show(self, market: Client, orders: Client, reader: RunReader) -> None:
        clock = SystemClock()
        while True:
            try:
                status = await snapshot(
                    market, orders, self._plan.account, clock.now_ns(), with_streams=False
                )
                totals = await reader.advance()
            except RefusedForNow as error:
                self._view.say(f"not trading: the orders server takes nothing now: {error}")
            except (ServerAway, ServerRefused) as error:
                self._view.say(f"not trading: the orders server does not answer: {error}")
            else:
                self._view.show(status, totals)
            await asyncio.sleep(self._view.every_s)

    async def _end_of_plan(self, market: Client, orders: Client) -> None:
        ends = [asyncio.sleep(self._plan.seconds)] if self._plan.seconds is not None else []
        if self._plan.ends_with_data:
            ends.append(self._data_played(market, orders))
        await (run_together(*ends) if ends else asyncio.Event().wait())

    async def _data_played(self, market: Client, orders: Client) -> None:
        """Wait until the recorded data are played and every algorithm has read its streams to their ends."""
        assert self._control is not None, "recorded data are played by the simulator"
        while not await self._control.tape_finished():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(_REPORT_S)
        deadline = time.monotonic() + _DRAIN_WITHIN_S
        before = -1
        while time.monotonic() < deadline:
            status = await snapshot(market, orders, self._plan.account, 0)
            written = sum(status.streams.values())
            if written == before and not any(algorithm.lag for algorithm in status.algorithms.values()):
                return
            before = written
            # Longer than the interval of the heartbeats that tell the lag.
            await asyncio.sleep(0.6)

    async def _end(self, reader: RunReader, orders: Client, began: float) -> None:
        """Stop the algorithms, reconcile while the OMS still hears the broker, stop the rest, sum up."""
        self._view.say("stopping the algorithms, then comparing the books")
        failed = await self._answered(lambda: self._failed(orders))
        await self._supervisor.stop(*(planned.process for planned in self._plan.algorithms))
        seconds = time.monotonic() - began
        found = await self._answered(lambda: reconcile(reader, self._control))
        restarts = self._supervisor.restarts
        await self._stop_services()
        totals = await self._answered(reader.advance)
        gained = await self._answered(reader.gained)
        gaps, markers = await self._answered(lambda: reader.gaps(gained))
        self.summary = summary(
            totals,
            seconds=seconds,
            entries=gained,
            restarts=restarts,
            gaps=gaps,
            markers=markers,
            dead=reader.dead(gained),
            halted=await self._answered(reader.halted),
            differences=self._failures + _explained(found, restarts),
            failed=failed,
        )
        self.failed = bool(self.summary.differences or failed)

    async def _failed(self, orders: Client) -> list[str]:
        """A sentence for each algorithm of this run that failed, before all are stopped."""
        ours = {one.process for one in self._plan.algorithms}
        leading = leading_algorithms(await read_heartbeats(orders, self._plan.account))
        aborted = {
            f"algo-{name}": f"{name} aborted: {one.failure}"
            for name, (_, one) in leading.items()
            if one.failure
        }
        failed = self._supervisor.failed | aborted
        return [why for process, why in failed.items() if process in ours]

    async def _answered(self, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """What the servers answer. Raises ServerUnreachable where they are away for too long."""
        trouble = "no answer"

        def tell(why: str) -> None:
            nonlocal trouble
            trouble = why
            self._view.say(f"a server does not answer: {why}")

        try:
            async with asyncio.timeout(_ANSWERED_WITHIN_S):
                answer = await until_answered(question, stopping=None, tell=tell)
        except TimeoutError:
            raise ServerUnreachable(
                f"a server was asked for {_ANSWERED_WITHIN_S:g} s and did not answer: {trouble}"
            ) from None
        return answer  # type: ignore[return-value]

    async def _stop_services(self) -> None:
        await self._supervisor.stop(*(planned.process for planned in self._plan.algorithms))
        await self._supervisor.stop("oms")
        await self._supervisor.stop("ingest")


def _explained(found: list[str], restarts: Mapping[str, int]) -> list[str]:
    """Put what explains the differences, where it is known, before them."""
    if found and simulator.NAME in restarts:
        return [
            "the simulator was started again: its ledger begins there and knows nothing from before",
            *found,
        ]
    return found


def _halt(found: Servers) -> None:
    """Halt everything before anything starts."""
    path = file_of(load(AlpacaSettings), found)
    by, now_ns = acting_user(), SystemClock().now_ns()
    write_halt(path, Halt(scope="all", reason="started with --halted", by=by, at_ns=now_ns))


def _hung_up(service: Service) -> None:
    """Stop as for Ctrl-C when the terminal is closed, and write what is still printed to nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    service.stop("signal SIGHUP")


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
