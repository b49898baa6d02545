"""Running what may not hear the first time that it should end."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from bus.service import ended

log = structlog.get_logger()

_AGAIN_S = 0.1


async def insistently(body: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine; when cancelled, cancel it until it has ended.

    redis-py turns a cancellation that meets one of its own timeouts into a TimeoutError. A loop that goes on
    after errors of the server would then go on after the cancellation too.
    """
    task = asyncio.ensure_future(body)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        await ended(task, again_s=_AGAIN_S)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Whoever cancelled us has an error of its own to report; this one must not be lost.
            log.error("failed while it was ended", error=repr(error))
        raise
    task.result()
