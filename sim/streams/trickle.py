"""Sends a message in small pieces, where a fault wants it to trickle."""

import asyncio
from typing import Protocol

from aiohttp import web

from sim.faults.faults import Faults
from sim.streams.raw_frames import fragments


class Reader(Protocol):
    """Whom the pieces are for."""

    request: web.Request
    owner: str | None


class Trickle:
    """The pieces of one connection's messages."""

    def __init__(self, faults: Faults, stream: str, reader: Reader) -> None:
        self._faults = faults
        self._stream = stream
        self._reader = reader

    @property
    def is_on(self) -> bool:
        """Whether there may be such a fault; asked for every frame, so it looks no further than it must."""
        return not self._faults.is_quiet

    async def sent(self, body: bytes, is_binary: bool) -> bool:
        """Send the message in pieces and say True, or False where no fault wants that."""
        fault = self._faults.strike("trickle", stream=self._stream, account=self._reader.owner)
        if fault is None:
            return False
        for piece in fragments(body, is_binary, fault["bytes"]):
            transport = self._reader.request.transport
            if transport is None or transport.is_closing():
                raise ConnectionResetError("the client is gone")
            transport.write(piece)
            await asyncio.sleep(fault["ms"] / 1000)
        return True
