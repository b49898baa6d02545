"""Trade updates of one account, through alpaca-py: the raw text is kept before anything else happens."""

import asyncio
import json
import logging
from typing import Any

import msgspec
import structlog
import websockets
from alpaca.trading.stream import TradingStream

from bus.clock import Clock, next_stamp_ns
from bus.errors import InvalidInput
from bus.heartbeat import StateReason
from ingest.buffer import Buffer
from ingest.streams.answering import STEADY_NS, Unanswered, connected, taken
from ingest.streams.tap import end
from ingest.streams.tapped_stream import WEBSOCKET_PARAMS

# What the account stream takes: type, version, data and the receive time (ns), as entry fields.
BrokerMessage = tuple[bytes, bytes, bytes, bytes]

_VERSION = b"1"

log = structlog.get_logger()


class _Envelope(msgspec.Struct):
    # Only what routing needs: the update itself is parsed by whoever reads the stream.
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


_envelope = msgspec.json.Decoder(_Envelope).decode


class AccountFeed:
    """The account's one connection for trade updates.

    The buffer gets a TradeUpdate for each frame as it came, Connected with an epoch that only grows each
    time Alpaca starts to send, and Disconnected when the connection breaks: Alpaca replays nothing, so what
    happened in between has to be asked for. An answer that takes longer than `answer_s` ends a connection.
    Mutable: how the connection stands, and since when.
    """

    def __init__(
        self, url: str, key: str, secret: str, buffer: Buffer[BrokerMessage], clock: Clock, *, answer_s: float
    ) -> None:
        self.name = "trade_updates"
        self.url = url
        self.answer_s = answer_s
        self.live = False
        self.connects = 0
        self.first_epoch = 1
        self.since_ns = clock.now_ns()
        self._live_since_ns = 0
        self.trouble: StateReason | None = None
        self._buffer = buffer
        self._clock = clock
        self._last_ns = 0
        self._fatal: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._stream = _Updates(
            key, secret, raw_data=True, url_override=url, websocket_params=WEBSOCKET_PARAMS
        )
        self._stream.feed = self
        self._stream.subscribe_trade_updates(self._stream._dispatch)

    def __repr__(self) -> str:
        return f"trade updates {'live' if self.live else 'down'}, {self.connects} connects"

    async def run(self) -> None:
        """Stay connected until cancelled. Raises InvalidInput when the keys are wrong at start-up."""
        logging.getLogger("alpaca").setLevel(logging.CRITICAL)  # What it would say, we say in sentences.
        # What alpaca-py's run() does, in our loop.
        forever = self._stream._run_forever()  # type: ignore[no-untyped-call]
        stream = asyncio.create_task(forever, name="trade updates")
        try:
            ends: set[asyncio.Future[Any]] = {stream, self._fatal}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._fatal.done():
                raise InvalidInput(self._fatal.result())
            stream.result()
        finally:
            await end(self._stream, stream)

    # What the tap says.

    async def room(self) -> None:
        """Wait while the buffer is full: nothing that was read is ever dropped."""
        if self._buffer.full:
            await self._buffer.room()

    def update(self, raw: bytes) -> None:
        """Anything that is not an answer to us is kept as it came; whoever reads it decides."""
        self._stream._data_received = True
        self._keep(b"TradeUpdate", raw)

    def authorized(self, answer: bytes) -> None:
        """The answer to our keys."""
        if json.loads(answer).get("status") == "authorized":
            return
        sentence = (
            f"{self.url} refused the keys: check ALPACA_API_KEY and ALPACA_SECRET_KEY, "
            "and that they are of this account (paper keys for paper)"
        )
        self.trouble = StateReason("keys_refused", sentence)
        log.error("trade updates refused", error=sentence)
        if not self.connects and not self._fatal.done():
            self._fatal.set_result(sentence)

    def listening(self, answer: bytes) -> None:
        """Alpaca sends trade updates from here on, if its answer names them."""
        if "trade_updates" not in (json.loads(answer).get("streams") or ()):
            return
        self.live = True
        self.connects += 1
        self.since_ns = self._clock.now_ns()
        self._live_since_ns = self._clock.monotonic_ns()
        self.trouble = None
        epoch = self.first_epoch + self.connects - 1
        self._keep(b"Connected", json.dumps({"epoch": epoch}).encode())
        log.info("trade updates connected", epoch=epoch)

    def failed(self, reason: str) -> None:
        """A connection could not be made; alpaca-py tries again with a growing, jittered wait."""
        self.trouble = StateReason("not_connected", f"cannot connect to {self.url}: {reason}; trying again")
        log.warning("trade updates not connected", error=reason)

    def broke(self, reason: str) -> None:
        """The connection is gone."""
        if not self.live:
            return
        self.live = False
        self.since_ns = self._clock.now_ns()
        if self._clock.monotonic_ns() - self._live_since_ns >= STEADY_NS:
            self._stream._data_received = True  # An account may be quiet for days: no updates, no trouble.
        sentence = f"the connection to {self.url} broke: {reason}; connecting again"
        self.trouble = StateReason("connection_broke", sentence)
        self._keep(b"Disconnected", json.dumps({"reason": reason}).encode())
        log.warning("trade updates broke", error=reason)

    def _keep(self, kind: bytes, data: bytes) -> None:
        # No two alike: a batch whose reply was lost is recognized by its receive times.
        self._last_ns = next_stamp_ns(self._clock.now_ns(), self._last_ns)
        self._buffer.add((kind, _VERSION, data, str(self._last_ns).encode()), len(data))


class _TapSocket:
    """Stands where the SDK keeps its socket: trade updates go to us, answers on to the SDK as well."""

    def __init__(self, socket: Any, feed: AccountFeed) -> None:
        self._socket = socket
        self._feed = feed

    async def recv(self) -> str | bytes:
        feed = self._feed
        while True:
            await feed.room()
            try:
                frame: str | bytes = await self._socket.recv()
            except websockets.WebSocketException as error:
                feed.broke(str(error))
                raise
            raw = frame.encode() if isinstance(frame, str) else bytes(frame)
            try:
                envelope = _envelope(raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                envelope = _Envelope()
            if envelope.stream == "authorization":
                feed.authorized(bytes(envelope.data))
                return frame
            if envelope.stream == "listening":
                feed.listening(bytes(envelope.data))
                return frame
            feed.update(raw)

    async def send(self, message: Any) -> None:
        await self._socket.send(message)

    async def close(self, *arguments: Any, **options: Any) -> None:
        await self._socket.close(*arguments, **options)


class _Updates(TradingStream):
    """What is ours in alpaca-py's stream: the socket is tapped, and nothing is dispatched."""

    feed: AccountFeed

    async def _connect(self) -> None:
        await connected(self.feed, "open the websocket", super()._connect)
        self._ws: Any = _TapSocket(self._ws, self.feed)

    async def _auth(self) -> None:
        await taken(self.feed, "answer the keys", super()._auth)

    async def _subscribe_trade_updates(self) -> None:
        await taken(self.feed, "answer the subscription to trade updates", self._listen)

    async def _listen(self) -> None:
        await super()._subscribe_trade_updates()
        await self._ws.recv()  # The answer; updates that come before it go to the tap.
        if not self.feed.live:
            raise Unanswered("Alpaca's answer to the subscription does not name trade updates")

    async def _dispatch(self, msg: dict[str, Any]) -> None:
        """Answers were heard at the tap; trade updates never come here."""
