"""The market-data websocket: control messages, subscriptions, and frames of what is played."""

import asyncio
import copy
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from sim.clock import Clock
from sim.exchange.market_messages import Message
from sim.faults import messages as faulty
from sim.faults.faults import Faults
from sim.faults.handshakes import is_one_too_many, opening
from sim.keys import Keyring
from sim.streams.codecs import JSON, MSGPACK, Codec
from sim.streams.outgoing import CLOSE_S, Outgoing
from sim.streams.pings import answer_ping
from sim.streams.trickle import Trickle

CHANNELS = {
    "stocks": (
        "trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "corrections",
        "cancelErrors",
    ),
    "crypto": ("trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars"),
}  # fmt: skip
ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
}
MOST_PER_FRAME = 100
_LIMITED = ("trades", "quotes")  # bars do not count towards the plan's symbols
_WITH_TRADES = ("corrections", "cancelErrors")  # come with the trades, unasked


class Client:
    """One connection: its codec, whether it is authenticated, and what it wants."""

    def __init__(
        self, request: web.Request, socket: web.WebSocketResponse, asset_class: str, faults: Faults
    ) -> None:
        self.request = request
        self.endpoint = request.path
        self.codec: Codec = MSGPACK if "msgpack" in request.headers.get("Content-Type", "") else JSON
        self.owner: str | None = None  # the account, once authenticated
        trickle = Trickle(faults, asset_class, self)
        self.outgoing = Outgoing(socket, self.codec.is_binary, self.abort, trickle=trickle)
        self.wanted: dict[str, set[str]] = {channel: set() for channel in CHANNELS[asset_class]}
        self._waiting: list[bytes] = []

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        if self.request.transport is not None:
            self.request.transport.abort()

    def tell(self, message: dict[str, Any]) -> None:
        """Send a control message, alone in its frame."""
        self.outgoing.put(self.codec.control([message]))

    def error(self, code: int) -> None:
        """Send an error by its number."""
        self.tell({"T": "error", "code": code, "msg": ERRORS[code]})

    def subscriptions(self) -> dict[str, Any]:
        """The acknowledgement: always the full set."""
        channels = {channel: sorted(symbols) for channel, symbols in self.wanted.items()}
        return {"T": "subscription", **channels}

    def deliver(self, parts: list[bytes], frame_messages: int | None) -> int:
        """Send parts in frames: of exactly `frame_messages`, keeping the rest, or of up to a hundred.

        Returns how many messages were sent.
        """
        self._waiting += parts
        size = frame_messages or MOST_PER_FRAME
        end = len(self._waiting) - (len(self._waiting) % size if frame_messages else 0)
        for start in range(0, end, size):
            frame = self._waiting[start : min(start + size, end)]
            if not self.outgoing.put(self.codec.frame(frame)):
                self.outgoing.finish(self.codec.control([{"T": "error", "code": 407, "msg": ERRORS[407]}]))
                return 0
        del self._waiting[:end]
        return end

    def flush(self) -> int:
        """Send what waits for a frame to fill, since no more will come; returns how many messages."""
        count = len(self._waiting)
        if count:
            self.outgoing.put(self.codec.frame(self._waiting))
            self._waiting = []
        return count


class MarketStream:
    """All connections of one asset class; one authenticated connection per endpoint and account."""

    def __init__(
        self,
        asset_class: str,
        keyring: Keyring,
        faults: Faults,
        clock: Clock,
        subscribed: Callable[[set[str]], None],
        frame_messages: int | None = None,
        symbol_limit: int | None = None,
        auth_seconds: float = 10.0,
    ) -> None:
        self.asset_class = asset_class
        self.clients: list[Client] = []
        self.sent = 0
        self._keyring = keyring
        self._faults = faults
        self._clock = clock
        self._subscribed = subscribed
        self._frame_messages = frame_messages
        self._symbol_limit = symbol_limit
        self._auth_seconds = auth_seconds

    def publish(self, messages: list[Message]) -> None:
        """Send each client what it wants of the messages; each is written once per codec."""
        if not self._faults.is_quiet:
            self._publish_faulty(messages)
            return
        written: dict[str, list[bytes | None]] = {}
        for client in self.clients:
            if client.owner is not None:
                parts = _select(client, messages, written)
                if parts:
                    self.sent += client.deliver(parts, self._frame_messages)

    def _publish_faulty(self, messages: list[Message]) -> None:
        """The same under faults, which are each client's own."""
        skew_ns = faulty.skew_ns(self._faults)
        if skew_ns:
            messages = [_moved(message, skew_ns) for message in messages]
        written: dict[str, list[bytes | None]] = {}
        for client in self.clients:
            if client.owner is None:
                continue
            selected = _select(client, messages, written)
            parts = faulty.changed(self._faults, selected, self.asset_class, client.owner)
            if parts:
                delay_ns = faulty.delay_ns(self._faults, self.asset_class, client.owner)
                self._deliver_in(client, parts, delay_ns)

    def _deliver_in(self, client: Client, parts: list[bytes], delay_ns: int) -> None:
        if delay_ns:
            at_ns = self._clock.now_ns() + delay_ns
            self._clock.call_at(at_ns, lambda: self._deliver_in(client, parts, 0))
        else:
            self.sent += client.deliver(parts, self._frame_messages)

    @property
    def most_waiting_bytes(self) -> int:
        """How much waits for the slowest client."""
        return max((client.outgoing.waiting_bytes for client in self.clients), default=0)

    def flush(self) -> None:
        """The market is over: send what still waits."""
        for client in self.clients:
            self.sent += client.flush()

    def disconnect(self) -> None:
        """Cut every connection without a close frame."""
        for client in self.clients:
            client.abort()

    async def close(self) -> None:
        """End every connection with a close frame."""
        await asyncio.gather(*(client.outgoing.close() for client in self.clients))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One connection from its handshake to its end."""
        begun = opening(self._faults, self.asset_class)
        if begun.status is not None:
            words = HTTPStatus(begun.status).phrase.lower()
            return web.json_response({"message": words}, status=begun.status)
        socket = web.WebSocketResponse(
            timeout=CLOSE_S, max_msg_size=16 * 1024 * 1024, compress=begun.compress, autoping=False
        )
        await socket.prepare(request)
        client = Client(request, socket, self.asset_class, self._faults)
        sender = asyncio.create_task(client.outgoing.send())
        self.clients.append(client)
        timeout = asyncio.get_running_loop().call_later(self._auth_seconds, self._time_out, client)
        try:
            headers = request.headers
            if begun.silent:
                timeout.cancel()
            else:
                client.tell({"T": "success", "msg": "connected"})
            if "APCA-API-KEY-ID" in headers and not begun.silent:
                self._authenticate(client, headers["APCA-API-KEY-ID"], headers.get("APCA-API-SECRET-KEY", ""))
            async for message in socket:
                await answer_ping(socket, message, self._faults, self.asset_class, client.owner)
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY) and not begun.silent:
                    data = message.data
                    self._receive(client, data.encode() if isinstance(data, str) else data)
        finally:
            timeout.cancel()
            self.clients.remove(client)
            sender.cancel()
        return socket

    def _time_out(self, client: Client) -> None:
        if client.owner is None and client in self.clients:
            client.outgoing.finish(client.codec.control([{"T": "error", "code": 404, "msg": ERRORS[404]}]))

    def _receive(self, client: Client, data: bytes) -> None:
        try:
            message = client.codec.read(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            client.error(400)
            return
        action = message.get("action") if isinstance(message, dict) else None
        if action == "auth":
            self._authenticate(client, message.get("key"), message.get("secret"))
        elif action not in ("subscribe", "unsubscribe"):
            client.error(400)
        elif client.owner is None:
            client.error(401)
        else:
            self._subscribe(client, message, action == "subscribe")

    def _authenticate(self, client: Client, key: object, secret: object) -> None:
        owner = self._keyring.owner(key, secret)
        others = any(
            other.owner == owner and other.endpoint == client.endpoint
            for other in self.clients
            if other is not client
        )
        if client.owner is not None:
            client.error(403)
        elif owner is None:
            client.error(402)
        elif others or is_one_too_many(self._faults, self.asset_class, owner):
            client.error(406)
        else:
            client.owner = owner
            client.tell({"T": "success", "msg": "authenticated"})

    def _subscribe(self, client: Client, message: dict[str, Any], adds: bool) -> None:
        wanted = {channel: set(symbols) for channel, symbols in client.wanted.items()}
        asked = [channel for channel in wanted if channel in message]
        for channel in asked:
            symbols = message[channel]
            if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
                client.error(400)
                return
            wanted[channel] = wanted[channel] | set(symbols) if adds else wanted[channel] - set(symbols)
        if "trades" in wanted:
            for channel in _WITH_TRADES:
                if channel in wanted:
                    wanted[channel] = set(wanted["trades"])
        limited = set().union(*(wanted[channel] for channel in _LIMITED))
        if adds and self._symbol_limit is not None and len(limited) > self._symbol_limit:
            client.error(405)
            return
        client.wanted = wanted
        client.tell(client.subscriptions())
        if adds:
            self._subscribed({symbol for channel in asked for symbol in wanted[channel]})


def _moved(message: Message, by_ns: int) -> Message:
    moved = copy.copy(message)
    moved.time_ns += by_ns
    return moved


def _select(client: Client, messages: list[Message], written: dict[str, list[bytes | None]]) -> list[bytes]:
    wanted = client.wanted
    # None stands for every symbol.
    chosen = {channel: None if "*" in symbols else symbols for channel, symbols in wanted.items()}
    write = client.codec.message
    cache = written.setdefault(client.codec.name, [None] * len(messages))
    parts: list[bytes] = []
    for index, message in enumerate(messages):
        symbols = chosen[message.channel]
        if symbols is None or message.symbol in symbols:
            part = cache[index]
            if part is None:
                part = cache[index] = write(message)
            parts.append(part)
    return parts
