"""The start, in an order that cannot deadlock: halts, limits, journal, the broker's orders, ready."""

import orjson
import redis.asyncio
import structlog

from bus import halt, streams
from bus.consume import GroupReader
from bus.errors import InvalidInput
from oms.broker import KeysRefused
from oms.parts import Parts

log = structlog.get_logger()


async def keys_work(parts: Parts) -> bool:
    """Whether the broker lets us in; False where a stop came first. Raises InvalidInput for wrong keys."""

    async def ask() -> None:
        try:
            await parts.sender.call(parts.broker.account)
        except KeysRefused as error:
            raise InvalidInput(
                "Alpaca does not accept the keys: set ALPACA_API_KEY and ALPACA_SECRET_KEY to a pair of "
                f"{parts.settings.trading} keys"
            ) from error

    return await parts.asked(ask)


async def lead(parts: Parts) -> bool:
    """Wait for the lease: another OMS may hold it, or one that died may have left it to run out."""
    while not parts.service.stopping.is_set():
        try:
            if await parts.lease.acquire():
                return True
            parts.say("another OMS holds the lease")
        except (redis.asyncio.RedisError, OSError) as error:
            parts.say(f"the orders server is not readable: {error}")
        await parts.pause(0.1)
    return False


async def start(parts: Parts) -> GroupReader | None:
    """Make the book what journal and broker say; returns the reader of broker facts.

    None where a stop came first. Raises Unreadable for a journal that this version cannot read.
    """
    await parts.until(parts.halts.fresh)
    await parts.client.set(streams.limits(parts.account), orjson.dumps(parts.limits.as_dict()))
    await parts.records.fold()
    new = parts.journal.last_id == "0-0"
    # With an empty journal, what the account stream says of the past is in the broker's answers too.
    facts = parts.reader((streams.account(parts.account),), "oms-facts", "$" if new else "0")
    parts.facts = facts
    await facts.open()
    if not await (_take_over(parts) if new else _come_back(parts, facts)):
        return None
    await parts.registry.look(parts.requests, parts.registered)
    parts.behind.clear()
    book = parts.records.book
    log.info("ready", orders=len(book.orders), open=book.open_count(), uncertain=parts.watch.uncertain)
    return facts


async def _take_over(parts: Parts) -> bool:
    """A new journal. A missing halt key means that nobody halted only where the account is empty too."""
    held: list[bool] = []

    async def take_over() -> None:
        held.append(await parts.recovery.take_over())

    if not await parts.asked(take_over):
        return False
    if not held[-1] and not (await halt.read(parts.client)).known:
        await halt.initialise(parts.client, parts.clock.now_ns())
        await parts.until(lambda: parts.halts.state.known)
    return True


async def _come_back(parts: Parts, facts: GroupReader) -> bool:
    """A journal with a past: first what the account stream kept for us, then what the broker says."""
    while not parts.service.stopping.is_set():
        backlog = await facts.deliveries()
        if backlog:
            await parts.desk.take_facts(backlog)
            await parts.journal.flush()
        elif await facts.lag() <= len(parts.breaks):
            # An empty read alone may be that of our own pending entries, with new ones behind it. What told
            # of a break is pending until we have caught up.
            break
    parts.watch.remember_given_up()
    return await parts.asked(lambda: parts.catch_up(at_start=True))
