"""Heartbeats: what a running process says of itself twice a second, typed for whoever writes or reads it."""

from enum import StrEnum

import msgspec

# Changed when a reader of the earlier shape would misread this one.
FORMAT = 2


class State(StrEnum):
    """Where a process stands; the reasons beside it say why."""

    STARTING = "starting"
    # For a lease, a server or another process.
    WAITING = "waiting"
    READY = "ready"
    LEADER = "leader"
    FOLLOWER = "follower"
    # At work, without something that it ought to have.
    DEGRADED = "degraded"
    STOPPING = "stopping"
    # It does nothing any more, and stays for an operator to see why.
    ABORTED = "aborted"


# What a health check takes for a process that does its work.
AT_WORK = frozenset({State.READY, State.LEADER, State.FOLLOWER})


class StateReason(msgspec.Struct, frozen=True):
    """Why a process or a feed is in its state: a code that stays the same, and a sentence for people."""

    code: str
    sentence: str


class IngestCounters(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of all that ever served these feeds; `buffered_frames` is how many wait to be written now.

    `backfilled` counts messages that were missed and came from history.
    """

    messages_in: int = 0
    gaps: int = 0
    backfilled: int = 0
    unreadable: int = 0
    stalls: int = 0
    buffered_frames: int = 0


class WaitingDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What one feed received and its server has not: in memory now, and on disk in the spool.

    Since ingest started: `recovered`, records that an earlier process had left and that were given;
    `left_out`, those that were not, as another ingest had written what is newer; `damaged`, those that could
    not be read; `dropped`, messages by channel for which the spool had no room.
    """

    memory_items: int = 0
    memory_bytes: int = 0
    disk_items: int = 0
    disk_bytes: int = 0
    recovered: int = 0
    left_out: int = 0
    damaged: int = 0
    dropped: dict[str, int] = {}


class FeedDetails(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream connection, by its `feed` name. `since_ns` is when it last connected or broke."""

    feed: str
    state: State
    reasons: tuple[StateReason, ...] = ()
    connected: bool = False
    connects: int = 0
    since_ns: int = 0
    waiting: WaitingDetails = WaitingDetails()


class RetentionDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of market data. `used_bytes` is what the server holds, `budget_bytes` what it is to hold.

    `budget_bytes` is 0 for no budget. Entries are kept for so many hours, quotes and order books for
    `quotes_hours`; `oldest_ns` is from when on they are there. `trimmed` counts entries since ingest started,
    `most_trimmed` those of the streams that lost most, `removed` streams that were taken away whole.
    `full_in_s`: when the budget is full at the present rate, None where it is not filling. `held`: by reader,
    what is kept for it beyond that, since it is behind; `lost`: how many entries were cut unread.
    """

    budget_bytes: int
    used_bytes: int
    hours: float
    quotes_hours: float
    laggards: str
    oldest_ns: int
    streams: int = 0
    trimmed: int = 0
    most_trimmed: dict[str, int] = {}
    removed: int = 0
    full_in_s: float | None = None
    held: dict[str, str] = {}
    lost: dict[str, int] = {}


class IngestDetails(msgspec.Struct, frozen=True, kw_only=True, tag="ingest"):
    """Feeds by kind (`stocks`, `crypto`, `account`), subscriptions by channel, prices by symbol.

    `refused_wants` holds a sentence for each reader and reason for which no feed carries what it wants.
    `retention` is None where another ingest sees to it, or nothing was measured yet.
    """

    feeds: dict[str, FeedDetails] = {}
    subscribed: dict[str, list[str]] = {}
    last_prices: dict[str, str] = {}
    refused_wants: tuple[str, ...] = ()
    ticks_per_second: float = 0
    retention: RetentionDetails | None = None
    counters: IngestCounters = IngestCounters()


class OmsCounters(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the OMS started: requests as they were read, the rest as events were journalled."""

    requests: int = 0
    cancel_requests: int = 0
    cancels: int = 0
    duplicates: int = 0
    approved: int = 0
    refused: int = 0
    sent: int = 0
    uncertain: int = 0
    updates: int = 0
    fills: int = 0
    found_after_given_up: int = 0
    missed_updates: int = 0
    dead: int = 0


class SendingDetails(msgspec.Struct, frozen=True, kw_only=True):
    """How requests to the broker stand. `waiting`: those that wait, by algorithm, "" for the OMS's own.

    `held`: requests of algorithms that are refused too often, held back before anything is decided on them.
    `broker_failing`: why nothing but cancels and look-ups is sent, "" while the broker answers.
    `closed_s`: for how long it takes no requests, by its own word on its limit.
    """

    waiting: dict[str, int] = {}
    held: dict[str, int] = {}
    broker_failing: str = ""
    closed_s: float = 0


class HaltFileDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What the halt file says, by scope: why it is halted, and by whom."""

    file: str = ""
    scopes: dict[str, str] = {}


class FlattenDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A flatten that is under way: of which scope, by whom and why, since when.

    `left` has a line for each symbol that is not done: what is held, and what it waits for; the first few.
    """

    scope: str
    by: str
    reason: str
    since_ns: int
    left: tuple[str, ...] = ()


class BookDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What one algorithm, or `external`, has; decimals as text.

    `average_prices` are by average cost, by symbol. `unrealized_profit` is at the last price of each symbol,
    and None where one has none. `buying_power` is None where the algorithm has no capital of its own.
    """

    positions: dict[str, str] = {}
    average_prices: dict[str, str] = {}
    cash: str = "0"
    realized_profit: str = "0"
    unrealized_profit: str | None = "0"
    fees: str = "0"
    buying_power: str | None = None


class OmsDetails(msgspec.Struct, frozen=True, kw_only=True, tag="oms"):
    """How orders stand. Amounts are decimals as text; positions are by algorithm, then by symbol.

    `ready`: orders are taken. `leads`: this instance holds the account's lease. `halts`: mode by scope.
    `reserved`: what open purchases may still cost, at their reserve prices. `budget`: requests that may go to
    the broker at once. `external_orders`: open orders that were made elsewhere on the account, a line each,
    the newest few; `not_understood`: why an `order <id>` or a `position <symbol>` at the broker cannot be
    read, the last few. `agreed_ns`: when orders, positions and cash were last found the same at the broker, 0
    for not since the start; `differences`: positions that are not, by symbol; `unexplained`: what the broker
    has beyond the book, by symbol and of cash; `unprotected`: positions without the stop-loss that they were
    to have, by algorithm and symbol. `refused`: refusals by code. `commits`: batches made durable. `digest`
    is that of the engine's state after the journal's entry `digest_at`. `head` is the hash of the journal's
    last entry, `head_at`: noted elsewhere, it proves what stood there. `snapshot_at` is the entry of the last
    snapshot, "" for none. `limits_unmatched`: a sentence for each name in the limits that binds nothing;
    `limits_differ`: one for each of which the file says something else than when it was set, and one where
    the file was edited and that is not in force;
    `limits_in_shadow`: how many orders each would have refused. `halt_file`: what it says.
    `account_number` and `trading` are those of the broker account that the journal belongs to, "" before that
    is known.
    """

    ready: bool
    leads: bool
    account_number: str = ""
    trading: str = ""
    open_orders: int = 0
    positions: dict[str, dict[str, str]] = {}
    cash: str = "0"
    reserved: str = "0"
    halts: dict[str, str] = {}
    halts_known: bool = False
    halt_file: HaltFileDetails = HaltFileDetails()
    flattening: tuple[FlattenDetails, ...] = ()
    budget: int = 0
    sending: SendingDetails = SendingDetails()
    external_orders: tuple[str, ...] = ()
    not_understood: dict[str, str] = {}
    agreed_ns: int = 0
    differences: dict[str, str] = {}
    unprotected: dict[str, str] = {}
    books: dict[str, BookDetails] = {}
    unexplained: dict[str, str] = {}
    refused: dict[str, int] = {}
    uncertain_now: int = 0
    commits: int = 0
    digest: str = ""
    digest_at: str = ""
    head: str = ""
    head_at: str = ""
    snapshot_at: str = ""
    limits_version: int = 0
    limits_unmatched: tuple[str, ...] = ()
    limits_differ: tuple[str, ...] = ()
    limits_in_shadow: dict[str, int] = {}
    counters: OmsCounters = OmsCounters()


class AlgorithmCounters(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the algorithm's process started."""

    handled: int = 0
    requested: int = 0
    dropped_stale: int = 0
    suppressed: int = 0
    unreadable: int = 0
    trimmed: int = 0
    groups_recreated: int = 0


class AlgorithmDetails(msgspec.Struct, frozen=True, kw_only=True, tag="algorithm"):
    """One algorithm as it sees itself. `lag`: entries not handled yet, None where that is not known.

    Positions and profit are decimals as text; `token` is the fencing token of the lease that it last held.
    """

    algorithm: str
    lag: int | None = None
    positions: dict[str, str] = {}
    profit: str = "0"
    open_orders: int = 0
    token: int = 0
    subscriptions: dict[str, list[str]] = {}
    failure: str = ""
    counters: AlgorithmCounters = AlgorithmCounters()


class ChildDetails(msgspec.Struct, frozen=True):
    """A process that the supervisor started; `state` is the supervisor's word, not that of the process."""

    name: str
    pid: int
    state: str
    restarts: int = 0


class SupervisorDetails(msgspec.Struct, frozen=True, kw_only=True, tag="supervisor"):
    """The processes of a run; `simulator` is where faults can be ordered, "" without a simulator."""

    children: tuple[ChildDetails, ...] = ()
    simulator: str = ""


Details = IngestDetails | OmsDetails | AlgorithmDetails | SupervisorDetails


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """One process at one moment. `version` is that of the installed backbone."""

    process: str
    instance: str
    account: str
    pid: int
    host: str
    version: str
    at_ns: int
    state: State
    reasons: tuple[StateReason, ...] = ()
    details: Details | None = None
    format: int = 0

    def age_ms(self, now_ns: int) -> int:
        """Milliseconds since it was written; 0 where the writer's clock is ahead of ours."""
        return max(0, (now_ns - self.at_ns) // 1_000_000)


class UnreadableHeartbeat(msgspec.Struct, frozen=True):
    """A process that is alive and says something that this version does not understand."""

    process: str
    instance: str
    why: str


class _Head(msgspec.Struct, frozen=True):
    format: int = 0
    version: str = "?"


_encoder = msgspec.json.Encoder()
_heartbeat = msgspec.json.Decoder(Heartbeat).decode
_head = msgspec.json.Decoder(_Head).decode


def encode(heartbeat: Heartbeat) -> bytes:
    """The heartbeat as JSON."""
    return _encoder.encode(heartbeat)


def decode(process: str, instance: str, raw: bytes) -> Heartbeat | UnreadableHeartbeat:
    """A heartbeat out of its JSON; its key's process and instance name one that cannot be read."""
    try:
        head = _head(raw)
        if head.format != FORMAT:
            return UnreadableHeartbeat(
                process,
                instance,
                f"it is written by version {head.version} in format {head.format}, and this version reads "
                f"format {FORMAT}: run the same version everywhere",
            )
        return _heartbeat(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return UnreadableHeartbeat(process, instance, f"its heartbeat cannot be read: {error}")
