"""Which symbols are halted, by the last trading status that stands in their streams."""

from collections.abc import Iterable, Sequence

from bus.codec import market_message
from bus.connection import Client
from bus.errors import Unreadable
from bus.market_messages import HALTS, RESUMPTIONS, TradingStatus
from bus.streams import market

_AT_ONCE = 500

# The last statuses may say nothing of whether there is trading, and gap markers stand between them.
_STATUSES = 8

Entries = Iterable[tuple[bytes, dict[bytes, bytes]]]


async def halted(client: Client, symbols: Sequence[str]) -> frozenset[str]:
    """Those of these symbols that do not trade, where anybody wants their statuses.

    Raises ServerAway or ServerRefused.
    """
    found: set[str] = set()
    for start in range(0, len(symbols), _AT_ONCE):
        some = symbols[start : start + _AT_ONCE]
        pipeline = client.pipeline(transaction=False)
        for symbol in some:
            pipeline.xrevrange(market(symbol, "statuses"), count=_STATUSES)
        answers = await pipeline.execute()
        found.update(symbol for symbol, newest in zip(some, answers, strict=True) if is_halted(newest))
    return frozenset(found)


def is_halted(newest_first: Entries) -> bool:
    """Whether the last of these statuses that tells whether there is trading tells that there is none."""
    for _, fields in newest_first:
        try:
            status = market_message("statuses", fields)
        except Unreadable:
            continue
        if isinstance(status, TradingStatus) and status.code in HALTS | RESUMPTIONS:
            return status.code in HALTS
    return False
