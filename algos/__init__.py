"""What an algorithm's author writes against, and the processes that run it."""

from algos.algorithm import Algorithm, KillSwitch
from algos.lifecycle import State
from algos.notices import Gap, Timer
from algos.parameters import parameter
from algos.portfolio import Order
from bus.control_messages import Flatten, Halt, ReduceOnly, Resume
from bus.market_messages import (
    Bar,
    CanceledTrade,
    Correction,
    DailyBar,
    Imbalance,
    Level,
    News,
    OrderBook,
    PriceBand,
    Quote,
    Trade,
    TradingStatus,
    UpdatedBar,
)
from bus.order_events import OrderFilled as Fill
from bus.order_events import PositionProtected, PositionUnprotected

__all__ = [
    "Algorithm",
    "Bar",
    "CanceledTrade",
    "Correction",
    "DailyBar",
    "Fill",
    "Flatten",
    "Gap",
    "Halt",
    "Imbalance",
    "KillSwitch",
    "Level",
    "News",
    "Order",
    "OrderBook",
    "PositionProtected",
    "PositionUnprotected",
    "PriceBand",
    "Quote",
    "ReduceOnly",
    "Resume",
    "State",
    "Timer",
    "Trade",
    "TradingStatus",
    "UpdatedBar",
    "parameter",
]
