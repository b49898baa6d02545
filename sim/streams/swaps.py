"""Swaps a message that comes alone with the next one, where a fault asks for it."""

from collections.abc import Callable

from sim.clock import Clock
from sim.faults.faults import Faults
from sim.streams.client import Client

HOLD_NS = 100_000_000  # how long a message waits for the next one


class Swaps:
    """One stream's messages that wait for the next; `deliver` sends those that waited too long."""

    def __init__(
        self, faults: Faults, clock: Clock, stream: str, deliver: Callable[[Client, list[bytes]], None]
    ) -> None:
        self._faults = faults
        self._clock = clock
        self._stream = stream
        self._deliver = deliver
        self._held: dict[Client, bytes] = {}

    def passed(self, client: Client, parts: list[bytes]) -> list[bytes]:
        """Return what is sent now of the messages of a moment."""
        held = self._held.pop(client, None)
        if held is not None:
            return [*parts, held]
        about = {"stream": self._stream, "account": client.account}
        if len(parts) != 1 or not self._faults.strike("out_of_order_messages", **about):
            return parts
        (held,) = parts
        self._held[client] = held
        self._clock.call_at(self._clock.now_ns() + HOLD_NS, lambda: self._let_go(client, held))
        return []

    def _let_go(self, client: Client, held: bytes) -> None:
        if self._held.get(client) is held:
            del self._held[client]
            self._deliver(client, [held])
