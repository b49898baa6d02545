"""Sends a message in small pieces, where a fault asks for it."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from sim.faults.faults import Faults
from sim.streams.raw_frames import fragments


class Trickle:
    """Sends one connection's messages in pieces; `account` returns its account, once known."""

    def __init__(
        self, faults: Faults, stream: str, request: web.Request, account: Callable[[], str | None]
    ) -> None:
        self._faults = faults
        self._stream = stream
        self._request = request
        self._account = account

    @property
    def is_on(self) -> bool:
        """Return whether there may be such a fault; called for every frame, so it must be cheap."""
        return not self._faults.is_quiet

    async def sent(self, body: bytes, is_binary: bool) -> bool:
        """Send the message in pieces and return True, or return False where no fault asks for it."""
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
