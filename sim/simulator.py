"""One market, one account, and the routes in front of them, wired together."""

import asyncio
import random
import uuid
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from sim.broker.brokerage import Brokerage
from sim.control import ControlRoutes, say_what_is_wrong
from sim.desk import Desk, now_ns
from sim.exchange import tape
from sim.exchange.assets import Assets
from sim.exchange.generator import Generator
from sim.exchange.market import Market
from sim.exchange.market_messages import Bar, Message
from sim.exchange.player import GeneratedSource, Source, play
from sim.faults.faults import Faults
from sim.rest.account import AccountRoutes
from sim.rest.door import door
from sim.rest.market_data import DataRoutes
from sim.rest.orders import OrderRoutes
from sim.rest.rate_limit import RateLimit
from sim.settings import Settings
from sim.streams.market_socket import MarketStream
from sim.streams.updates_socket import UpdatesStream
from sim.times import SECOND_NS
from sim.venue import Venue

STOCK_ENDPOINTS = (
    "/v2/iex", "/v2/sip", "/v2/delayed_sip", "/v2/test", "/v1beta1/boats", "/v1beta1/overnight",
)  # fmt: skip
CRYPTO_ENDPOINTS = ("/v1beta3/crypto/us", "/v1beta3/crypto/us-1", "/v1beta3/crypto/eu-1")
END_OF_TIME_NS = 1 << 62
REWORK_S = 0.05


class Simulator:
    """One market, one account, and the servers in front of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._begin = asyncio.Event()
        self._faults = Faults()
        self._assets = Assets()
        self._played = 0
        market = Market(len(settings.symbols))
        rng = random.Random(settings.seed)
        brokerage = Brokerage(
            settings.cash,
            market.touch,
            market.traded_at,
            new_id=new_id,
            draw=rng.random,
            partial_chance=settings.partial_chance,
        )
        generator, self._source, recorded_bars = self._open_source()
        bar_ns = settings.bar_seconds * SECOND_NS
        self._venue = Venue(market, brokerage, bar_ns, generator, recorded_bars)
        if generator is not None:
            for symbol in settings.symbols:
                for message in generator.opening(symbol, now_ns()):
                    market.show(message)
        credentials = (settings.key, settings.secret)
        self._streams = {
            name: MarketStream(
                name, credentials, self._faults, now_ns, self._subscribed, settings.frame_messages,
                settings.symbol_limit,
                settings.auth_seconds,
            )
            for name in ("stocks", "crypto")
        }  # fmt: skip
        self._updates = UpdatesStream(credentials, self._faults, now_ns)
        self._desk = Desk(self._assets, self._venue, self._faults, self._updates, credentials, new_id)

    def _open_source(self) -> tuple[Generator | None, Source, frozenset[str]]:
        settings = self._settings
        if settings.data is None:
            generator = Generator([self._assets.add(symbol) for symbol in settings.symbols], settings.seed)
            return generator, GeneratedSource(generator, settings.pace), frozenset()
        messages = tape.read(settings.data)
        for symbol in {message.symbol for message in messages}:
            self._assets.add(symbol)
        recorded_bars = frozenset(message.symbol for message in messages if isinstance(message, Bar))
        return None, tape.Tape(messages, settings.speed, settings.keeps_times), recorded_bars

    def application(self) -> web.Application:
        """Trading, data and their websockets."""
        settings = self._settings
        app = web.Application(
            middlewares=[
                door(
                    (settings.key, settings.secret),
                    self._faults,
                    RateLimit(settings.requests_per_minute),
                    RateLimit(settings.data_requests_per_minute),
                )
            ]
        )
        app.add_routes(OrderRoutes(self._desk).routes())
        app.add_routes(AccountRoutes(self._desk, now_ns()).routes())
        app.add_routes(DataRoutes(self._venue, self._assets).routes())
        app.add_routes([web.get("/stream", self._updates.handle)])
        app.add_routes([web.get(path, self._streams["stocks"].handle) for path in STOCK_ENDPOINTS])
        app.add_routes([web.get(path, self._streams["crypto"].handle) for path in CRYPTO_ENDPOINTS])
        return app

    def control(self) -> web.Application:
        """The control endpoint."""
        app = web.Application(middlewares=[say_what_is_wrong])
        app.add_routes(ControlRoutes(self._desk, self._disconnect, self._state).routes())
        return app

    async def play(self) -> None:
        """Play the market: a generated one at once, a recording from the first subscription on."""
        if self._settings.data is None:
            self._begin.set()
        await play(self._source, self._begin, self._publish)
        self._send(self._venue.close_bars(END_OF_TIME_NS))
        for stream in self._streams.values():
            stream.flush()

    async def end_streams(self) -> None:
        """Close every websocket."""
        await asyncio.gather(self._updates.close(), *(stream.close() for stream in self._streams.values()))

    async def rework(self) -> None:
        """Offer waiting orders the quote in force again: the rest of a partial fill needs no new one."""
        while True:
            await asyncio.sleep(REWORK_S)
            self._updates.publish(self._venue.rework(now_ns()))

    def _publish(self, messages: list[Message], time_ns: int) -> None:
        played, updates = self._venue.play(messages, time_ns)
        if self._settings.data is None:
            played += self._venue.close_bars(time_ns)
        self._send(played)
        self._updates.publish(updates)

    def _send(self, played: Sequence[Message]) -> None:
        self._played += len(played)
        for name, stream in self._streams.items():
            is_crypto = name == "crypto"
            if played and stream.clients:
                stream.publish([message for message in played if ("/" in message.symbol) == is_crypto])

    def _subscribed(self, symbols: set[str]) -> None:
        for symbol in symbols:
            asset = self._assets.find(symbol)
            if asset is not None:
                self._venue.ensure_quoted(asset, now_ns())
        if symbols:
            self._begin.set()

    def _disconnect(self, stream: str) -> None:
        if stream == "trade_updates":
            self._updates.disconnect()
        else:
            self._streams[stream].disconnect()

    def _state(self) -> dict[str, Any]:
        clients = {name: len(stream.clients) for name, stream in self._streams.items()}
        clients["trade_updates"] = len(self._updates.listeners)
        return {
            "tape_finished": self._settings.data is not None and self._source.is_finished,
            "is_playing": self._begin.is_set(),
            "clients": clients,
            "listening": sum(listener.listens for listener in self._updates.listeners),
            "messages_played": self._played,
            "messages_sent": sum(stream.sent for stream in self._streams.values()),
        }


def new_id() -> str:
    """A new identity, never the same in two runs."""
    return str(uuid.uuid4())
