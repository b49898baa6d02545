"""One of Alpaca's market streams, through alpaca-py: connected, tapped, subscribed to what is wanted."""

import asyncio
import contextlib
import logging
from functools import partial
from typing import Any

import msgpack  # type: ignore[import-untyped]
import structlog
import websockets
from alpaca.data.live.crypto import CryptoDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.data.live.websocket import DataStream

from bus.clock import Clock
from bus.errors import InvalidInput
from bus.heartbeat import StateReason
from bus.market_batch import MarketBatch
from ingest import gaps
from ingest.buffer import Buffer
from ingest.subscription import SubscriptionState
from ingest.tap import TapProtocol, WatchedSocket, end
from ingest.wants import CRYPTO, Subscription, wildcards

# Pings keep idle connections through firewalls and find half-open ones within a minute. No compression: it
# costs as much as all the rest. Frames above the client's default of 1 MiB would end in a loop of reconnects.
WEBSOCKET_PARAMS: dict[str, Any] = {
    "ping_interval": 10,
    "ping_timeout": 30,
    "max_queue": 1024,
    "max_size": 16 * 1024 * 1024,
    "close_timeout": 1,
    "compression": None,
}

# For this long the connection that Alpaca counts may be our own, of before a crash.
CLAIM_NS = 60_000_000_000

WRONG_KEYS, SYMBOL_LIMIT, CONNECTION_LIMIT, NOT_ENTITLED = 402, 405, 406, 409

log = structlog.get_logger()


# A frame with its feed and the time of its arrival (ns); a gap marker; or None, asking for acknowledgements.
Item = tuple["MarketFeed", int, bytes] | MarketBatch | None


class MarketFeed:
    """One upstream connection: `kind` is stocks or crypto, `name` is what entries call the feed.

    Frames and gap markers go to the buffer in the order in which they happened. Mutable: the subscription,
    how the connection stands, and the gap that is open.
    """

    def __init__(
        self, kind: str, name: str, url: str, key: str, secret: str, buffer: Buffer[Item], clock: Clock
    ) -> None:
        self.kind = kind
        self.name = name
        self.url = url
        self.subscription = SubscriptionState()
        self.wildcards: frozenset[str] = frozenset()
        self.live = False
        self.connects = 0
        self.gaps = 0
        self.since_ns = clock.now_ns()
        self.trouble: StateReason | None = None
        self._buffer = buffer
        self._clock = clock
        self._now_ns = clock.now_ns
        self._last_data_ns = 0
        self._acknowledged_ns = 0
        self._gap: dict[str, int] | None = None
        self._claimed_ns = 0
        self._changed = asyncio.Event()
        self._fatal: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        cls = _CryptoStream if kind == CRYPTO else _StockStream
        self._stream = cls(
            api_key=key,
            secret_key=secret,
            raw_data=True,
            url_override=url,
            websocket_params={**WEBSOCKET_PARAMS, "create_protocol": partial(TapProtocol, sink=self)},
        )
        self._stream.feed = self

    def __repr__(self) -> str:
        return f"{self.name} {'live' if self.live else 'down'}, {self.subscription!r}, {self.gaps} gaps"

    def want(self, wanted: Subscription) -> None:
        """Subscribe to exactly this, without disconnecting."""
        self.subscription.want(wanted)
        self.wildcards = wildcards(wanted)
        self._changed.set()

    def open_gap(self, since_ns: dict[str, int], reason: str) -> None:
        """Say in these streams (each with the time of its last message) that messages may be missing.

        The gap is closed, in the same streams, before the first message of the next connection.
        """
        if since_ns and self._gap is None:
            self.gaps += 1
            self._gap = since_ns
            self._buffer.add(gaps.opened(since_ns, feed=self.name, at_ns=self._now_ns(), reason=reason), 0)

    async def run(self) -> None:
        """Stay connected and subscribed until cancelled; connects when something is first wanted.

        Raises InvalidInput at start-up for wrong keys, a missing entitlement, or a connection that
        somebody else keeps holding.
        """
        logging.getLogger("alpaca").setLevel(logging.CRITICAL)  # What it would say, we say in sentences.
        while not self.subscription.wanted:
            await self._changed.wait()
            self._changed.clear()
        self._stream.set_handlers(self.subscription.wanted)
        # What alpaca-py's run() does, in our loop.
        stream = asyncio.create_task(self._stream._run_forever(), name=f"{self.name} stream")
        requests = asyncio.create_task(self._request(), name=f"{self.name} subscriptions")
        try:
            ends: set[asyncio.Future[Any]] = {stream, requests, self._fatal}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._fatal.done():
                raise InvalidInput(self._fatal.result())
            for task in (stream, requests):
                if task.done():
                    task.result()
            said = f": {self.trouble.sentence}" if self.trouble is not None else ""
            raise InvalidInput(f"{self.url} is not open to these keys any more{said}")
        finally:
            requests.cancel()
            await end(self._stream, stream)

    async def _request(self) -> None:
        """Send subscribe and unsubscribe messages as the state asks for them."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            socket = self._stream._ws
            if not self.live or socket is None:
                continue
            request = self.subscription.next_request(self._now_ns())
            if request is not None:
                # A broken connection is seen, and mended, where it is read.
                with contextlib.suppress(websockets.WebSocketException):
                    await socket.send(msgpack.packb(request.message()))

    # What the tap says.

    @property
    def full(self) -> bool:
        """Whether reading has to stop."""
        return self._buffer.full

    async def room(self) -> None:
        """Wait while the buffer is full: what is not read waits in the socket, and then at Alpaca."""
        await self._buffer.room()

    def data(self, frame: bytes) -> None:
        """A data frame: stamped and put into the buffer, nothing else."""
        received_ns = self._last_data_ns = self._now_ns()
        if self._gap is not None:
            self._close_gap(received_ns)
        self._stream._data_received = True
        self._buffer.add((self, received_ns, frame), len(frame))

    def control(self, message: dict[str, Any]) -> None:
        """A control message: acknowledgements and errors."""
        if message["T"] == "subscription":
            self.subscription.acknowledge(message)
            self._acknowledged_ns = self._now_ns()
            self.trouble = self._refused()
            self._changed.set()
        elif message["T"] == "error":
            self._error(message.get("code"), str(message.get("msg", "")))

    def subscribing(self) -> None:
        """The SDK is authenticated and about to subscribe to everything wanted."""
        now_ns = self._now_ns()
        self.live = True
        self.connects += 1
        self.since_ns = now_ns
        self._acknowledged_ns = 0
        self.trouble = None
        self.subscription.connected(now_ns)
        self._stream.set_handlers(self.subscription.wanted)
        log.info("market stream connected", feed=self.name, connects=self.connects)

    def failed(self, reason: str) -> None:
        """A connection could not be made; alpaca-py tries again with a growing, jittered wait."""
        self.trouble = StateReason("not_connected", f"cannot connect to {self.url}: {reason}; trying again")
        log.warning("market stream not connected", feed=self.name, error=reason)

    def broke(self, reason: str) -> None:
        """The connection is gone: say so in the streams concerned, once for each break."""
        if not self.live:
            return
        now_ns = self._now_ns()
        concerned = self.subscription.acknowledged or self.subscription.wanted
        self.live = False
        sentence = f"the connection to {self.url} broke: {reason}; connecting again"
        self.trouble = StateReason("connection_broke", sentence)
        log.warning("market stream broke", feed=self.name, error=reason)
        self.open_gap(dict.fromkeys(gaps.streams(concerned), self._last_data_ns or self.since_ns), reason)
        self.since_ns = now_ns
        self.subscription.disconnected()

    def _close_gap(self, received_ns: int) -> None:
        if self._gap is None or not self._acknowledged_ns:
            return
        since_ns, self._gap = self._gap, None
        until_ns = self._acknowledged_ns
        self._buffer.add(gaps.closed(since_ns, feed=self.name, until_ns=until_ns, at_ns=received_ns), 0)

    def _error(self, code: Any, text: str) -> None:
        log.error("market stream refused", feed=self.name, code=code, error=text)
        if code == SYMBOL_LIMIT:
            self.subscription.refuse()
            self.trouble = self._refused()
            self._changed.set()
            return
        self.trouble = _reason(code, text, self.url)
        if self.connects or self._fatal.done():
            return
        if code == CONNECTION_LIMIT:
            self._claimed_ns = self._claimed_ns or self._now_ns()
        if code in (WRONG_KEYS, NOT_ENTITLED) or (
            code == CONNECTION_LIMIT and self._now_ns() - self._claimed_ns > CLAIM_NS
        ):
            self._fatal.set_result(self.trouble.sentence)

    def _refused(self) -> StateReason | None:
        names = ", ".join(f"{channel} of {symbol}" for channel, symbol in sorted(self.subscription.refused))
        if not names:
            return None
        return StateReason("symbol_limit", f"beyond the plan's symbol limit, not subscribed: {names}")


class _Tapped(DataStream):
    """What is ours in alpaca-py's stream: the socket is tapped, and nothing is dispatched."""

    feed: MarketFeed

    async def _connect(self) -> None:
        self.feed.broke("reconnecting")
        try:
            await super()._connect()
        except Exception as error:
            self.feed.failed(f"{error or type(error).__name__}")
            raise
        self._ws: Any = WatchedSocket(self._ws, self.feed)

    async def _send_subscribe_msg(self) -> None:
        self.feed.subscribing()
        if self.feed.subscription.wanted:
            await super()._send_subscribe_msg()

    async def _dispatch(self, msg: dict[str, Any]) -> None:
        """Control messages were heard at the tap; data never comes here."""

    def set_handlers(self, wanted: Subscription) -> None:
        """What alpaca-py subscribes to by itself after it has connected."""
        for channel, handlers in self._handlers.items():
            handlers.clear()
            handlers.update(dict.fromkeys(sorted(wanted.get(channel, ())), self._dispatch))


class _StockStream(_Tapped, StockDataStream):
    pass


class _CryptoStream(_Tapped, CryptoDataStream):
    pass


def _reason(code: Any, text: str, url: str) -> StateReason:
    if code == WRONG_KEYS:
        sentence = f"{url} refused the keys ({text}): check ALPACA_API_KEY and ALPACA_SECRET_KEY"
        return StateReason("keys_refused", sentence)
    if code == NOT_ENTITLED:
        sentence = f"{url}: the plan of these keys does not include this feed ({text}): set BACKBONE_FEED=iex"
        return StateReason("not_entitled", sentence)
    if code == CONNECTION_LIMIT:
        sentence = f"{url} allows one connection and somebody holds it ({text}): stop the other program"
        return StateReason("connection_limit", sentence)
    return StateReason("stream_error", f"{url} answered with error {code}: {text}")
