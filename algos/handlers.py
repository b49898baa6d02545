"""The handlers that an author overrides; each does nothing until then."""

from typing import ClassVar, Literal

from algos.lifecycle import State
from algos.notices import Gap, Timer
from algos.portfolio import Order
from bus.book_messages import Booked
from bus.control_messages import Flatten, Halt, ReduceOnly, Resume
from bus.market_messages import Bar, Quote, Trade
from bus.order_events import OrderFilled, PositionProtected, PositionUnprotected

KillSwitch = Halt | ReduceOnly | Resume | Flatten
Protection = PositionUnprotected | PositionProtected


class Handlers:
    """What a session calls, one at a time."""

    # What becomes of the algorithm's open orders when one of its handlers raises; exits of positions stay.
    on_abort: ClassVar[Literal["cancel", "keep"]] = "cancel"

    def prepare(self) -> None:
        """Called once, when parameters and symbols are set: check them, make your own state, set timers."""

    def on_trade(self, trade: Trade) -> None:
        """A trade on the tape."""

    def on_quote(self, quote: Quote) -> None:
        """A new best bid and ask."""

    def on_bar(self, bar: Bar) -> None:
        """A bar has ended."""

    def on_order(self, order: Order) -> None:
        """One of your orders changed other than by a fill: approved, refused, sent, canceled, and so on."""

    def on_fill(self, fill: OrderFilled) -> None:
        """One of your orders was filled, wholly or in part; positions include it already."""

    def on_booked(self, booked: Booked) -> None:
        """What you hold changed otherwise: shares assigned to you, a split, a fee; positions include it."""

    def on_protection(self, notice: Protection) -> None:
        """A position of yours is without the stop-loss that you gave it for seconds, or has one again."""

    def on_gap(self, gap: Gap) -> None:
        """Market data is missing here."""

    def on_timer(self, timer: Timer) -> None:
        """A timer of `every` is due."""

    def on_kill_switch(self, message: KillSwitch) -> None:
        """Trading was halted, restricted or resumed in a scope that concerns you, or is being flattened.

        What a flatten sells or buys for you comes as orders and fills of yours.
        """

    def on_status_change(self, previous: State, current: State) -> None:
        """You became leader, follower or aborted."""

    def on_shutdown(self) -> None:
        """The process is to end. Override this to cancel or close first, and acknowledge when done."""
