"""The halt state by scope: read it, change it in one script, follow it.

The state is a hash beside the control stream, changed in the same script as the control entry: a halt
holds even where no OMS is alive. A missing key means that the state is unknown, not that all is well, and
a halt of one scope does not make the rest known: only `initialise` and a resume of everything do.
"""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec
import structlog

from bus.clock import Clock
from bus.codec import Message, MessageCodec
from bus.connection import Client, connect
from bus.control_messages import CONTROL_MESSAGES, Halt, ReduceOnly, Resume
from bus.errors import RefusedForNow, ServerAway, ServerRefused, Unreadable
from bus.halt_state import HaltState, same_scopes
from bus.streams import CONTROL, HALT

# The state is believed for this long after it was last read.
FRESH_MS = 500

# A follower blocks for less than that, so that a quiet control stream still counts as read.
_BLOCK_MS = 100

# Kept in the hash so that a key without halts still exists, and one that was lost is not taken for whole.
_MARKER = "initialised"

# A scope that is written in two ways has one state: the other spelling, of an older version, goes. A halt
# that only a named person lifts stays one when another takes its place, and nothing less does. In a reason a
# quote has a backslash before it: none looks like the field.
_CHANGE = """\
for i = 7, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
if ARGV[1] == 'set' then
  local before, after = redis.call('HGET', KEYS[1], ARGV[2]), ARGV[5]
  if before and string.find(before, '"latched":true', 1, true) then
    if ARGV[3] ~= 'Halt' then return false end
    after = string.gsub(after, '"latched":false}$', '"latched":true}')
  end
  redis.call('HSET', KEYS[1], ARGV[2], after)
elseif ARGV[2] == 'all' then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'initialised', ARGV[6])
else redis.call('HDEL', KEYS[1], ARGV[2]) end
return redis.call('XADD', KEYS[2], '*', 'type', ARGV[3], 'version', ARGV[4], 'data', ARGV[5])
"""

_read_mode = msgspec.json.Decoder(Halt | ReduceOnly).decode
_CODEC = MessageCodec(CONTROL_MESSAGES)

log = structlog.get_logger()


async def read(client: Client) -> HaltState:
    """The state now, from a server that takes writes: on a replica a halt may not have arrived.

    Raises RefusedForNow for a replica, and leaves it: the next question goes where the address leads by then.
    """
    together = client.pipeline(transaction=False)
    together.hgetall(HALT)
    together.role()
    fields, role = await together.execute()
    if role[0] != b"master":
        await client.connection_pool.leave_replica()
        raise RefusedForNow("READONLY the server is a replica, where a halt may not have arrived")
    return _state({name.decode(errors="replace"): value for name, value in fields.items()})


async def change(client: Client, message: Halt | ReduceOnly | Resume) -> HaltState:
    """Change the state and tell everyone, in one script; returns the state afterwards.

    A halt that only a named person lifts does not become reduce-only: nothing is changed then.
    """
    name, version, data = _CODEC.encode(message)
    action = "clear" if isinstance(message, Resume) else "set"
    scope, at_ns = message.scope, message.at_ns
    others = [other for other in same_scopes(scope) if other != scope]
    await client.eval(_CHANGE, 2, HALT, CONTROL, action, scope, name, version, data, at_ns, *others)
    return await read(client)


async def initialise(client: Client, at_ns: int) -> None:
    """Write the key where it is missing: a new installation trades until somebody halts it."""
    await client.hsetnx(HALT, _MARKER, str(at_ns))


def _state(fields: Mapping[str, bytes]) -> HaltState:
    known = _MARKER in fields
    scopes: dict[str, Halt | ReduceOnly] = {}
    for scope, value in fields.items():
        if scope == _MARKER:
            continue
        try:
            scopes[scope] = _read_mode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Somebody wrote it by hand, and may have meant a halt.
            log.error("unreadable halt", scope=scope, error=str(error))
            known = False
    return HaltState(known=known, scopes=MappingProxyType(scopes))


class HaltWatch:
    """Follows the halt state over a connection of its own.

    Mutable: `state`, which is what the last read said, when that was, and how far control was followed.
    """

    def __init__(self, url: str, clock: Clock, *, name: str = "halt-watch") -> None:
        self.state = HaltState(known=False)
        self._clock = clock
        self._client = connect(url, name=name)
        self._read_ns: int | None = None
        self._position = b"$"
        self._away = False

    def fresh(self, bound_ms: int = FRESH_MS) -> bool:
        """Whether the state was read within the bound; what is older may not be acted on."""
        if self._read_ns is None:
            return False
        return self._clock.monotonic_ns() - self._read_ns <= bound_ms * 1_000_000

    async def run(self, on_message: Callable[[str, Message], None] | None = None) -> None:
        """Follow control until cancelled; `on_message` gets an entry's id and message once `state` has it."""
        while True:
            try:
                await self._refresh()
                await self._follow(on_message)
            except (ServerAway, ServerRefused) as error:
                if not self._away:
                    log.warning("control not readable", error=str(error))
                self._away = True
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _refresh(self) -> None:
        asked_ns = self._clock.monotonic_ns()
        if self._position == b"$":
            last = await self._client.xrevrange(CONTROL, count=1)
            self._position = last[0][0] if last else b"0-0"
        self.state = await read(self._client)
        self._read_ns = asked_ns
        self._away = False

    async def _follow(self, on_message: Callable[[str, Message], None] | None) -> None:
        while True:
            found = await self._client.xread({CONTROL: self._position}, count=100, block=_BLOCK_MS)
            entries = found[0][1] if found else []
            await self._refresh()
            if entries:
                # Only now: where the state could not be read, these entries are read again and not lost.
                self._position = entries[-1][0]
            for entry_id, fields in entries:
                if on_message is not None:
                    self._tell(entry_id.decode(), fields, on_message)

    def _tell(
        self, entry_id: str, fields: Mapping[bytes, bytes], on_message: Callable[[str, Message], None]
    ) -> None:
        try:
            message = _CODEC.decode(fields)
        except Unreadable as error:
            # Anyone may write to control: what cannot be read is said, and the state stands on its own.
            log.error("unreadable control entry", error=str(error))
            return
        on_message(entry_id, message)
