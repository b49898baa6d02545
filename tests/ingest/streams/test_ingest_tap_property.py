"""The tap sorts frames rightly however the bytes of the socket are cut."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.streams.tap import MOST_PASSED_BYTES, SHOWN_BYTES, TapProtocol

pytestmark = pytest.mark.property

HANDSHAKE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
CONTROL = msgpack.packb([{"T": "success", "msg": "authenticated"}])
PLAIN, TEXT, FRAGMENT, COMPRESSED, CLOSE, PING = 0x82, 0x81, 0x02, 0xC2, 0x88, 0x89


class Heard:
    """A sink, and the library's reader, that write down what they are given."""

    full = False

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.controls: list[dict[str, Any]] = []
        self.passed: list[tuple[int, bytes]] = []
        self.read = b""

    def data(self, frame: bytes) -> None:
        self.frames.append(frame)

    def too_long(self, size_bytes: int, begins: bytes) -> None:
        self.passed.append((size_bytes, begins))

    def control(self, message: dict[str, Any]) -> None:
        self.controls.append(message)

    def feed_data(self, data: bytes) -> None:
        self.read += data


def framed(kind: int, payload: bytes) -> bytes:
    """One unmasked frame, as RFC 6455 lays it out."""
    length = len(payload)
    if length < 126:
        return bytes([kind, length]) + payload
    if length < 65536:
        return bytes([kind, 126]) + length.to_bytes(2) + payload
    return bytes([kind, 127]) + length.to_bytes(8) + payload


def market_data(count: int, size: int) -> bytes:
    """A frame of market data, of any size."""
    packed: bytes = msgpack.packb([{"T": "t", "S": "AAPL", "pad": b"x" * size}] * count)
    return packed


DATA = st.builds(market_data, st.integers(1, 20), st.sampled_from([0, 1, 60, 5000]))
FRAMES = st.lists(
    st.one_of(
        st.tuples(st.just(PLAIN), DATA),
        st.tuples(st.just(PLAIN), st.just(CONTROL)),
        st.tuples(st.just(PING), st.binary(max_size=8)),
        st.tuples(st.just(CLOSE), st.just(b"\x03\xe8")),
    ),
    max_size=12,
)


def cut(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The stream in pieces of these sizes, over and over."""
    position = turn = 0
    while position < len(stream):
        size = sizes[turn % len(sizes)]
        yield stream[position : position + size]
        position += size
        turn += 1


async def heard(stream: bytes, sizes: list[int], max_size: int = 1 << 20) -> Heard:
    """What sink and library hear of a stream that arrives in pieces."""
    found = Heard()
    protocol = TapProtocol(sink=found, max_size=max_size)
    protocol.reader = found  # type: ignore[assignment]
    for piece in cut(stream, sizes):
        protocol.data_received(piece)
    return found


SIZES = st.lists(st.integers(1, 40_000), min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(frames=FRAMES, sizes=SIZES)
def test_data_reach_the_sink_and_the_rest_the_library_each_in_order(
    frames: list[tuple[int, bytes]], sizes: list[int]
) -> None:
    stream = HANDSHAKE + b"".join(framed(kind, payload) for kind, payload in frames)
    found = asyncio.run(heard(stream, sizes))
    of_data = [payload for kind, payload in frames if kind == PLAIN and payload != CONTROL]
    others = [framed(kind, payload) for kind, payload in frames if kind != PLAIN or payload == CONTROL]
    assert found.frames == of_data
    assert found.read == HANDSHAKE + b"".join(others)
    assert len(found.controls) == sum(payload == CONTROL for _, payload in frames)


@settings(max_examples=100, deadline=None)
@given(
    before=FRAMES,
    odd=st.sampled_from([FRAGMENT, TEXT, COMPRESSED, 0x80, 0x00, 0xF2]),
    after=FRAMES,
    sizes=SIZES,
)
def test_from_the_first_frame_of_another_kind_on_the_library_reads_all(
    before: list[tuple[int, bytes]], odd: int, after: list[tuple[int, bytes]], sizes: list[int]
) -> None:
    rest = framed(odd, b"half a message") + b"".join(framed(kind, payload) for kind, payload in after)
    stream = HANDSHAKE + b"".join(framed(kind, payload) for kind, payload in before) + rest
    found = asyncio.run(heard(stream, sizes))
    assert found.frames == [payload for kind, payload in before if kind == PLAIN and payload != CONTROL]
    assert found.read.endswith(rest)


@settings(max_examples=100, deadline=None)
@given(before=FRAMES, after=FRAMES, size=st.sampled_from([2001, 20_000, 70_000]), sizes=SIZES)
def test_a_frame_that_is_too_long_is_passed_over_and_costs_no_other(
    before: list[tuple[int, bytes]], after: list[tuple[int, bytes]], size: int, sizes: list[int]
) -> None:
    others = [(kind, payload) for kind, payload in before if len(payload) <= 2000]
    rest = [(kind, payload) for kind, payload in after if len(payload) <= 2000]
    long = bytes(range(256)) * (size // 256 + 1)
    frames = [*others, (PLAIN, long[:size]), *rest]
    stream = HANDSHAKE + b"".join(framed(kind, payload) for kind, payload in frames)
    found = asyncio.run(heard(stream, sizes, 2000))
    assert found.passed == [(size, long[: min(size, SHOWN_BYTES)])]
    data = [payload for kind, payload in others + rest if kind == PLAIN and payload != CONTROL]
    assert found.frames == data
    assert len(found.controls) == sum(payload == CONTROL for _, payload in others + rest)


@given(length=st.sampled_from([MOST_PASSED_BYTES + 1, 1 << 40]))
def test_a_frame_without_bounds_is_the_librarys_to_refuse(length: int) -> None:
    header = bytes([PLAIN, 127]) + length.to_bytes(8)
    found = asyncio.run(heard(HANDSHAKE + header + b"begin", [7]))
    assert found.frames == []
    assert found.read == HANDSHAKE + header + b"begin"
