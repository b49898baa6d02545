"""Lets virtual time wait for its readers, and ends those that do not read at all."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

FEW_BYTES = 1_000_000  # a reader for which no more than this waits keeps up
PATIENCE_S = 5.0  # real time; a reader that reads nothing for so long is ended


class Reader(Protocol):
    """What this needs of a connection."""

    @property
    def waiting_bytes(self) -> int:
        """How much waits to be sent."""

    def end_as_slow(self) -> None:
        """Send the error of a slow client, and close."""


async def keep_up(readers: Callable[[], Iterable[Reader]], patience_s: float = PATIENCE_S) -> None:
    """Return when no reader has much left to read; one that reads nothing for `patience_s` is ended."""
    before: dict[Reader, tuple[int, float]] = {}
    while True:
        await asyncio.sleep(0)
        behind = [reader for reader in readers() if reader.waiting_bytes > FEW_BYTES]
        if not behind:
            return
        now_s = time.monotonic()
        for reader in behind:
            waiting_bytes, since_s = before.get(reader, (0, now_s))
            if waiting_bytes != reader.waiting_bytes:
                before[reader] = reader.waiting_bytes, now_s
            elif now_s - since_s > patience_s:
                reader.end_as_slow()
        await asyncio.sleep(0.001)
