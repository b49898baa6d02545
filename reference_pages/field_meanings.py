"""What each field of a message means, in words for the reference page.

A name alone holds for every message that has it; `Message.field` comes first and holds for that message.
"""

_TIME = "nanoseconds since 1970-01-01 UTC"

FIELD_MEANINGS: dict[str, str] = {
    # What many messages share.
    "algorithm": "the algorithm's name; `external` for what was ordered elsewhere on the account",
    "at_ns": f"when it was said or decided, {_TIME}",
    "by": "who did it, such as user@host",
    "reason": "why, in the words of whoever did it",
    "client_order_id": "the order's id, made by the algorithm from what triggered it",
    "broker_order_id": "the broker's id of the order",
    "symbol": "as Alpaca writes it, such as AAPL, BRK.B or BTC/USD",
    "side": "which way",
    "terms": "the order's terms",
    "lease": "the value of the algorithm's lease, `<fencing token>:<holder>`",
    "trigger": "what the order answers: stream and entry id, a timer, a control entry, a change of state",
    "received_ns": f"when the trigger was received, {_TIME}",
    "requested_ns": f"when the algorithm asked, {_TIME}",
    "approved_ns": f"when risk approved it, {_TIME}",
    "replaces": "the client order id of the order whose place it takes",
    "replaced_by": "the broker's id of the order that took its place",
    "reserve_price": "the price at which the order's value is reserved, in dollars",
    "status": "the order's status, Alpaca's word",
    "filled_quantity": "shares or coins filled so far, this event included",
    "execution_id": "the broker's id of the execution",
    "scope": "`all`, `account:<name>`, `algorithm:<name>` or `symbol:<symbol>`",
    # Terms.
    "type": "the kind of order",
    "time_in_force": "how long the order stands",
    "quantity": "shares or coins",
    "notional": "dollars to buy or sell for, instead of a quantity",
    "limit_price": "dollars, for limit and stop_limit orders",
    "stop_price": "dollars, for stop and stop_limit orders",
    "extended_hours": "whether it may be filled before and after the regular session",
    # Reason.
    "Reason.code": "a code that stays the same: see [refusals](refusals.md)",
    "Reason.message": "a sentence for people",
    "Reason.limit": "the limit that decided, as text",
    "Reason.value": "what was held against the limit, as text",
    # Basis.
    "Basis.price": "the reference price, in dollars; null where none was known",
    "Basis.price_at_ns": f"the market's time of that price, {_TIME}",
    "Basis.price_received_ns": f"when that price was received, {_TIME}",
    "Basis.limits_version": "which limits were in force; 0 for none",
    "Basis.halt": "the strictest halt that covered the order",
    "Basis.control_fresh": "whether the control stream had been read within 500 ms",
    "Basis.not_ready": 'the code of why no orders were taken; "" while they were',
    "Basis.lease": 'the lease under which the algorithm led; "" for none',
    "Basis.reserve_price": "dollars; null where there was no price to reserve at",
    # Events.
    "OrderApproved.trigger": "what the order answers; `adopted` for an order that the journal lacked",
    "OrderApproved.basis": "what the decision saw; null for an order that was adopted",
    "OrderRefused.by": "whose no it was",
    "OrderRefused.reasons": "every reason that was found",
    "OrderRefused.terms": "null where whoever asked did not lead",
    "OrderRefused.basis": "what risk saw; null where the no is not risk's",
    "OrderSent.sent_ns": f"when the request left, {_TIME}",
    "OrderSent.acknowledged_ns": f"when the answer came, {_TIME}",
    "OrderUncertain.why": "what happened to the answer",
    "OrderUpdated.event": "what happened, Alpaca's word",
    "OrderFilled.quantity": "shares or coins of this execution",
    "OrderFilled.price": "dollars a share or coin, of this execution",
    "FillAbsorbed.quantity": "shares or coins of this execution",
    "FillAbsorbed.filled_quantity": "shares or coins filled so far, as the broker told it",
    "CancelRefused.reason": "why",
    "EntryDeadLettered.stream": "the stream in which the entry stands",
    "EntryDeadLettered.entry_id": "the entry's id",
    "EntryDeadLettered.error": "why it could not be read",
    "EntryDeadLettered.payload": "its fields, as text",
    "AccountPinned.number": "Alpaca's number of the account",
    "AccountPinned.trading": "paper or live",
    "JournalSetAside.kept_as": "the part of its new name that tells it from others: number and time",
    "LimitsChanged.limits_version": "counted up from 1",
    "LimitsChanged.limits": "the limits, in the shape of the limits file",
    "LimitsChanged.source": "where they were read",
    "HaltsRead.known": "false where the halt key is missing or cannot be read",
    "HaltsRead.scopes": "the halts in force, by scope",
    # Market data.
    "Trade.price": "dollars",
    "Trade.size": "shares or coins",
    "Trade.at_ns": f"the exchange's time, {_TIME}",
    "Trade.id": "the exchange's id of the trade",
    "Trade.exchange": "the exchange's code",
    "Quote.bid_price": "dollars; 0 without a bid",
    "Quote.bid_size": "as Alpaca gives it",
    "Quote.ask_price": "dollars; 0 without an ask",
    "Quote.ask_size": "as Alpaca gives it",
    "Quote.at_ns": f"the exchange's time, {_TIME}",
    "Bar.open": "dollars",
    "Bar.high": "dollars",
    "Bar.low": "dollars",
    "Bar.close": "dollars",
    "Bar.volume": "shares or coins",
    "Bar.at_ns": f"the start of the bar, {_TIME}",
    "feed": "the feed's name, such as iex or crypto",
    "since_ns": f"the last that is known to be whole, {_TIME}",
    "until_ns": f"when the feed was whole again, {_TIME}",
    "GapOpened.reason": "why the feed broke",
}


def meaning(message: str, field: str) -> str:
    """Return what a field means. Raises LookupError for one that nothing is written of."""
    found = FIELD_MEANINGS.get(f"{message}.{field}") or FIELD_MEANINGS.get(field)
    if found is None:
        raise LookupError(f"say what {message}.{field} means in reference_pages/field_meanings.py")
    return found
