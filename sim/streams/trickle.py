"""Sends a message in small pieces, where a fault wants it to trickle."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from sim.faults.faults import Faults
from sim.streams.raw_frames import fragments


class Trickle:
    """The pieces of one connection's messages; `account` tells whose it is by now."""

    def __init__(
        self, faults: Faults, stream: str, request: web.Request, account: Callable[[], str | None]
    ) -> None:
        self._faults = faults
        self._stream = stream
        self._request = request
        self._account = account

    @property
    def is_on(self) -> bool:
        """Whether there may be such a fault; asked for every frame, so it looks no further than it must."""
        return not self._faults.is_quiet

    async def sent(self, body: bytes, is_binary: bool) -> bool:
        """Send the message in pieces and say True, or False where no fault wants that."""
        fault = self._faults.strike("trickle", stream=self._stream, account=self._account())
        if fault is None:
            return False
        for piece in fragments(body, is_binary, fault["bytes"]):
            transport = self._request.transport
            if transport is None or transport.is_closing():
                raise ConnectionResetError("the client is gone")
            transport.write(piece)
            await asyncio.sleep(fault["ms"] / 1000)
        return True
