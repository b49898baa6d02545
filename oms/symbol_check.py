"""Asks the broker, one by one and without haste, whether it knows the symbols that the limits name."""

import asyncio
from collections.abc import Iterable
from functools import partial

import structlog

from oms.broker import Broker, BrokerError
from oms.sender import Sender

# Orders need the budget of requests more: five hundred symbols take forty minutes.
PAUSE_S = 5.0

log = structlog.get_logger()


async def look_up(symbols: Iterable[str], broker: Broker, sender: Sender, unknown: set[str]) -> None:
    """Put those that the broker does not know into `unknown`; where it does not answer, they are skipped."""
    for symbol in symbols:
        try:
            if not await sender.ask(partial(broker.knows, symbol), "shared"):
                unknown.add(symbol)
                log.warning("the limits name a symbol that the broker does not know", symbol=symbol)
        except BrokerError as error:
            log.warning(
                "whether the broker knows a symbol was not found out", symbol=symbol, error=str(error)
            )
        await asyncio.sleep(PAUSE_S)
