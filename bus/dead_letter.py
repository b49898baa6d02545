"""What could not be handled, as an entry of `dead` or `orders:{...}:dead`: its one format."""

import json
import traceback
from collections.abc import Mapping
from typing import Any

import msgspec

# Fields of an entry. When it was kept is in its id.
_STREAM, _ID, _ERROR, _PAYLOAD, _BY, _WHY_NOT = "stream", "id", "error", "payload", "by", "why_not_put_back"

# Reasons why a dead letter cannot be put back.
_TRIMMED = "its content was trimmed from its stream before it was kept"
NEVER_AN_ENTRY = "it never was an entry of a stream: it could not be made into one"
_FIELDS_NOT_KEPT = "the version that kept it did not keep its fields"
_ODD = "it is not written as dead letters are"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be handled: where it stood, why it failed, its fields, and whether it can be put back.

    `stream` and `entry_id` name the entry; `kept_ns` is when it was kept and `by` the process that did, ""
    where that is not known. In `payload` bytes that are not text show as \\xNN. `why_not_put_back` is ""
    where the entry can be appended to its stream again.
    """

    id: str
    stream: str
    entry_id: str
    error: str
    payload: dict[str, str]
    kept_ns: int
    by: str = ""
    why_not_put_back: str = ""


def dead_letter_fields(
    *,
    stream: str,
    entry_id: str,
    fields: Mapping[bytes, bytes],
    error: str | BaseException,
    by: str,
    why_not_put_back: str = "",
) -> dict[str, bytes]:
    """Make the fields of a dead letter from an entry. `by` is the process that keeps it.

    `why_not_put_back` is a reason that follows "cannot be put back: ". Without `fields` there is one already.
    """
    if isinstance(error, BaseException):
        error = "".join(traceback.format_exception_only(error)).strip()
    why_not = why_not_put_back or ("" if fields else _TRIMMED)
    made = {
        _STREAM: stream.encode(),
        _ID: entry_id.encode(),
        _ERROR: error.encode(errors="backslashreplace"),
        _PAYLOAD: payload_text(fields).encode(),
        _BY: by.encode(),
    }
    return made | ({_WHY_NOT: why_not.encode()} if why_not else {})


def payload_text(fields: Mapping[bytes, bytes]) -> str:
    """Show an entry's fields as JSON, from which `fields_to_put_back` makes them again, byte for byte."""
    return json.dumps({_text(name): _text(value) for name, value in fields.items()}, separators=(",", ":"))


def read_dead_letter(id_: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    """Read a dead letter, whichever version wrote it; an entry of another shape is shown as it is."""
    found = {name.decode(errors="backslashreplace"): value for name, value in fields.items()}
    place: dict[str, Any] = {"id": id_.decode(), "kept_ns": int(id_.partition(b"-")[0]) * 1_000_000}
    try:
        if found.get("type") == b"FactKept":
            return _of_an_event(json.loads(found["data"]), place)
        payload = {name: _shown(_bytes(value)) for name, value in _payload(found).items()}
        return DeadLetter(
            stream=found[_STREAM].decode(),
            entry_id=found[_ID].decode(),
            error=found[_ERROR].decode(),
            payload={_shown(_bytes(name)): value for name, value in payload.items()},
            by=found.get(_BY, b"").decode(),
            why_not_put_back=_why_not(found, payload),
            **place,
        )
    except (LookupError, ValueError, AttributeError, TypeError):
        # Anybody may write to a stream.
        shown = {name: _shown(value) for name, value in found.items()}
        return DeadLetter(stream="?", entry_id="?", error=_ODD, payload=shown, why_not_put_back=_ODD, **place)


def fields_to_put_back(fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the fields that the entry had, byte for byte. Only for a dead letter that can be put back."""
    found = {name.decode(errors="backslashreplace"): value for name, value in fields.items()}
    return {_bytes(name): _bytes(value) for name, value in _payload(found).items()}


def _why_not(found: Mapping[str, bytes], payload: Mapping[str, str]) -> str:
    if _BY not in found and found[_STREAM].startswith(b"feed:"):
        # Formerly ingest did not say so.
        return NEVER_AN_ENTRY
    return found.get(_WHY_NOT, b"").decode() or ("" if payload else _TRIMMED)


def _of_an_event(data: Mapping[str, str], place: Mapping[str, Any]) -> DeadLetter:
    """What the OMS formerly kept: an event, with the fields as one text."""
    return DeadLetter(
        stream=str(data["stream"]),
        entry_id=str(data["entry_id"]),
        error=str(data["error"]),
        payload={"text": str(data["payload"])},
        by="oms",
        why_not_put_back=f"{_FIELDS_NOT_KEPT}: see {data['stream']} {data['entry_id']}",
        **place,
    )


def _payload(found: Mapping[str, bytes]) -> dict[str, str]:
    payload: dict[str, str] = json.loads(found[_PAYLOAD])
    return payload


def _text(raw: bytes) -> str:
    """Text as it is, and what is not text as lone surrogates: JSON carries them and `_bytes` undoes it."""
    return raw.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _shown(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace")
