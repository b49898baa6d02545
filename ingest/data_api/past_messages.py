"""Messages of the past as the data API tells them, made into those that the streams would have carried. Pure.

Over HTTP a message has no type and no symbol, its time is text, and a whole number has no decimal point. What
comes out of here is, as JSON, what `ingest/frames.py` makes of the same message, byte for byte: the fields in
the streams' order, then whatever else there is (`u`, with which Alpaca marks a trade that was changed later).
"""

from typing import Any, NamedTuple

import orjson

from bus.errors import Unreadable
from bus.rfc3339 import time_ns

# Type and fields of a channel's messages, in the order in which the streams' entries have them.
_FIELDS = {
    "trades": ("t", ("i", "S", "x", "p", "s", "t", "c", "z", "tks")),
    "quotes": ("q", ("S", "bx", "bp", "bs", "ax", "ap", "as", "t", "c", "z")),
    "bars": ("b", ("S", "o", "h", "l", "c", "v", "n", "vw", "t")),
}
CHANNELS = tuple(_FIELDS)

# What Alpaca's streams send as floating point: in JSON, 187 is all that is left of 187.0.
_PRICES = {"trades": ("p",), "quotes": ("bp", "ap"), "bars": ("o", "h", "l", "c", "vw")}
_SIZES_OF_CRYPTO = {"trades": ("s",), "quotes": ("bs", "as"), "bars": ("v",)}


class Page(NamedTuple):
    """A page of history: its messages by symbol and then time, and the next page's token, None at the end.

    `unreadable` says of each message that had to be left out what is wrong with it.
    """

    messages: list[dict[str, Any]]
    next_token: str | None
    unreadable: list[str]


def read_page(content: bytes, channel: str, *, is_crypto: bool) -> Page:
    """Read an answer to a request for trades, quotes or bars of several symbols. Raises Unreadable."""
    try:
        answer = orjson.loads(content)
        token = answer.get("next_page_token") or None
        by_symbol = (answer.get(channel) or {}).items()
    except (ValueError, AttributeError) as error:
        raise Unreadable(f"it is no page of {channel}: {error}") from error
    if not (token is None or isinstance(token, str)):
        raise Unreadable(f"it is no page of {channel}: its next_page_token is {token!r}")
    messages: list[dict[str, Any]] = []
    unreadable: list[str] = []
    for symbol, told in by_symbol:
        for one in told if isinstance(told, list) else [told]:
            try:
                messages.append(past_message(channel, symbol, one, is_crypto=is_crypto))
            except Unreadable as error:
                unreadable.append(f"{channel} of {symbol}: {error}")
    return Page(messages, token, unreadable)


def past_message(channel: str, symbol: str, told: Any, *, is_crypto: bool) -> dict[str, Any]:
    """The message of a stream for one of the data API's. Raises Unreadable for one without a time."""
    if not isinstance(told, dict):
        raise Unreadable(f"{str(told)[:64]!r} is no message")
    known = {**told, "S": symbol, "t": time_ns(str(told.get("t")))}
    for name in _PRICES[channel] + (_SIZES_OF_CRYPTO[channel] if is_crypto else ()):
        if type(known.get(name)) is int:
            known[name] /= 1  # a division makes it floating point
    kind, order = _FIELDS[channel]
    message: dict[str, Any] = {"T": kind}
    message |= {name: known.pop(name) for name in order if name in known}
    return message | known
