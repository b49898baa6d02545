"""redis-py's client with this project's errors: what it raises says what to do next."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import redis.asyncio
from redis.asyncio.client import Pipeline
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    DataError,
    RedisError,
    ResponseError,
)

from bus.error_answers import refusal, says_replica
from bus.errors import (
    AccessRefused,
    BackboneError,
    RefusedForNow,
    ReplyLost,
    ServerUnreachable,
)

Result = TypeVar("Result")

# The server's own words, though redis-py counts some of them among the errors of a connection.
_ANSWERS = (ResponseError, AuthenticationError, AuthorizationError, BusyLoadingError)


class ConnectionPool(redis.asyncio.ConnectionPool):
    """redis-py's pool of connections; where it has none to give, nothing was sent.

    Mutable: whether the server has ever let us in.
    """

    _let_in = False

    async def get_connection(self, *arguments: Any, **options: Any) -> Any:
        """Connect if need be. Raises ServerUnreachable, or what `refusal` makes of the server's answer."""
        connecting = super().get_connection(*arguments, **options)  # type: ignore[no-untyped-call]
        try:
            connection = await mapped(connecting, lost=ServerUnreachable)
        except AccessRefused as error:
            if not self._let_in:
                raise
            # The password was right once: a server that asks for another now is mended there, and waited for.
            raise RefusedForNow(str(error)) from error
        self._let_in = True
        return connection

    async def leave_replica(self) -> None:
        """Close the idle connections, to a server that is a replica now.

        A failover may leave them open: only new ones find who takes writes now.
        """
        await mapped(self.disconnect(inuse_connections=False), lost=ServerUnreachable)


class Commands(Pipeline):
    """A pipeline: commands that are sent together."""

    connection_pool: ConnectionPool

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send them and return their replies; raises as the client does."""
        try:
            return await mapped(super().execute(raise_on_error), lost=ReplyLost)
        except RefusedForNow as error:
            if says_replica(str(error)):
                await self.connection_pool.leave_replica()
            raise

    def annotate_exception(self, *_: object) -> None:
        """Leave an error as the server wrote it: redis-py would put the command, with its data, before it."""


class RedisClient(redis.asyncio.Redis):
    """A client that raises ServerUnreachable, ReplyLost, ServerRefused and Fenced, never redis-py's errors.

    Each command is sent once. `except ServerAway` is what to write where waiting is the cure.
    """

    connection_pool: ConnectionPool

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Send a command and return its reply; every other method goes through this one."""
        answered = super().execute_command(*arguments, **options)  # type: ignore[no-untyped-call]
        try:
            return await mapped(answered, lost=ReplyLost)
        except RefusedForNow as error:
            if says_replica(str(error)):
                await self.connection_pool.leave_replica()
            raise

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Commands:
        """Collect commands, to be sent together by `execute`."""
        return Commands(self.connection_pool, self.response_callbacks, transaction, shard_hint)


async def mapped(call: Coroutine[Any, Any, Result], *, lost: type[BackboneError]) -> Result:
    """Await a call of redis-py and raise its errors as ours: `lost` where the connection broke.

    A task that was cancelled before or meanwhile stays cancelled: redis-py turns a cancellation that meets
    one of its timeouts into an error, and up to Python 3.11 drops one that comes together with a reply.
    """
    task = asyncio.current_task()
    cancelled_before = task.cancelling() if task is not None else 0
    if cancelled_before:
        await _not_begun_if_cancelled(call)
    try:
        result = await call
    except (BackboneError, DataError):
        # Mapped already; or arguments that no command can have, which is a defect of ours.
        raise
    except (RedisError, OSError) as error:
        _stay_cancelled(task, cancelled_before)
        raise _ours(error, lost) from error
    _stay_cancelled(task, cancelled_before)
    return result


async def _not_begun_if_cancelled(call: Coroutine[Any, Any, object]) -> None:
    """Let a cancellation that is still on its way arrive, as Ctrl-C's to a task at work."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        call.close()
        raise


def _stay_cancelled(task: "asyncio.Task[Any] | None", cancelled_before: int) -> None:
    if task is not None and task.cancelling() > cancelled_before:
        raise asyncio.CancelledError


def _ours(error: Exception, lost: type[BackboneError]) -> BackboneError:
    # An answer to the first words of a connection comes wrapped into an error of the connection.
    answer = next((one for one in (error, error.__cause__) if isinstance(one, _ANSWERS)), None)
    return refusal(_answer(answer)) if answer is not None else lost(str(error) or type(error).__name__)


def _answer(error: Exception) -> str:
    """The answer as the server wrote it: redis-py takes the first word off those that it knows."""
    code, text = getattr(error, "status_code", None), str(error)
    return text if not code or text.startswith(f"{code} ") else f"{code} {text}"
