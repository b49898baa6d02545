"""Hold a lease for as long as a process needs it: wait for it, renew it, take it again, give it back."""

import asyncio
from collections.abc import Callable
from typing import Literal

import structlog

from bus.errors import Fenced, ServerAway, ServerRefused
from bus.heartbeat import StateReason
from bus.lease import Lease
from bus.outage import Outage
from bus.retry import pause, until_answered

# How often a lease that somebody else holds is asked for, where nothing else is said: a follower takes over
# within this and its time to live.
ASK_S = 0.1

# A server that does not do what was asked, for whatever reason: the lease runs out by itself if it stays so.
_AWAY = (ServerAway, ServerRefused)

Regain = Literal["at_once", "by_writer"]

log = structlog.get_logger()


class LeaseKeeper:
    """Keeps one lease. `regain` says what happens when it ran out, as in an outage of its server:

    - `at_once`: `keep` takes it again, provided that nobody else held it in between. Until then `held` is
      false, and what needs the lease waits.
    - `by_writer`: `keep` leaves that to whoever writes under it, by `regain`. A writer with several batches
      under way must not have an early one refused and a later one accepted.

    `other` names, in sentences, who else may hold it; the lease is asked for every `ask_s`. Mutable: the
    lease, the token it last had, and whether it was given back.
    """

    def __init__(
        self,
        lease: Lease,
        *,
        regain: Regain = "at_once",
        other: str = "another process",
        ask_s: float = ASK_S,
    ) -> None:
        self.lease = lease
        self._ask_s = ask_s
        self._regain: Regain = regain
        self._other = other
        self._token = 0
        self._is_given_back = False
        self._turn = asyncio.Lock()
        self._not_renewed = Outage("lease not renewed", lease=lease.key)

    def __repr__(self) -> str:
        return f"keeper of {self.lease!r}"

    async def take(
        self,
        *,
        stopping: asyncio.Event,
        tell: Callable[[StateReason], None],
        willing: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Wait until the lease is ours; False where `stopping` was set first.

        `tell` gets the reason when it has to wait and whenever the reason changes: `lease_held` or
        `server_away`. The lease is not asked for while `willing` says no.
        """
        told: StateReason | None = None

        def tell_once(reason: StateReason) -> None:
            nonlocal told
            if reason != told:
                told = reason
                tell(reason)

        def away(trouble: str) -> None:
            tell_once(StateReason("server_away", f"waiting for the server of {self.lease.key}: {trouble}"))

        while not stopping.is_set():
            if willing():
                if await until_answered(self.lease.acquire, stopping=stopping, tell=away, away=_AWAY):
                    self._token, self._is_given_back = self.lease.token, False
                    return True
                held = f"waiting for {self.lease.key}: {self._other} holds it"
                tell_once(StateReason("lease_held", held))
            await pause(self._ask_s, stopping)
        return False

    async def keep(self) -> None:
        """Renew until cancelled. Raises Fenced when the lease is lost and `regain` does not bring it back.

        A lease that is given back meanwhile is not missed.
        """
        while True:
            await asyncio.sleep(self.lease.renewal_s)
            value = self.lease.value
            if not value:
                # Lost, and the writer has not regained it yet.
                continue
            try:
                await self.lease.renew()
                self._not_renewed.ended()
            except Fenced:
                await self._missed(value)
            except _AWAY as error:
                self._not_renewed.goes_on(error)

    async def _missed(self, fenced: str) -> None:
        if self._is_given_back:
            return
        log.warning("lease ran out", lease=self.lease.key)
        if self._regain == "at_once":
            await self.regain(fenced)

    async def regain(self, fenced: str) -> None:
        """Take the lease again after it ran out under the value `fenced`; waits for a server that is away.

        Raises Fenced when somebody else holds it or has held it in between: then what we had under way may
        already be there from another hand. And when we have given it back.
        """
        async with self._turn:
            if self.lease.held and self.lease.value not in ("", fenced):
                return
            taken = await until_answered(self.lease.acquire, stopping=None, tell=self._not_yet, away=_AWAY)
            is_ours = self.lease.token in (self._token, self._token + 1) and not self._is_given_back
            if taken and is_ours:
                self._token = self.lease.token
                log.warning("lease regained after it had run out", lease=self.lease.key)
                return
            if taken:
                await self.lease.release()
            to = "was given back" if self._is_given_back else f"went to {self._other}"
            raise Fenced(f"{self.lease.key} {to}: this one stops writing")

    async def give_back(self) -> None:
        """Release the lease, so that the next process need not wait for it to run out."""
        self._is_given_back = True
        try:
            await self.lease.release()
        except _AWAY as error:
            log.warning("lease not released", lease=self.lease.key, error=str(error))

    def _not_yet(self, trouble: str) -> None:
        log.warning("lease not regained yet", lease=self.lease.key, error=trouble)
