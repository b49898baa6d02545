"""The supervisor and real processes: bounded restarts, an orderly stop, no orphans."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from waiting import until, wait_until

from bus.service import BAD_INPUT
from ops.run import supervise
from ops.run.supervise import ChildFailed, Spec, Supervisor, python

pytestmark = pytest.mark.integration

SLEEPS = "import signal; signal.pause()"
STUBBORN = (
    "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\n"
    "while True: signal.pause()"
)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(supervise, "LONGEST_WAIT_S", 0.01)


def program(name: str, code: str, directory: Path, *, essential: bool = True, within_s: float = 20.0) -> Spec:
    spec = python(name, ["-c", code], os.environ, directory, essential=essential)
    return Spec(spec.name, spec.start, spec.log, essential, within_s)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_killed_process_runs_again_and_is_counted(tmp_path: Path, said: list[str]) -> None:
    supervisor = Supervisor(said.append)
    child = supervisor.start(program("one", SLEEPS, tmp_path))
    supervisor.start(program("other", SLEEPS, tmp_path))
    watching = asyncio.create_task(supervisor.watch())
    first = child.process.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: child.restarts == 1 and child.alive, "the restart")
    watching.cancel()
    assert child.process.pid != first
    assert supervisor.restarts == {"one": 1}
    assert "one was ended by SIGKILL; it is started again" in said
    await supervisor.stop("one", "other")
    assert gone(child.process.pid)


async def test_what_dies_every_time_is_given_up_with_its_last_words(tmp_path: Path, said: list[str]) -> None:
    supervisor = Supervisor(said.append)
    code = "import sys; sys.exit('the roof is on fire')"
    child = supervisor.start(program("doomed", code, tmp_path))
    with pytest.raises(ChildFailed, match="the roof is on fire") as failure:
        await supervisor.watch()
    assert child.restarts == supervise.MOST_RESTARTS
    assert failure.value.exit_code == 1
    assert f"after {supervise.MOST_RESTARTS} restarts" in str(failure.value)


@pytest.mark.parametrize("ran_s", [supervise.RAN_WELL_S - 5, supervise.RAN_WELL_S])
async def test_who_ran_well_for_a_while_begins_anew(tmp_path: Path, said: list[str], ran_s: float) -> None:
    supervisor = Supervisor(said.append)
    child = supervisor.start(program("old", "raise SystemExit(1)", tmp_path, essential=False))
    child.restarts, child.ends = 50, supervise.MOST_RESTARTS
    child.started_at = time.monotonic() - ran_s
    await until(lambda: not child.alive, "its end")
    supervisor.look_after(child)
    ran_well = ran_s == supervise.RAN_WELL_S
    assert (child.state, child.ends) == (
        ("restarting", 1) if ran_well else ("failed", supervise.MOST_RESTARTS)
    )
    assert list(supervisor.failed) == ["old"]


async def test_waits_between_restarts_grow_and_are_bounded(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "FIRST_WAIT_S", 1.0)
    monkeypatch.setattr(supervise, "LONGEST_WAIT_S", 10.0)
    supervisor = Supervisor(said.append)
    child = supervisor.start(program("dies", "raise SystemExit(1)", tmp_path, essential=False))
    waits_s: list[float] = []
    while child.state != "failed":
        await until(lambda: not child.alive, "its end")
        ended = time.monotonic()
        supervisor.look_after(child)
        waits_s.append(round(child.restart_at - ended))
        child.restart_at = 0.0
        supervisor.look_after(child)
    assert waits_s[: supervise.MOST_RESTARTS] == [1, 2, 4, 8, 10, 10]


async def test_others_go_on_without_an_algorithm_that_failed(tmp_path: Path, said: list[str]) -> None:
    supervisor = Supervisor(said.append)
    child = supervisor.start(program("algo-x", "raise SystemExit(1)", tmp_path, essential=False))
    watching = asyncio.create_task(supervisor.watch())
    await until(lambda: child.state == "failed", "the end of its restarts")
    assert not watching.done()
    watching.cancel()


async def test_bad_input_is_not_tried_again(tmp_path: Path, said: list[str]) -> None:
    supervisor = Supervisor(said.append)
    code = "import sys; print('error: limits.toml: no such name', file=sys.stderr); sys.exit(2)"
    child = supervisor.start(program("oms", code, tmp_path))
    with pytest.raises(ChildFailed) as failure:
        await supervisor.watch()
    assert (str(failure.value), failure.value.exit_code) == ("limits.toml: no such name", BAD_INPUT)
    assert child.restarts == 0


async def test_one_that_ran_before_is_tried_again_while_its_server_is_away(
    tmp_path: Path, said: list[str]
) -> None:
    supervisor = Supervisor(said.append)
    starts = tmp_path / "starts"
    code = f"import signal, sys; file = open({str(starts)!r}, 'a+'); file.write('x'); file.seek(0)\n"
    code += "count = len(file.read()); file.close()\n"
    code += "sys.exit(1) if count == 1 else sys.exit(2) if count < 4 else signal.pause()"
    child = supervisor.start(program("oms", code, tmp_path))
    watching = asyncio.create_task(supervisor.watch())
    await until(lambda: starts.exists() and len(starts.read_text()) == 4, "the fourth start")
    assert not watching.done()
    watching.cancel()
    assert child.restarts == 3
    await supervisor.stop("oms")


async def test_one_that_does_not_stop_is_killed_and_named(tmp_path: Path, said: list[str]) -> None:
    supervisor = Supervisor(said.append)
    child = supervisor.start(program("deaf", STUBBORN, tmp_path, within_s=0.2))
    await until(lambda: (tmp_path / "deaf.out").read_text() != "", "its first word")
    await supervisor.stop("deaf")
    assert child.process.returncode == -signal.SIGKILL
    assert said == ["deaf did not end in 0 s: killed"]


async def test_a_stopped_process_is_not_started_again(tmp_path: Path, said: list[str]) -> None:
    supervisor = Supervisor(said.append)
    child = supervisor.start(program("one", SLEEPS, tmp_path))
    await supervisor.stop("one", "never started")
    supervisor.look_after(child)
    assert (child.state, child.restarts) == ("stopped", 0)


def test_children_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("the kernel's help is Linux's")
    code = (
        "import os, pathlib, signal\n"
        "from ops.run.supervise import Supervisor, python\n"
        f"spec = python('child', ['-c', {SLEEPS!r}], os.environ, pathlib.Path({str(tmp_path)!r}))\n"
        "print(Supervisor(print).start(spec).process.pid, flush=True)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        assert not gone(child)
        supervisor.kill()
    wait_until(lambda: gone(child), "the end of the child")
