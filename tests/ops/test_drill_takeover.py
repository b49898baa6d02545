"""The takeover drill, as an operator runs it."""

import asyncio
import json
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest
from backbone import COMMAND, backbone, environment
from waiting import until, wait_until

from ops.drill import takeover
from ops.drill.system import UNLIMITED, DrillFailed, whole_system
from ops.drill.takeover import Outcome


def test_only_what_was_kept_passes() -> None:
    slow, quick = (1.001,), (0.5,) * 100
    assert Outcome(quick, 0, 0, 9, 9, ()).passed
    assert Outcome((*quick, 2.0), 0, 0, 9, 9, ()).passed, "one of a hundred may take longer"
    assert not Outcome(slow, 0, 0, 9, 9, ()).passed
    assert not Outcome(quick, 0, 0, 9, 4, ()).passed, "where nothing is approved nothing was tried"
    assert not Outcome(quick, 9, 1, 9, 9, ()).passed
    assert not Outcome(quick, 0, 0, 9, 9, ("an order is there twice",)).passed


@pytest.mark.e2e
async def test_a_killed_leader_is_followed_and_the_books_agree(tmp_path: Path) -> None:
    within = environment(tmp_path)
    run = await asyncio.to_thread(backbone, "drill", "takeover", "--times", "1", "--json", within=within)
    told = json.loads(run.stdout)
    assert len(told["takeovers_s"]) == 1
    assert (told["differences"], told["false_takeovers"]) == ([], 0)
    assert told["approved"] > told["asked"] / 2 > 0


@pytest.mark.e2e
def test_one_that_is_ended_leaves_nobody_behind(home: Path) -> None:
    within = environment(home) | {"TMPDIR": str(home)}
    command = [*COMMAND, "drill", "takeover", "--times", "100"]
    with subprocess.Popen(command, env=within, stderr=subprocess.PIPE) as drill:
        try:
            process = psutil.Process(drill.pid)

            def works() -> bool:
                # Two servers, the simulator, ingest and an OMS.
                assert drill.poll() is None, drill.stderr and drill.stderr.read()
                return len(process.children(recursive=True)) >= 5

            wait_until(works, "its processes", timeout_s=60)
            children = process.children(recursive=True)
            drill.terminate()
            _, errors = drill.communicate(timeout=60)
        finally:
            drill.kill()
    assert b"Traceback" not in errors, errors.decode()
    assert drill.returncode == 130
    assert [child for child in children if child.is_running()] == []
    assert list(home.glob("bb-drill-*")) == []


async def without_a_leader() -> None:
    """A drill whose only OMS ends at once."""
    async with whole_system(["--symbols", "AAPL"], requests_per_minute=UNLIMITED) as system:
        ended = system.start("oms-0", "oms", "--limits", "missing.toml")
        await until(lambda: system.started[ended].poll() is not None)
        await takeover.the_leader(system)


@pytest.mark.e2e
def test_one_without_a_leader_says_what_became_of_each_and_keeps_what_was_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "_LEVEL_WITHIN_S", 0.1)
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    with pytest.raises(DrillFailed, match=r"no OMS leads after 0 s: process \d+ ended with 2; ") as failed:
        asyncio.run(without_a_leader())
    (kept,) = home.glob("bb-drill-*")
    assert str(failed.value).endswith(f"what its processes wrote stays in {kept}")
    assert "missing.toml" in (kept / "oms-0.log").read_text()
