"""Refusals of one batch of requests: the first of a kind in full, those like it together. Pure."""

from collections.abc import Iterable

from bus.order_events import OrderRefused, OrdersRefused, RefusedOrder
from bus.order_messages import OrderRequest, ReplaceRequest
from oms.state.step import Step

# Algorithm, codes, symbol and side.
_Kind = tuple[str, tuple[str, ...], str, str]


class GroupedRefusals:
    """What was refused so far in a batch. Mutable: the kinds that were told, and what is `untold` of each.

    Each id must be in the book before anything is decided that depends on it: `settle` sees to that.
    """

    __slots__ = ("_ids", "_step", "_told", "untold")

    def __init__(self, step: Step) -> None:
        self._step = step
        self._told: set[_Kind] = set()
        self.untold: dict[_Kind, list[tuple[OrderRefused, int]]] = {}
        self._ids: set[str] = set()

    def refuse(self, request: OrderRequest | ReplaceRequest, event: OrderRefused) -> None:
        """Have a refusal journalled, now where it is the first of its kind."""
        codes = tuple(reason.code for reason in event.reasons)
        kind = event.algorithm, codes, request.terms.symbol, request.terms.side
        if kind not in self._told:
            self._told.add(kind)
            self._step.record(event)
        else:
            self.untold.setdefault(kind, []).append((event, request.requested_ns))
            self._ids.add(request.client_order_id)

    def settle(self, client_order_ids: Iterable[str] | None = None) -> None:
        """Journal what is still to be told; only if one of these ids is among it, where ids are given."""
        if not self.untold or (client_order_ids is not None and self._ids.isdisjoint(client_order_ids)):
            return
        for refused in self.untold.values():
            first = refused[0][0]
            self._step.record(
                OrdersRefused(
                    algorithm=first.algorithm,
                    by=first.by,
                    reasons=first.reasons,
                    orders=tuple(RefusedOrder(event.client_order_id, event.terms) for event, _ in refused),
                    first_requested_ns=min(at_ns for _, at_ns in refused),
                    last_requested_ns=max(at_ns for _, at_ns in refused),
                    at_ns=first.at_ns,
                )
            )
        self.untold.clear()
        self._ids.clear()
