"""The trade_updates websocket: JSON in binary frames, one connection per account, nothing replayed."""

import asyncio
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from sim.broker.update_json import update_json
from sim.broker.updates import Update
from sim.clock import Clock
from sim.faults import updates as faulty
from sim.faults.faults import Faults
from sim.faults.handshakes import is_one_too_many, opening
from sim.keys import Keyring
from sim.streams.codecs import JSON, MSGPACK
from sim.streams.handshake import refused
from sim.streams.outgoing import CLOSE_S
from sim.streams.pings import answer_ping
from sim.streams.reader import Reader

STREAM = "trade_updates"
HOLD_NS = 50_000_000  # how long an update waits for the next one to swap with


class Listener(Reader):
    """One connection; a slow one is closed without an error, for which this stream has none."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, faults: Faults) -> None:
        super().__init__(request, socket, STREAM, faults, writes_binary=True)
        self.listens = False


class UpdatesStream:
    """All connections to /stream; one of each account may be authorized."""

    def __init__(self, keyring: Keyring, faults: Faults, clock: Clock) -> None:
        self.listeners: list[Listener] = []
        self._keyring = keyring
        self._faults = faults
        self._clock = clock
        self._held: dict[str, dict[str, Any]] = {}

    def publish(self, account: str, updates: list[Update]) -> None:
        """Send an account's updates to its connection; faults may duplicate, swap or lose them."""
        for update in updates:
            message = {"stream": STREAM, "data": update_json(update)}
            if self._faults.strike("out_of_order_updates", account=account):
                earlier = self._held.pop(account, None)
                if earlier is None:
                    self._hold(account, message)
                    continue
                self._send(account, message)
                message = earlier
            self._send(account, message)

    async def close(self) -> None:
        """End every connection with a close frame."""
        await asyncio.gather(*(listener.outgoing.close() for listener in self.listeners))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection from its handshake to its end."""
        begun = opening(self._faults, STREAM)
        if begun.status is not None:
            return refused(begun.status)
        # Its account is not known yet; where every account has its connection, one more is too many.
        is_taken = {listener.account for listener in self.listeners} >= self._keyring.accounts
        if is_taken:
            return refused(429)
        socket = web.WebSocketResponse(
            timeout=CLOSE_S, max_msg_size=1024 * 1024, compress=begun.compress, autoping=False
        )
        await socket.prepare(request)
        listener = Listener(request, socket, self._faults)
        listener.fall_silent_at(begun.silent_at)
        sender = asyncio.create_task(listener.outgoing.send())
        self.listeners.append(listener)
        try:
            async for message in socket:
                await answer_ping(socket, message, self._faults, STREAM, listener.account)
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    data = message.data
                    self._receive(listener, data.encode() if isinstance(data, str) else data)
        finally:
            self.listeners.remove(listener)
            sender.cancel()
        return socket

    def _hold(self, account: str, message: dict[str, Any]) -> None:
        self._held[account] = message
        self._clock.call_at(self._clock.now_ns() + HOLD_NS, lambda: self._let_go(account, message))

    def _let_go(self, account: str, message: dict[str, Any]) -> None:
        if self._held.get(account) is message:
            del self._held[account]
            self._send(account, message)

    def _send(self, account: str, message: dict[str, Any]) -> None:
        changed = faulty.changed(self._faults, message, account)
        delay_ns = faulty.delay_ns(self._faults, account) if changed else 0
        if delay_ns:
            self._clock.call_at(self._clock.now_ns() + delay_ns, lambda: self._tell(account, changed))
        else:
            self._tell(account, changed)

    def _tell(self, account: str, messages: list[dict[str, Any]]) -> None:
        for listener in self.listeners:
            if listener.listens and listener.account == account:
                for message in messages:
                    listener.tell(message)

    def _receive(self, listener: Listener, data: bytes) -> None:
        message = _read(data)
        action = message.get("action")
        if not listener.hears("subscription" if action == "listen" else "auth"):
            return
        fields = message.get("data")
        fields = fields if isinstance(fields, dict) else {}
        if action in ("authenticate", "auth"):
            key = fields.get("key_id", message.get("key"))
            secret = fields.get("secret_key", message.get("secret"))
            account = self._keyring.account(key, secret)
            has_one = any(other.account == account for other in self.listeners if other is not listener)
            listener.account = None if has_one or is_one_too_many(self._faults, STREAM, account) else account
            status = "unauthorized" if listener.account is None else "authorized"
            listener.tell({"stream": "authorization", "data": {"status": status, "action": "authenticate"}})
        elif action == "listen" and listener.account is not None:
            streams = fields.get("streams")
            streams = [STREAM] if isinstance(streams, list) and STREAM in streams else []
            listener.listens = bool(streams)
            listener.tell({"stream": "listening", "data": {"streams": streams}})
        elif action == "listen":
            listener.tell({"stream": "authorization", "data": {"status": "unauthorized", "action": "listen"}})
        else:
            listener.tell({"stream": "error", "data": {"error_message": "invalid action"}})


def _read(data: bytes) -> dict[str, Any]:
    """Return a client's message, JSON or msgpack; an empty one where it is neither."""
    for read in (JSON.read, MSGPACK.read):
        try:
            message = read(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(message, dict):
            return message
    return {}
