"""Every code with which an order or a cancel is refused: its meaning, what decides it, what to do. Pure."""

from oms.risk.limit_refusals import LIMITS
from oms.risk.market_refusals import MARKET
from oms.risk.refusal import Refusal

_STATE_OF_OMS = (
    Refusal(
        "not_ready",
        ("risk",),
        "the OMS takes no orders now; the reason's `value` is one of the codes under *not ready* below",
        "the state of the OMS, in its heartbeat",
        "see `backbone status`; most pass by themselves, and the algorithm may ask again then",
    ),
    Refusal(
        "no_limits",
        ("risk",),
        "no limits are in force, and nothing trades without them",
        "`BACKBONE_OMS_LIMITS`",
        "start the OMS with a limits file",
    ),
    Refusal(
        "halted",
        ("risk", "oms"),
        "a halt covers the account, the algorithm or the symbol; from `oms`: it came before sending",
        "the halt state, `backbone halt`",
        "look at the reason and at who halted, then `backbone resume --reason ...` for that scope",
    ),
    Refusal(
        "halt_unknown",
        ("risk", "oms"),
        "the halt state is missing or cannot be read, so nobody knows whether trading was halted",
        "the key `halt:{control}` on the orders server",
        "look at the account, then `backbone resume --reason ...`",
    ),
    Refusal(
        "reduce_only",
        ("risk", "oms"),
        "the scope may only reduce positions, and this order with those pending could do more than that",
        "the halt state, `backbone halt --reduce-only`",
        "order at most `limit`, or `backbone resume --reason ...` for that scope",
    ),
    Refusal(
        "flattening",
        ("risk",),
        "the scope's orders are being canceled and its positions brought to zero, and nothing new is taken",
        "`backbone flatten`, `backbone halt --flatten`",
        "ask again once the journal's `FlattenEnded` is there, if it is to trade on at all",
    ),
    Refusal(
        "position_changed",
        ("oms",),
        "the order was to close a position that became smaller before it left; another closes what is left",
        "`backbone flatten`, and the position in the book",
        "nothing",
    ),
    Refusal(
        "control_unread",
        ("risk", "oms"),
        "the control stream was not read within 500 ms, so a halt might have been missed",
        "fixed: 500 ms",
        "see whether the orders server answers (`backbone doctor`); it passes once it does",
    ),
    Refusal(
        "journalled_late",
        ("oms",),
        "the orders server did not take the decision in time, and the prices that it was made on are past",
        "`BACKBONE_OMS_LONGEST_WAIT_S`",
        "see `backbone status` for why the orders server refused; the algorithm may ask again",
    ),
    Refusal(
        "lease_lost",
        ("oms",),
        "this OMS lost its lease between approval and sending; the order was not sent",
        "the key `orders:{a}:lease:oms`",
        "see with `backbone status` which OMS leads; the algorithm may ask again",
    ),
)

_WHO_ASKS = (
    Refusal(
        "not_leader",
        ("risk", "oms"),
        "the request was written under a lease that is not in force: another instance leads, or none does, "
        "or the lease ran out and was taken again meanwhile; a cancel only where another leads",
        "the key `orders:{a}:lease:<algorithm>`",
        "nothing where a standby took over; otherwise see why the instance lost its lease",
    ),
    Refusal(
        "shut_down",
        ("risk",),
        "the algorithm acknowledged its shutdown under this lease and asked afterwards",
        "the journal's `LeaseRetired`",
        "start the algorithm again; ask for orders before the shutdown is acknowledged",
    ),
    Refusal(
        "bad_client_order_id",
        ("risk",),
        "the client order id is not `bb-<algorithm>-` and 32 hexadecimal digits, with the name of who asks",
        "fixed",
        "let the runner make the ids; whoever writes requests by hand keeps to this form",
    ),
    Refusal(
        "id_conflict",
        ("risk", "broker"),
        "the client order id stands for another order already, here or (`broker`) at the broker",
        "the journal, or the broker's orders",
        "look at both orders; run no second program that makes ids of this form on the account",
    ),
    Refusal(
        "symbol_not_declared",
        ("risk",),
        "the algorithm was started with other symbols, and orders in none that it did not name",
        "the algorithm's `symbols` or `--symbols`, in the registry `orders:{a}:algos`",
        "start it with this symbol too, or correct the algorithm",
    ),
)

_TERMS = (
    Refusal(
        "bad_terms",
        ("risk",),
        "the terms make no order: an amount not above zero, a price missing or too many, a wrong symbol",
        "fixed",
        "correct the algorithm by what the message says",
    ),
    Refusal(
        "unreadable_request",
        ("risk", "oms"),
        "the entry cannot be read as the request that it says it is; it is kept as a dead letter too, and "
        "the id that it names stays free",
        "the messages of requests",
        "correct what writes the requests by what the message says, and ask again",
    ),
    Refusal(
        "not_replaceable",
        ("risk",),
        "the order to be replaced is not open at the broker, not this algorithm's, or of another kind",
        "fixed",
        "cancel and order anew, or leave it where it is done already",
    ),
)

_OWN_ORDERS = (
    Refusal(
        "crosses_zero",
        ("risk",),
        "the order would close what the account has and open the other way at once, or sell more of a coin "
        "than there is; `limit` is what may be closed",
        "fixed: Alpaca takes no such order",
        "close first, and open the other way once that is filled",
    ),
    Refusal(
        "held_for_orders",
        ("risk",),
        "other open orders of the account, which the message names with whose they are, are to close this "
        "already; `limit` is what is free",
        "fixed: Alpaca takes no such order",
        "order at most `limit`, or cancel the others first",
    ),
    Refusal(
        "capital",
        ("risk",),
        "the order may cost more than what is left of its algorithm's capital and realized profit",
        "`capital` in `[algorithm.<name>]` or `[each_algorithm]`",
        "order for at most `limit` dollars, or free some: sell, or cancel what waits",
        ("capital",),
    ),
    Refusal(
        "buying_power",
        ("risk",),
        "the order may cost more than the broker says the account may spend, less what was put to use since",
        "the broker's word on the account, read whenever the book is compared with it",
        "order for at most `limit` dollars; what became free counts within `BACKBONE_OMS_COMPARE_S`",
    ),
    Refusal(
        "wash_trade",
        ("risk",),
        "the order could trade with another of the same account, whoever's it is; `value` is its client id",
        "fixed: Alpaca takes no such order",
        "cancel the other first, wait until it is done, or ask for a price that does not meet it",
    ),
)

_EXITS = (
    Refusal(
        "not_an_entry",
        ("risk",),
        "a bracket would close what the account has; `value` is how much that is",
        "fixed: Alpaca takes brackets that open a position alone",
        "close with a simple or an oco order, then open with a bracket",
    ),
    Refusal(
        "no_position",
        ("risk",),
        "an oco order closes a position, and the account has none on that side",
        "fixed: Alpaca takes oco orders as exits alone",
        "open the position first, or open it with a bracket",
    ),
    Refusal(
        "exit_price",
        ("risk",),
        "an exit does not lie on its own side, a cent away, of the price at which the order opens: its limit "
        "or stop, else the market; `value` is that price",
        "fixed: Alpaca takes no such order",
        "move the exit to where the message says",
    ),
)

_SENDING = (
    Refusal(
        "rate_budget",
        ("oms",),
        "the order waited too long for the request budget, or cannot go in time by the broker's own word on "
        "its limit; it was not sent late on old prices. `value` is how many seconds it waited",
        "`BACKBONE_OMS_LONGEST_WAIT_S`, `BACKBONE_OMS_REQUESTS_PER_MINUTE`, `BACKBONE_OMS_CONNECTIONS`",
        "ask for fewer orders, or raise the budget to what the broker allows the account",
    ),
    Refusal(
        "too_many_refusals",
        ("risk",),
        "the algorithm was refused so often that its requests are read at 20 a second, and this one waited "
        "longer for that than an order may; `value` is how many seconds",
        "fixed: 50 refusals at once, 20 a second after that; `BACKBONE_OMS_LONGEST_WAIT_S`",
        "see for what it is refused, and correct the algorithm; its cancels of open orders are not held up",
    ),
    Refusal(
        "canceled",
        ("oms",),
        "the algorithm canceled the order before it was sent",
        "the algorithm's CancelRequest",
        "nothing",
    ),
    Refusal(
        "broker_unreachable",
        ("oms",),
        "no connection to the broker could be made; nothing was sent",
        "`BACKBONE_TRADING_URL`, the network, the broker",
        "see `backbone doctor`; the algorithm may ask again",
    ),
    Refusal(
        "broker_failing",
        ("oms",),
        "the broker has not answered the last `limit` requests in its own words (no connection, no answer in "
        "time, errors of its servers), so nothing but cancels and look-ups is sent; this order was not",
        "fixed: 5 in a row",
        "see the broker's own status page; the algorithm may ask again once `backbone status` says ready",
    ),
    Refusal(
        "never_sent",
        ("oms",),
        "the answer was lost, and the broker was asked twice, late enough, and does not have the order",
        "`BACKBONE_OMS_DOUBT_S`",
        "the algorithm may ask again; the order is canceled should it turn up within a day",
    ),
)

_CANCELS = (
    Refusal(
        "unknown_order",
        ("oms",),
        "there is no such order of this algorithm, so there is nothing to cancel",
        "the journal",
        "correct the client order id",
    ),
    Refusal(
        "not_open",
        ("oms",),
        "the order is done already; `value` is its status",
        "the journal",
        "nothing: the order ended before the cancel",
    ),
    Refusal(
        "unanswered",
        ("oms",),
        "the broker did not answer the cancel, nor its repetitions; the order may still be open",
        "the broker, `BACKBONE_OMS_SEND_TIMEOUT_S`",
        "cancel again; where the broker stays away, cancel in its own application",
    ),
    Refusal(
        "broker",
        ("broker",),
        "the broker took the cancel and rejected it later; `value` is the order's status",
        "the broker",
        "look at the order: it stands as it was",
    ),
)

REFUSALS: tuple[Refusal, ...] = (
    *_STATE_OF_OMS,
    *_WHO_ASKS,
    *_TERMS,
    *LIMITS,
    *MARKET,
    *_OWN_ORDERS,
    *_EXITS,
    *_SENDING,
    *_CANCELS,
    Refusal(
        "trade_suspended",
        ("broker",),
        "the account is suspended at Alpaca, which refuses every order, also those that close a position",
        "`suspend_trade` of the account at Alpaca, `backbone flatten --suspend`",
        "see why, then `backbone resume --lift-suspension --reason ...`",
    ),
    Refusal(
        "broker_<code>",
        ("broker",),
        "the broker refused the order or the cancel: `<code>` is the code of its answer, such as "
        "`broker_40310000`, or the HTTP status where it gave none, such as `broker_422`",
        "the broker",
        "act on the message, which is the broker's own",
    ),
)
