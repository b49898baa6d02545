"""A wire that is opened again when it breaks, and the scripts that run over it. Nothing is re-sent here."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from bus.connection import shown
from bus.errors import InvalidInput, RefusedForNow, ReplyLost, ServerAway, ServerUnreachable
from bus.outage import Outage
from bus.retry import until_answered, waits_s
from bus.wire import Reply, Wire, checked, pack

# Doubling up to a second: a server that restarts is back within one.
FIRST_WAIT_S = 0.01

# A connection that broke within this time proves nothing: the server may end each one at its first command.
_SHORT_LIFE_S = 1.0
_LONGEST_WAIT_AFTER_IT_S = 0.1

# A server that takes no such command now is asked again so often: that costs it little.
_LONGEST_WAIT_WHILE_REFUSED_S = 0.25

Answer = TypeVar("Answer")


class Script:
    """A server-side script, named by its digest so that the text travels once per connection."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def packed(self, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> bytes:
        """The command that runs it."""
        return pack("EVALSHA", self.digest, len(keys), *keys, *arguments)


class Link:
    """One wire to one server, opened on demand and again after each break.

    Mutable: which wire; `outage`, whether the server is away or refuses for now. One that is away is back
    once a connection is open, one that refuses once it has done what was asked.
    """

    def __init__(self, url: str, *, name: str, scripts: Sequence[Script] = ()) -> None:
        self.url = url
        self.name = name
        self._scripts = scripts
        self._wire: Wire | None = None
        self._opening = asyncio.Lock()
        self.outage = Outage("server away", link=name, server=shown(url))
        self._refuses = False
        self._refusal_waits_s = waits_s(FIRST_WAIT_S, _LONGEST_WAIT_WHILE_REFUSED_S)
        # When the last connection was opened, and the waits before the next where it lived too shortly.
        self._opened_at = float("-inf")
        self._waits_s = waits_s(FIRST_WAIT_S, _LONGEST_WAIT_AFTER_IT_S)
        # The server's run and the number it gave to our last connection.
        self._last: tuple[bytes, int] | None = None

    def __repr__(self) -> str:
        return f"link {self.name}, {self._wire or 'not opened'}"

    @property
    def wire(self) -> Wire | None:
        """The wire if it is connected now."""
        return self._wire if self._wire is not None and self._wire.connected else None

    async def opened(self) -> Wire:
        """The wire, opened first where need be; waits as long as the server is away.

        Raises InvalidInput when the server refuses us at the very first: waiting would not mend that. One
        that let us in before is away, whatever it says now: its address was right.
        """
        if self._wire is not None and self._wire.connected:
            return self._wire
        async with self._opening:
            if self._wire is None or not self._wire.connected:
                await self._pause_after_a_short_life()
                away = (ServerAway,) if self._last is None else (ServerAway, InvalidInput)
                self._wire = await until_answered(
                    self._open,
                    stopping=None,
                    tell=self.outage.goes_on,
                    away=away,
                    first_wait_s=FIRST_WAIT_S,
                )
                self._opened_at = asyncio.get_running_loop().time()
                if not self._refuses:
                    self.outage.ended()
        assert self._wire is not None
        return self._wire

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Reply:
        """Run a script once and return its reply; waits for a server that is away or refuses for now.

        A refusal comes before a script has written anything, so it may be asked for again. A server that lost
        its scripts (restart, failover) says so before it does anything: then the text is loaded and the
        script run. Raises Fenced, ServerRefused and ReplyLost, never RefusedForNow or ServerUnreachable; and
        InvalidInput as `opened` does.
        """

        async def once(wire: Wire) -> Reply:
            return await _run(wire, script, keys, arguments)

        return await self.retried(once, but=ReplyLost)

    async def run_now(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]
    ) -> Reply:
        """As `run`, but a server that refuses for now is not waited for; opening a connection is.

        It is for `Publisher`, whose requests may be too old by the time at which they can leave. Raises
        Fenced, ServerRefused, RefusedForNow, ReplyLost, and ServerUnreachable where nothing was sent;
        InvalidInput as `opened` does.
        """
        found = await _run(await self.opened(), script, keys, arguments)
        self.answered()
        return found

    async def asked(self, *command: str | bytes | int) -> Reply:
        """The answer to a command that may be sent again, such as a read; waits for a server that is away.

        Raises Fenced and ServerRefused, and InvalidInput as `opened` does.
        """
        return await self.retried(lambda wire: wire.call(*command))

    async def retried(
        self, call: Callable[[Wire], Awaitable[Answer]], *, but: type[ServerAway] | tuple[()] = ()
    ) -> Answer:
        """What `call` brings over the wire, called again while the server is away or refuses for now.

        Raises what it raises otherwise, and errors of the type `but`; InvalidInput as `opened` does.
        """
        while True:
            try:
                answer = await call(await self.opened())
            except but:
                raise
            except ServerAway as error:
                await self.wait_out(error)
            else:
                self.answered()
                return answer

    async def wait_out(self, error: ServerAway) -> None:
        """Note that the server refused for now, which is said once, and wait before it is asked again.

        After a break there is nothing to wait for here: opening waits.
        """
        if isinstance(error, RefusedForNow):
            self._refuses = True
            self.outage.goes_on(error)
            await asyncio.sleep(next(self._refusal_waits_s))

    def answered(self) -> None:
        """Note that the server did what was asked."""
        if self.outage.why:
            self._refuses = False
            self.outage.ended()
            self._refusal_waits_s = waits_s(FIRST_WAIT_S, _LONGEST_WAIT_WHILE_REFUSED_S)

    async def close(self) -> None:
        """Close the wire."""
        if self._wire is not None:
            await self._wire.close()

    async def _pause_after_a_short_life(self) -> None:
        if asyncio.get_running_loop().time() - self._opened_at < _SHORT_LIFE_S:
            await asyncio.sleep(next(self._waits_s))
        else:
            self._waits_s = waits_s(FIRST_WAIT_S, _LONGEST_WAIT_AFTER_IT_S)

    async def _open(self) -> Wire:
        wire = await Wire.open(self.url, name=self.name)
        try:
            await self._end_last(wire)
            for script in self._scripts:
                await wire.call("SCRIPT", "LOAD", script.text)
        except BaseException as error:
            await wire.close()
            if isinstance(error, RefusedForNow):
                raise ServerUnreachable(f"{shown(self.url)} takes nobody now: {error}") from error
            raise
        return wire

    async def _end_last(self, wire: Wire) -> None:
        """End the connection before this one, so that what it sent has happened by now or never will.

        The server may not have seen the break: a read that it still blocks for the old connection would
        take entries that nobody receives, and a write in its buffer would come after we looked for it.
        """
        run = run_id(await wire.call("INFO", "server"))
        number = await wire.call("CLIENT", "ID")
        if self._last is not None and self._last[0] == run:
            await wire.call("CLIENT", "KILL", "ID", self._last[1])
        self._last = (run, number)


async def _run(
    wire: Wire, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]
) -> Reply:
    (reply,) = await wire.send(script.packed(keys, arguments))
    if is_unloaded(reply):
        await wire.call("SCRIPT", "LOAD", script.text)
        (reply,) = await wire.send(script.packed(keys, arguments))
    return checked(reply)


def run_id(info: bytes) -> bytes:
    """Return the id of the server's run, from INFO: each run numbers its connections anew."""
    return next((line[7:] for line in info.splitlines() if line.startswith(b"run_id:")), b"")


def is_unloaded(reply: Reply) -> bool:
    """Whether a reply says that the server does not have the script: it was not run."""
    return isinstance(reply, Exception) and str(reply).startswith("NOSCRIPT")
