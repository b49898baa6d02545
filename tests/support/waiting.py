"""Waiting for something to become true, never for a time to pass."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

_POLL_S = 0.02

_NEVER = threading.Event()


async def until(
    condition: Callable[[], bool | Awaitable[bool]], what: str = "the condition", *, timeout_s: float = 20.0
) -> None:
    """Return once the condition holds; fail, naming what was waited for, after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        holds = condition()
        if not isinstance(holds, bool):
            holds = await holds
        if holds:
            return
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s in vain for {what}"
        await asyncio.sleep(_POLL_S)


def wait_until(
    condition: Callable[[], bool], what: str = "the condition", *, timeout_s: float = 20.0
) -> None:
    """The same for tests without an event loop."""
    deadline = time.monotonic() + timeout_s
    pause = _POLL_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s in vain for {what}"
        _NEVER.wait(pause)
