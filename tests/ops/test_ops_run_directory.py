"""The directories of killed runs go with the next start; those that somebody is to read stay."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ops.run import directory as run_directory


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_directories_of_the_dead_are_removed(place: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    dead = int(ended.stdout)
    abandoned, kept = place / f"backbone-run-{dead}-a", place / f"backbone-run-{dead}-b"
    running, other = place / f"backbone-run-{os.getpid()}-c", place / "backbone-other"
    for path in (abandoned, kept, running, other):
        path.mkdir()
        (path / "server.log").touch()
    run_directory.keep(kept)
    made = run_directory.make()
    assert not abandoned.exists()
    assert all(path.exists() for path in (kept, running, other, made))
    assert made.stat().st_mode & 0o077 == 0
    run_directory.remove(made)
    assert not made.exists()
