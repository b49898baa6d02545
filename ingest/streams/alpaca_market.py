"""One of Alpaca's market streams, through alpaca-py: connected, tapped, subscribed to what is wanted."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import msgpack  # type: ignore[import-untyped]
import structlog
import websockets

from bus.clock import Clock
from bus.errors import InvalidInput
from bus.heartbeat import StateReason
from ingest.buffer import Buffer
from ingest.buffered_item import Item, PassedOver
from ingest.frames import Kept
from ingest.gaps import gap_entries
from ingest.gaps.gap_marks import GapMarks
from ingest.streams.answering import STEADY_NS, Unanswered, limited
from ingest.streams.stream_reasons import CONNECTION_LIMIT, NOT_ENTITLED, WRONG_KEYS, error_reason, refusals
from ingest.streams.subscription import Request, SubscriptionState
from ingest.streams.tap import TapProtocol, end
from ingest.streams.tapped_stream import STREAMS, WEBSOCKET_PARAMS
from ingest.wants import Subscription, wildcards

# For this long the connection that Alpaca counts may be our own, of before a crash.
CLAIM_NS = 60_000_000_000

# Not authenticated, wrong keys, authenticated already, too late, one too many, too slow: about the
# connection, whatever was asked on it. Every other error is about what was asked.
CONNECTION_ERRORS = frozenset({401, WRONG_KEYS, 403, 404, CONNECTION_LIMIT, 407})

# How often what is to be asked is looked at without a change: for what is asked again, and what is overdue.
LOOK_S = 0.5

log = structlog.get_logger()


class FeedRefused(InvalidInput):
    """Alpaca does not give this feed to these keys; another feed it may give them. `code` is a reason's."""

    def __init__(self, sentence: str, code: str = "not_entitled") -> None:
        super().__init__(sentence)
        self.code = code


class MarketFeed:
    """One upstream connection: `kind` is one of FEED_KINDS, `name` is what entries call the feed.

    Frames and gap markers go to the buffer in the order in which they happened. An answer that takes longer
    than `answer_s` ends a connection; `open_gaps` were left by the feed before. Mutable: the subscription,
    how the connection stands, `doubt`, why it may be mute though it stands ("": it is not doubted), the
    streams that `*` brought, and the gaps that are open until their streams are carried again.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        url: str,
        key: str,
        secret: str,
        buffer: Buffer[Item],
        clock: Clock,
        *,
        answer_s: float,
        open_gaps: Mapping[str, int] | None = None,
    ) -> None:
        self.kind = kind
        self.name = name
        self.url = url
        self.answer_s = answer_s
        self.subscription = SubscriptionState()
        self.wildcards: frozenset[str] = frozenset()
        self.heard: set[str] = set()
        self.live = False
        self.connects = 0
        self.gaps = 0
        self.since_ns = clock.now_ns()
        self._live_since_ns = 0
        self.trouble: StateReason | None = None
        self.doubt = ""
        self._buffer = buffer
        self._clock = clock
        self._now_ns = clock.now_ns
        self._monotonic_ns = clock.monotonic_ns
        self._last_data_ns = 0
        self.marks = GapMarks(name, buffer, clock, open_gaps)
        # Why the connection has to be closed; "" while it need not.
        self._doomed = ""
        self._full_ns = 0
        self._claimed_ns = 0
        self._changed = asyncio.Event()
        self._fatal: asyncio.Future[StateReason] = asyncio.get_running_loop().create_future()
        self._stream = STREAMS[kind](
            api_key=key,
            secret_key=secret,
            raw_data=True,
            url_override=url,
            websocket_params={**WEBSOCKET_PARAMS, "create_protocol": partial(TapProtocol, sink=self)},
        )
        self._stream.feed = self
        self._stream._handlers["trades"]["*"] = self._stream._dispatch  # It connects for something only.

    def __repr__(self) -> str:
        return f"{self.name} {'live' if self.live else 'down'}, {self.subscription!r}, {self.gaps} gaps"

    def want(self, wanted: Subscription) -> None:
        """Subscribe to exactly this, without disconnecting."""
        self.subscription.want(wanted)
        self.wildcards = wildcards(wanted)
        self._changed.set()

    @property
    def carried(self) -> list[str]:
        """The streams that are written if anything comes; while nothing is subscribed, those that will be."""
        return gap_entries.streams(self.subscription.acknowledged or self.subscription.wanted, self.heard)

    def open_gap(self, since_ns: dict[str, int], reason: str) -> None:
        """Say in these streams (each with the time of its last message) that messages may be missing.

        A stream's gap is filled, and closed, when Alpaca acknowledges it again; after a silence, when
        something comes.
        """
        if self.marks.mark(since_ns, reason):
            self.gaps += 1

    def hold_gap(self, since_ns: dict[str, int], reason: str) -> None:
        """The same for messages that are missing until `release_gap` says that they are not any more."""
        self.marks.held.update(since_ns)
        self.open_gap(since_ns, reason)

    def release_gap(self, streams: Iterable[str]) -> None:
        """These streams are whole again, or will be once the connection is."""
        released = self.marks.held.intersection(streams)
        self.marks.held -= released
        if self.live and not self.doubt:
            acknowledged = gap_entries.streams(self.subscription.acknowledged, self.heard)
            self.marks.resume(released.intersection(acknowledged))

    async def run(self) -> None:
        """Stay connected and subscribed until cancelled; connects when something is first wanted.

        Raises InvalidInput at start-up for wrong keys, and FeedRefused, which is one too, for a missing
        entitlement at any time and at start-up for a connection that somebody else keeps holding.
        """
        logging.getLogger("alpaca").setLevel(logging.CRITICAL)  # What it would say, we say in sentences.
        while not self.subscription.wanted:
            await self._changed.wait()
            self._changed.clear()
        # What alpaca-py's run() does, in our loop.
        stream = asyncio.create_task(self._stream._run_forever(), name=f"{self.name} stream")
        requests = asyncio.create_task(self._request(), name=f"{self.name} subscriptions")
        try:
            ends: set[asyncio.Future[Any]] = {stream, requests, self._fatal}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._fatal.done():
                why = self._fatal.result()
                is_keys = why.code == "keys_refused"
                raise InvalidInput(why.sentence) if is_keys else FeedRefused(why.sentence, why.code)
            for task in (stream, requests):
                if task.done():
                    task.result()
            said = f": {self.trouble.sentence}" if self.trouble is not None else ""
            raise FeedRefused(f"{self.url} is not open to these keys any more{said}")
        finally:
            requests.cancel()
            await end(self._stream, stream)

    async def _request(self) -> None:
        """Send subscribe and unsubscribe messages as the state asks for them; close what does not answer."""
        while True:
            pause_s = self.subscription.pause_ns(self._monotonic_ns()) / 1e9
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s or LOOK_S):
                    await self._changed.wait()
            self._changed.clear()
            socket = self._stream._ws
            if not self.live or socket is None:
                continue
            self._look_for_answer()
            # A broken connection is seen, and mended, where it is read.
            with contextlib.suppress(websockets.WebSocketException):
                request = self.subscription.next_request(self._monotonic_ns()) if not self._doomed else None
                if request is not None:
                    await self._send(socket, request)
                if self._doomed:
                    self.broke(self._doomed)
                    await socket.close()

    async def _send(self, socket: Any, request: Request) -> None:
        try:
            async with limited("read a subscription", self.answer_s):
                await socket.send(msgpack.packb(request.message()))
        except Unanswered as error:
            self._doomed = str(error)

    def _look_for_answer(self) -> None:
        """Give a connection up on which a subscription is not answered in time."""
        now_ns = self._monotonic_ns()
        if self._buffer.full:
            self._full_ns = now_ns  # The answer may have come, and was not read for want of room.
        awaited_ns = min(self.subscription.awaited_ns(now_ns), now_ns - self._full_ns)
        if not self._doomed and awaited_ns > self.answer_s * 1e9:
            self._doomed = f"Alpaca did not answer a subscription within {self.answer_s:g} s"
            self.subscription.give_up(now_ns)

    # What the tap says.

    @property
    def last_data_ns(self) -> int:
        """When market data last came; 0 before any did."""
        return self._last_data_ns

    @property
    def full(self) -> bool:
        """Whether reading has to stop."""
        return self._buffer.full

    async def room(self) -> None:
        """Wait while the buffer is full: what is not read waits in the socket, and then at Alpaca."""
        await self._buffer.room()

    def data(self, frame: bytes) -> None:
        """A data frame: stamped and put into the buffer, behind what it says of a connection in doubt."""
        received_ns = self._last_data_ns = self._now_ns()
        self._stream._data_received = True
        if self.doubt:
            self.trust()
        self._buffer.add((self, received_ns, frame), len(frame))

    def too_long(self, size_bytes: int, begins: bytes) -> None:
        """A frame longer than we take was passed over: kept in part, and a gap for whatever was in it."""
        self.doubt = ""
        kept = Kept(f"a frame of {size_bytes:,} bytes", begins)
        self._buffer.add(PassedOver(self.name, self._now_ns(), kept), len(begins))
        since_ns = self._last_data_ns or self.since_ns
        reason = f"a frame of {size_bytes:,} bytes was passed over"
        self.open_gap(dict.fromkeys(self.carried, since_ns), reason)
        self._close_gaps()

    def control(self, message: dict[str, Any]) -> None:
        """A control message: acknowledgements and errors."""
        if message["T"] == "subscription":
            self.trouble = None
            self.subscription.acknowledge(message, self._monotonic_ns())
            self._close_gaps()
            self._mark_refused()
            self._changed.set()
        elif message["T"] == "error":
            self._error(message.get("code"), str(message.get("msg", "")))

    def subscribing(self) -> None:
        """Authenticated; nothing is subscribed to yet, and what is wanted is asked for from here on."""
        self.live = True
        self.connects += 1
        self.since_ns = self._now_ns()
        self._live_since_ns = self._monotonic_ns()
        self.trouble = None
        self._doomed = ""
        self.subscription.connected()
        self._changed.set()
        log.info("market stream connected", feed=self.name, connects=self.connects)

    def silent(self, reason: str) -> None:
        """Nothing comes where something should: the connection is closed, and made anew.

        The next one may be as mute: no gap is closed on it until something comes, or it is trusted.
        """
        if self.live and not self._doomed:
            self.doubt = reason
            self._doomed = f"silent: {reason}"
            self._changed.set()

    def trust(self) -> None:
        """What is acknowledged is carried: something came, or nothing was to be told."""
        self.doubt = ""
        self._close_gaps()

    def failed(self, reason: str) -> None:
        """A connection could not be made; alpaca-py tries again with a growing, jittered wait."""
        self.trouble = StateReason("not_connected", f"cannot connect to {self.url}: {reason}; trying again")
        log.warning("market stream not connected", feed=self.name, error=reason)

    def broke(self, reason: str) -> None:
        """The connection is gone: say so in the streams concerned, once for each break."""
        if not self.live:
            return
        now_ns = self._now_ns()
        self.live = False
        if self._monotonic_ns() - self._live_since_ns >= STEADY_NS:
            self._stream._data_received = True  # It was sound, however quiet.
        sentence = f"the connection to {self.url} broke: {reason}; connecting again"
        self.trouble = StateReason("connection_broke", sentence)
        log.warning("market stream broke", feed=self.name, error=reason)
        self.open_gap(dict.fromkeys(self.carried, self._last_data_ns or self.since_ns), reason)
        self.since_ns = now_ns
        self.subscription.disconnected()

    def _close_gaps(self) -> None:
        """What is acknowledged is whole from here on: its gaps can be filled, and closed."""
        if self.marks.open and not self.doubt:
            self.marks.resume(gap_entries.streams(self.subscription.acknowledged, tuple(self.marks.open)))

    def _mark_refused(self) -> None:
        """Say in the streams of what is refused that nothing comes, until it is acknowledged."""
        for (channel, symbol), refusal in self.subscription.refused.items():
            streams = gap_entries.streams({channel: frozenset({symbol})})
            self.marks.mark(dict.fromkeys(streams, self._now_ns()), f"not subscribed: {refusal.sentence}")

    def _error(self, code: Any, text: str) -> None:
        is_about_connection = not isinstance(code, int) or code in CONNECTION_ERRORS
        if not is_about_connection and self.subscription.refuse(code, text, self._monotonic_ns()):
            self._mark_refused()
            self._changed.set()
            return
        log.error("market stream refused", feed=self.name, code=code, error=text)
        self.trouble = error_reason(self.kind, code, text, self.url)
        if self.live and is_about_connection:
            self._doomed = f"error {code}: {text}"
            self._changed.set()
        if self.connects or self._fatal.done():
            return
        if code == CONNECTION_LIMIT:
            self._claimed_ns = self._claimed_ns or self._monotonic_ns()
        if code in (WRONG_KEYS, NOT_ENTITLED) or (
            code == CONNECTION_LIMIT and self._monotonic_ns() - self._claimed_ns > CLAIM_NS
        ):
            self._fatal.set_result(self.trouble)

    @property
    def refusals(self) -> tuple[StateReason, ...]:
        """What is not subscribed to though it is wanted, by name, a reason for each kind."""
        return refusals(self.subscription.refused)
