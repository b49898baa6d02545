"""The queue to a slow client: bounded; the client is told, and cut off in the end."""

import asyncio
from typing import Any

import pytest
from waiting import until

from sim.streams import outgoing as outgoing_module
from sim.streams.outgoing import Outgoing


class Socket:
    """A websocket whose client reads only while `reads` is set."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.sent: list[bytes] = []
        self.close_codes: list[int] = []

    async def send_bytes(self, frame: bytes) -> None:
        await self.reads.wait()
        self.sent.append(frame)

    async def close(self, code: int) -> None:
        self.close_codes.append(code)


async def test_a_slow_client_gets_the_last_words_and_is_closed() -> None:
    socket: Any = Socket()
    outgoing = Outgoing(socket, True, abort=lambda: None, most_bytes=10)
    sender = asyncio.create_task(outgoing.send())
    taken = 0
    while outgoing.put(b"12345"):
        taken += 1
        await asyncio.sleep(0)
    assert 2 <= taken <= 4
    outgoing.finish(b"slow client")
    assert not outgoing.put(b"more")
    socket.reads.set()
    await sender
    assert socket.sent == [b"12345", b"slow client"]
    assert socket.close_codes == [1008]


async def test_a_client_that_reads_nothing_at_all_is_cut_off() -> None:
    socket: Any = Socket()
    cut: list[bool] = []
    outgoing = Outgoing(socket, True, abort=lambda: cut.append(True), slow_close_s=0.01)
    sender = asyncio.create_task(outgoing.send())
    outgoing.put(b"12345")
    outgoing.finish(b"slow client")
    await until(lambda: cut == [True], "the connection is cut")
    sender.cancel()


async def test_a_client_that_reads_nothing_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(Socket):
        async def close(self, code: int) -> None:
            await self.reads.wait()

    monkeypatch.setattr(outgoing_module, "CLOSE_S", 0.01)
    socket: Any = Deaf()
    cut: list[bool] = []
    async with asyncio.timeout(5):
        await Outgoing(socket, True, abort=lambda: cut.append(True)).close()
    assert cut == [True]
