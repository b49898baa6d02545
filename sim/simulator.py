"""Wires one market, its accounts, and the routes together."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from sim.accounts.trading_account import TradingAccount, TradingAccounts
from sim.accounts.valuation import Valuation
from sim.broker.brokerage import Brokerage
from sim.clock import Clock, VirtualClock, WallClock
from sim.control.application import application as control_application
from sim.exchange import tape
from sim.exchange.assets import Assets
from sim.exchange.fakepaca import FakePaca
from sim.exchange.generator import Generator
from sim.exchange.hours import MarketHours
from sim.exchange.market import Market
from sim.exchange.market_messages import Bar, Message, TimedMessage
from sim.exchange.news_archive import NewsArchive
from sim.exchange.playback import GeneratedSource, Playback, Source
from sim.exchange.traded_symbols import TradedSymbols
from sim.exchange.venue import Venue
from sim.faults.faults import Faults
from sim.faults.skewed_clock import SkewedClock
from sim.identities import identities
from sim.incidents.chaos import Chaos
from sim.incidents.effects import on_connections, on_events, on_orders, on_readers
from sim.incidents.fault_switch import FaultSwitch
from sim.incidents.market_effects import on_market
from sim.incidents.market_events import MarketEvents
from sim.incidents.rare_events import RareEvents
from sim.keys import ApiKey, Keyring
from sim.rest import market_data, trading
from sim.rest.events import EventRoutes
from sim.rest.middleware import RestMiddleware
from sim.settings import Settings
from sim.streams.keeping_up import keep_up
from sim.streams.market_streams import MarketStreams
from sim.streams.reader import Reader
from sim.streams.socket_endpoint import SocketEndpoint
from sim.streams.updates_socket import UpdatesStream
from sim.times import SECOND_NS

END_OF_TIME_NS = 1 << 62
LONGEST_STEP_NS = SECOND_NS // 20
LONGEST_VIRTUAL_STEP_NS = SECOND_NS  # bars end on whole seconds; shorter steps would make virtual days slow


class Simulator:
    """One market, its accounts, and the servers in front of them.

    Whoever listens for it sets `refuse_connections`: no new ones (True), or again (False).
    """

    def __init__(self, settings: Settings) -> None:
        self.refuse_connections: Callable[[bool], None] = lambda refused: None
        self._settings = settings
        self._clock: Clock = _clock(settings)
        self._new_id = identities(settings.seed if settings.is_virtual else None)
        self._hours = MarketHours(settings.never_closes)
        self._faults = Faults()
        self._assets = Assets()
        self._played = 0
        self._market = Market(len(settings.symbols))
        generator, self._source, recorded_bars = self._open_source()
        bar_ns = settings.bar_seconds * SECOND_NS
        self._venue = Venue(self._market, bar_ns, generator, recorded_bars, self._hours)
        if generator is not None:
            for symbol in settings.symbols:
                self._venue.open(symbol, self._clock.now_ns())
        longest_ns = LONGEST_VIRTUAL_STEP_NS if settings.is_virtual else LONGEST_STEP_NS
        self._playback = Playback(self._source, self._clock, self._publish, self._finish, longest_ns)
        self._keyring = Keyring(settings.keys)
        fakepaca = FakePaca(
            self._clock, settings.seed, bar_ns, lambda played: self._streams.send_test(played)
        )
        traded_symbols = TradedSymbols(self._assets, self._venue, self._clock, self._playback.begin)
        self._streams = MarketStreams(
            self._keyring,
            self._faults,
            self._clock,
            settings.stream_terms,
            self._market,
            self._hours,
            traded_symbols,
            fakepaca.begin,
        )
        self._news_archive = NewsArchive()
        self._events = MarketEvents(
            self._venue, traded_symbols, self._streams, self._news_archive, self._clock, bar_ns
        )
        self._rare_events = RareEvents(
            self._events, self._clock, settings.seed, settings.mistakes_a_minute, settings.news_a_minute
        )
        self._updates = UpdatesStream(self._keyring, self._faults, self._clock)
        rng = random.Random(settings.seed)
        self._accounts = TradingAccounts([self._open_account(key, rng) for key in settings.keys])
        self._valuation = Valuation(self._accounts, self._clock)
        self._trade_events = EventRoutes(self._accounts, self._clock)
        self._fault_switch = self._make_fault_switch(generator)
        self._chaos = self._plan_chaos()

    def _make_fault_switch(self, generator: Generator | None) -> FaultSwitch:
        effects = (
            on_readers(self._readers),
            on_events(self._trade_events.close),
            on_connections(lambda refused: self.refuse_connections(refused)),
            on_orders(self._accounts, self._settings.partial_chance),
            on_market(self._events, self._market, self._streams, generator, self._clock),
        )
        accounts = [key.key for key in self._settings.keys]
        fault_switch = FaultSwitch(self._faults, self._clock, accounts, effects)
        fault_switch.begin_given(self._settings.faults)
        return fault_switch

    def _plan_chaos(self) -> Chaos | None:
        settings = self._settings
        if settings.chaos_seed is None:
            return None
        shares = [symbol for symbol in settings.symbols if "/" not in symbol]
        return Chaos(
            self._fault_switch,
            self._clock,
            settings.chaos_seed,
            settings.chaos_faults,
            shares if settings.data is None else [],
            settings.chaos_every_ms,
        )

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

    def _open_account(self, key: ApiKey, rng: random.Random) -> TradingAccount:
        settings = self._settings
        brokerage = Brokerage(
            self._clock.now_ns(),
            settings.cash,
            self._market,
            self._hours,
            new_id=self._new_id,
            draw=rng.random,
            partial_chance=settings.partial_chance,
            fractions_at_market_only=settings.fractions_at_market_only,
        )
        return TradingAccount(
            key.key,
            brokerage,
            self._assets,
            self._venue,
            self._faults,
            self._updates,
            self._clock,
            self._new_id,
            settings.tells_pending_new,
        )

    def application(self) -> web.Application:
        """Return the application of trading, data and their websockets."""
        settings, clock = self._settings, self._clock
        rest = RestMiddleware(
            self._keyring,
            self._faults,
            clock,
            settings.requests_per_minute,
            settings.data_requests_per_minute,
        )
        app = web.Application(middlewares=[rest.as_aiohttp()])
        app.on_response_prepare.append(rest.stamp)
        app.add_routes([SocketEndpoint("/stream", self._updates.handle), *self._streams.endpoints()])
        app.add_routes(
            trading.routes(
                self._accounts,
                self._assets,
                SkewedClock(clock, self._faults),
                self._hours,
                self._valuation,
            )
        )
        app.add_routes(self._trade_events.routes())
        is_free = settings.stream_terms.is_free
        app.add_routes(market_data.routes(self._venue, self._assets, self._news_archive, clock, is_free))
        return app

    def control(self) -> web.Application:
        """Return the application of the control endpoint."""
        return control_application(
            self._fault_switch,
            self._chaos,
            self._accounts,
            self._clock,
            self._wait_for_readers,
            self._events,
            self._state,
        )

    def begin(self) -> None:
        """Start the market: a generated one at once, a recording with the first subscription."""
        if self._chaos is not None:
            self._chaos.begin()
        self._rare_events.begin()
        self._valuation.begin()
        if self._settings.data is None:
            self._playback.begin()

    async def end_streams(self) -> None:
        """Close every websocket, and every stream of events."""
        self._trade_events.close()
        await asyncio.gather(self._updates.close(), self._streams.close())

    def _publish(self, messages: list[Message], time_ns: int) -> None:
        played = self._venue.play(messages, time_ns)
        if self._settings.data is None:
            played += self._venue.close_bars(time_ns)
        self._send(played)

    def _finish(self) -> None:
        self._send(self._venue.close_bars(END_OF_TIME_NS))
        self._streams.flush()

    def _send(self, played: Sequence[TimedMessage]) -> None:
        self._played += len(played)
        self._streams.send(played)

    def _readers(self, stream: str) -> Sequence[Reader]:
        return self._updates.listeners if stream == "trade_updates" else self._streams.find(stream).clients

    async def _wait_for_readers(self) -> None:
        """Wait until every reader has little left to read, so that virtual time outruns none of them."""
        await keep_up(lambda: [*self._updates.listeners, *self._streams.clients()])

    def _state(self) -> dict[str, Any]:
        clients = {stream.feed.name: len(stream.clients) for stream in self._streams.all()}
        clients["trade_updates"] = len(self._updates.listeners)
        clients["events"] = self._trade_events.listeners
        return {
            "tape_finished": self._source.is_finished,
            "is_playing": self._playback.has_begun,
            "clients": clients,
            "listening": sum(listener.listens for listener in self._updates.listeners),
            "messages_played": self._played,
            "messages_sent": sum(stream.sent for stream in self._streams.all()),
        }


def _clock(settings: Settings) -> Clock:
    if settings.is_virtual:
        assert settings.start_ns is not None, "virtual time begins somewhere"
        return VirtualClock(settings.start_ns)
    return WallClock(settings.start_ns)
