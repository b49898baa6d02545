"""Frames of every message type with one bad message among good ones; run it for as many as you like.

`PYTHONPATH=. python tests/support/fuzzed_frames.py 1000000` prints how many frames it made and what became of
them, and ends with 1 at the first good message that a bad one took along.
"""

import argparse
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgpack

from ingest.frames import CHANNELS, SHOWN_BYTES, SHOWN_REASON, split

RECEIVED_NS = 1_700_000_100_000_000_000
STAMP = msgpack.Timestamp.from_unix_nano(RECEIVED_NS - 123_456_789)

_BAR = {"o": 1.5, "h": 2.5, "l": 0.5, "c": 2.25, "v": 100, "n": 3, "vw": 1.75}
_TRADE = {"i": 7, "x": "V", "p": 126.55, "s": 10, "c": ["@", "I"], "z": "C"}
_FIELDS: dict[str, dict[str, Any]] = {
    "t": _TRADE,
    "q": {"bx": "U", "bp": 87.66, "bs": 1, "ax": "Q", "ap": 87.68, "as": 4, "c": ["R"], "z": "C"},
    "b": _BAR,
    "u": _BAR,
    "d": _BAR,
    "s": {"sc": "H", "sm": "Trading Halt", "rc": "T12", "rm": "News", "z": "C"},
    "l": {"u": 120.5, "d": 100.5, "i": "B", "z": "C"},
    "c": {"x": "V", "oi": 1, "op": 1.5, "os": 2, "oc": ["@"], "ci": 2, "cp": 1.25, "cs": 3, "cc": ["@"]},
    "x": {"i": 7, "x": "V", "p": 126.55, "s": 10, "a": "C", "z": "C"},
    "i": {"p": 126.55, "z": "C"},
    "o": {"b": [{"p": 1.5, "s": 2.0}], "a": [{"p": 1.75, "s": 0.0}], "r": True},
    "n": {"id": 1, "headline": "h", "symbols": ["AAPL", "BTC/USD"], "created_at": STAMP, "updated_at": STAMP},
}
_WRONG: tuple[Any, ...] = (
    math.nan, -math.inf, None, True, -1, 2**63, 2**64 - 1, -(2**63), 1e308, "", "\0", "x" * 300, b"\xff\xfe",
    [], {}, [[[]]], {"a": math.nan}, {5: 1}, STAMP, msgpack.ExtType(7, b"1"), "AAPL:trades", "\U0001f984",
)  # fmt: skip

_NO_NUMBERS = (msgpack.packb(math.nan), msgpack.packb(-math.inf))


class Lost(AssertionError):
    """A good message did not arrive because of a bad one; the message has the frame."""


def good(kind: str, number: int) -> dict[str, Any]:
    """A message of this kind as Alpaca sends it, told from others by `number`."""
    return {"T": kind, "S": "AAPL", **_FIELDS[kind], "number": number, "t": STAMP}


def damaged(draw: random.Random, message: bytes) -> bytes:
    """The message with some of its bytes changed, cut off or put in."""
    changed = bytearray(message)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(changed))
        match draw.randrange(3):
            case 0:
                changed[at] = draw.randrange(256)
            case 1:
                del changed[at : at + draw.randint(1, 4)]
            case _:
                changed[at:at] = draw.randbytes(draw.randint(1, 4))
        if not changed:
            return b"\xc1"
    return bytes(changed)


def wrong(draw: random.Random, message: dict[str, Any]) -> bytes:
    """The message with another value, name or text where one stood; it is msgpack all the same."""
    changed: dict[Any, Any] = dict(message)
    name = draw.choice(list(changed))
    match draw.randrange(4):
        case 0:
            del changed[name]
        case 1:
            changed[draw.choice((5, None, True, 1.5))] = changed.pop(name)
        case _:
            changed[name] = draw.choice(_WRONG)
    packed: bytes = msgpack.packb(changed, default=repr)
    # A text that is no UTF-8, of the same length.
    return packed.replace(b"AAPL", b"AA\xffL", 1) if draw.random() < 0.1 else packed


def check(draw: random.Random, found: Counter[str]) -> None:
    """Make one frame, split it, and count what became of it. Raises Lost."""
    kinds = list(CHANNELS)
    before = [good(draw.choice(kinds), number) for number in range(draw.randint(0, 3))]
    after = [good(draw.choice(kinds), 100 + number) for number in range(draw.randint(0, 3))]
    message = good(draw.choice(kinds), 50)
    is_damaged = draw.random() < 0.5
    bad = damaged(draw, msgpack.packb(message)) if is_damaged else wrong(draw, message)
    packed = [msgpack.packb(one) for one in before], [msgpack.packb(one) for one in after]
    frame = bytes([0x90 + len(before) + 1 + len(after)]) + b"".join([*packed[0], bad, *packed[1]])
    wildcards = ("trades",) if draw.random() < 0.2 else ()
    batch, kept, messages = split(frame, RECEIVED_NS, wildcards)
    written = [json.loads(value, parse_constant=_refuse) for value in batch.values[1::2]]
    numbers = [value.get("number") for value in written if isinstance(value.get("number"), int)]
    # Bytes that are changed may change where a message ends: only then what follows it cannot be told.
    needed = [one["number"] for one in (before if is_damaged else before + after)]
    if not set(needed) <= set(numbers):
        raise Lost(f"{frame!r}: of the messages {needed} arrived {numbers}")
    if any(len(one.payload) > SHOWN_BYTES or len(one.reason) > SHOWN_REASON for one in kept):
        raise Lost(f"{frame!r}: too much of it was kept")
    if not is_damaged and not kept and len(batch.streams) < messages:
        raise Lost(f"{frame!r}: the bad message is neither written nor kept")
    if not is_damaged and not kept and any(number in bad for number in _NO_NUMBERS):
        raise Lost(f"{frame!r}: what is not a number was written")
    found["frames"] += 1
    found["messages"] += messages
    found["entries"] += len(batch.streams)
    found["kept"] += len(kept)
    found["frames with something kept"] += bool(kept)


def _refuse(name: str) -> None:
    raise Lost(f"{name} was written as a number")


def main() -> int:
    """Check as many frames as asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw, found, begun = random.Random(given.seed), Counter[str](), time.monotonic()
    show: Callable[[str], int] = sys.stderr.write
    for number in range(given.frames):
        if number and number % 100_000 == 0:
            show(f"{number:,} frames, {time.monotonic() - begun:.0f} s\n")
        try:
            check(draw, found)
        except Lost as lost:
            show(f"seed {given.seed}, frame {number}: {lost}\n")
            return 1
    sys.stdout.write("".join(f"{count:>12,} {name}\n" for name, count in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
