"""A journal as lines of JSON, and back, byte for byte. Pure.

A line is `{"id":"<id>","fields":["<name>","<value>",...]}`, as short as JSON can be, in UTF-8. A value that
is no UTF-8 is `{"base64":"..."}` in its place. A file that does not begin with the journal's first entry
begins with `{"previous":"<hash>"}`, the hash on which its first entry stands.
"""

import base64
import json
from collections.abc import Iterable, Iterator

from bus.chain import Chain, Entry
from bus.errors import Unreadable


def line_of(entry: Entry) -> bytes:
    """The line of an entry, with its end."""
    id_, fields = entry
    return _line({"id": id_.decode(), "fields": [_shown(part) for part in fields]})


def line_before(previous: bytes) -> bytes:
    """The first line of a file whose first entry stands on this hash."""
    return _line({"previous": previous.decode()})


def previous_of(line: bytes) -> bytes | None:
    """The hash that the first line of a file names; None where it is an entry: the journal's first.

    Raises Unreadable where it is not as it is written here.
    """
    found = _read(line)
    if found is None:
        raise Unreadable("line 1 is not as it was exported: it was damaged, or cut off")
    return found["previous"].encode() if "previous" in found else None


def entry_of(line: bytes) -> Entry:
    """The entry of one line. Raises Unreadable where it is not exactly as it is written here."""
    found = _read(line)
    if found is None or "previous" in found:
        raise Unreadable("a line is not an entry as it was exported: it was damaged, or cut off")
    return _entry(found)


def entries_of(lines: Iterable[bytes], chain: Chain, name: str) -> Iterator[Entry]:
    """The entries of a file called `name`, taken by `chain` as they come.

    Raises Unreadable, naming the line, where one is not exactly as it is written here, where the file does
    not go on from the end of `chain`, and where an entry is not what was written.
    """
    number, remaining = 0, iter(lines)
    while True:
        number += 1
        where = f"{name}: line {number}, after entry {chain.head_id}"
        try:
            line = next(remaining, None)
        except Unreadable as error:
            raise Unreadable(f"{where}, {error}") from error
        if line is None:
            break
        found = _read(line)
        if found is None:
            raise Unreadable(f"{where}, is not as it was exported: it was damaged, or cut off")
        if "previous" in found:
            if number > 1 or found["previous"] != chain.head.decode():
                raise Unreadable(
                    f"{where}, goes on from another entry than that: the file with the entries before it has "
                    "to come first"
                )
            continue
        entry = _entry(found)
        chain.take(*entry)
        yield entry
    if chain.wrong_id:
        raise Unreadable(f"{name}: entry {chain.wrong_id} {chain.why}")


def _entry(found: dict[str, str]) -> Entry:
    return found["id"].encode(), [_part(part) for part in found["fields"]]


def _read(line: bytes) -> dict[str, str] | None:
    """What a line says; None where it is not to the byte what we would write."""
    try:
        found = json.loads(line)
        if list(found) not in (["id", "fields"], ["previous"]):
            return None
        entry = [_part(part) for part in found.get("fields", ())]
    except (ValueError, TypeError, KeyError):
        return None
    again = {**found, "fields": [_shown(part) for part in entry]} if "fields" in found else found
    return found if _line(again) == line else None


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _shown(part: bytes) -> object:
    try:
        return part.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(part).decode()}


def _part(shown: str | dict[str, str]) -> bytes:
    if isinstance(shown, str):
        return shown.encode()
    return base64.b64decode(shown["base64"], validate=True)
