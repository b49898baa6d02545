"""Which servers to speak to: those of the environment, or of what runs on this machine.

A file for each account under $BACKBONE_HOME names the latter; whoever runs holds it locked, so that it ends
with its holder.
"""

import fcntl
import os
from pathlib import Path
from typing import IO

import msgspec

from bus.errors import InvalidInput
from bus.settings import BusSettings, load

_VARIABLES = ("MD_REDIS_URL", "ORDERS_REDIS_URL")

# Each of these names an account: a command is about that one, and about no other that runs here.
_NAMES_AN_ACCOUNT = ("BACKBONE_ACCOUNT", "BACKBONE_TRADING")


class Servers(msgspec.Struct, frozen=True):
    """The two servers to speak to and the account on them.

    `halt_file` is the halt file of a run whose data end with it; "" for the one that the settings name.
    """

    market: str
    orders: str
    account: str
    halt_file: str = ""

    def __repr__(self) -> str:
        return f"<servers of account {self.account}>"


class Running(msgspec.Struct, frozen=True):
    """Who runs, and on which servers."""

    pid: int
    command: str
    servers: Servers


class Claim:
    """The running file while this process holds it: nobody else writes it, and others read it."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path

    def write(self, running: Running) -> None:
        """Write who runs, and where, for other terminals to read."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(msgspec.json.encode(running))
        self._file.flush()

    def release(self) -> None:
        """Remove the file, so that other terminals find nothing running, and let go of the lock."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def home() -> Path:
    """Make and return the directory of our files, private to the user: $BACKBONE_HOME, or ~/.backbone.

    Raises InvalidInput where it cannot be made.
    """
    path = Path(os.environ.get("BACKBONE_HOME") or Path.home() / ".backbone")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"BACKBONE_HOME={path}: {error.strerror}; set it to a directory that may be written"
        ) from error
    return path


def data_directory(account: str) -> Path:
    """The directory in which servers of our own keep what belongs to this account.

    An earlier release kept every account in one, `data`. It stays that of paper; whether another account is
    in it nobody can tell from outside, so that InvalidInput asks.
    """
    earlier, own = home() / "data", home() / f"data-{account}"
    if own.exists() or not earlier.exists():
        return own
    if account == "paper":
        return earlier
    raise InvalidInput(
        f"{earlier} is of an earlier release, which kept every account in it: if account {account} has a "
        f"journal there, stop what runs and copy it (cp -a {earlier} {own}); if not, mkdir {own}"
    )


def claim(account: str) -> Claim | None:
    """Lock the running file of an account and return it; None while another process here holds it."""
    path = home() / f"running-{account}.json"
    # Addresses may carry passwords: nobody else may read them.
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    if not _lock(file):
        file.close()
        return None
    return Claim(file, path)


def of(account: str) -> Running | None:
    """Read what runs on this machine now for this account; None where nothing does."""
    return _read(home() / f"running-{account}.json")


def read(settings: BusSettings) -> Running | None:
    """Read what runs on this machine now; None where nothing does.

    Of the account that the environment names, or of the one that runs where it names none. Raises
    InvalidInput where it names none and several run.
    """
    if _names_an_account():
        return of(settings.account)
    found = [running for path in sorted(home().glob("running-*.json")) if (running := _read(path))]
    if len(found) > 1:
        names = " and ".join(running.servers.account for running in found)
        raise InvalidInput(f"accounts {names} run here: set BACKBONE_ACCOUNT to the one that is meant")
    return found[0] if found else None


def _read(path: Path) -> Running | None:
    try:
        with path.open("rb") as file:
            if _lock(file):
                return None
            return msgspec.json.decode(file.read(), type=Running)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def servers(*, orders_only: bool = False) -> Servers:
    """Choose the servers of MD_REDIS_URL and ORDERS_REDIS_URL where these are set, else of what runs here.

    Raises InvalidInput where neither tells, or where only one variable is set (`orders_only` needs no other).
    """
    settings = load(BusSettings)
    found = known_servers(settings, orders_only=orders_only)
    if found is None:
        of_account = f" for account {settings.account}" if _names_an_account() else ""
        raise InvalidInput(
            f"nothing is running{of_account}: start it with `backbone demo` or `backbone up`, or set "
            "MD_REDIS_URL and ORDERS_REDIS_URL to the servers to speak to"
        )
    return found


def known_servers(settings: BusSettings, *, orders_only: bool = False) -> Servers | None:
    """The same; None where neither tells. Raises InvalidInput where only one variable is set."""
    given = given_servers(settings, orders_only=orders_only)
    if given is not None:
        return given
    running = read(settings)
    return None if running is None else running.servers


def given_servers(settings: BusSettings, *, orders_only: bool = False) -> Servers | None:
    """The servers that the environment names; None where it names none.

    Raises InvalidInput where it names only one.
    """
    named = are_named()
    if not named:
        return None
    if len(named) == 1 and not (orders_only and named[0] == "ORDERS_REDIS_URL"):
        missing = next(name for name in _VARIABLES if name not in named)
        raise InvalidInput(f"{named[0]} is set and {missing} is not: set both, or neither")
    return Servers(settings.md_redis_url, settings.orders_redis_url, settings.account)


def are_named() -> list[str]:
    """Return those of MD_REDIS_URL and ORDERS_REDIS_URL that are set, also where they are given as a file."""
    return [name for name in _VARIABLES if _is_set(name)]


def _names_an_account() -> bool:
    return any(map(_is_set, _NAMES_AN_ACCOUNT))


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def _lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
