"""Runs a module of ours in a process of its own, so that its work is not on the OMS's loop."""

import asyncio
import contextlib
import os
import sys
from contextlib import suppress

# Behind whatever trades.
_NICENESS = 10


async def said_apart(module: str, order: bytes) -> tuple[bytes, int]:
    """Run it with `order` as standard input; returns what it wrote to standard output, and its exit code.

    The process ends with this task.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        said, _ = await process.communicate(order)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
    assert process.returncode is not None, "it has ended"
    return said, process.returncode


def step_back() -> None:
    """Let whatever trades go before this process."""
    with suppress(OSError):
        os.nice(_NICENESS)
