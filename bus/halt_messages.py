"""Halts that the OMS gave by itself, and what they are counted from: events in the past tense, all frozen.

Times are nanoseconds since 1970-01-01 UTC.
"""

from decimal import Decimal
from typing import ClassVar, Literal

from bus.account_messages import HaltsRead
from bus.codec import Message

Market = Literal["shares", "crypto"]


class HaltTriggered(Message, frozen=True, kw_only=True):
    """The OMS halted a scope by itself, for `code`; only a resume lifts it.

    `reason` is the sentence that everyone is told; `limit` and `value` are those of the rule, "" where it
    has none. `latched`: only a named person may lift it.
    """

    wire: ClassVar[str] = "HaltTriggered"
    scope: str
    code: str
    reason: str
    limit: str = ""
    value: str = ""
    latched: bool = False
    at_ns: int


class HaltLifted(Message, frozen=True, kw_only=True):
    """Somebody resumed a scope that the OMS had halted by itself: what it counted begins anew.

    `loss` is the day's loss at that moment by market, which is accepted from here on; empty where the halt
    stood for something else.
    """

    wire: ClassVar[str] = "HaltLifted"
    scope: str
    code: str
    loss: dict[Market, Decimal] = {}
    at_ns: int


class TradingDayBegun(Message, frozen=True, kw_only=True):
    """The profits from which a trading day counts, since the journal began, realised and unrealised.

    `day` is New York's for shares and UTC's for crypto. `unpriced` are symbols that had no price by then:
    what they gain or lose counts once it is realised.
    """

    wire: ClassVar[str] = "TradingDayBegun"
    market: Market
    day: str
    account: Decimal
    algorithms: dict[str, Decimal]
    unpriced: tuple[str, ...] = ()
    at_ns: int


HaltEvent = HaltsRead | HaltTriggered | HaltLifted | TradingDayBegun
HALT_EVENTS: tuple[type[Message], ...] = (HaltsRead, HaltTriggered, HaltLifted, TradingDayBegun)
