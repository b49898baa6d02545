"""Starts processes, watches them, restarts those that die a bounded number of times, and stops them."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bus.errors import BackboneError
from bus.service import BAD_INPUT
from ops.parent_death import end_with_this_process

# Six restarts, each after twice the wait of the last, take half a minute: what still dies has a cause that
# neither another start removes nor a server that is away for a while.
MOST_RESTARTS = 6
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0

# Who ran for this long after a start runs well: what comes then is something else, and counts anew.
RAN_WELL_S = 60.0

_POLL_S = 0.05

# Services stop within 15 s of their own (bus/service.py); past this they are killed.
STOP_WITHIN_S = 20.0

_LAST_LINES = 8

State = Literal["running", "restarting", "failed", "stopping", "stopped"]


@dataclass(frozen=True)
class Spec:
    """How to start one process. The run ends with an `essential` one that ends for good."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]] = field(repr=False)
    log: Path
    essential: bool = True
    stop_within_s: float = STOP_WITHIN_S


@dataclass
class Child:
    """One process over all its starts. Mutable: the supervisor changes every field but `spec`."""

    spec: Spec
    process: subprocess.Popen[bytes] = field(repr=False)
    state: State = "running"
    restarts: int = 0
    restart_at: float = 0.0
    # When it was started last, by the monotonic clock, and how often it ended since it last ran well.
    started_at: float = field(default_factory=time.monotonic)
    ends: int = 0
    # Why it ended for good, "" where it did not.
    failure: str = ""

    @property
    def alive(self) -> bool:
        """Whether the process exists."""
        return self.process.poll() is None


def python(
    name: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    *,
    essential: bool = True,
) -> Spec:
    """Say how to start a process of ours: `arguments` follow the interpreter, output goes to files."""
    log, output = directory / f"{name}.log", directory / f"{name}.out"

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as errors, output.open("wb") as out:
            return subprocess.Popen(
                [sys.executable, *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                # Ctrl-C in the terminal reaches the supervisor alone, which stops the others in order.
                start_new_session=True,
                preexec_fn=end_with_this_process(),
            )

    return Spec(name, start, log, essential)


class ChildFailed(BackboneError):
    """An essential process ended for good, or one refused its input; `exit_code` is what ours becomes."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Supervisor:
    """Keeps the processes of one run alive. Mutable: its children by name."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.children: dict[str, Child] = {}
        self._say = say

    def __repr__(self) -> str:
        return f"supervisor of {', '.join(f'{child.spec.name} ({child.state})' for child in self._all())}"

    @property
    def restarts(self) -> dict[str, int]:
        """How often each process was restarted; those that never were are left out."""
        return {name: child.restarts for name, child in self.children.items() if child.restarts}

    @property
    def failed(self) -> dict[str, str]:
        """Who ended for good, and who ends again and again and waits to be started: name to what it was."""
        return {
            name: child.failure or f"{name} ends again and again"
            for name, child in self.children.items()
            if child.state in ("failed", "restarting")
        }

    def start(self, spec: Spec) -> Child:
        """Start a process and watch it from now on."""
        child = self.children[spec.name] = Child(spec, spec.start())
        return child

    async def watch(self) -> None:
        """Restart what dies, until cancelled. Raises ChildFailed when an essential process ends for good."""
        while True:
            for child in self._all():
                self.look_after(child)
            await asyncio.sleep(_POLL_S)

    def look_after(self, child: Child) -> None:
        """Look at one process once and restart it where due; raises ChildFailed as `watch` does."""
        now = time.monotonic()
        if child.state == "running" and not child.alive:
            self._ended(child, now)
        elif child.state == "restarting" and now >= child.restart_at:
            child.process, child.started_at = child.spec.start(), now
            child.state = "running"
            child.restarts += 1
            self._say(f"{child.spec.name} runs again as pid {child.process.pid}")

    async def stop(self, *names: str) -> None:
        """Stop these together: SIGTERM, a bounded wait, then SIGKILL, naming who was late."""
        stopping = [self.children[name] for name in names if name in self.children]
        for child in stopping:
            child.state = "stopping"
            if child.alive:
                child.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        while waiting := [child for child in stopping if child.alive]:
            for child in waiting:
                if time.monotonic() - started > child.spec.stop_within_s:
                    self._say(f"{child.spec.name} did not end in {child.spec.stop_within_s:.0f} s: killed")
                    child.process.kill()
                    child.process.wait()
            await asyncio.sleep(_POLL_S / 5)
        for child in stopping:
            child.state = "stopped"

    def _all(self) -> list[Child]:
        return list(self.children.values())

    def _ended(self, child: Child, now: float) -> None:
        how = _how(child.process.returncode)
        if now - child.started_at >= RAN_WELL_S:
            child.ends = 0
        # Exit code 2 is bad input, and another start would say the same. But a process that has run before
        # with this input may only miss a server, which may come back.
        passing = child.process.returncode != BAD_INPUT or child.restarts > 0
        if passing and child.ends < MOST_RESTARTS:
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**child.ends)
            child.ends += 1
            child.state, child.restart_at = "restarting", now + wait_s
            self._say(f"{child.spec.name} {how}; it is started again")
            return
        child.state = "failed"
        child.failure = f"{child.spec.name} {how}{_after(child.restarts)}"
        message = f"{child.failure}{_lines(child.spec.log)}"
        if child.process.returncode == BAD_INPUT:
            raise ChildFailed(bad_input(child.spec) or message, BAD_INPUT)
        if child.spec.essential:
            raise ChildFailed(message, 1)
        self._say(message)


def bad_input(spec: Spec) -> str:
    """Return what a process wrote when it refused its input; empty where it wrote nothing."""
    sentences = [line for line in _tail(spec.log) if line.startswith("error: ")]
    return sentences[-1].removeprefix("error: ") if sentences else ""


def _how(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"


def _after(restarts: int) -> str:
    return f" after {restarts} restarts" if restarts else ""


def _lines(log: Path) -> str:
    lines = _tail(log)
    if not lines:
        return f"; it logged nothing ({log})"
    return f"; the last lines of {log}:\n" + "\n".join(f"    {line}" for line in lines)


def _tail(log: Path) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
    except FileNotFoundError:
        return []
