"""What Alpaca's answers mean, by status, words and headers."""

from collections.abc import Callable
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec

from bus.errors import Unreadable
from oms.broker.http_connection import Answer
from oms.broker.protocol import BrokerRefused, KeysRefused, OutcomeUnknown, RateLimited, RequestsLeft

# What Alpaca says without a code where keys are missing or none of its own (alpacahq/Alpaca-API#228). All its
# other refusals have one: whoever else answers in JSON has not.
_FORBIDDEN = "forbidden"

# Statuses that do not say whether the request was carried out: whoever answered gave up waiting.
_DOUBTFUL = (408, 425, 499)

# Seconds since 1970 have ten digits until the year 2286.
_MOST_DIGITS = 12

_Read = TypeVar("_Read")

# Numbers become the decimals that were written.
_read_json = msgspec.json.Decoder(float_hook=Decimal).decode


class _Refusal(msgspec.Struct, frozen=True):
    message: str
    code: int | str | None = None


_read_refusal = msgspec.json.Decoder(_Refusal).decode


# What reading an answer may fail with; nesting and exponents have their limits too.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, Unreadable, ArithmeticError, RecursionError)


def check_carried_out(answer: Answer, now_ns: int) -> None:
    """Return where the broker did what it was asked.

    Raises what its answer means otherwise: RateLimited, KeysRefused, BrokerRefused, OutcomeUnknown.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    if status == 429:
        raise RateLimited("the broker says: too many requests", _reset_s(answer, now_ns))
    if status == 401:
        raise KeysRefused("401", "it does not accept the keys")
    if 400 <= status < 500 and status not in _DOUBTFUL:
        try:
            refusal = _read_refusal(answer.body)
        except _UNREADABLE:
            # Not Alpaca's words: something on the way answered, and what it passed on is not known.
            raise OutcomeUnknown(f"HTTP {status} came without the broker's words") from None
        if refusal.code is not None:
            raise BrokerRefused(str(refusal.code), refusal.message)
        if status == 403 and refusal.message.rstrip(".") == _FORBIDDEN:
            raise KeysRefused("403", "it does not accept the keys")
        raise OutcomeUnknown(f"HTTP {status} came without the broker's code: {refusal.message[:200]}")
    raise OutcomeUnknown(f"the broker answered HTTP {status}")


def requests_left(answer: Answer, now_ns: int) -> RequestsLeft | None:
    """What the broker says of its limit, where it says it."""
    left, reset_s = answer.headers.get("x-ratelimit-remaining", ""), _reset_s(answer, now_ns)
    if reset_s is None or not _is_count(left):
        return None
    limit = answer.headers.get("x-ratelimit-limit", "")
    return RequestsLeft(int(left), reset_s, int(limit) if _is_count(limit) else None)


def _reset_s(answer: Answer, now_ns: int) -> float | None:
    """Seconds until the broker's limit resets, by the broker's own clock where the answer tells it."""
    written = answer.headers.get("x-ratelimit-reset", "")
    if not _is_count(written):
        return None
    try:
        now_s = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        now_s = now_ns / 1e9
    return max(0.0, int(written) - now_s)


def read_answer(answer: Answer, read: Callable[[Any], _Read]) -> _Read:
    """Return what `read` makes of the answer's JSON. Raises OutcomeUnknown where it cannot be read."""
    try:
        return read(_read_json(answer.body))
    except _UNREADABLE as error:
        raise OutcomeUnknown(f"the broker's answer could not be read: {error}") from error


def _is_count(written: str) -> bool:
    return written.isascii() and written.isdigit() and len(written) <= _MOST_DIGITS
