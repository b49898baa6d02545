"""The directory of one run: logs, and the data of servers that live no longer than it."""

import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "backbone-run-"

# Left in a directory whose logs somebody was told to read.
_KEPT = "kept"


def make() -> Path:
    """A new one, private to the user; those of killed runs are removed, as nobody else could do it."""
    place = Path(tempfile.gettempdir())
    for path in place.glob(f"{_PREFIX}*"):
        if _abandoned(path):
            shutil.rmtree(path, ignore_errors=True)
    # A short path: a unix socket's address may not be longer than about a hundred characters.
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place))


def keep(path: Path) -> None:
    """Leave it for somebody to read, until they remove it."""
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
        # Gone between two looks, or somebody else's.
        return False
    return False
