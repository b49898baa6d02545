"""redis-py clients for everything but the hot path, with defaults that cannot duplicate a write."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from bus.client import ConnectionPool, RedisClient
from bus.errors import AccessRefused, InvalidInput, NoServer, RefusedForNow, ServerAway, ServerRefused
from bus.retry import until_answered

# A RedisClient that returns bytes. redis-py's annotations mean text or bytes, now or awaited: no help.
Client = Any

OLDEST_SERVER = (7, 0)

# Longer than any BLOCK of ours (2 s at most), so that an idle stream is never mistaken for a dead server.
SOCKET_TIMEOUT_S = 5.0

Answer = TypeVar("Answer")

log = structlog.get_logger()


def connect(url: str, *, name: str, **options: Any) -> Client:
    """A client that sends each command once; `options` are redis-py's own.

    redis-py's default repeats a command whose reply was lost: one XADD became four entries
    (redis/redis-py#3554). Here the caller sees the error and looks before it sends again. Raises
    InvalidInput for an address that cannot be one.
    """
    try:
        pool = ConnectionPool.from_url(
            url,
            client_name=name,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            health_check_interval=0,
            **options,
        )
    except ValueError:
        # The parser's own words may quote a piece of the password.
        raise InvalidInput(
            f"server address {shown(url)}: write redis://[user:password@]host:port/0 or unix:///path"
        ) from None
    return RedisClient.from_pool(pool)


async def require_servers(market_url: str, orders_url: str, *, name: str) -> bool:
    """Check both servers, orders first, as `require_server` does each. Returns whether they are two."""
    orders = await _required(orders_url, "ORDERS_REDIS_URL", name)
    return orders != await _required(market_url, "MD_REDIS_URL", name)


async def until_required(required: Callable[[], Awaitable[Answer]]) -> Answer:
    """What one of these answers, for a process that starts: waits for a server that takes nothing now."""
    answer = await until_answered(
        required,
        stopping=None,
        tell=lambda trouble: log.warning("waiting for a server", error=trouble),
        away=(RefusedForNow,),
    )
    assert answer is not None, "without a stop it ends with an answer"
    return answer


async def require_orders_server(market_url: str, orders_url: str, *, name: str) -> str:
    """The same where the market-data server may be away: returns why it is, "" where it is not."""
    await _required(orders_url, "ORDERS_REDIS_URL", name)
    try:
        await _required(market_url, "MD_REDIS_URL", name)
    except (NoServer, RefusedForNow) as error:
        return str(error)
    return ""


async def _required(url: str, variable: str, name: str) -> str:
    client = connect(url, name=name)
    try:
        return await require_server(client, url, variable)
    finally:
        await client.aclose()


async def require_server(client: Client, url: str, variable: str) -> str:
    """Check that the server answers, lets us in and is recent enough; returns what identifies it.

    Raises InvalidInput with a sentence that names the setting (`variable`) and what to do; NoServer, which
    is one too, where nobody answers; RefusedForNow where the server answers and takes nothing now.
    """
    try:
        found = await _information(client, url)
    except AccessRefused as error:
        raise InvalidInput(
            f"{variable}={shown(url)}: the server refused the user or password ({error}); "
            "put the right ones into the address"
        ) from error
    except RefusedForNow as error:
        raise RefusedForNow(
            f"{variable}={shown(url)}: the server takes nothing now, which passes by itself ({error})"
        ) from error
    except ServerAway as error:
        raise NoServer(
            f"{variable}={shown(url)}: no server answers there ({error}); start it or correct the address"
        ) from error
    except ServerRefused as error:
        raise InvalidInput(f"{variable}={shown(url)}: the server refused us: {error}") from error
    version = str(found["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
        raise InvalidInput(
            f"{variable}={shown(url)}: version {version} is too old; Redis 7.0 or newer is needed"
        )
    # Some services leave it out; then their address must tell them apart.
    return str(found.get("run_id") or url)


async def _information(client: Client, url: str) -> dict[str, Any]:
    """INFO, also from servers so old that they know no HELLO, with which redis-py begins."""
    try:
        found: dict[str, Any] = await client.info("server")
    except ServerRefused as error:
        if not any(words in str(error).lower() for words in ("unknown command", "noproto")):
            raise
        plain = connect(url, name="version-check", protocol=2)
        try:
            found = await plain.info("server")
        finally:
            await plain.aclose()
    return found


def shown(url: str) -> str:
    """The address without user, password and options, for messages."""
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2].partition('?')[0]}"
