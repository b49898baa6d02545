"""`backbone demo` as a user runs it, with the OMS killed in the middle: every promise about one run."""

import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from backbone import Demo, alive, backbone, environment, status

pytestmark = pytest.mark.e2e

NAMES = {
    "seconds", "messages_in", "streams", "requests", "approved", "refused", "sent", "fills", "latency_us",
    "restarts", "gaps", "dead", "halted", "consistent", "differences", "failed",
}  # fmt: skip
PROCESSES = {
    "redis-md", "redis-orders", "sim", "ingest", "oms", "algo-ma-cross", "algo-mean-reversion", "supervisor",
}  # fmt: skip


@dataclass
class Run:
    """One run, and what was seen while it went on."""

    summary: dict[str, Any]
    exit_code: int
    before: dict[str, Any]
    after_kill: dict[str, Any]
    tails: dict[str, Any]
    doctor: Any
    left: list[int]
    home: Path
    errors: str
    visible: dict[str, str]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    directory = tmp_path
    within = environment(directory / "home")
    # Ended once it was looked at, however long that takes a machine that is busy.
    demo = Demo(within, directory, "--seconds", "300")
    try:
        before = demo.status_once(
            "an order that was sent", lambda found: found["latency_us"]["approved_to_sent"]["p50"]
        )
        visible = seen_by_others(before)
        os.kill(before["processes"]["oms"]["pid"], signal.SIGKILL)
        after = demo.status_once("the OMS again", lambda found: found["processes"]["oms"]["restarts"] == 1)
        with ThreadPoolExecutor(max_workers=5) as together:
            asked = {
                name: together.submit(backbone, "tail", name, "--count", count, within=within)
                for name, count in (("AAPL", "3"), ("journal", "12"), ("account", "3"), ("AAPLE", "3"))
            }
            doctor = together.submit(backbone, "doctor", within=within).result()
            tails = {name: answer.result() for name, answer in asked.items()}
        demo.interrupt()
        summary = demo.end()
        pids = [process["pid"] for found in (before, after) for process in found["processes"].values()]
        yield Run(
            summary, demo.process.returncode, before, after, tails, doctor, alive(pids),
            directory / "home", demo.errors, visible,
        )  # fmt: skip
    finally:
        demo.leave_nothing()


def the_last_line_has_exactly_the_promised_names(run: Run) -> None:
    assert set(run.summary) == NAMES
    assert set(run.summary["latency_us"]) == {
        "tick_to_request", "request_to_approved", "tick_to_approved", "approved_to_sent",
    }  # fmt: skip
    assert all(set(span) == {"p50", "p99"} for span in run.summary["latency_us"].values())


def ticks_become_fills(run: Run) -> None:
    summary = run.summary
    assert summary["messages_in"] > 100
    assert summary["requests"] >= summary["approved"] >= summary["fills"] > 0
    assert summary["streams"]["orders:{paper}:journal"] > 0
    assert 0 < summary["latency_us"]["tick_to_approved"]["p50"] < 5_000_000
    assert 0 < summary["seconds"] < 300


def a_killed_oms_is_started_again_and_the_books_still_agree(run: Run) -> None:
    assert run.summary["restarts"] == {"oms": 1}
    assert run.before["processes"]["oms"]["pid"] != run.after_kill["processes"]["oms"]["pid"]
    assert run.summary["differences"] == []
    assert run.summary["consistent"]
    assert run.exit_code == 0
    assert "oms was ended by SIGKILL" in run.errors


def status_names_every_process_with_pid_and_state(run: Run) -> None:
    processes = run.before["processes"]
    assert set(processes) == PROCESSES
    assert all(process["pid"] > 0 and process["state"] for process in processes.values())
    assert set(run.before["algorithms"]) == {"ma-cross", "mean-reversion"}
    assert set(run.before["symbols"]) <= {"AAPL", "MSFT", "SPY", "TSLA"}


def nothing_is_left_running(run: Run) -> None:
    assert run.left == []
    assert not list(run.home.glob("running*"))
    assert status(environment(run.home)) == {}


def tail_prints_for_people_and_knows_what_is_near(run: Run) -> None:
    lines = run.tails["AAPL"].stdout.splitlines()
    assert len(lines) == 3
    assert any(re.search(r"  AAPL (trade|quote|bar) ", line) for line in lines), lines
    entries = run.tails["journal"].stdout.splitlines()
    assert len(entries) == 12
    assert all(re.match(r"[\d:.]+  orders:\{paper\}:journal  \S", entry) for entry in entries), entries
    # What an OMS that begins writes of the account stands between what the two algorithms do.
    assert any(re.search(r":journal  (ma-cross|mean-reversion): \S", entry) for entry in entries), entries
    assert "broker: " in run.tails["account"].stdout
    unknown = run.tails["AAPLE"]
    assert (unknown.returncode, "AAPL" in unknown.stderr, unknown.stdout) == (2, True, "")


def the_doctor_finds_the_demo_well(run: Run) -> None:
    assert run.doctor.returncode == 0, run.doctor.stdout
    assert "appendfsync always" in run.doctor.stdout


def seen_by_others(found: dict[str, Any]) -> dict[str, str]:
    """Where Linux shows them: the command line of each process, and the environment of each algorithm."""
    shown = {}
    for name, process in found["processes"].items():
        files = ["cmdline", *(["environ"] if name.startswith("algo-") else [])]
        paths = [Path(f"/proc/{process['pid']}/{file}") for file in files]
        shown[name] = "".join(path.read_text() for path in paths if path.exists())
    return shown


def keys_reach_neither_command_lines_nor_algorithms(run: Run) -> None:
    for name, text in run.visible.items():
        assert "ALPACA_" not in text, name
        assert "SECRET" not in text.upper().replace("\0", " "), name
        assert "redis://" not in text.split("MD_REDIS_URL")[0], name


PROMISES = (
    the_last_line_has_exactly_the_promised_names,
    ticks_become_fills,
    a_killed_oms_is_started_again_and_the_books_still_agree,
    status_names_every_process_with_pid_and_state,
    nothing_is_left_running,
    tail_prints_for_people_and_knows_what_is_near,
    the_doctor_finds_the_demo_well,
    keys_reach_neither_command_lines_nor_algorithms,
)


def test_one_run_keeps_every_promise(run: Run, subtests: pytest.Subtests) -> None:
    """One run for all of them, also where tests are spread over processes."""
    for promise in PROMISES:
        with subtests.test(promise.__name__):
            promise(run)
