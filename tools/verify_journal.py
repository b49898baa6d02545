"""Verify an exported journal: python verify_journal.py FILE [HASH]. Needs Python 3.11 and nothing else.

FILE is what `backbone journal export` wrote, or `-`; a name that ends in .gz is read as such. Each line is
an entry of the journal: its id, and its fields, names and values by turns. The last field, `hash`, is the
SHA-256 of the hash before it (64 zeros before the first entry), then the id, then each name and value before
`hash`, each of these but the first as its length in bytes, a colon, its bytes and a comma. A file that begins
later than its journal has the hash before its first entry in a line of its own: {"previous":"..."}.

With HASH it is verified too that an entry has this hash: one that was noted elsewhere when the journal ended
there. Exit code 0: every entry is what was written. 1: the first that is not is named. 2: bad input.
"""

import base64
import gzip
import hashlib
import json
import sys
import zlib

NO_HASH = "0" * 64


def to_bytes(part):  # One that is no UTF-8 stands there in base 64.
    return part.encode() if isinstance(part, str) else base64.b64decode(part["base64"], validate=True)


def shown(part):
    """The same as it has to stand in the file."""
    try:
        return part.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(part).decode()}


def read(line):
    """What a line says. Raises ValueError where another line would say the same: one bit may be another."""
    try:
        found = json.loads(line)
        if list(found) == ["previous"]:
            again = {"previous": str(found["previous"])}
        else:
            again = {"id": str(found["id"]), "fields": [shown(to_bytes(part)) for part in found["fields"]]}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error
    if json.dumps(again, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" != line:
        raise ValueError("not as it was exported")
    return again


def hash_of(previous, id_, parts):
    text = b"".join(b"%d:%b," % (len(part), part) for part in (id_.encode(), *parts))
    return hashlib.sha256(previous.encode() + text).hexdigest()


def verify(lines, wanted):
    """Return what was found, and whether it is good."""
    head, head_id, uncovered, begun, heads, notes, wrong, count = NO_HASH, "0-0", 0, False, False, [], "", 0
    for number, line in enumerate(lines, 1):
        try:
            entry = read(line)
        except ValueError as error:
            return f"line {number}, after entry {head_id}, cannot be read: {error}", False
        if "previous" in entry:
            if number > 1:
                return f"line {number}, after entry {head_id}, belongs to the beginning of a file", False
            head, begun = entry["previous"], entry["previous"] != NO_HASH
            continue
        parts, says = [to_bytes(part) for part in entry["fields"]], None
        if parts[-2:-1] == [b"hash"]:
            parts, says = parts[:-2], parts[-1].decode(errors="replace")
        previous_id, head, head_id, count = head_id, hash_of(head, entry["id"], parts), entry["id"], count + 1
        if says == head:
            if parts[1:2] == [b"ChainBegun"]:
                notes.append(f"begun anew at {head_id}, before it: {wrong or f'{uncovered} without a hash'}")
                wrong, uncovered = "", 0
            begun, heads = True, heads or head == wanted
        elif says is not None or begun:
            wrong = wrong or f"entry {head_id}, which follows {previous_id}, is not what was written"
            begun = True
        else:
            uncovered += 1
    found = "\n".join([*notes, f"{count} entries, the last {head_id} with hash {head}"])
    if wrong or uncovered:
        return f"{found}\n{wrong or f'{uncovered} entries have no hash'}", False
    return (found, True) if heads or not wanted else (f"{found}\nno entry has the hash {wanted}", False)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        print("usage: python verify_journal.py FILE|- [HASH]", file=sys.stderr)
        sys.exit(2)
    name = sys.argv[1]
    try:
        opened = (gzip.open if name.endswith(".gz") else open)(0 if name == "-" else name, "rb")
        said, is_good = verify(opened, sys.argv[2] if len(sys.argv) == 3 else "")
    except (OSError, EOFError, zlib.error) as error:
        said, is_good = f"{name} cannot be read to its end: {error}", False
    print(said)
    sys.exit(0 if is_good else 1)
