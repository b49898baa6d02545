"""A process's life on one screen: signals, one task group, a heartbeat, a bounded stop."""

import asyncio
import gc
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from importlib.metadata import version
from typing import Any

import structlog
import uvloop

from bus.clock import Clock, SystemClock
from bus.connection import connect
from bus.errors import BackboneError, InvalidInput, ServerAway, ServerRefused
from bus.heartbeat import FORMAT, Details, Heartbeat, State, StateReason, encode
from bus.outage import Outage
from bus.streams import alive

HEARTBEAT_S = 0.5
# Six heartbeats may be missed before a process counts as gone.
HEARTBEAT_TTL_MS = 3000
# What a container engine grants by default is 10 s; ours asks for more in compose.yaml.
GRACE_S = 15.0

# Short enough to be read aloud; that two of a few processes are alike is not to be expected.
INSTANCE_BYTES = 4

# Long enough for what a cancelled task does on its way out.
CANCEL_AGAIN_S = 2.0

# Reference counts free nearly everything here. The default (700) looks through a growing book again and
# again: a quarter of the OMS's time under load, a tenth of ingest's. What is loaded at start is left out.
GC_THRESHOLD = 50_000

BAD_INPUT = 2
FAILED = 1

# Read once: to look it up takes a sixth of a millisecond.
VERSION = version("alpaca-backbone")

log = structlog.get_logger()


class Service:
    """What a running process says of itself, and the event that asks it to stop.

    `instance` tells two processes of one name and account apart, such as a leader and its standby; without
    one given, each start has a new one. Mutable: state, reasons and details, by `tell` and by the process;
    the reason of a stop, by `stop`.
    """

    def __init__(
        self, process: str, account: str, clock: Clock | None = None, *, instance: str | None = None
    ) -> None:
        self.process = process
        self.account = account
        self.instance = instance or secrets.token_hex(INSTANCE_BYTES)
        self.clock = clock or SystemClock()
        self.stopping = asyncio.Event()
        self.stop_reason = ""
        self.state = State.STARTING
        self.reasons: tuple[StateReason, ...] = ()
        self.details: Details | None = None
        self._pid = os.getpid()
        self._host = socket.gethostname()

    def __repr__(self) -> str:
        return f"{self.process} of {self.account}, {self.state}{f': {self.why}' if self.reasons else ''}"

    @property
    def why(self) -> str:
        """The sentences of the reasons for the present state, in one line; "" where there are none."""
        return "; ".join(reason.sentence for reason in self.reasons)

    def tell(self, state: State, *reasons: StateReason) -> None:
        """Say with the next heartbeat that the process is in this state, for these reasons."""
        self.state, self.reasons = state, reasons

    def stop(self, reason: str) -> None:
        """Ask the process to end; the first reason is the one that is kept."""
        if not self.stopping.is_set():
            self.stop_reason = reason
            log.info("stopping", reason=reason)
            self.stopping.set()

    def heartbeat(self) -> bytes:
        """The present heartbeat, as it is written."""
        return encode(
            Heartbeat(
                process=self.process,
                instance=self.instance,
                account=self.account,
                pid=self._pid,
                host=self._host,
                version=VERSION,
                at_ns=self.clock.now_ns(),
                state=self.state,
                reasons=self.reasons,
                details=self.details,
                format=FORMAT,
            )
        )


async def live(
    service: Service,
    orders_url: str,
    body: Callable[[], Awaitable[None]],
    *,
    grace_s: float = GRACE_S,
) -> None:
    """Run `body` until it returns; SIGINT and SIGTERM set `service.stopping`, and body then has `grace_s`.

    Whatever body raises ends the process. Past the grace body is cancelled, and that is said.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, service.stop, f"signal {number.name}")
    async with asyncio.TaskGroup() as tasks:
        heartbeat = tasks.create_task(_beat(service, orders_url))
        work = asyncio.ensure_future(body())
        stopping = asyncio.ensure_future(service.stopping.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                service.tell(State.STOPPING, StateReason("stopping", service.stop_reason))
                await asyncio.wait({work}, timeout=grace_s)
            if not work.done():
                log.error("did not stop in time, cancelled", grace_s=grace_s)
                work.cancel()
                await asyncio.wait({work})
            if not work.cancelled():
                work.result()
        finally:
            stopping.cancel()
            await ended(heartbeat)
            if not work.done():
                # The heartbeat failed, or we are cancelled: its last steps still belong to us.
                work.cancel()
                await asyncio.wait({work})


async def _beat(service: Service, orders_url: str) -> None:
    """Write the heartbeat until cancelled, then take it away: a process that ended is not alive."""
    client = connect(orders_url, name=f"{service.process}-heartbeat")
    key = alive(service.account, service.process, service.instance)
    not_written = Outage("heartbeat not written")
    try:
        while True:
            with not_written:
                await client.set(key, service.heartbeat(), px=HEARTBEAT_TTL_MS)
            await asyncio.sleep(HEARTBEAT_S)
    finally:
        try:
            async with asyncio.timeout(1):
                await client.delete(key)
        except (ServerAway, ServerRefused, TimeoutError) as error:
            log.warning("heartbeat not removed", error=str(error))
        await client.aclose()


async def run_together(*bodies: Coroutine[Any, Any, None]) -> None:
    """Run several coroutines in one task group; the first that returns or raises ends the others."""
    await _run(bodies, asyncio.FIRST_COMPLETED)


async def run_all(*bodies: Coroutine[Any, Any, None]) -> None:
    """Run several coroutines, each to its end; the first that raises ends the others."""
    await _run(bodies, asyncio.FIRST_EXCEPTION)


async def run_until(stopping: asyncio.Event, body: Coroutine[Any, Any, None]) -> None:
    """Run body until it returns or raises, or `stopping` is set."""

    async def stopped() -> None:
        await stopping.wait()

    await run_together(stopped(), body)


async def _run(bodies: Sequence[Coroutine[Any, Any, None]], until: str) -> None:
    tasks = [asyncio.ensure_future(body) for body in bodies]
    try:
        await asyncio.wait(tasks, return_when=until)
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()
    finally:
        await ended(*tasks)
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            if error is not None and error is not sys.exc_info()[1]:
                log.error("failed while it was ended", error=repr(error))


async def until_cancelled() -> None:
    """Wait until cancelled."""
    await asyncio.get_running_loop().create_future()


async def ended(*tasks: asyncio.Future[Any], again_s: float = CANCEL_AGAIN_S) -> None:
    """Cancel tasks until they have ended, again after each `again_s`.

    Once is not enough: up to Python 3.11 `asyncio.wait_for`, which redis-py puts around each command,
    swallows a cancellation that comes together with the reply.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again_s)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run a process to its end and return its exit code: 0, 1 for a failure, 2 for bad input.

    Bad input and known failures are one sentence on stderr; anything else is a defect, with its traceback.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except KeyboardInterrupt:
        return 0
    except BaseException as error:  # noqa: BLE001 - sorted below; what is unknown is raised again
        return _exit_code(error)
    return 0


def _exit_code(error: BaseException) -> int:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    leaves = _leaves(error)
    if not all(isinstance(leaf, BackboneError) for leaf in leaves):
        raise error
    for sentence in dict.fromkeys(str(leaf) for leaf in leaves):
        print(f"error: {sentence}", file=sys.stderr)  # noqa: T201 - for the person who started us
    return BAD_INPUT if any(isinstance(leaf, InvalidInput) for leaf in leaves) else FAILED


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for one in error.exceptions for leaf in _leaves(one)]
