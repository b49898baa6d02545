"""Hands triggers to an author's handlers; one that raises is named, with what it was given."""

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from algos.algorithm import Algorithm
from algos.desk import Desk, Trigger
from algos.lifecycle import State, moved
from algos.notices import Gap, Timer
from bus.control_messages import Halt, ReduceOnly, Resume
from bus.errors import BackboneError
from bus.market_messages import Bar, GapClosed, GapOpened, MarketMessage, Quote, Trade
from bus.order_messages import Event, OrderFilled

T = TypeVar("T")

_HANDLERS: dict[type, str] = {Trade: "on_trade", Quote: "on_quote", Bar: "on_bar"}
_CHANNELS = {"trades": "on_trade", "quotes": "on_quote", "bars": "on_bar"}


class HandlerFailed(BackboneError):
    """An author's handler raised; `trigger_id` names what it was handling."""

    def __init__(self, handler: str, trigger_id: str, error: BaseException) -> None:
        super().__init__(f"{handler} raised {type(error).__name__}: {error} (while handling {trigger_id})")
        self.handler = handler
        self.trigger_id = trigger_id


def channels_of(algorithm: type[Algorithm]) -> tuple[str, ...]:
    """The market-data channels that a class handles."""
    return tuple(channel for channel, handler in _CHANNELS.items() if _overrides(algorithm, handler))


class Dispatcher:
    """Calls the handlers of one algorithm, one at a time."""

    def __init__(self, algorithm: Algorithm, desk: Desk) -> None:
        self.desk = desk
        self.last_prices: dict[str, Decimal] = {}
        # The handler that runs now, for whoever watches over its time.
        self.running = ""
        self.handled = 0
        self.on_abort = algorithm.on_abort
        self._algorithm = algorithm
        self._market: dict[type, tuple[str, Callable[..., None]]] = {
            kind: (name, getattr(algorithm, name)) for kind, name in _HANDLERS.items()
        }

    def market(self, trigger: Trigger, message: MarketMessage) -> None:
        """A trade, quote or bar. Raises HandlerFailed."""
        if type(message) is Trade:
            self.last_prices[message.symbol] = message.price
        elif type(message) is Bar:
            self.last_prices[message.symbol] = message.close
        name, handler = self._market[type(message)]
        self._call(name, handler, trigger, message)

    def gap(self, trigger: Trigger, symbol: str, channel: str, mark: GapOpened | GapClosed | None) -> None:
        """A gap marker, or None where entries were trimmed before we read them. Raises HandlerFailed."""
        if mark is None:
            now_ns = trigger.now_ns
            reason = "cut from the stream before this algorithm had read it"
            gap = Gap(symbol=symbol, channel=channel, kind="trimmed", since_ns=now_ns, reason=reason)
        elif isinstance(mark, GapOpened):
            gap = Gap(
                symbol=symbol, channel=channel, kind="opened", since_ns=mark.since_ns, reason=mark.reason
            )
        else:
            gap = Gap(
                symbol=symbol,
                channel=channel,
                kind="closed",
                since_ns=mark.since_ns,
                until_ns=mark.until_ns,
            )
        self._call("on_gap", self._algorithm.on_gap, trigger, gap)

    def event(self, trigger: Trigger, event: Event) -> None:
        """What became of a request: the portfolio first, then the handler. Raises HandlerFailed."""
        order = self.desk.portfolio.apply(event)
        if isinstance(event, OrderFilled):
            self._call("on_fill", self._algorithm.on_fill, trigger, event)
        elif order is not None:
            self._call("on_order", self._algorithm.on_order, trigger, order)

    def timer(self, timer: Timer) -> None:
        """A timer is due. Raises HandlerFailed."""
        trigger = Trigger(
            f"timer {timer.name} {timer.scheduled_ns}", b"", timer.scheduled_ns, timer.scheduled_ns
        )
        self._call("on_timer", self._algorithm.on_timer, trigger, timer)

    def kill_switch(self, message: Halt | ReduceOnly | Resume, now_ns: int) -> None:
        """An operator halted, restricted or resumed trading. Raises HandlerFailed."""
        trigger = Trigger(f"control {message.scope} {message.at_ns}", b"", now_ns, now_ns)
        self._call("on_kill_switch", self._algorithm.on_kill_switch, trigger, message)

    def status(self, current: State, now_ns: int) -> None:
        """Change the state and tell the algorithm. Raises HandlerFailed; ValueError for no such change."""
        previous = self.desk.state
        self.desk.state = moved(previous, current)
        trigger = Trigger(f"status {current} {now_ns}", b"", now_ns, now_ns)
        self._call("on_status_change", self._algorithm.on_status_change, trigger, previous, current)

    def shutdown(self, now_ns: int) -> None:
        """The process is to end. Raises HandlerFailed."""
        trigger = Trigger(f"shutdown {now_ns}", b"", now_ns, now_ns)
        self._call("on_shutdown", self._algorithm.on_shutdown, trigger)

    def _call(self, name: str, handler: Callable[..., None], trigger: Trigger, *arguments: object) -> None:
        self.desk.begin(trigger)
        self.running = name
        try:
            handler(*arguments)
        except Exception as error:
            self.desk.abandon()
            raise HandlerFailed(name, trigger.id, error) from error
        finally:
            self.running = ""
        self.handled += 1


def _overrides(algorithm: type[Algorithm], handler: str) -> bool:
    return getattr(algorithm, handler) is not getattr(Algorithm, handler)
