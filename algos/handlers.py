"""The handlers that an author overrides; each does nothing until then."""

from typing import ClassVar, Literal

from algos.lifecycle import State
from algos.notices import Gap, Timer
from algos.portfolio import Order
from bus.book_messages import Booked
from bus.control_messages import Flatten, Halt, ReduceOnly, Resume
from bus.market_messages import (
    Bar,
    CanceledTrade,
    Correction,
    DailyBar,
    Imbalance,
    News,
    OrderBook,
    PriceBand,
    Quote,
    Trade,
    TradingStatus,
    UpdatedBar,
)
from bus.order_events import OrderFilled, PositionProtected, PositionUnprotected

KillSwitch = Halt | ReduceOnly | Resume | Flatten
Protection = PositionUnprotected | PositionProtected


class Handlers:
    """What a session calls, one at a time."""

    # The symbols it trades when none are given at start; `("*",)` is every symbol that anybody subscribes to.
    symbols: tuple[str, ...] = ()

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

    def on_updated_bar(self, bar: UpdatedBar) -> None:
        """A bar that ended before is told again: a trade of its minute came late."""

    def on_daily_bar(self, bar: DailyBar) -> None:
        """The day's bar so far."""

    def on_trading_status(self, status: TradingStatus) -> None:
        """Trading in a stock halts, pauses or resumes."""

    def on_luld(self, band: PriceBand) -> None:
        """The prices between which a stock may trade: limit up and limit down."""

    def on_correction(self, correction: Correction) -> None:
        """An earlier trade was another one."""

    def on_canceled_trade(self, canceled: CanceledTrade) -> None:
        """An earlier trade never was."""

    def on_imbalance(self, imbalance: Imbalance) -> None:
        """Orders of one side of a stock have no counterpart in the auction to come."""

    def on_order_book(self, book: OrderBook) -> None:
        """A crypto pair's order book, whole where it resets, otherwise what changed in it."""

    def on_news(self, news: News) -> None:
        """An article about symbols of yours, once for all of them."""

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
