"""`backbone risk explain`: why an order was approved or refused."""

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.order_events import Basis, OrderApproved, OrderRefused

_ORDER = Annotated[
    str, typer.Argument(help="its client id or the broker's, or the last 8 characters or more")
]
_JSON = Annotated[bool, typer.Option("--json", help="print one JSON object")]

_SECOND_NS = 1_000_000_000


def explain(order: _ORDER, as_json: _JSON = False) -> None:
    """Show each rule that an order met: its limit, what was used of it, and what it came to with the order.

    From the journal: the limits, the book and the price are those of the decision, and so is the price's age.
    An order far back in a long journal takes as long as a start of the OMS without a snapshot.

    Example: backbone risk explain bb-ma-cross-5b1e6f2d8a9c47e0b3d4f6a1c2e8d907
    """
    from bus import logs

    logs.set_up("risk", level="warning")
    told = asyncio.run(_explained(order))
    print(json.dumps(told) if as_json else "\n".join(_lines(told)))


async def _explained(order: str) -> dict[str, Any]:
    import msgspec

    from bus import logs
    from bus.errors import InvalidInput
    from bus.settings import load
    from oms.journal.fold import folded
    from oms.requests.past_decisions import NOT_IN_THE_JOURNAL, rules
    from oms.settings import OmsSettings
    from ops.order.finding import found_story
    from ops.order.story import decision
    from ops.running import servers

    # Why a snapshot cannot be used, for one: what is printed is for people and scripts.
    logs.set_up("risk", level="warning")
    story = await found_story(order, None, None)
    said: dict[str, Any] = {
        "client_order_id": story.client_order_id,
        "status": story.status,
        "decision": None,
        "rules": [],
        "not_in_the_journal": list(NOT_IN_THE_JOURNAL),
        "story": [{"id": one.id, "type": one.type, "line": one.text} for one in story.entries],
        "notes": list(story.notes),
    }
    decided = decision(story)
    if decided is None:
        return said
    entry_id, event = decided
    found = servers(orders_only=True)
    said |= _decision(entry_id, event)
    try:
        archive, until = load(OmsSettings).journal_archive, _before(entry_id)
        state = (await folded(found.orders, found.account, until=until, archive=archive)).state
    except InvalidInput as error:
        # What the decision itself said is known all the same.
        return said | {"rules_not_known": str(error)}
    return said | {"rules": [msgspec.to_builtins(one) for one in rules(state, found.account, event)]}


def _before(entry_id: str) -> str:
    """The last id that an entry before this one may have."""
    from bus.entry_position import entry_position

    ms, number = entry_position(entry_id)
    return f"{ms}-{number - 1}" if number else f"{ms - 1}-{(1 << 64) - 1}"


def _decision(entry_id: str, event: "OrderApproved | OrderRefused") -> dict[str, Any]:
    """What the decision's event says."""
    from bus.codec import whole
    from bus.order_events import OrderApproved
    from ops.message_lines import terms as shown_terms

    approved = isinstance(event, OrderApproved)
    at_ns = event.approved_ns if isinstance(event, OrderApproved) else event.at_ns
    return {
        "decision": "approved" if approved else "refused",
        "entry_id": entry_id,
        "algorithm": event.algorithm,
        "at_ns": at_ns,
        "what": "" if event.terms is None else shown_terms(event.terms),
        "terms": whole(event.terms),
        "reasons": [] if isinstance(event, OrderApproved) else whole(event.reasons),
        "basis": whole(event.basis),
        "price_age_ns": _ages(event.basis, at_ns),
    }


def _ages(basis: "Basis | None", at_ns: int) -> dict[str, int] | None:
    """How old the price was that the decision saw, by the market's time and since it was received."""
    if basis is None or basis.price_at_ns is None or basis.price_received_ns is None:
        return None
    return {"by_market": at_ns - basis.price_at_ns, "received": at_ns - basis.price_received_ns}


def _lines(told: dict[str, Any]) -> list[str]:
    from ops.columns import columns

    lines = [f"{told['client_order_id']}: {told['decision'] or told['status']}"]
    if told["decision"] is not None:
        at = datetime.fromtimestamp(told["at_ns"] / _SECOND_NS, UTC)
        lines[0] += f" at {at:%Y-%m-%d %H:%M:%S.%f} UTC, asked by {told['algorithm']}"
        lines[0] += f": {told['what']}" if told["what"] else ""
        lines += [f"  {one['code']}: {one['message']}" for one in told["reasons"]]
        lines += _seen(told)
    if told["rules"]:
        rows = [("rule", "of", "used", "with it", "limit", "outcome", "section")]
        names = ("name", "whose", "used", "value", "limit", "outcome", "section")
        rows += [tuple(one[name] for name in names) for one in told["rules"]]
        lines += ["", columns(rows), ""]
        lines.append(f"Not in the journal unless one refused: {', '.join(told['not_in_the_journal'])}.")
    elif told["decision"] is not None and "rules_not_known" not in told:
        lines.append("  no rule of the limits was asked")
    if "rules_not_known" in told:
        lines.append(f"  the rules cannot be told: {told['rules_not_known']}")
    lines += [f"{one['id']}  {one['line']}" for one in told["story"]]
    lines += [f"note: {note}" for note in told["notes"]]
    return lines


def _seen(told: dict[str, Any]) -> list[str]:
    """What the decision saw, beside the rules."""
    basis, ages = told["basis"], told["price_age_ns"]
    if basis is None:
        return ["  no rule was asked: it was taken over from the broker, or could not be read"]
    if ages is None:
        price = "no price"
    else:
        market, received = (ages[name] / _SECOND_NS for name in ("by_market", "received"))
        feed = f" of {basis['price_feed']}" if basis["price_feed"] else ""
        ages_told = f"{market:.3f} s old by the market's time, received {received:.3f} s before"
        price = f"price {basis['price']}{feed}, {ages_told}"
    person = f", {basis['responsible_person']} answers for it" if basis["responsible_person"] else ""
    under = f"limits version {basis['limits_version']}, halt state {basis['halt']}"
    return [f"  {price}", f"  {under}, lease {basis['lease'] or 'of none'}{person}"]
