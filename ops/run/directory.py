"""The directory of one run: logs, and the data of servers that live no longer than it."""

import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "backbone-run-"

# The name of a file that marks a directory whose logs somebody was told to read.
_KEPT = "kept"


def make() -> Path:
    """Make a new one, private to the user, and remove those that killed runs left behind."""
    place = Path(tempfile.gettempdir())
    for path in place.glob(f"{_PREFIX}*"):
        if _abandoned(path):
            shutil.rmtree(path, ignore_errors=True)
    # A short path: a unix socket's address may not be longer than about a hundred characters.
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place))


def keep(path: Path) -> None:
    """Keep it for somebody to read, until they remove it."""
    (path / _KEPT).touch()


def remove(path: Path) -> None:
    """Remove it with all that it holds."""
    shutil.rmtree(path)


def _abandoned(path: Path) -> bool:
    pid = path.name.removeprefix(_PREFIX).partition("-")[0]
    try:
        if path.stat().st_uid != os.getuid() or (path / _KEPT).exists() or not pid.isdecimal():
            return False
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        # Removed meanwhile, or another user's.
        return False
    return False
