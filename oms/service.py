"""The OMS as a process: start, work, and stop without leaving a doubt."""

import asyncio
from collections.abc import Awaitable, Callable

import redis.asyncio
import structlog

from bus.consume import GroupReader
from bus.errors import BackboneError, Fenced, ServerUnreachable
from bus.lease import Lease
from bus.service import Service
from oms import startup
from oms.broker import Broker
from oms.journal import Journal
from oms.limits import Limits
from oms.parts import Parts
from oms.registry import LOOK_S, WANT_S
from oms.settings import OmsSettings
from oms.status import details
from oms.tasks import insistently
from oms.watch import ASK_S

# How long a stop waits for requests to the broker that are under way.
_DRAIN_S = 10.0

_DETAILS_S = 0.25

log = structlog.get_logger()


class Oms:
    """One OMS. Must be made inside the event loop; `run` lives until the service stops."""

    def __init__(
        self,
        service: Service,
        settings: OmsSettings,
        limits: Limits,
        broker: Broker,
        make_journal: Callable[[str, Lease, str], Journal] = Journal,
    ) -> None:
        self.parts = Parts(service, settings, limits, broker, make_journal)

    def __repr__(self) -> str:
        return repr(self.parts)

    async def run(self) -> None:
        """Start, work until the service stops, stop. Raises InvalidInput, Fenced, JournalMoved."""
        parts = self.parts
        try:
            async with asyncio.TaskGroup() as tasks:
                background = [tasks.create_task(parts.sender.run())]
                if await startup.keys_work(parts) and await startup.lead(parts):
                    background.append(tasks.create_task(parts.journal.run()))
                    background.append(tasks.create_task(insistently(parts.halts.run())))
                    background.append(tasks.create_task(insistently(parts.lease.keep())))
                    await self._work(tasks)
                for task in background:
                    task.cancel()
            # Not while it is renewed: a lease that was just given back would be missed.
            await parts.lease.release()
        except BaseExceptionGroup as group:
            error = _known(group)
            if error is None:
                raise
            raise error from group
        finally:
            await parts.close()

    async def _work(self, tasks: asyncio.TaskGroup) -> None:
        parts = self.parts
        facts = await startup.start(parts)
        if facts is None:
            return
        parts.say("")
        taking = tasks.create_task(insistently(self._take_requests()))
        workers = [
            tasks.create_task(worker)
            for worker in (
                insistently(self._take_facts(facts)),
                insistently(self._stay_level()),
                insistently(self._every(LOOK_S, self._look_around)),
                insistently(self._every(WANT_S, self._want_prices)),
                insistently(self._every(ASK_S, self._look_after_doubts)),
                insistently(self._every(_DETAILS_S, self._tell)),
            )
        ]
        await parts.service.stopping.wait()
        parts.say("stopping")
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await parts.journal.flush()
        await self._drain()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await parts.journal.flush()
        await parts.registry.leave()

    async def _take_requests(self) -> None:
        while True:
            self._require_lease()
            deliveries = await self.parts.requests.deliveries()
            if deliveries:
                await self.parts.desk.take_requests(deliveries)

    async def _take_facts(self, facts: GroupReader) -> None:
        while True:
            self._require_lease()
            deliveries = await facts.deliveries()
            if deliveries:
                await self.parts.desk.take_facts(deliveries)

    def _require_lease(self) -> None:
        """Asked before each read: an OMS that was paused shares its group's one member with its successor,
        and would take requests that nobody is given again."""
        if not self.parts.lease.held:
            raise Fenced("the lease of the OMS ran out: another may have taken over")

    async def _stay_level(self) -> None:
        """Catch up with the broker each time its stream was interrupted, before orders are taken again."""
        parts = self.parts
        while True:
            await parts.behind.wait()
            parts.behind.clear()
            parts.say("catching up with the broker")
            level = await parts.asked(lambda: parts.catch_up(at_start=False))
            if level and not parts.behind.is_set():
                parts.say("")

    async def _look_around(self) -> None:
        parts = self.parts
        await parts.registry.look(parts.requests, parts.registered)

    async def _want_prices(self) -> None:
        await self.parts.registry.want_prices(self.parts.records.book.symbols())

    async def _look_after_doubts(self) -> None:
        await self.parts.watch.ask()
        await self.parts.watch.look_for_strays(self.parts.dispatch)

    async def _tell(self) -> None:
        parts = self.parts
        counters = parts.service.counters
        counters.update(parts.records.counts)
        counters["uncertain_now"] = parts.watch.uncertain
        counters["commits"] = parts.journal.commits
        parts.service.details.update(
            details(
                parts.records.book,
                parts.halts.state,
                parts.desk.why_not_ready,
                int(parts.sender.bucket.tokens),
                dict(parts.records.refused),
            )
        )

    async def _every(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await act()
            except (redis.asyncio.RedisError, OSError) as error:
                log.warning("orders server not readable", error=str(error))
            await asyncio.sleep(seconds)

    async def _drain(self) -> None:
        """Let requests that are under way end, for a bounded time; recovery settles what does not."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                await self.parts.sender.idle()
        except TimeoutError:
            log.warning("requests to the broker still under way", sender=repr(self.parts.sender))


def _known(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The one error to report where all are known; None where there is a defect among them."""
    known, unknown = group.split((BackboneError, redis.asyncio.RedisError))
    if unknown is not None or known is None:
        return None
    error: BaseException = known
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, redis.asyncio.RedisError):
        return ServerUnreachable(f"the orders server did not answer: {error}")
    return error
