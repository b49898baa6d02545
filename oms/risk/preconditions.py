"""What must hold before an order is looked at: readiness, halts, leadership, an id of its own. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from bus.control_messages import Halt, ReduceOnly
from bus.halt_state import HaltState
from bus.order_id import algorithm_of
from bus.order_messages import OrderRequest, Reason, ReplaceRequest
from oms.book.flattens import Flattens
from oms.risk.assets import Asset
from oms.risk.request_rate import RequestRate


@dataclass(frozen=True, slots=True)
class SpendingPower:
    """What the broker last said may be spent, and what the book had in use at that moment.

    `buying_power` is for shares; pairs are paid for with `cash` alone.
    """

    buying_power: Decimal
    cash: Decimal
    used: Decimal


class Context(msgspec.Struct, frozen=True):
    """What a decision depends on besides the request, the book, limits and prices.

    `lease` is the present lease value of the algorithm, "" where nobody leads; `retired_lease` is one whose
    holder has said that it stopped. `not_ready` is None once orders may be taken, `flattens` while none is
    under way. `spending_power` is None before the broker has said it. `declared` are the symbols
    that the algorithm said it would trade, None where it said nothing. `assets` are as far as the broker has
    told them, `requests` those that came lately.
    """

    account: str
    algorithm: str
    now_ns: int
    halts: HaltState
    control_fresh: bool
    not_ready: Reason | None
    lease: str
    retired_lease: str = ""
    flattens: Flattens | None = None
    spending_power: SpendingPower | None = None
    declared: frozenset[str] | None = None
    assets: Mapping[str, Asset] = {}
    market_open: bool = True
    requests: RequestRate = msgspec.field(default_factory=RequestRate)

    def mode(self, symbol: str) -> Halt | ReduceOnly | None:
        """The strictest halt that covers an order in this symbol, if any."""
        return self.halts.mode_for(self.account, self.algorithm, symbol) if self.halts.scopes else None


HALT_UNKNOWN = Reason(
    code="halt_unknown",
    message="the halt state is missing: look at the account, then `backbone resume --reason ...`",
)
_CONTROL_UNREAD = Reason(
    code="control_unread", message="the control stream has not been read for 500 ms", limit="500"
)
_NOT_LEADER = Reason(
    code="not_leader", message="only the leader of an algorithm may order: this lease is not in force"
)
_SHUT_DOWN = Reason(code="shut_down", message="this algorithm has acknowledged its shutdown under this lease")


def unmet(request: OrderRequest | ReplaceRequest, context: Context) -> list[Reason]:
    """Why nothing is taken from this algorithm now: not ready, halted, control unread, not the leader."""
    reasons = []
    if context.not_ready is not None:
        why = context.not_ready
        reasons.append(Reason(code="not_ready", message=why.message, value=why.code))
    if not context.halts.known:
        reasons.append(HALT_UNKNOWN)
    if not context.control_fresh:
        reasons.append(_CONTROL_UNREAD)
    mode = context.mode(request.terms.symbol)
    if isinstance(mode, Halt):
        reasons.append(Reason(code="halted", message=f"{mode.scope} is halted by {mode.by}: {mode.reason}"))
    elif context.flattens is not None:
        reasons += _flattening(context.flattens, request.terms.symbol, context)
    if not context.lease or request.lease != context.lease:
        reasons.append(_NOT_LEADER)
    elif request.lease == context.retired_lease:
        reasons.append(_SHUT_DOWN)
    order_id = request.client_order_id
    if algorithm_of(order_id) != context.algorithm:
        reasons.append(
            Reason(
                code="bad_client_order_id",
                message=f"a client order id is bb-{context.algorithm}- and 32 hexadecimal digits",
                value=order_id[:128],
            )
        )
    return reasons


def _flattening(flattens: Flattens, symbol: str, context: Context) -> list[Reason]:
    flatten = flattens.covering(context.account, context.algorithm, symbol)
    if flatten is None:
        return []
    begun = flatten.begun
    message = (
        f"{begun.scope} is being flattened by {begun.by}: {begun.reason}; orders are taken again after that"
    )
    return [Reason(code="flattening", message=message)]
