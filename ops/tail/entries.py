"""Formats an entry of any stream as a line for people, or as JSON."""

import time
from collections.abc import Mapping
from typing import Any

import orjson

from bus.codec import MessageCodec, market_message
from bus.control_messages import CONTROL_MESSAGES
from bus.errors import Unreadable
from bus.events import EVENTS
from bus.order_messages import REQUESTS
from bus.streams import is_market_data, market_channel
from ops.message_lines import message_line, short

_CODEC = MessageCodec((*REQUESTS, *EVENTS, *CONTROL_MESSAGES))


def line(stream: str, id_: str, fields: Mapping[bytes, bytes]) -> str:
    """Format time, stream, and what the entry says; its raw fields where it cannot be read."""
    ms = int(id_.partition("-")[0])
    moment = time.strftime("%H:%M:%S", time.localtime(ms / 1000))
    return f"{moment}.{ms % 1000:03d}  {stream}  {_text(stream, fields)}"


def as_json(stream: str, id_: str, fields: Mapping[bytes, bytes]) -> str:
    """Format one JSON object: stream, id, and the fields, with JSON in them parsed."""
    shown = {name.decode(errors="replace"): _parsed(value) for name, value in fields.items()}
    return orjson.dumps({"stream": stream, "id": id_, "fields": shown}).decode()


def _text(stream: str, fields: Mapping[bytes, bytes]) -> str:
    try:
        if is_market_data(stream):
            return message_line(market_message(market_channel(stream), fields))
        return message_line(_CODEC.decode(fields))
    except Unreadable:
        if fields.get(b"type") == b"TradeUpdate":
            return _broker_message(_parsed(fields.get(b"data", b"")))
        # Channels without a type of ours are shown as they are.
        return "  ".join(
            f"{name.decode(errors='replace')}={value.decode(errors='replace')}"
            for name, value in fields.items()
        )


def _broker_message(frame: Any) -> str:
    """A trade update as Alpaca sent it, in short; `--json` shows all of it."""
    try:
        update = frame["data"]
        order = update["order"]
        text = f"broker: {update['event']} {order['side']} {order['qty']} {order['symbol']}"
        if update.get("price"):
            text += f", {update['qty']} at {update['price']}"
        return f"{text}, now {order['status']} {short(order['client_order_id'])}"
    except (KeyError, TypeError):
        return f"broker: {frame}"


def _parsed(value: bytes) -> Any:
    if value[:1] in (b"{", b"["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            pass  # Text that only looks like JSON is shown as text.
    return value.decode(errors="replace")
