"""HTTP and websocket bytes by hand, for tests of what no well-behaved client would send."""

import base64
import json
import os
import re
import socket
import struct
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 10.0

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    head: bytes = b""  # the status line and the headers as they came

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class RawConnection:
    """A socket to a server, and what comes back on it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host = parts.netloc
        self._socket = socket.create_connection((parts.hostname, parts.port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes, timeout_s: float = TIMEOUT_S) -> None:
        """Send bytes as they are; raises TimeoutError where the server does not take them."""
        self._socket.settimeout(timeout_s)
        self._socket.sendall(data)
        self._socket.settimeout(TIMEOUT_S)

    def end(self) -> None:
        """Send nothing more, and go on reading."""
        self._socket.shutdown(socket.SHUT_WR)

    def request(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """One request with a proper length, and its answer."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if body or method in ("POST", "PATCH", "PUT"):
            head += f"Content-Length: {len(body)}\r\n"
        self.send(head.encode("utf-8", "surrogateescape") + b"\r\n" + body)
        return self.answer(has_body=method != "HEAD")

    def answer(self, has_body: bool = True) -> Answer:
        """The next answer; of an endless one, its first part."""
        came = self._until(b"\r\n\r\n")
        head = came.decode("latin-1")
        status = int(head.split(" ", 2)[1])
        headers = {
            name.lower(): value for name, value in re.findall(r"^([^:\r\n]+): ?([^\r\n]*)", head, re.M)
        }
        body = b""
        if has_body and status not in (101, 204, 304):
            if headers.get("transfer-encoding") == "chunked":
                body = self._chunks(headers.get("content-type", ""))
            else:
                body = self._exactly(int(headers.get("content-length", "0")))
        return Answer(status, headers, body, came)

    def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        while self._fill():
            pass
        return self._read

    def _chunks(self, content_type: str) -> bytes:
        found = b""
        while True:
            if content_type.startswith("text/event-stream"):
                return found
            size = int(self._until(b"\r\n"), 16)
            found += self._exactly(size + 2)[:-2]
            if size == 0:
                return found

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._read:
            if not self._fill():
                raise ConnectionError(f"closed after {self._read[:200]!r}")
        found, _, self._read = self._read.partition(mark)
        return found

    def _exactly(self, count: int) -> bytes:
        while len(self._read) < count:
            if not self._fill():
                raise ConnectionError(f"closed after {len(self._read)} of {count} bytes")
        found, self._read = self._read[:count], self._read[count:]
        return found

    def _fill(self) -> bool:
        try:
            more = self._socket.recv(1 << 16)
        except ConnectionResetError:
            return False
        self._read += more
        return bool(more)


class RawSocket(RawConnection):
    """A websocket whose frames are made by hand."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(url)
        key = base64.b64encode(os.urandom(16)).decode()
        self.handshake = self.request(
            "GET",
            urlsplit(url).path,
            {
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": key,
                **(headers or {}),
            },
        )

    def frame(
        self,
        payload: bytes,
        opcode: int = TEXT,
        *,
        final: bool = True,
        reserved: int = 0,
        masked: bool = True,
        length: int | None = None,
    ) -> None:
        """Send one frame; `length` is what its header claims."""
        claimed = len(payload) if length is None else length
        mask_bit = 0x80 if masked else 0
        head = bytes((0x80 * final | reserved << 4 | opcode,))
        if claimed < 126:
            head += bytes((mask_bit | claimed,))
        elif claimed < 1 << 16:
            head += bytes((mask_bit | 126,)) + struct.pack(">H", claimed)
        else:
            head += bytes((mask_bit | 127,)) + struct.pack(">Q", claimed)
        # A mask of zeros leaves the payload as it is.
        self.send(head + (b"\0\0\0\0" if masked else b"") + payload)

    def say(self, message: Any) -> None:
        """Send a message as JSON text."""
        self.frame(json.dumps(message).encode())

    def hear(self) -> tuple[int, bytes]:
        """The next frame: its opcode and payload; a ping is answered on the way."""
        while True:
            first, second = self._exactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack(">H", self._exactly(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", self._exactly(8))
            payload = self._exactly(size)
            if first & 0x0F == PING:
                self.frame(payload, PONG)
                continue
            return first & 0x0F, payload

    def messages(self) -> Any:
        """The next frame as JSON; fails where it is a close frame."""
        opcode, payload = self.hear()
        assert opcode in (TEXT, BINARY), f"closed: {payload!r}"
        return json.loads(payload)

    def closed(self) -> int | None:
        """Read on to the end; the code of the close frame, None where there was none."""
        try:
            while True:
                opcode, payload = self.hear()
                if opcode == CLOSE:
                    return struct.unpack(">H", payload[:2])[0] if payload else 1005
        except (ConnectionError, TimeoutError):
            return None
