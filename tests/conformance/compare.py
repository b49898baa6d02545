"""Compares two recordings by shape: `python -m tests.conformance.compare PAPER SIMULATOR`.

Each is a folder of .ndjson files, or one such file. Exit code 0: no differences; 1: some; 2: no recording.
"""

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SYMBOL = re.compile(r"[A-Z]{1,6}([./][A-Z]{1,4})?")

# For every place in a kind of message, such as ".order.legs[]": the types that were seen there.
Places = dict[str, frozenset[str]]
WHOLE, FRACTION, ABSENT, OBJECT = "a whole number", "a number with a fraction", "absent", "an object"


def shapes_of(recording: Path) -> dict[str, Places]:
    """What every kind of answer and frame looked like, all tests together."""
    seen: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for name, value, of_symbols in _messages(recording):
        _note(value, "", seen[name], of_symbols)
    return {name: _types(places) for name, places in seen.items()}


def _types(places: dict[str, Counter[str]]) -> Places:
    """The types of each place; absent is one of them where its object was seen without it."""
    found: Places = {}
    for place, types in places.items():
        parent, _, key = place.rpartition(".")
        is_key = bool(key) and not key.endswith(("[]", "{symbol}"))
        may_lack = is_key and sum(types.values()) < places[parent][OBJECT]
        found[place] = frozenset(types) | ({ABSENT} if may_lack else frozenset())
    return found


def differences(one: dict[str, Places], other: dict[str, Places], names: tuple[str, str]) -> list[str]:
    """A sentence for every place that does not look the same; kinds seen in one alone are named last."""
    found: list[str] = []
    for name in sorted(one.keys() & other.keys()):
        found += _of_one(name, one[name], other[name], names)
    for here, there, where in ((one, other, names[0]), (other, one, names[1])):
        found += [f"{name} was seen in {where} alone." for name in sorted(here.keys() - there.keys())]
    return found


def _of_one(name: str, one: Places, other: Places, names: tuple[str, str]) -> list[str]:
    found: list[str] = []
    for place in sorted(one.keys() | other.keys()):
        # One sentence for what is absent is enough: what is inside need not be told as well.
        if any((above in one) != (above in other) for above in _above(place)):
            continue
        absent = frozenset({ABSENT})
        here, there = one.get(place, absent), other.get(place, absent)
        if _differ(here, there):
            shown = f"{name}: {place or 'the whole'}"
            found.append(f"{shown} is {_listed(here)} in {names[0]} and {_listed(there)} in {names[1]}.")
    return found


def _above(place: str) -> Iterator[str]:
    for end in range(len(place)):
        if place[end] in ".[":
            yield place[:end]


def _differ(here: frozenset[str], there: frozenset[str]) -> bool:
    """Whether the types differ; a price may be whole by chance, so one that was both is like either."""
    both = {WHOLE, FRACTION}
    if both <= here or both <= there:
        is_number = bool(both & here) == bool(both & there)
        return not is_number or here - both != there - both
    return here != there


def _listed(types: frozenset[str]) -> str:
    return " or ".join(sorted(types))


def _messages(recording: Path) -> Iterator[tuple[str, Any, bool]]:
    files = [recording] if recording.is_file() else sorted(recording.rglob("*.ndjson"))
    for file in files:
        parts: dict[tuple[int, str], list[bytes]] = {}
        for text in file.read_text().splitlines():
            line = json.loads(text)
            if line["kind"] == "rest":
                yield _rest(line)
            else:
                yield from _frame(line, parts)


def _rest(line: dict[str, Any]) -> tuple[str, Any, bool]:
    path = "/".join("{id}" if _ID.fullmatch(part) else part for part in line["path"].split("/"))
    path = re.sub(r"(/v2/(?:assets|positions))/.+", r"\1/{symbol}", path)
    name = f"{line['method']} {path} {line['status']}"
    try:
        return name, json.loads(line["received"]), True
    except json.JSONDecodeError:
        return name, _Empty() if not line["received"] else _NoJson(), True


def _frame(
    line: dict[str, Any], parts: dict[tuple[int, str], list[bytes]]
) -> Iterator[tuple[str, Any, bool]]:
    if line["opcode"] not in ("text", "binary", "cont") or line["direction"] != "received":
        return
    waiting = parts.setdefault((line["socket"], line["direction"]), [])
    waiting.append(line["text"].encode() if "text" in line else bytes.fromhex(line["hex"]))
    if not line["is_last"]:
        return
    data = b"".join(waiting)
    waiting.clear()
    codec, value = _read(data)
    for message in value if isinstance(value, list) else [value]:
        yield f"{line['path']} in {codec}: {_kind(message)}", message, False


def _read(data: bytes) -> tuple[str, Any]:
    try:
        return "JSON", json.loads(data)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return "msgpack", msgpack.unpackb(data)


def _kind(message: Any) -> str:
    if not isinstance(message, dict):
        return "no object"
    if "T" in message:
        return f"T={message['T']}"
    stream, data = message.get("stream"), message.get("data")
    event = data.get("event") if isinstance(data, dict) else None
    return f"{stream} {event}" if event else str(stream)


class _Empty:
    """An answer without a body."""


class _NoJson:
    """An answer that is no JSON."""


def _type(value: Any) -> str:
    if isinstance(value, msgpack.Timestamp):
        return "a timestamp"
    names = {
        dict: OBJECT, list: "a list", str: "text", bool: "a boolean", int: WHOLE, float: FRACTION,
        type(None): "null", _Empty: "nothing", _NoJson: "no JSON",
    }  # fmt: skip
    return names.get(type(value), type(value).__name__)


def _note(value: Any, place: str, places: dict[str, Counter[str]], of_symbols: bool) -> None:
    places[place][_type(value)] += 1
    if isinstance(value, dict):
        is_map = of_symbols and bool(value) and all(_SYMBOL.fullmatch(key) for key in value)
        for key, inner in value.items():
            _note(inner, f"{place}.{{symbol}}" if is_map else f"{place}.{key}", places, of_symbols)
    elif isinstance(value, list):
        for inner in value:
            _note(inner, f"{place}[]", places, of_symbols)


def main(argv: list[str] | None = None) -> int:
    """Print the differences, a sentence a line."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.compare", description=__doc__)
    parser.add_argument("one", type=Path, help="a recording, such as the one of Alpaca paper")
    parser.add_argument("other", type=Path, help="another, such as the simulator's")
    given = parser.parse_args(argv)
    both = [shapes_of(path) for path in (given.one, given.other)]
    for path, shapes in zip((given.one, given.other), both, strict=True):
        if not shapes:
            sys.stderr.write(f"{path} holds no recording\n")
            return 2
    found = differences(both[0], both[1], (str(given.one), str(given.other)))
    common = len(both[0].keys() & both[1].keys())
    total = f"{common} kinds of answers and frames are in both; {len(found)} differences."
    sys.stdout.write("\n".join([*found, total]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
