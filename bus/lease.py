"""Leases: one holder at a time, and a fencing token that every guarded write checks in its own script."""

import secrets

import structlog

from bus.clock import Clock, SystemClock
from bus.connection import Client
from bus.errors import Fenced

# A holder that stalls this long is replaced; renewals come five times as often.
TTL_MS = 5000

# The first line of every script that writes under a lease: KEYS[1] is the lease, ARGV[1] the holder's value.
FENCE = """\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('FENCED not the holder') end
"""

# Holders of one lease are processes of one kind, and none has ten times the time to live of another.
# Tokens come from a counter that outlives every holder, so that they only grow. A lease that we have already,
# because the reply that said so was lost, is ours and not another's.
_ACQUIRE = """\
local held = redis.call('GET', KEYS[1])
if held then
  if string.match(held, ':(.*)') ~= ARGV[1] then
    -- Its server's clock was set back: it would run out as much later. Its holder, where it lives, renews it.
    local most = 10 * tonumber(ARGV[3])
    if redis.call('PTTL', KEYS[1]) > most then redis.call('PEXPIRE', KEYS[1], most) end
    return false
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return held
end
local token = redis.call('INCR', KEYS[2])
local value = token .. ':' .. ARGV[1]
redis.call('SET', KEYS[1], value, 'PX', ARGV[2])
return value
"""
_RENEW = FENCE + "return redis.call('PEXPIRE', KEYS[1], ARGV[2])"
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

_MARK_BYTES = 4

log = structlog.get_logger()


class Lease:
    """The right to write somewhere, held by one process at a time.

    `value` ("<token>:<holder>:<mark>") is what scripts compare; the mark is this object's own, however others
    are called. `held` is the local view: true only while the lease cannot have run out, counted from before
    the last renewal was sent. It is held for `ttl_ms` at a time, and for `first_ms` until it is shortened: so
    long may a holder stand still that is not at work yet. Mutable: `value`, `held`, whether it was shortened.
    """

    def __init__(
        self,
        client: Client,
        key: str,
        holder: str,
        *,
        ttl_ms: int = TTL_MS,
        first_ms: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.key = key
        self.value = ""
        self.ttl_ms = ttl_ms
        self._held_for_ms = ttl_ms if first_ms is None else first_ms
        self._client = client
        self._holder = f"{holder}:{secrets.token_hex(_MARK_BYTES)}"
        self._clock = clock or SystemClock()
        self._valid_until_ns = 0

    def __repr__(self) -> str:
        return f"lease {self.key}, {f'held as {self.value}' if self.held else 'not held'}"

    @property
    def token(self) -> int:
        """The fencing token; 0 before the first acquisition."""
        return int(self.value.split(":", 1)[0]) if self.value else 0

    @property
    def held(self) -> bool:
        """Whether the lease is certainly still ours, by the local clock."""
        return bool(self.value) and self._clock.monotonic_ns() < self._valid_until_ns

    @property
    def renewal_s(self) -> float:
        """How long after one renewal the next is due."""
        return self.ttl_ms / 5000

    async def acquire(self) -> bool:
        """Take the lease where it is free; False where somebody else holds it.

        Asked again after a lost reply, it returns what that question brought.
        """
        asked_ns = self._clock.monotonic_ns()
        held_for_ms = self._held_for_ms
        value = await self._client.eval(
            _ACQUIRE, 2, self.key, f"{self.key}:token", self._holder, held_for_ms, self.ttl_ms
        )
        if value is None:
            return False
        self.value = value.decode()
        self._extend(asked_ns, held_for_ms)
        return True

    async def renew(self) -> None:
        """Extend the lease. Raises Fenced when it has run out or is another's."""
        asked_ns, held_for_ms = self._clock.monotonic_ns(), self._held_for_ms
        # The reply may be lost, and what was left may be more than what is asked for now.
        self._valid_until_ns = min(self._valid_until_ns, _after(asked_ns, held_for_ms))
        try:
            await self._client.eval(_RENEW, 1, self.key, self.value, held_for_ms)
        except Fenced as error:
            self.value = ""
            raise Fenced(f"the lease {self.key} is not ours any more: stop writing") from error
        self._extend(asked_ns, held_for_ms)

    def shorten(self) -> None:
        """From the next renewal on, hold it for `ttl_ms` at a time."""
        self._held_for_ms = self.ttl_ms

    async def release(self) -> None:
        """Give the lease back, if it is still ours."""
        value, self.value = self.value, ""
        if value:
            await self._client.eval(_RELEASE, 1, self.key, value)

    def _extend(self, asked_ns: int, held_for_ms: int) -> None:
        self._valid_until_ns = _after(asked_ns, held_for_ms)


def _after(asked_ns: int, milliseconds: int) -> int:
    return asked_ns + milliseconds * 1_000_000
