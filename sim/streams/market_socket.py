"""The market-data websocket: control messages, subscriptions, and frames of messages."""

import asyncio
import copy
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from aiohttp import WSMsgType, web

from sim.clock import Clock
from sim.exchange.market_messages import AnyMessage, Article
from sim.faults import messages as faulty
from sim.faults import subscriptions
from sim.faults.faults import Faults
from sim.faults.handshakes import is_one_too_many, opening
from sim.keys import Keyring
from sim.streams.client import Client
from sim.streams.feeds import Feed
from sim.streams.handshake import refused
from sim.streams.outgoing import CLOSE_S
from sim.streams.pings import answer_ping
from sim.streams.subscription import Wanted
from sim.streams.swaps import Swaps
from sim.streams.terms import Terms


class FeedProducer(Protocol):
    """Produces what a feed sends, and so must know its subscriptions."""

    def changed(self, stream: "MarketStream") -> None:
        """Take note that a subscription changed or a client left."""

    def opening(self, stream: "MarketStream", added: Wanted) -> list[AnyMessage]:
        """Return what a client gets at once after subscribing to these symbols."""


class MarketStream:
    """All connections of one feed; one authenticated connection per endpoint and account.

    `wanted` is the union of their subscriptions, by channel; `*` stands for every symbol.
    """

    def __init__(
        self, feed: Feed, keyring: Keyring, faults: Faults, clock: Clock, terms: Terms, producer: FeedProducer
    ) -> None:
        self.feed = feed
        self.clients: list[Client] = []
        self.wanted: Wanted = dict.fromkeys(feed.every_channel, frozenset())
        self.sent = 0
        self._keyring = keyring
        self._faults = faults
        self._clock = clock
        self._terms = terms
        self._producer = producer
        self._swaps = Swaps(faults, clock, feed.name, self._deliver)

    def publish(self, messages: Sequence[AnyMessage]) -> None:
        """Send each client the messages that it subscribed to; each is encoded once per codec."""
        if not self._faults.is_quiet:
            self._publish_faulty(messages)
            return
        written: dict[str, list[bytes | None]] = {}
        for client in self.clients:
            if client.account is not None:
                parts = client.selected(messages, written)
                if parts:
                    self.sent += client.deliver(parts, self._terms.frame_messages)

    def _publish_faulty(self, messages: Sequence[AnyMessage]) -> None:
        """Send the messages under faults, which differ by client."""
        skew_ns = faulty.skew_ns(self._faults)
        if skew_ns:
            messages = [_moved(message, skew_ns) for message in messages]
        written: dict[str, list[bytes | None]] = {}
        for client in self.clients:
            if client.account is None:
                continue
            selected = client.selected(messages, written)
            parts = faulty.changed(self._faults, selected, self.feed.name, client.account)
            parts = self._swaps.passed(client, parts) if parts else []
            if parts:
                delay_ns = faulty.delay_ns(self._faults, self.feed.name, client.account)
                self._deliver_in(client, parts, delay_ns)

    def _deliver_in(self, client: Client, parts: list[bytes], delay_ns: int) -> None:
        if delay_ns:
            at_ns = self._clock.now_ns() + delay_ns
            self._clock.call_at(at_ns, lambda: self._deliver(client, parts))
        else:
            self._deliver(client, parts)

    def _deliver(self, client: Client, parts: list[bytes]) -> None:
        self.sent += client.deliver(parts, self._terms.frame_messages)

    def flush(self) -> None:
        """Send what still waits: the market is over."""
        for client in self.clients:
            self.sent += client.flush()

    async def close(self) -> None:
        """End every connection with a close frame."""
        await asyncio.gather(*(client.outgoing.close() for client in self.clients))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection from its handshake to its end."""
        begun = opening(self._faults, self.feed.name)
        if begun.status is not None:
            return refused(begun.status)
        socket = web.WebSocketResponse(
            timeout=CLOSE_S,
            max_msg_size=16 * 1024 * 1024,
            compress=begun.compress and self._terms.compresses,
            autoping=False,
        )
        await socket.prepare(request)
        client = Client(request, socket, self.feed, self._faults, self._terms.most_waiting_bytes)
        sender = asyncio.create_task(client.outgoing.send())
        self.clients.append(client)
        timeout = asyncio.get_running_loop().call_later(self._terms.auth_seconds, self._time_out, client)
        try:
            headers = request.headers
            client.fall_silent_at(begun.silent_at)
            if not client.is_silent:
                client.tell({"T": "success", "msg": "connected"})
            if "APCA-API-KEY-ID" in headers and client.hears("auth"):
                self._authenticate(client, headers["APCA-API-KEY-ID"], headers.get("APCA-API-SECRET-KEY", ""))
            async for message in socket:
                await answer_ping(socket, message, self._faults, self.feed.name, client.account)
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    data = message.data
                    self._receive(client, data.encode() if isinstance(data, str) else data)
        finally:
            timeout.cancel()
            self.clients.remove(client)
            sender.cancel()
            self._count_wanted()
        return socket

    def _time_out(self, client: Client) -> None:
        if client.account is None and client in self.clients and not client.is_silent:
            client.finish(404)

    def _receive(self, client: Client, data: bytes) -> None:
        if client.is_silent:
            return
        try:
            message = client.codec.read(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            client.error(400)
            return
        action = message.get("action") if isinstance(message, dict) else None
        if not client.hears("subscription" if action == "subscribe" else "auth"):
            return
        struck = self._faults.strike("stream_error", stream=self.feed.name, account=client.account)
        if struck is not None:
            client.error(struck["code"])
            return
        if action == "auth":
            self._authenticate(client, message.get("key"), message.get("secret"))
        elif action not in ("subscribe", "unsubscribe"):
            client.error(400)
        elif client.account is None:
            client.error(401)
        else:
            self._subscribe(client, message, action == "subscribe")

    def _authenticate(self, client: Client, key: object, secret: object) -> None:
        account = self._keyring.account(key, secret)
        others = any(
            other.account == account and other.endpoint == client.endpoint
            for other in self.clients
            if other is not client
        )
        if client.account is not None:
            client.error(403)
        elif account is None:
            client.error(402)
        elif self._terms.is_free and client.endpoint in self.feed.paid_paths:
            client.error(409)
        elif others or is_one_too_many(self._faults, self.feed.name, account):
            client.error(406)
        else:
            client.account = account
            client.tell({"T": "success", "msg": "authenticated"})

    def _subscribe(self, client: Client, message: dict[str, Any], adds: bool) -> None:
        before = client.subscription
        if adds and not self._faults.is_quiet:
            refused = subscriptions.refusal(self._faults, message, self.feed.name, client.account)
            if refused is not None:
                client.error(refused)
                return
            message = subscriptions.heeded(self._faults, message, self.feed.name, client.account)
        after = before.changed(message, adds, self._terms.symbol_limit)
        if isinstance(after, int):
            client.error(after)
            return
        client.subscription = after
        client.tell(after.acknowledgement())
        self._count_wanted()
        if adds:
            added = {name: symbols - before.wanted[name] for name, symbols in after.wanted.items()}
            parts = client.selected(self._producer.opening(self, added), {})
            self.sent += client.deliver(parts, self._terms.frame_messages)

    def _count_wanted(self) -> None:
        subscriptions = [client.subscription for client in self.clients]
        self.wanted = {
            name: frozenset[str]().union(*(one.wanted[name] for one in subscriptions))
            for name in self.feed.every_channel
        }
        self._producer.changed(self)


def _moved(message: AnyMessage, by_ns: int) -> AnyMessage:
    moved = copy.copy(message)
    if isinstance(moved, Article):
        moved.created_ns += by_ns
        moved.updated_ns += by_ns
    else:
        moved.time_ns += by_ns
    return moved
