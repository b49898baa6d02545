"""One client of a market-data stream: its subscription, and the frames for it."""

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from sim.exchange.market_messages import AnyMessage
from sim.faults.faults import Faults
from sim.stream_errors import error
from sim.streams.feeds import NEWS, Feed
from sim.streams.outgoing import MOST_BYTES
from sim.streams.reader import Reader
from sim.streams.selection import select, select_articles
from sim.streams.subscription import Subscription

MOST_PER_FRAME = 100
# alpaca-py ends a connection for good at a frame of more than 1 MiB.
MOST_FRAME_BYTES = 256 * 1024


class Client(Reader):
    """One connection."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        feed: Feed,
        faults: Faults,
        most_waiting_bytes: int = MOST_BYTES,
    ) -> None:
        super().__init__(
            request,
            socket,
            feed.name,
            faults,
            speaks_msgpack=feed.is_binary_only,
            most_waiting_bytes=most_waiting_bytes,
        )
        self.endpoint = request.path
        self.subscription = Subscription(feed)
        self._select: Callable[..., list[bytes]] = select_articles if feed is NEWS else select
        self._waiting: list[bytes] = []

    def end_as_slow(self) -> None:
        """Send the error of a slow client, and close."""
        self.finish(407)

    def tell(self, message: dict[str, Any]) -> None:
        """Send a control message in a frame of its own."""
        self.outgoing.put(self.codec.control([message]))

    def error(self, code: int) -> None:
        """Send an error by its number."""
        self.tell(error(code))

    def finish(self, code: int) -> None:
        """Drop what waits to be sent, send an error, and close."""
        self.outgoing.finish(self.codec.control([error(code)]))

    def selected(self, messages: Sequence[AnyMessage], written: dict[str, list[bytes | None]]) -> list[bytes]:
        """Return the messages that it subscribed to, encoded; `written` caches what is encoded already."""
        return self._select(self.subscription, self.codec, messages, written)

    def deliver(self, parts: list[bytes], frame_messages: int | None) -> int:
        """Send messages in frames: of exactly `frame_messages`, keeping the rest, or of up to a hundred.

        Returns how many messages were sent.
        """
        self._waiting += parts
        size = frame_messages or MOST_PER_FRAME
        end = len(self._waiting) - (len(self._waiting) % size if frame_messages else 0)
        for start in range(0, end, size):
            if not self._put(self._waiting[start : min(start + size, end)]):
                self.end_as_slow()
                return 0
        del self._waiting[:end]
        return end

    def flush(self) -> int:
        """Send the messages of an incomplete frame, since no more will come; returns how many."""
        count = len(self._waiting)
        if count:
            self._put(self._waiting)
            self._waiting = []
        return count

    def _put(self, parts: list[bytes]) -> bool:
        frame = self.codec.frame(parts)
        if len(frame) > MOST_FRAME_BYTES and len(parts) > 1:
            middle = len(parts) // 2
            return self._put(parts[:middle]) and self._put(parts[middle:])
        return self.outgoing.put(frame)
