"""An OMS's life: start in an order that cannot deadlock, work, and stop without leaving a doubt."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from bus import streams
from bus.account_keys import confirm
from bus.account_messages import AccountPinned
from bus.acting_user import acting_user
from bus.consume import GroupReader
from bus.errors import Fenced, InvalidInput, ServerAway, ServerRefused, Unreadable
from bus.heartbeat import StateReason
from bus.retry import pause, until_answered
from bus.service import ended, run_together
from oms import standby
from oms.broker.protocol import BrokerAccount, BrokerError, KeysRefused
from oms.journal import pinning
from oms.journal.archive_keeper import ArchiveKeeper
from oms.journal.beginning import beginning
from oms.journal.journal import JournalMoved
from oms.journal.journal_head import KEEP_S
from oms.journal.journal_reader import EVENT_CODEC
from oms.journal.trimmed import trimmed
from oms.limits.limit_names import unmatched
from oms.limits.limits_edited import watch
from oms.listening import LISTEN_S, listened
from oms.market_questions import of_interest
from oms.service import MOST_HASHED, Oms
from oms.state.inputs import (
    AccountRead,
    BrokerMessagesRead,
    HaltStateRead,
    LimitsEdited,
    LimitsRead,
    Started,
    Stopping,
    Tick,
)

# How long a stop waits for requests to the broker that are under way.
_LAST_ANSWERS_S = 10.0

# An OMS that was taken over from begins anew after this.
_STAND_BY_AFTER_S = 0.5

# How long a start waits for the market-data server to say where the journal ended.
_HEAD_S = 2.0

log = structlog.get_logger()


async def lead_in_turn(oms: Oms, make_oms: Callable[[], Oms]) -> None:
    """Live until the service stops; where another took over, one that is made anew stands by.

    Raises InvalidInput, Unreadable.
    """
    while True:
        try:
            await live(oms)
            return
        except (Fenced, JournalMoved) as error:
            log.error("another OMS took over: standing by", error=str(error))
        await pause(_STAND_BY_AFTER_S, oms.service.stopping)
        oms = make_oms()


async def live(oms: Oms) -> None:
    """Start, work until the service stops, stop. Raises InvalidInput, Fenced, JournalMoved, Unreadable."""
    try:
        account = await _account(oms)
        if account is not None:
            # A standby that could never take over is no standby.
            _require_its_own(oms, account, await _pinned_first(oms))
            await _begin_from_snapshot(oms)
            await run_together(oms.halts.run(oms.hear), oms.prices.keep(), _stand_by_and_lead(oms, account))
    finally:
        await oms.close()


async def _stand_by_and_lead(oms: Oms, account: AccountRead) -> None:
    if not await standby.took_over(oms):
        return
    oms.wait_for(None)
    try:
        await run_together(oms.journal.run(), oms.lease.keep(), oms.actions.failed(), _work(oms, account))
    except (InvalidInput, Unreadable):
        # Whoever has the right keys, or mends the journal, need not wait until the lease runs out.
        await oms.lease.give_back()
        raise
    # Not while it is renewed: a lease that was just given back would be missed.
    await oms.lease.give_back()


async def _account(oms: Oms) -> AccountRead | None:
    """The account of the keys; None where a stop came first. Raises InvalidInput for wrong keys."""

    async def let_in() -> BrokerAccount:
        try:
            return await oms.sender.ask(oms.broker.account)
        except KeysRefused as error:
            raise InvalidInput(
                "Alpaca does not accept the keys: set ALPACA_API_KEY and ALPACA_SECRET_KEY to a pair of "
                f"{oms.settings.trading} keys"
            ) from error

    def away(trouble: str) -> None:
        oms.wait_for(StateReason("broker_unreachable", f"the broker does not answer: {trouble}"))

    account = await until_answered(let_in, stopping=oms.service.stopping, tell=away, away=(BrokerError,))
    return None if account is None else AccountRead(account.number, oms.settings.trading)


async def _pinned_first(oms: Oms) -> AccountPinned | None:
    """What a journal of this release begins with; None where it is new, older, or a stop came first."""

    async def read() -> AccountPinned | None:
        began = await trimmed(oms.client, oms.account)
        if began is not None:
            return began.pinned()
        entries = await oms.client.xrange(streams.journal(oms.account), count=1)
        try:
            event = EVENT_CODEC.decode(entries[0][1]) if entries else None
        except Unreadable:
            # Folding comes upon it too, and says what to do.
            return None
        return event if isinstance(event, AccountPinned) else None

    return await until_answered(
        read,
        stopping=oms.service.stopping,
        tell=lambda trouble: oms.wait_for(StateReason("server_away", f"waiting for the journal: {trouble}")),
    )


async def _begin_from_snapshot(oms: Oms) -> None:
    """Have the state be what the last snapshot says, where there is one that counts, or the archive."""
    found = await until_answered(
        lambda: beginning(oms.client, oms.account, oms.settings.journal_archive),
        stopping=oms.service.stopping,
        tell=lambda trouble: oms.wait_for(StateReason("server_away", f"waiting for a snapshot: {trouble}")),
    )
    if found is not None and found.chain.begun:
        oms.engine.restore(found.state)
        await oms.journal.begin_after(found.chain, found.first_id)
        oms.snapshots.at_id = found.snapshot_id


def _require_its_own(oms: Oms, account: AccountRead, pinned: AccountPinned | None) -> None:
    if refused := pinning.refusal(oms.account, pinned, account):
        raise InvalidInput(refused)


async def _work(oms: Oms, account: AccountRead) -> None:
    if not await _start(oms, account):
        return
    oms.lease.lease.shorten()
    log.info("ready", state=repr(oms.engine.state))
    for sentence in unmatched(oms.limits, oms.engine.state.registered, ()):
        log.warning("a name in the limits binds nothing", limits=str(oms.settings.oms_limits), name=sentence)
    for sentence in oms.engine.state.limits_in_force.differing():
        log.warning("the limits file says something else than what was set", limit=sentence)
    reading = asyncio.create_task(oms.read_requests())
    workers = [
        asyncio.create_task(worker)
        for worker in (
            oms.read_account(),
            oms.follow_registry(),
            oms.redeliver_unseen(),
            oms.want_prices(),
            oms.tick(),
            oms.repeat(LISTEN_S, partial(_listen, oms)),
            _watch_limits(oms),
            _keep_head(oms),
            oms.snapshots.keep(),
            *_keeping_archive(oms),
        )
    ]
    looking = asyncio.create_task(
        oms.market_questions.run(lambda: of_interest(oms.engine.state, oms.prices.wanted()))
    )
    stop = asyncio.create_task(oms.service.stopping.wait())
    try:
        await asyncio.wait({stop, reading, *workers}, return_when=asyncio.FIRST_COMPLETED)
        for task in (reading, *workers):
            if task.done():
                task.result()
        oms.take(Stopping())
        await ended(reading)
        await oms.journal.flush()
        await _last_answers(oms)
        await oms.journal.flush()
    finally:
        # First: a turn that is given back would have an order leave of which nobody hears what came.
        await oms.sender.close()
        await ended(stop, looking, reading, *workers, *oms.actions.under_way)
        with contextlib.suppress(ServerAway, ServerRefused):
            await oms.head.write()
    await oms.snapshots.stop(oms.engine.digest())
    await oms.registry.leave()


async def _start(oms: Oms, account: AccountRead) -> bool:
    """Make the state what journal and broker say; False where a stop came first.

    Raises Unreadable for a journal with an entry that cannot be read, InvalidInput for a journal of another
    account: before that is known nothing is written, asked or read through a group.
    """
    if not await _until(oms, oms.halts.fresh):
        return False
    oms.halt_file.look()
    await oms.journal.fold(oms.engine.apply_all)
    _require_its_own(oms, account, oms.engine.state.pinned)
    await oms.journal.find_untold()
    oms.journal.begin_chain(acting_user())
    oms.take(account)
    await oms.journal.flush()
    try:
        await _compare_head(oms)
    except (ServerAway, ServerRefused, TimeoutError) as error:
        # It is found out later: whoever needs the OMS need not wait for the market-data server.
        log.warning("not known yet whether the journal lost entries", error=str(error) or "no answer in time")
    oms.tell()
    await _confirm_keys(oms)
    if not await _until(oms, lambda: oms.engine.digest_within(MOST_HASHED) is not None):
        return False
    oms.take(Tick(oms.clock.monotonic_ns()))
    if oms.engine.state.is_new:
        # What the account stream says of the past is in the broker's answers too.
        await _answered(oms, lambda: oms.open_account_stream("$", anew=True))
        if oms.account_reader is None:
            return False
        started = Started(None, None)
    else:
        _take_rules(oms)
        await _take_backlog(oms, await oms.open_account_stream("0"))
        started = Started(_time_ns(oms.journal.first_id), _time_ns(oms.journal.last_id))
    oms.take(started)
    if not await _until(oms, lambda: oms.engine.observed.started):
        return False
    if not await _until(oms, lambda: not oms.halt_state_awaited or oms.halts.state.known):
        return False
    if not oms.rules_taken:
        _take_rules(oms)
    await oms.market_questions.market_clock()
    await _answered(oms, lambda: oms.registry.look(oms.requests))
    return True


async def _answered(oms: Oms, question: Callable[[], Awaitable[object]]) -> None:
    """Ask the orders server until it answers, or the stop came."""
    await until_answered(
        question,
        stopping=oms.service.stopping,
        tell=lambda trouble: log.warning("orders server away", error=trouble),
    )


async def _listen(oms: Oms) -> None:
    """See what is connected, alive and priced."""
    oms.take(await listened(oms.client, oms.account, oms.prices, oms.engine.state.book.ledger))


async def _watch_limits(oms: Oms) -> None:
    """Say, until cancelled, where the limits file was edited and nobody has loaded it."""
    await watch(
        oms.settings.oms_limits,
        lambda: oms.engine.state.limits_in_force,
        lambda sentence: oms.take(LimitsEdited(sentence)),
    )


async def _compare_head(oms: Oms) -> None:
    """Find out whether the journal lost entries."""
    async with asyncio.timeout(_HEAD_S):
        missing = await oms.head.missing(oms.client)
    if missing is not None:
        oms.take(missing)
        await oms.journal.flush()


async def _keep_head(oms: Oms) -> None:
    """Keep where the journal ends on the other server, until cancelled."""
    while True:
        with contextlib.suppress(ServerAway, ServerRefused, TimeoutError):
            if not oms.head.compared:
                await _compare_head(oms)
            await oms.head.write()
        await asyncio.sleep(KEEP_S)


def _keeping_archive(oms: Oms) -> list[Coroutine[Any, Any, None]]:
    """What keeps the journal's archive, where the settings say where."""
    settings, root = oms.settings, oms.settings.journal_archive
    if root is None:
        return []
    first_id, days = oms.journal.first_id, settings.journal_keep_days
    keeper = ArchiveKeeper(settings.orders_redis_url, oms.account, root, days, first_id, oms.clock)
    return [keeper.keep()]


async def _confirm_keys(oms: Oms) -> None:
    """Let ingest write what it hears of the account with these keys."""
    key_id = oms.settings.alpaca_api_key
    if key_id is not None:
        await until_answered(
            lambda: confirm(oms.client, oms.account, key_id.get_secret_value()),
            stopping=oms.service.stopping,
            tell=lambda trouble: log.warning("keys not confirmed yet", error=trouble),
            away=(ServerAway, ServerRefused),
        )


def _take_rules(oms: Oms) -> None:
    """Take limits and halts, and from now on halts as they change."""
    oms.take(LimitsRead(oms.limits, str(oms.settings.oms_limits), acting_user()))
    oms.rules_taken = True
    oms.take(HaltStateRead(oms.halt_file.state))


async def _take_backlog(oms: Oms, reader: GroupReader) -> None:
    """Take what the account stream kept for us; what told of a new connection stays pending for now."""
    while not oms.service.stopping.is_set():
        if messages := await oms.account_messages():
            oms.take(BrokerMessagesRead(messages))
            await oms.journal.flush()
            continue
        observed = oms.engine.observed
        held = len(observed.breaks) + len(observed.unreadable) + len(observed.may_be_legs)
        if await reader.lag() <= held:
            # An empty read alone may be that of our own pending entries, with new ones behind it.
            return
        # Or of what the OMS before us was given while it was taken over from: it will not answer that.
        await reader.redeliver_unseen(at_rest=True)


async def _last_answers(oms: Oms) -> None:
    """Let requests that are under way end, for a bounded time; the next start finds out about the others."""
    try:
        async with asyncio.timeout(_LAST_ANSWERS_S):
            await oms.sender.idle()
            # Their answers are taken by the tasks that asked.
            while sending := [task for task in oms.actions.under_way if not task.done()]:
                await asyncio.wait(sending)
    except TimeoutError:
        log.warning("requests to the broker still under way", sender=repr(oms.sender))


async def _until(oms: Oms, true: Callable[[], bool]) -> bool:
    """Wait until something holds; False where a stop came first."""
    while not oms.service.stopping.is_set():
        if true():
            return True
        await pause(0.005, oms.service.stopping)
    return False


def _time_ns(entry_id: str) -> int:
    return int(entry_id.split("-")[0]) * 1_000_000
