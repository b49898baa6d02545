"""Limits as they change: read from a file, or set by an operator, who says so on control.

A section is `account`, `each_algorithm`, `algorithm.<name>`, `symbol.<symbol>` or `feed.<name>`. A value is
as in the limits file, but that numbers are text; None is for no such limit. Times are nanoseconds since
1970-01-01 UTC.
"""

from typing import Any, ClassVar, Literal

import msgspec

from bus.codec import Message
from bus.order_messages import Reason

# A limit was set, or what was set is taken back and the file's holds again; the same of one in shadow.
LimitMode = Literal["set", "taken_back", "shadow", "shadow_ended"]


class SetLimit(Message, frozen=True, kw_only=True):
    """One limit of this account has another value from now on; a looser one only where `loosen` says so.

    `shadow`: it is held against each order, and refuses none.
    """

    wire: ClassVar[str] = "SetLimit"
    account: str
    section: str
    name: str
    value: Any
    shadow: bool
    loosen: bool
    reason: str
    by: str
    at_ns: int


class UnsetLimit(Message, frozen=True, kw_only=True):
    """What was set of one limit is taken back: what the file says holds again, or nothing."""

    wire: ClassVar[str] = "UnsetLimit"
    account: str
    section: str
    name: str
    shadow: bool
    loosen: bool
    reason: str
    by: str
    at_ns: int


class LoadLimits(Message, frozen=True, kw_only=True):
    """The limits of this account are these from now on, all at once; `source` is where they were read."""

    wire: ClassVar[str] = "LoadLimits"
    account: str
    limits: dict[str, Any]
    source: str
    loosen: bool
    reason: str
    by: str
    at_ns: int


class LimitsChanged(Message, frozen=True, kw_only=True):
    """Other limits hold from here on: `limits` in the shape of the file, `limits_version` counted up from 1.

    `source` is where they were read and `by` is who put them into force.
    """

    wire: ClassVar[str] = "LimitsChanged"
    limits_version: int
    limits: dict[str, Any]
    source: str
    by: str
    at_ns: int


class LimitChange(msgspec.Struct, frozen=True, kw_only=True):
    """One limit that changed: what held `before`, what is set now, and what the file said of it by then."""

    section: str
    name: str
    mode: LimitMode
    before: Any
    value: Any
    in_file: Any


class LimitsSet(Message, frozen=True, kw_only=True):
    """Limits were set while the OMS ran, all of `changes` at once; they hold after a restart, too.

    `source` is the file that was loaded, or what else they follow from; "" where they were set one by one.
    `entry_id` is the id of the entry in control.
    """

    wire: ClassVar[str] = "LimitsSet"
    entry_id: str
    limits_version: int
    changes: tuple[LimitChange, ...]
    source: str
    reason: str
    by: str
    at_ns: int


class RefusedInShadow(Message, frozen=True, kw_only=True):
    """A limit in shadow would have refused orders of an algorithm, which were approved all the same.

    `whose` is the algorithm, which is not told. `orders` is how many since `since_ns`, and `reason` what
    would have been said of the first.
    """

    wire: ClassVar[str] = "RefusedInShadow"
    section: str
    name: str
    whose: str
    orders: int
    first_order_id: str
    last_order_id: str
    reason: Reason
    since_ns: int
    at_ns: int


LimitCommand = SetLimit | UnsetLimit | LoadLimits
LIMIT_COMMANDS: tuple[type[Message], ...] = (SetLimit, UnsetLimit, LoadLimits)
LimitEvent = LimitsChanged | LimitsSet | RefusedInShadow
LIMIT_EVENTS: tuple[type[Message], ...] = (LimitsChanged, LimitsSet, RefusedInShadow)
