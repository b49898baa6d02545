"""Decides by the time of day whether an order may work, and when it ends by itself."""

from sim.broker.orders import Ticket
from sim.exchange.hours import MarketHours, Phase
from sim.refusals import forbidden

AUCTIONS = frozenset({"opg", "cls"})
_WINDOWS = {
    "opg": "opg orders must be submitted after 7:00pm and before 9:28am",
    "cls": "cls orders must be submitted after 7:00pm and before 3:55pm",
}
_EXTENDED = frozenset({Phase.PRE_MARKET, Phase.AFTER_HOURS})


def may_work(ticket: Ticket, phase: Phase) -> bool:
    """Return whether the market may fill it in this phase; an order for an auction waits for that."""
    if ticket.asset.is_crypto:
        return True
    if phase is Phase.REGULAR:
        return ticket.time_in_force not in AUCTIONS
    return ticket.extended_hours and phase in _EXTENDED


def is_routed(phase: Phase) -> bool:
    """Return whether an order that may not work yet is at its exchange, and so new rather than accepted.

    Seen on a paper account: an order of the evening is accepted, and becomes new, and submitted, at four in
    the morning of its day.
    """
    return phase in (Phase.PRE_MARKET, Phase.REGULAR)


def expires_ns(ticket: Ticket, now_ns: int, hours: MarketHours) -> int | None:
    """Return when it ends by itself: with the day, its auction, or its age; None for crypto pairs."""
    if ticket.asset.is_crypto:
        return None
    if ticket.time_in_force == "gtc":
        return hours.aged_ns(now_ns)
    if ticket.time_in_force == "opg":
        return hours.next_open_ns(now_ns)
    if ticket.time_in_force == "cls":
        return hours.next_close_ns(now_ns)
    day = hours.day_of(now_ns, ticket.extended_hours)
    return day.extended_close_ns if ticket.extended_hours else day.close_ns


def check_cutoff(ticket: Ticket, now_ns: int, hours: MarketHours) -> None:
    """Raise Refused for an order that is too late for one auction and too early for the next.

    Alpaca takes none for the open from 9:28 to 19:00, and none for the close from 15:55 to 19:00, as its
    refusals say; its documents have 15:50. A market that never closes takes them at any time.
    """
    if ticket.time_in_force in AUCTIONS and hours.is_between_auctions(now_ns, ticket.time_in_force):
        raise forbidden(_WINDOWS[ticket.time_in_force])
