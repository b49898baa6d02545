"""Asks whether a market stream is to be had, on a connection of its own that subscribes to nothing."""

from typing import Any

import msgpack  # type: ignore[import-untyped]
import websockets

from ingest.streams.answering import Unanswered, limited

_MSGPACK = {"Content-Type": "application/msgpack"}


async def why_not(url: str, key: str, secret: str, answer_s: float) -> str:
    """Why the stream at this address does not let these keys in; "" where it does."""
    try:
        async with (
            limited("let anybody in", answer_s),
            websockets.connect(url, additional_headers=_MSGPACK, compression=None, close_timeout=1) as socket,
        ):
            message = _first(await socket.recv())
            if message.get("T") == "success":
                await socket.send(msgpack.packb({"action": "auth", "key": key, "secret": secret}))
                message = _first(await socket.recv())
            if message.get("T") == "success":
                return ""
            return f"error {message.get('code')}: {message.get('msg')}"
    except (websockets.WebSocketException, OSError, Unanswered, ValueError) as error:
        return str(error) or type(error).__name__


def _first(frame: Any) -> dict[str, Any]:
    """The control message that a frame holds. Raises ValueError for anything else."""
    messages = msgpack.unpackb(frame)
    if not isinstance(messages, list) or not messages or not isinstance(messages[0], dict):
        raise ValueError(f"it answered with {frame[:100]!r}")
    return messages[0]
