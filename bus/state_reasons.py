"""Every code that a heartbeat gives as a reason for its state: who says it, its meaning, what to do. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReasonCode:
    """One code of a StateReason; `said_by` are the processes that give it."""

    code: str
    said_by: tuple[str, ...]
    meaning: str
    do_now: str


STATE_REASONS: tuple[ReasonCode, ...] = (
    ReasonCode("starting", ("ingest",), "a feed has not begun yet", "wait"),
    ReasonCode(
        "server_away",
        ("every process",),
        "a server that the process needs before it can work does not answer: the one with its lease, its "
        "journal or a snapshot",
        "start that server, or correct its address: see `backbone doctor`",
    ),
    ReasonCode(
        "spooled",
        ("ingest",),
        "what was received while a server was away waits on disk, and is written before what is new",
        "nothing: it passes once that is written",
    ),
    ReasonCode(
        "spool_unusable",
        ("ingest",),
        "the directory of the spool cannot be written or read; what waits stays in memory, and when that is "
        "full nothing more is read from Alpaca",
        "make room on that disk, or see to `BACKBONE_INGEST_SPOOL_DIR`; it is tried again each second",
    ),
    ReasonCode(
        "spool_full",
        ("ingest",),
        "the spool has no room: quotes are dropped, and then everything; the streams concerned tell of it "
        "as a gap",
        "bring the server back, or give the spool more room: `BACKBONE_INGEST_SPOOL_MB`",
    ),
    ReasonCode(
        "spool_left",
        ("ingest",),
        "a directory beside ingest's spools holds messages for another server's address, another account or "
        "another feed: no ingest that runs on this machine writes them",
        "start ingest once with what it had then (`MD_REDIS_URL`, `ORDERS_REDIS_URL`, `BACKBONE_ACCOUNT`, "
        "`BACKBONE_FEED`) and it writes them; or remove the directory: market data is filled from history",
    ),
    ReasonCode(
        "broker_unreachable",
        ("oms",),
        "the broker has not let the OMS in yet: it does not answer",
        "see `backbone doctor`; it passes once the broker answers",
    ),
    ReasonCode(
        "broker_failing",
        ("oms",),
        "the broker has not answered the last requests in its own words; orders are refused at once, cancels "
        "are still tried, and one look-up at a time finds out when it answers again",
        "see the broker's own status page; it passes with the first answer",
    ),
    ReasonCode(
        "halted_automatically",
        ("oms",),
        "the OMS halted a scope by itself, for what the sentence says; it takes orders elsewhere",
        "find out why, then `backbone resume` of that scope with a reason",
    ),
    ReasonCode(
        "stopping",
        ("every process",),
        "the process ends by itself; the sentence says on whose word",
        "nothing, or start it again",
    ),
    ReasonCode(
        "lease_held",
        ("ingest", "oms", "algorithm"),
        "another instance holds the lease; this one takes over when it ends",
        "nothing: this is a standby",
    ),
    ReasonCode(
        "lease_lost",
        ("ingest",),
        "the feed's lease ran out or went to another ingest, and the feed was given up",
        "see why this machine or the orders server was held up; it waits for its turn",
    ),
    ReasonCode(
        "not_connected",
        ("ingest",),
        "a stream of Alpaca's cannot be connected to; it is tried again with growing waits",
        "see the network and the `..._STREAM_URL` settings",
    ),
    ReasonCode(
        "connection_broke",
        ("ingest",),
        "the connection to a stream broke; readers are told of the gap",
        "nothing: it connects again",
    ),
    ReasonCode(
        "feed_fallback",
        ("ingest",),
        "another feed of BACKBONE_FEED_FALLBACK stands in for the one that is not to be had; entries name it",
        "nothing: the better one is asked for again now and then; where the plan lacks it, set BACKBONE_FEED",
    ),
    ReasonCode(
        "gap_open",
        ("ingest",),
        "what a stream missed cannot be had from Alpaca's history now; live messages go on",
        "nothing: it is asked for again at growing intervals, and GapClosed then says where it is",
    ),
    ReasonCode(
        "silent",
        ("ingest",),
        "nothing comes on a connection that answers pings, although the market is open and something lately "
        "came; it is closed and made anew, with waits that double",
        "see Alpaca's status page where it stays; it passes with the first message",
    ),
    ReasonCode(
        "silent_symbols",
        ("ingest",),
        "nothing comes of what the sentence names, for longer than chance explains, while others flow; the "
        "connection is kept",
        "see whether the symbol is halted or traded elsewhere; it passes with its first message",
    ),
    ReasonCode(
        "keys_refused",
        ("ingest",),
        "Alpaca does not accept the keys",
        "check `ALPACA_API_KEY` and `ALPACA_SECRET_KEY`, and that they are of `BACKBONE_TRADING`",
    ),
    ReasonCode(
        "not_entitled",
        ("ingest",),
        "the plan of these keys does not include the feed",
        "set `BACKBONE_FEED=iex`, for options `BACKBONE_OPTIONS_FEED=indicative`, or change the plan",
    ),
    ReasonCode(
        "connection_limit",
        ("ingest",),
        "Alpaca allows one connection, and another program holds it",
        "stop the other program; an old connection of ours ends by itself",
    ),
    ReasonCode(
        "symbol_limit",
        ("ingest",),
        "the plan allows fewer symbols than are wanted; the sentence names those left out",
        "want fewer symbols, or change the plan",
    ),
    ReasonCode(
        "not_subscribed",
        ("ingest",),
        "Alpaca refuses what the sentence names, or leaves it out of its answer; all else is subscribed",
        "correct the symbol or the channel; what may pass is asked again by itself, at growing intervals",
    ),
    ReasonCode(
        "want_refused",
        ("ingest", "algorithm"),
        "somebody wants market data that no feed carries; the sentence says whose want, what of it and why",
        "correct what the algorithm subscribes to, or see to what the sentence says",
    ),
    ReasonCode(
        "wants_unread",
        ("ingest",),
        "ingest cannot read what algorithms want, or not find out whether they can still say it; the "
        "sentence gives the orders server's answer",
        "see to the orders server, or give ingest's user the right that its answer names",
    ),
    ReasonCode(
        "reader_behind",
        ("ingest",),
        "a live reader has yet to handle market data that would be trimmed; it is kept for it up to a bound",
        "see why that algorithm is slow (its heartbeat says its lag); or stop it",
    ),
    ReasonCode(
        "reader_cut",
        ("ingest",),
        "market data was cut before a live reader had it; its handlers are told",
        "see why that algorithm is slow, or give the market-data server more memory",
    ),
    ReasonCode(
        "market_data_over_budget",
        ("ingest",),
        "the market-data server holds more than its budget, and what is left of market data is too new to go",
        "raise the budget, or see what else that server holds",
    ),
    ReasonCode(
        "stream_error",
        ("ingest",),
        "Alpaca's stream answered with another error, which the sentence gives",
        "act on its words",
    ),
    ReasonCode(
        "account_unconfirmed",
        ("ingest",),
        "no OMS has found yet that the keys are of the account: another's trade updates must not get in",
        "start the OMS with the same keys; it says where they are of another account",
    ),
    ReasonCode(
        "not_registered",
        ("algorithm",),
        "the OMS does not read this algorithm's requests yet",
        "start the OMS, or see why it is not ready",
    ),
    ReasonCode(
        "handler_failed",
        ("algorithm",),
        "a handler raised an exception, and the algorithm trades no more; the sentence says where",
        "mend the algorithm, then start it again",
    ),
    ReasonCode("run_over", ("supervisor",), "the demo or the run came to its end", "nothing"),
    ReasonCode(
        "unreadable",
        ("status",),
        "a heartbeat is there and cannot be read, such as one of another version",
        "run the same version everywhere",
    ),
)
