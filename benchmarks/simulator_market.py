"""The simulator's market data: messages for each second of its CPU, to one msgpack client in frames of 20.

The limit packs as many of the same messages with the same library, puts them into the same frames and writes
them to a bare socket: no market, no bars, no broker, no subscriptions.
"""

import asyncio
import socket
import struct
import threading
import time
from pathlib import Path

import aiohttp
import msgspec
import psutil
import uvloop
from msgspec.msgpack import Ext

from benchmarks.processes import simulator
from benchmarks.row import Row

SYMBOLS = "AAPL,MSFT,SPY,TSLA,NVDA"
RATE = 120_000  # asked for; the floor is less, so that it is reached and not just approached
FRAME_MESSAGES = 20
WARM_UP_S = 1.0
SECONDS = 5.0
LIMIT_FRAMES = 25_000
BAR = 0.15
FLOOR = 100_000

_TIMESTAMP = -1
_QUOTE_SHARE = 4  # three quotes to a trade, as the simulator plays them


class _Quote(msgspec.Struct, tag_field="T", tag="q", gc=False):
    S: str
    bx: str
    bp: float
    bs: int
    ax: str
    ap: float
    as_: int = msgspec.field(name="as")
    c: list[str]
    z: str
    t: Ext


class _Trade(msgspec.Struct, tag_field="T", tag="t", gc=False):
    S: str
    i: int
    x: str
    p: float
    s: int
    c: list[str]
    z: str
    t: Ext


def measure(directory: Path) -> Row:
    """Messages received for each CPU second of the simulator; of the wall, where they come slowly."""
    arguments = ("--rate", str(RATE), "--frame-messages", str(FRAME_MESSAGES), "--symbols", SYMBOLS)
    with (
        simulator(directory, *arguments) as (process, environment),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        received, cpu_s, elapsed_s = runner.run(_receive(environment, process.pid))
    sent, limit_cpu_s = _pack_and_write()
    sustained = received / elapsed_s
    return Row(
        name="sim_market",
        value=received / cpu_s if sustained >= FLOOR else sustained,
        unit="messages per CPU s",
        limit=sent / limit_cpu_s,
        limit_is="packed and written to a bare socket, per CPU s",
        bar=BAR,
        rule="at_least",
        floor=FLOOR,
    )


async def _receive(environment: dict[str, str], pid: int) -> tuple[int, float, float]:
    """Messages received, the simulator's CPU seconds, and the seconds that passed."""
    process = psutil.Process(pid)
    key, secret = environment["ALPACA_API_KEY"], environment["ALPACA_SECRET_KEY"]
    pack = msgspec.msgpack.encode
    async with (
        aiohttp.ClientSession(headers={"Content-Type": "application/msgpack"}) as session,
        session.ws_connect(environment["BACKBONE_STOCKS_STREAM_URL"], max_msg_size=0) as opened,
    ):
        for message in (
            {"action": "auth", "key": key, "secret": secret},
            {"action": "subscribe", "trades": ["*"], "quotes": ["*"]},
        ):
            await opened.receive()
            await opened.send_bytes(pack(message))
        await opened.receive()
        await _frames(opened, WARM_UP_S)
        cpu_before, began = sum(process.cpu_times()[:2]), time.monotonic()
        frames = await _frames(opened, SECONDS)
        elapsed_s = time.monotonic() - began
        cpu_s = sum(process.cpu_times()[:2]) - cpu_before
    return frames * FRAME_MESSAGES, cpu_s, elapsed_s


async def _frames(opened: aiohttp.ClientWebSocketResponse, seconds: float) -> int:
    """Frames received until the time is over; each begins as an array of twenty does."""
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        message = await opened.receive()
        assert message.data[:3] == b"\xdc\x00\x14", message
        count += 1
    return count


def _pack_and_write() -> tuple[int, float]:
    """Messages packed and written, and the CPU seconds of the thread that did it."""
    writing, reading = socket.socketpair()
    reader = threading.Thread(target=_drain, args=(reading,), daemon=True)
    reader.start()
    encode, symbols = msgspec.msgpack.Encoder().encode, SYMBOLS.split(",")
    began = time.thread_time()
    for number in range(LIMIT_FRAMES):
        parts = [
            encode(_message(number + index, symbols[index % len(symbols)])) for index in range(FRAME_MESSAGES)
        ]
        body = b"\xdc" + FRAME_MESSAGES.to_bytes(2, "big") + b"".join(parts)
        writing.sendall(b"\x82\x7e" + struct.pack(">H", len(body)) + body)
    used_s = time.thread_time() - began
    writing.close()
    reader.join()
    reading.close()
    return LIMIT_FRAMES * FRAME_MESSAGES, used_s


def _message(number: int, symbol: str) -> _Quote | _Trade:
    time_ns = time.time_ns()
    second, fraction_ns = divmod(time_ns, 1_000_000_000)
    at = Ext(_TIMESTAMP, (fraction_ns << 34 | second).to_bytes(8, "big"))
    if number % _QUOTE_SHARE:
        return _Quote(symbol, "V", 187.61, 4, "Q", 187.63, 2, ["R"], "C", at)
    return _Trade(symbol, number, "V", 187.62, 100, ["@"], "C", at)


def _drain(reading: socket.socket) -> None:
    buffer = bytearray(1 << 20)
    while reading.recv_into(buffer):
        pass
