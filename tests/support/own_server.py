"""A server of a test's own, to kill, to pause and to configure."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from bus import embedded


class OwnServer:
    """One server that may be stopped and started again with the same data at the same address."""

    def __init__(self, directory: Path, role: embedded.Role = "orders") -> None:
        self._directory = directory
        self._role: embedded.Role = role
        self._running = embedded.start(role, directory)
        self.port = self._running.port
        self.url = self._running.url
        self.tcp_url = self._running.tcp_url

    def kill(self) -> None:
        """End it as a power cut would."""
        self._running.process.kill()
        self._running.process.wait()

    def start_again(self) -> None:
        """The same data, directory and port."""
        self._running = embedded.start(self._role, self._directory, self.port)

    def pause(self) -> None:
        """Let it hang: connections stay, nothing is answered."""
        self._running.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of a pause."""
        self._running.process.send_signal(signal.SIGCONT)

    def configure(self, **settings: Any) -> None:
        """Set what CONFIG SET can set; an underscore stands for a dash."""
        with redis.Redis.from_url(self.url) as client:
            for name, value in settings.items():
                client.config_set(name.replace("_", "-"), value)

    def stop(self) -> None:
        """End it cleanly."""
        self._running.process.send_signal(signal.SIGCONT)
        self._running.stop()


@contextmanager
def own_server(role: embedded.Role = "orders") -> Iterator[OwnServer]:
    """A fresh server, gone with its data afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="bb-own-"))
    server = OwnServer(directory, role)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)
