"""What limits there are: their names, meanings, and where each may stand. Pure."""

from decimal import Decimal

# Each name with what it means, for the sentence that answers a mistake. Nothing trades without these.
REQUIRED: dict[str, str] = {
    "order_quantity": "the largest quantity of one order",
    "order_value": "the largest value of one order, in dollars",
    "position_quantity": "the largest position in one symbol, open orders included",
    "position_value": "the largest value of a position in one symbol, in dollars",
    "open_orders": "how many orders may be open at once",
    "orders_per_second": "how many orders may be approved in one second",
    "price_collar_percent": "how far from the reference price a limit may reach",
    "price_age_seconds": "the age up to which a reference price counts",
}
OPTIONAL: dict[str, str] = {
    "gross_exposure": "the value of all positions without their signs, open orders included, in dollars",
    "net_exposure": "the value of all long positions less that of all short ones, open orders included",
    "unexecuted_value": "the value of what open orders may still trade, in dollars",
    "messages_per_minute": "how many requests may come in one minute, cancels included",
    "duplicate_seconds": "for how long the same order again is refused",
    "repeated_orders": "how often one symbol, side and quantity may be ordered; then the algorithm is halted",
    "repeated_seconds": "within which time they are counted",
    "price_band_percent": "how far from the price of some minutes ago an order may reach",
    "price_band_minutes": "how many minutes ago that is",
}
# What an algorithm may have beside; without it there is no such limit.
OF_ALGORITHMS: dict[str, str] = {
    "capital": "what the algorithm may have invested and reserved, in dollars; its realized profit adds to it"
}
# Beyond these trading halts by itself, where they are set.
OF_HALTS: dict[str, str] = {
    "day_loss": "the most that may be lost in a trading day, in dollars, before trading is halted",
    "rejects_per_second": "how many orders the broker may reject in one second before trading is halted",
    "refusals_per_second": "how many orders may be refused in one second before trading is halted",
    "unanswered_seconds": "how long an order may be in doubt at the broker before trading is halted",
}
# What is done about an algorithm without a heartbeat that has open orders or positions.
ON_SILENCE = ("nothing", "halt", "cancel")
NUMBERS = REQUIRED | OPTIONAL | OF_ALGORITHMS | OF_HALTS
SWITCHES: dict[str, str] = {
    "short_sales": "whether a position may go below zero",
    "orders_while_closed": "whether orders may be left at the broker while the market is closed",
}

LISTS: dict[str, str] = {
    "restricted": "symbols in which nothing may be ordered",
    "symbols": "the only symbols in which the algorithm may order",
}
TEXTS: dict[str, str] = {
    "responsible_person": "who answers for the orders; named in the journal beside each of them",
    "on_silence": "what is done about an algorithm without a heartbeat that has open orders or positions",
}
MEANINGS = NUMBERS | SWITCHES | LISTS | TEXTS
# What its number counts.
UNITS: dict[str, str] = (
    dict.fromkeys(("order_quantity", "position_quantity"), "shares or coins")
    | dict.fromkeys(
        (
            "order_value",
            "position_value",
            "gross_exposure",
            "net_exposure",
            "unexecuted_value",
            "capital",
            "day_loss",
        ),
        "dollars",
    )
    | dict.fromkeys(
        ("open_orders", "orders_per_second", "repeated_orders", "rejects_per_second", "refusals_per_second"),
        "orders",
    )
    | dict.fromkeys(("price_collar_percent", "price_band_percent"), "percent")
    | dict.fromkeys(
        ("price_age_seconds", "duplicate_seconds", "repeated_seconds", "unanswered_seconds"), "seconds"
    )
    | {"messages_per_minute": "requests", "price_band_minutes": "minutes"}
)

# What holds where nobody sets it: a loop that orders the same again and again is not waited for.
DEFAULTS = {"repeated_orders": Decimal(10), "repeated_seconds": Decimal(60), "price_band_minutes": Decimal(5)}

WHOLE = frozenset(
    {
        "open_orders",
        "orders_per_second",
        "messages_per_minute",
        "repeated_orders",
        "rejects_per_second",
        "refusals_per_second",
    }
)
# Of these the larger is the tighter.
LONGER_IS_TIGHTER = frozenset({"duplicate_seconds", "repeated_seconds", "price_band_minutes"})
# What is remembered of past orders and prices goes back no further.
MOST: dict[str, int] = {
    "duplicate_seconds": 600,
    "repeated_orders": 1000,
    "repeated_seconds": 3600,
    "price_band_minutes": 30,
}

# These count what an algorithm or the account does in all symbols.
_IN_ALL_SYMBOLS = (
    WHOLE
    | OF_HALTS.keys()
    | {
        "capital",
        "gross_exposure",
        "net_exposure",
        "unexecuted_value",
        "repeated_seconds",
    }
)
PER_SYMBOL = tuple(name for name in NUMBERS if name not in _IN_ALL_SYMBOLS)
PER_FEED = ("price_age_seconds",)

# The feeds that ingest names in what it writes: those of stocks, and crypto.
FEEDS = ("iex", "sip", "delayed_sip", "boats", "overnight", "rest", "test", "crypto")

SECTIONS = ("account", "each_algorithm", "algorithm", "symbol", "feed")

# What else each section may set: lists of symbols, and who answers for an algorithm's orders.
OTHERS: dict[str, tuple[str, ...]] = {
    "account": ("restricted", "responsible_person"),
    "each_algorithm": ("restricted", "responsible_person", "on_silence"),
    "algorithm": ("restricted", "symbols", "responsible_person", "on_silence"),
    "symbol": (),
    "feed": (),
}


def tighter(name: str, left: Decimal, right: Decimal) -> Decimal:
    """The tighter of two values of one limit."""
    return max(left, right) if name in LONGER_IS_TIGHTER else min(left, right)


def may_stand(kind: str) -> tuple[str, ...]:
    """The names of limits that may stand in sections of this kind, as they are told of in a sentence."""
    of_account = tuple(name for name in NUMBERS if name not in OF_ALGORITHMS)
    numbers = {"symbol": PER_SYMBOL, "feed": PER_FEED, "account": of_account}.get(kind, tuple(NUMBERS))
    return (*numbers, *(() if kind == "feed" else SWITCHES), *OTHERS[kind])
