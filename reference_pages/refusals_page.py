"""The page of codes: why orders and cancels are refused, why an OMS takes none, reasons in heartbeats."""

from bus.state_reasons import STATE_REASONS
from oms.requests.readiness import NOT_READY
from oms.risk.refusals import REFUSALS
from reference_pages.markdown import code, page, table

_INTRO = """
A code stays the same from release to release; the sentence beside it, which names numbers and who did
what, may change.
"""

_ORDERS = """
An `OrderRefused` carries every reason that was found, a `CancelRefused` one. Each has `code` and
`message`, and where a number decided, the `limit` and the `value` that it was held against, as text. `by`
says whose no it was: risk's (decided before anything was journalled as approved), the OMS's own
(approved, and not sent), or the broker's. A `CancelRefused` has no such field; the table says whose it
is.
"""

_NOT_READY = """
While the OMS takes no orders it says why in three places: the `value` of the reason `not_ready`, the
field `not_ready` of a decision's `basis`, and the reason of its heartbeat. Cancels go through all the
same.
"""

_HEARTBEATS = """
`backbone status` shows each process with its state and, where it is not simply at work, the reasons. An
OMS that takes no orders gives one of the codes of the section before.
"""


def content() -> str:
    """Return the page."""
    refusals = table(
        ("code", "by", "meaning", "decided by", "what to do now"),
        (
            (code(one.code), ", ".join(one.by), one.meaning, one.decided_by, one.do_now)
            for one in sorted(REFUSALS, key=lambda one: one.code)
        ),
    )
    not_ready = table(
        ("code", "meaning", "what to do now"),
        ((code(one.code), one.meaning, one.do_now) for one in NOT_READY),
    )
    heartbeats = table(
        ("code", "said by", "meaning", "what to do now"),
        (
            (code(one.code), ", ".join(one.said_by), one.meaning, one.do_now)
            for one in sorted(STATE_REASONS, key=lambda one: one.code)
        ),
    )
    return page(
        "Codes of refusals and reasons",
        _INTRO,
        "## Orders and cancels",
        _ORDERS,
        refusals,
        "## Not ready",
        _NOT_READY,
        not_ready,
        "## Heartbeats",
        _HEARTBEATS,
        heartbeats,
    )
