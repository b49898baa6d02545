"""alpaca-py's streams run inside a test, unmodified, on a wire that sees every frame."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from alpaca.data.live.crypto import CryptoDataStream
from alpaca.data.live.news import NewsDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.data.live.websocket import DataStream
from alpaca.trading.stream import TradingStream
from frames import Frame, Wire
from simulator import running
from target import Target
from waiting import until

PATHS: dict[type[DataStream], str] = {
    StockDataStream: "/v2/iex",
    CryptoDataStream: "/v1beta3/crypto/us",
    NewsDataStream: "/v1beta1/news",
}


class Heard:
    """What a handler was given, and the wire below it."""

    def __init__(self, target: Target, wire: Wire) -> None:
        self.messages: list[Any] = []
        self.wire = wire
        self._target = target

    async def handle(self, message: Any) -> None:
        """The handler."""
        self.messages.append(message)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait as long as the target may take."""
        await until(condition, what, timeout_s=self._target.patience_s)

    async def some(self, count: int = 1) -> list[Any]:
        """Wait for this many messages and return what there is."""
        await self.until(lambda: len(self.messages) >= count, f"{count} messages on {self.wire.url}")
        return self.messages


@contextlib.asynccontextmanager
async def listening(
    target: Target,
    kind: type[Any],
    tell: Callable[[Wire, Frame], None],
    subscribe: Callable[[Any, Any], None],
    *,
    raw_data: bool = True,
    path: str | None = None,
) -> AsyncIterator[Heard]:
    """A market stream; `subscribe` is given the stream and the handler before it runs."""
    url = target.stream(path or PATHS[kind])
    heard = Heard(target, Wire(url, tell))
    stream: Any = kind(
        target.key, target.secret, raw_data=raw_data, url_override=url,
        websocket_params=heard.wire.parameters(),
    )  # fmt: skip
    subscribe(stream, heard.handle)
    async with running(stream):
        yield heard


@contextlib.asynccontextmanager
async def updates_of(
    target: Target, tell: Callable[[Wire, Frame], None], *, raw_data: bool = True
) -> AsyncIterator[Heard]:
    """A trading stream that is listening already."""
    target.check(target.updates_url)
    heard = Heard(target, Wire(target.updates_url, tell))
    stream = TradingStream(
        target.key, target.secret, paper=True, raw_data=raw_data, url_override=target.updates_url,
        websocket_params=heard.wire.parameters(),
    )  # fmt: skip
    stream.subscribe_trade_updates(heard.handle)
    async with running(stream):
        await heard.until(
            lambda: any(b'"listening"' in data for data in heard.wire.received()), "the stream to listen"
        )
        yield heard
