"""The trades of a drill as its streams have them, and what is wrong with them."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from bus.streams import market
from ops.drill.ingests import CHANNELS, SYMBOLS
from ops.drill.system import System

PAGE = 5000


@dataclass
class Tape:
    """The trades of one symbol as its streams have them. Mutable: it is counted as it is read."""

    ids: list[int] = field(default_factory=list)
    backfilled: int = 0
    beside: list[int] = field(default_factory=list)


class Tapes(NamedTuple):
    """All trades of a drill, how many of them came from history, and what is wrong with them."""

    trades: int
    backfilled: int
    differences: tuple[str, ...]


async def tapes_of(system: System) -> Tapes:
    """The tapes of all symbols, counted and looked through."""
    tapes = {symbol: await _tape_of(system, symbol) for symbol in SYMBOLS}
    return Tapes(
        sum(len(tape.ids) + len(tape.beside) for tape in tapes.values()),
        sum(tape.backfilled for tape in tapes.values()),
        tuple(itertools.chain.from_iterable(differences(*one) for one in tapes.items())),
    )


async def _tape_of(system: System, symbol: str) -> Tape:
    """A symbol's trades, in its stream and in those beside it for gaps."""
    tape, beside = Tape(), set()
    async for fields in _entries(system, market(symbol, CHANNELS[0])):
        message = orjson.loads(fields[b"d"])
        if b"type" not in fields:
            tape.ids.append(message["i"])
            tape.backfilled += b"b" in fields
        elif message.get("history"):
            beside.add(message["history"])
    for stream in beside:
        async for fields in _entries(system, stream):
            tape.beside.append(orjson.loads(fields[b"d"])["i"])
            tape.backfilled += 1
    return tape


async def _entries(system: System, stream: str) -> AsyncIterator[dict[bytes, bytes]]:
    position = "-"
    while page := await system.market.xrange(stream, position, count=PAGE):
        for id_, fields in page:
            position = f"({id_.decode()}"
            yield fields


def differences(symbol: str, tape: Tape) -> Iterable[str]:
    """What is missing of a symbol's trades, there twice, or out of order; the tape numbers them in a row."""
    counts = Counter(tape.ids + tape.beside)
    if not counts:
        yield f"{symbol}: no trade at all"
        return
    missing = set(range(min(counts), max(counts) + 1)) - counts.keys()
    twice = [number for number, count in counts.items() if count > 1]
    if missing:
        yield f"{symbol}: {len(missing)} trades are missing, the first is {min(missing)}"
    if twice:
        yield f"{symbol}: {len(twice)} trades are there twice, the first is {min(twice)}"
    if tape.ids != sorted(tape.ids):
        yield f"{symbol}: trades are out of order"
