"""Permission asked again in the sending thread: halts and the lease, directly before the request goes out."""

from bus.clock import Clock
from bus.control_messages import Halt
from bus.halt import HaltWatch
from bus.lease import Lease
from bus.order_messages import Reason
from oms.broker import BeforeSend, NotPermitted
from oms.risk import Approved


class Permission:
    """What stands between an approved order and the broker. Read from threads; it only looks."""

    def __init__(self, lease: Lease, halts: HaltWatch, clock: Clock, account: str) -> None:
        self._lease = lease
        self._halts = halts
        self._clock = clock
        self._account = account

    def before_send(self, approved: Approved, sent_ns: list[int]) -> BeforeSend:
        """A callable that notes the time in `sent_ns`, or raises NotPermitted with the reason."""

        def ask() -> None:
            reason = self._objection(approved)
            if reason is not None:
                raise NotPermitted(reason)
            sent_ns.append(self._clock.now_ns())

        return ask

    def _objection(self, approved: Approved) -> Reason | None:
        if not self._lease.held:
            return Reason(code="lease_lost", message="this OMS does not hold its lease any more: not sent")
        if not self._halts.fresh():
            return Reason(code="control_unread", message="the control stream is not readable: not sent")
        state = self._halts.state
        if not state.known:
            return Reason(code="halt_unknown", message="the halt state is missing: not sent")
        mode = state.mode_for(self._account, approved.event.algorithm, approved.terms.symbol)
        if isinstance(mode, Halt):
            return Reason(
                code="halted",
                message=f"{mode.scope} was halted by {mode.by} before it was sent: {mode.reason}",
            )
        return None
