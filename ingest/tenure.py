"""Holding a lease as long as a process runs, and taking it again after an outage that nobody else used."""

import asyncio
from collections.abc import Callable

import structlog

from bus.errors import Fenced, ServerAway, ServerRefused
from bus.lease import Lease

# How often a lease that somebody else holds is asked for.
ASK_S = 0.25

log = structlog.get_logger()


class Tenure:
    """One lease, taken, renewed, and given back.

    A lost lease is regained at once, or (`by_writer`) only by the writer: one with several batches under
    way must not have an early one refused and a later one accepted.
    """

    def __init__(self, lease: Lease, *, by_writer: bool = False) -> None:
        self.lease = lease
        self._by_writer = by_writer
        self._token = 0
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        return f"tenure of {self.lease!r}"

    async def take(self, waiting: Callable[[str], None]) -> None:
        """Wait until the lease is ours; `waiting` is told, in a sentence, that somebody else holds it."""
        while not await self.lease.acquire():
            waiting(f"waiting for {self.lease.key}: another ingest holds it")
            await asyncio.sleep(ASK_S)
        self._token = self.lease.token

    async def keep(self) -> None:
        """Renew until cancelled. Raises Fenced when somebody else has taken over."""
        while True:
            await asyncio.sleep(self.lease.renewal_s)
            value = self.lease.value
            try:
                if value:
                    await self.lease.renew()
            except Fenced:
                log.warning("lease ran out", lease=self.lease.key)
                if not self._by_writer:
                    await self.regain(value)
            except (ServerAway, ServerRefused) as error:
                log.warning("lease not renewed", lease=self.lease.key, error=str(error))

    async def regain(self, fenced: str) -> None:
        """Take the lease again after it ran out under the value `fenced`, as in an outage of the server.

        Raises Fenced when somebody else holds it or has held it in between: then what we had under way may
        already be there from another hand.
        """
        async with self._turn:
            if self.lease.held and self.lease.value not in ("", fenced):
                return
            while True:
                try:
                    taken = await self.lease.acquire()
                    break
                except (ServerAway, ServerRefused) as error:
                    log.warning("lease not regained yet", lease=self.lease.key, error=str(error))
                    await asyncio.sleep(ASK_S)
            if taken and self.lease.token == self._token + 1:
                self._token = self.lease.token
                log.warning("lease regained after it had run out", lease=self.lease.key)
                return
            if taken:
                await self.lease.release()
            raise Fenced(f"{self.lease.key} went to another ingest: this one stops writing")

    async def give_back(self) -> None:
        """Release the lease, so that the next process need not wait for it to run out."""
        try:
            await self.lease.release()
        except (ServerAway, ServerRefused) as error:
            log.warning("lease not released", lease=self.lease.key, error=str(error))
