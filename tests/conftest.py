"""Fixtures that every test may use: real servers of our own, empty for each test."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings

from bus import embedded
from bus.connection import connect

# A busy machine is no failure, nor is a fresh clone, where Hypothesis first makes its table of Unicode.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[embedded.EmbeddedServer, embedded.EmbeddedServer]]:
    """A market-data and an orders server, started once a session and worker."""
    # A short path: a unix socket's address may not be longer than about a hundred characters.
    directory = Path(tempfile.mkdtemp(prefix="bb-"))
    market = embedded.start("market", directory / "md")
    orders = embedded.start("orders", directory / "orders")
    yield market, orders
    market.stop()
    orders.stop()
    shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def _no_home_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No halt that is written down on this machine reaches a test, nor one test another."""
    monkeypatch.setenv("BACKBONE_HOME", str(tmp_path / "home"))


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home for the command, with a path short enough for its servers' sockets."""
    with tempfile.TemporaryDirectory(prefix="bb-") as name:
        yield Path(name)


def _emptied(server: embedded.EmbeddedServer) -> str:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    return server.url


@pytest.fixture
def md_url(servers: tuple[embedded.EmbeddedServer, embedded.EmbeddedServer]) -> str:
    """The address of an empty market-data server."""
    return _emptied(servers[0])


@pytest.fixture
def orders_url(servers: tuple[embedded.EmbeddedServer, embedded.EmbeddedServer]) -> str:
    """The address of an empty orders server."""
    return _emptied(servers[1])


@pytest.fixture
async def orders_client(orders_url: str) -> AsyncIterator[Any]:
    """A client of the empty orders server."""
    client = connect(orders_url, name="test")
    yield client
    await client.aclose()


@pytest.fixture
async def market_client(md_url: str) -> AsyncIterator[Any]:
    """A client of the empty market-data server."""
    client = connect(md_url, name="test")
    yield client
    await client.aclose()
