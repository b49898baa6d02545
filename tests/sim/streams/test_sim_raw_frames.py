"""Websocket frames made by hand: whole messages in pieces, and a frame that promises more than comes."""

from collections.abc import Iterator

from hypothesis import example, given
from hypothesis import strategies as st

from sim.streams.raw_frames import fragments, half_a_frame

BODIES = st.binary(max_size=2000)


def parsed(data: bytes) -> Iterator[tuple[bool, int, int, bytes]]:
    """Whether it is the last, the opcode, the length promised and what is there, frame by frame."""
    while data:
        is_last, opcode, length = bool(data[0] & 0x80), data[0] & 0x0F, data[1]
        assert not length & 0x80, "a server masks nothing"
        start = 2
        if length == 126:
            start, length = 4, int.from_bytes(data[2:4], "big")
            assert length > 125, "the shortest form is due"
        elif length == 127:
            start, length = 10, int.from_bytes(data[2:10], "big")
            assert length > 65_535, "the shortest form is due"
        yield is_last, opcode, length, data[start : start + length]
        data = data[start + length :]


@given(BODIES, st.booleans(), st.integers(1, 3000))
@example(b"x" * 70_000, True, 65_535)
@example(b"x" * 140_000, True, 70_000)
def test_the_pieces_of_a_message_make_the_message(body: bytes, is_binary: bool, size: int) -> None:
    frames = [frame for piece in fragments(body, is_binary, size) for frame in parsed(piece)]
    assert b"".join(part for _, _, _, part in frames) == body
    assert all(length == len(part) <= size for _, _, length, part in frames)
    assert [is_last for is_last, _, _, _ in frames] == [False] * (len(frames) - 1) + [True]
    assert [opcode for _, opcode, _, _ in frames] == [2 if is_binary else 1] + [0] * (len(frames) - 1)


@given(st.binary(min_size=1, max_size=70_000), st.booleans())
def test_half_a_frame_promises_the_other_half(body: bytes, is_binary: bool) -> None:
    ((is_last, opcode, length, part),) = parsed(half_a_frame(body, is_binary))
    assert (is_last, opcode, length) == (True, 2 if is_binary else 1, len(body))
    assert part == body[: len(body) // 2]
