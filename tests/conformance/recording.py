"""Recordings: one file of lines a test, everything scrubbed before it touches the disk."""

import base64
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from edge import Exchange
from frames import Frame, Wire

_FILLER = "SCRUBBED"


class Leak(Exception):
    """Something secret would have been written."""


def moment(time_ns: int) -> str:
    """A time in UTC, to the microsecond."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="microseconds")


class Scrubber:
    """Replaces what must not be seen by a filler of the same length, so that every format stays whole."""

    def __init__(self, key: str, secret: str) -> None:
        self._fillers: dict[bytes, bytes] = {}
        self.hide(key)
        self.hide(secret)
        self.hide(base64.b64encode(f"{key}:{secret}".encode()).decode())

    def hide(self, value: str) -> None:
        """Hide this value, and the forms that it takes in addresses and in JSON, from now on."""
        if not value:
            raise Leak("an empty value cannot be hidden")
        for form in {value, value.upper(), value.lower(), quote(value, safe=""), json.dumps(value)[1:-1]}:
            self._fillers[form.encode()] = _filler(form).encode()

    def data(self, data: bytes) -> bytes:
        """The same bytes without what is hidden."""
        # The longest first: a value may hold another.
        for form in sorted(self._fillers, key=len, reverse=True):
            data = data.replace(form, self._fillers[form])
        return data

    def text(self, text: str) -> str:
        """The same text without what is hidden."""
        return self.data(text.encode()).decode()

    def check(self, text: str) -> None:
        """Raise Leak where something hidden is left."""
        line = text.encode()
        if any(form in line or form.hex().encode() in line for form in self._fillers):
            raise Leak("a line of a recording still holds something that is to be hidden")


def _filler(value: str) -> str:
    """Zeros where the value is a UUID, so that it still reads as one."""
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        return re.sub(r"[0-9a-fA-F]", "0", value)
    return (_FILLER * (len(value) // len(_FILLER) + 1))[: len(value)]


class Recorder:
    """Writes the exchanges and frames of the test that runs, below one folder."""

    def __init__(self, folder: Path, scrubber: Scrubber) -> None:
        self._folder = folder
        self._scrubber = scrubber
        self._wires: list[Wire] = []
        self._unfinished: dict[tuple[int, str], list[Frame]] = {}
        self._file = folder / "setup.ndjson"
        self.begin("setup", "session")

    def begin(self, module: str, test: str) -> None:
        """Write to this test's file from now on; an earlier recording of it goes."""
        self._wires, self._unfinished = [], {}
        self._file = self._folder / module / (re.sub(r"[^\w.-]+", "_", test).strip("_") + ".ndjson")
        self._file.unlink(missing_ok=True)

    def exchange(self, exchange: Exchange) -> None:
        """Write one REST exchange."""
        self._write(
            {
                "kind": "rest",
                "at": moment(exchange.at_ns),
                "method": exchange.method,
                "host": exchange.host,
                "path": exchange.path,
                "query": exchange.query,
                "sent": exchange.sent,
                "status": exchange.status,
                "headers": exchange.headers,
                "received": exchange.received,
            }
        )

    def frame(self, wire: Wire, frame: Frame) -> None:
        """Write one frame; parts of a message wait for its end, since a secret may be cut in two."""
        if wire not in self._wires:
            self._wires.append(wire)
        socket = self._wires.index(wire)
        if frame.opcode not in ("text", "binary", "cont"):
            self._frame(wire, socket, frame, frame.opcode, self._scrubber.data(frame.data))
            return
        parts = self._unfinished.setdefault((socket, frame.direction), [])
        parts.append(frame)
        if frame.is_last:
            del self._unfinished[socket, frame.direction]
            whole = self._scrubber.data(b"".join(part.data for part in parts))
            for part in parts:
                self._frame(wire, socket, part, parts[0].opcode, whole[: len(part.data)])
                whole = whole[len(part.data) :]

    def _frame(self, wire: Wire, socket: int, frame: Frame, opcode: str, data: bytes) -> None:
        line: dict[str, Any] = {
            "kind": "frame",
            "at": moment(frame.at_ns),
            "socket": socket,
            "path": urlsplit(wire.url).path,
            "direction": frame.direction,
            "opcode": frame.opcode,
            "is_last": frame.is_last,
        }
        # A part of a text message may end within a character: parts are shown as bytes.
        is_text = opcode == "text" and frame.is_last and frame.opcode == "text"
        line["text" if is_text else "hex"] = data.decode() if is_text else data.hex()
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        # Scrubbed before JSON escapes it, and once more whole.
        scrubbed = {
            name: self._scrubber.text(value) if isinstance(value, str) else value
            for name, value in line.items()
        }
        text = self._scrubber.text(json.dumps(scrubbed, ensure_ascii=False))
        self._scrubber.check(text)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            file.write(text + "\n")


def folder_of(root: Path, kind: str, sdk_version: str, now_ns: int) -> Path:
    """Where a run's recording goes: by date, then target and version of alpaca-py."""
    return root / moment(now_ns)[:10] / f"{kind}-alpaca-py-{sdk_version}"


def read(file: Path) -> list[dict[str, Any]]:
    """The lines of one test's recording."""
    return [json.loads(line) for line in file.read_text().splitlines()]
