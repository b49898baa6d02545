"""Verify an exported journal: python verify_journal.py FILE... [HASH]. Needs Python 3.11 and nothing else.

FILE is what `backbone journal export` or `archive` wrote, oldest first; a name that ends in .gz is read as
such. Each line is an entry of the journal: its id, and its fields, names and values by turns. The last field,
`hash`, is the SHA-256 of the hash before it (64 zeros before the first entry), then the id, then each name
and value before `hash`, each of these but the first as its length in bytes, a colon, its bytes and a comma. A
file that begins later than its journal has the hash before its first entry in a line: {"previous":"..."}.

With HASH it is verified too that an entry has this hash: one that was noted elsewhere when the journal ended
there. Exit code 0: every entry is what was written. 1: the first that is not is named. 2: bad input.
"""

import base64
import fileinput
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
    found = json.loads(line)
    if list(found) == ["previous"]:
        again = {"previous": str(found["previous"])}
    else:
        again = {"id": str(found["id"]), "fields": [shown(to_bytes(part)) for part in found["fields"]]}
    if json.dumps(again, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" != line:
        raise ValueError("not as it was exported")
    return again


def hash_of(previous, id_, parts):
    text = b"".join(b"%d:%b," % (len(part), part) for part in (id_.encode(), *parts))
    return hashlib.sha256(previous.encode() + text).hexdigest()


def verify(lines, wanted):
    """Return what was found, and whether it is good."""
    name = getattr(lines, "filename", str)
    head, head_id, uncovered, begun, heads, notes, wrong, count = NO_HASH, "0-0", 0, False, False, [], "", 0
    for number, line in enumerate(lines, 1):
        try:
            entry = read(line)
            if "previous" in entry and (count or begun) and not wrong and entry["previous"] != head:
                raise ValueError("it goes on from another entry")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return f"{name()} line {number}, after entry {head_id}, cannot be read: {error}", False
        if "previous" in entry:
            head, begun = entry["previous"], entry["previous"] != NO_HASH
            continue
        parts, says = [to_bytes(part) for part in entry["fields"]], None
        if parts[-2:-1] == [b"hash"]:
            parts, says = parts[:-2], parts[-1].decode(errors="replace")
        before_id, head, head_id, count = head_id, hash_of(head, entry["id"], parts), entry["id"], count + 1
        if says == head:
            if parts[1:2] == [b"ChainBegun"]:
                notes.append(f"begun anew at {head_id}, before it: {wrong or f'{uncovered} without a hash'}")
                wrong, uncovered = "", 0
            begun, heads = True, heads or head == wanted
        elif says is not None or begun:
            wrong = wrong or f"{name()} entry {head_id}, which follows {before_id}, is not what was written"
            begun = True
        else:
            uncovered += 1
    missing = f"{uncovered} entries have no hash" if uncovered else f"no entry has the hash {wanted}"
    if uncovered or (wanted and not heads):
        wrong = wrong or missing
    notes.append(f"{count} entries, the last {head_id} with hash {head}")
    return "\n".join([*notes, wrong] if wrong else notes), not wrong


if __name__ == "__main__":
    names = sys.argv[1:]
    wanted = names.pop() if names and len(names[-1]) == 64 and "." not in names[-1] else ""
    if not names:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    with fileinput.FileInput(names, mode="rb", openhook=fileinput.hook_compressed) as lines:
        try:
            said, is_good = verify(lines, wanted)
        except (OSError, EOFError, zlib.error) as error:
            said, is_good = f"{lines.filename()} cannot be read to its end: {error}", False
    print(said)
    sys.exit(0 if is_good else 1)
