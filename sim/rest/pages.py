"""Pages of history, by symbol and then by time, and the token of the next one."""

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from sim.exchange.market_messages import Message
from sim.rest.data_query import Window, refused

M = TypeVar("M", bound=Message)


def _time(message: Message) -> int:
    time_ns: int = message.time_ns
    return time_ns


def select(
    symbols: Iterable[str],
    kept: Callable[[str], Sequence[M]],
    window: Window,
    limit: int,
    *,
    is_descending: bool,
    token: str | None,
) -> tuple[dict[str, list[M]], str | None]:
    """Return one page of at most `limit` messages, and the next page's token; the window is inclusive.

    `kept` returns a symbol's messages in order of time; it is not called for symbols beyond the page. Symbols
    without a message on the page are left out.
    """
    after = _read(token)
    page: dict[str, list[M]] = {}
    left = limit
    for symbol in sorted(symbols):
        if after is not None and symbol < after[0]:
            continue
        messages = kept(symbol)
        begin = bisect_left(messages, window.start_ns, key=_time)
        end = bisect_right(messages, window.end_ns, key=_time)
        found = list(messages[begin:end])
        if is_descending:
            found.reverse()
        if after is not None and symbol == after[0]:
            found = _rest(found, after[1], after[2], is_descending)
        if not found:
            continue
        if left == 0:
            return page, _written(symbol, found[0].time_ns, 0)
        page[symbol] = found[:left]
        if len(found) > left:
            return page, _following(page[symbol], after)
        left -= len(found)
    return page, None


def _rest(found: list[M], time_ns: int, given: int, is_descending: bool) -> list[M]:
    """Return the messages from a time on, without the first so many of that time: those were given."""
    if is_descending:
        later = [message for message in found if message.time_ns <= time_ns]
    else:
        later = [message for message in found if message.time_ns >= time_ns]
    return later[given:]


def _following(given: list[M], after: tuple[str, int, int] | None) -> str:
    """Return the token after these: their last time, and how many of that time were given so far."""
    last = given[-1]
    same = sum(message.time_ns == last.time_ns for message in given)
    if after is not None and after[:2] == (last.symbol, last.time_ns):
        same += after[2]
    return _written(last.symbol, last.time_ns, same)


def _written(symbol: str, time_ns: int, given: int) -> str:
    return base64.b64encode(f"{symbol}|{time_ns}|{given}".encode()).decode()


def _read(token: str | None) -> tuple[str, int, int] | None:
    if not token:
        return None
    try:
        symbol, time_ns, given = base64.b64decode(token, validate=True).decode().split("|")
        if int(given) < 0:
            raise ValueError(given)
        return symbol, int(time_ns), int(given)
    except (binascii.Error, ValueError) as error:
        raise refused("invalid page token") from error
