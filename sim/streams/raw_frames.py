"""Websocket frames as bytes, where a fault needs what no library would send (RFC 6455, 5.2)."""

_FINAL = 0x80
_CONTINUATION, _TEXT, _BINARY = 0x0, 0x1, 0x2
_SHORT, _MEDIUM = 125, 65_535


def fragments(body: bytes, is_binary: bool, size: int) -> list[bytes]:
    """Return a message in frames of `size` bytes: a server's, so without a mask, and not compressed."""
    first = _BINARY if is_binary else _TEXT
    starts = range(0, max(1, len(body)), size)
    return [
        _head(
            (first if start == 0 else _CONTINUATION) | (_FINAL if start + size >= len(body) else 0),
            len(body[start : start + size]),
        )
        + body[start : start + size]
        for start in starts
    ]


def half_a_frame(body: bytes, is_binary: bool) -> bytes:
    """Return the beginning of a frame whose header gives the length of the whole body."""
    return _head(_FINAL | (_BINARY if is_binary else _TEXT), len(body)) + body[: len(body) // 2]


def _head(first: int, length: int) -> bytes:
    if length <= _SHORT:
        return bytes((first, length))
    if length <= _MEDIUM:
        return bytes((first, _SHORT + 1)) + length.to_bytes(2, "big")
    return bytes((first, _SHORT + 2)) + length.to_bytes(8, "big")
