"""The `backbone` command as a process, as a user starts it, with a home of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from waiting import wait_until

COMMAND = [sys.executable, "-m", "ops"]


def environment(home: Path, **extra: str) -> dict[str, str]:
    """Ours, without what a developer may have set for Alpaca or other servers."""
    ours = ("MD_REDIS", "ORDERS_REDIS", "ALPACA_", "BACKBONE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    binary = os.environ.get("BACKBONE_SERVER_BIN")
    return kept | ({"BACKBONE_SERVER_BIN": binary} if binary else {}) | {"BACKBONE_HOME": str(home)} | extra


def backbone(
    *arguments: str, within: Mapping[str, str], timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=dict(within),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def status(within: Mapping[str, str]) -> dict[str, Any]:
    """What `backbone status --json` says; empty while nothing runs."""
    found = backbone("status", "--json", within=within)
    return json.loads(found.stdout) if found.returncode == 0 else {}


class Demo:
    """A running `backbone demo --json`."""

    def __init__(self, within: Mapping[str, str], directory: Path, *arguments: str) -> None:
        self.within = within
        self._errors = directory / "demo.err"
        self._output = directory / "demo.out"
        with self._output.open("wb") as out, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*COMMAND, "demo", "--json", *arguments],
                env=dict(within),
                stdout=out,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def status_once(self, ready: str, condition: Any, *, timeout_s: float = 30.0) -> dict[str, Any]:
        """The first status for which the condition holds."""
        found: dict[str, Any] = {}

        def holds() -> bool:
            assert self.process.poll() is None, self.errors
            found.clear()
            found.update(status(self.within))
            return bool(found) and bool(condition(found))

        wait_until(holds, ready, timeout_s=timeout_s)
        return dict(found)

    def end(self, *, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait for the end; the JSON object on the last line of its output."""
        self.process.wait(timeout_s)
        lines = self._output.read_text().splitlines()
        assert lines, self.errors
        return dict(json.loads(lines[-1]))

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    @property
    def errors(self) -> str:
        """What it said on stderr."""
        return self._errors.read_text()

    def leave_nothing(self) -> None:
        """End it if it still runs; it takes its children along."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


def alive(pids: list[int]) -> list[int]:
    """Those of these processes that exist."""
    return [pid for pid in pids if _answers(pid)]


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
