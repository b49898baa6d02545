"""What makes a real server answer with an error for a while, by the first word of its answer."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import redis
from proxy import Proxy
from waiting import wait_until

# Those that a real server gives here; LOADING and CLUSTERDOWN need a proxy that answers for it.
BY_THE_SERVER = ("OOM", "READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY")
_PROXY_ANSWERS = {
    "LOADING": "LOADING server is loading the dataset in memory",
    "CLUSTERDOWN": "CLUSTERDOWN The cluster is down",
}
BY_A_PROXY = tuple(_PROXY_ANSWERS)


@contextlib.asynccontextmanager
async def refusing(url: str, proxy: Proxy | None, kind: str) -> AsyncIterator[None]:
    """Have the server at this address, or the proxy before it, refuse in this way while the block lasts."""
    if kind in _PROXY_ANSWERS:
        assert proxy is not None, f"{kind} needs a proxy"
        proxy.answer(_PROXY_ANSWERS[kind])
        try:
            yield
        finally:
            proxy.answer("")
        return
    by_server = _refusing_itself(url, kind)
    await asyncio.to_thread(by_server.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(by_server.__exit__, None, None, None)


@contextlib.contextmanager
def _refusing_itself(url: str, kind: str) -> Iterator[None]:
    with redis.Redis.from_url(url, socket_timeout=10) as client:
        begin, end = _busy(client, url) if kind == "BUSY" else _WAYS[kind](client)
        begin()
        try:
            yield
        finally:
            end()


def _configured(client: Any, before: dict[str, Any], after: dict[str, Any]) -> tuple[Any, Any]:
    def put(settings: dict[str, Any]) -> None:
        for name, value in settings.items():
            client.config_set(name, value)

    return lambda: put(before), lambda: put(after)


def _out_of_memory(client: Any) -> tuple[Any, Any]:
    return _configured(client, {"maxmemory": "1"}, {"maxmemory": "0"})


def _without_replicas(client: Any) -> tuple[Any, Any]:
    return _configured(client, {"min-replicas-to-write": 1}, {"min-replicas-to-write": 0})


def _replica(client: Any, serves: str) -> tuple[Any, Any]:
    def begin() -> None:
        client.config_set("replica-serve-stale-data", serves)
        client.execute_command("REPLICAOF", "127.0.0.1", _dead_port())

    return begin, lambda: client.execute_command("REPLICAOF", "NO", "ONE")


def _cannot_save(client: Any) -> tuple[Any, Any]:
    """A directory stands where its snapshot is to go; what it appends to is another file, and open."""
    in_the_way = Path(client.config_get("dir")["dir"]) / client.config_get("dbfilename")["dbfilename"]

    def begin() -> None:
        client.config_set("save", "3600 1")
        in_the_way.mkdir()
        _save(client, "err")

    def end() -> None:
        in_the_way.rmdir()
        _save(client, "ok")
        client.config_set("save", "")

    return begin, end


def _save(client: Any, status: str) -> None:
    client.bgsave()

    def saved() -> bool:
        info = client.info("persistence")
        return not info["rdb_bgsave_in_progress"] and info["rdb_last_bgsave_status"] == status

    wait_until(saved, f"a save to end with {status}")


def _busy(client: Any, url: str) -> tuple[Any, Any]:
    running: list[threading.Thread] = []

    def loop() -> None:
        with redis.Redis.from_url(url) as other, contextlib.suppress(redis.RedisError):
            other.eval("while true do end", 0)

    def busy() -> bool:
        try:
            client.get("x")
        except redis.RedisError as error:
            return str(error).startswith("BUSY")
        return False

    def begin() -> None:
        client.config_set("busy-reply-threshold", 100)
        running.append(threading.Thread(target=loop, daemon=True))
        running[0].start()
        wait_until(busy, "the server to be busy")

    def end() -> None:
        client.execute_command("SCRIPT", "KILL")
        running[0].join(10)

    return begin, end


def _dead_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_WAYS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "OOM": _out_of_memory,
    "NOREPLICAS": _without_replicas,
    "READONLY": lambda client: _replica(client, "yes"),
    "MASTERDOWN": lambda client: _replica(client, "no"),
    "MISCONF": _cannot_save,
}
