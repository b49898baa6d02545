"""How everything stands at one moment, typed: what every view, command and alert reads."""

import msgspec
import orjson

from bus.codec import Message
from bus.control_messages import Halt
from bus.halt_state import HaltState
from bus.heartbeat import (
    BookDetails,
    FeedDetails,
    FlattenDetails,
    HaltFileDetails,
    RetentionDetails,
    SendingDetails,
    StateReason,
)


class Process(msgspec.Struct, frozen=True):
    """One process; `age_ms` is the age of its heartbeat, None where it has none.

    `state` is one of the heartbeat's, the supervisor's word on a child that does not run (restarting, failed,
    stopping, stopped), `running` for a child that has no heartbeat, or `unreadable`.
    """

    pid: int | None
    state: str
    restarts: int = 0
    host: str = ""
    age_ms: int | None = None
    process: str = ""
    instance: str = ""
    version: str = ""
    reasons: tuple[StateReason, ...] = ()


class HaltedScope(msgspec.Struct, frozen=True):
    """One scope in which trading is halted or reduced."""

    mode: str
    reason: str
    by: str
    at_ns: int


class AlgorithmStatus(msgspec.Struct, frozen=True):
    """One algorithm, by the heartbeat of the instance that leads it."""

    state: str
    lag: int | None = None
    positions: dict[str, str] = {}
    profit: str | None = None
    open_orders: int | None = None
    failure: str = ""


class OmsStatus(msgspec.Struct, frozen=True):
    """The account's book, by the heartbeat of the OMS that leads; amounts are decimals as text.

    `uncertain`: orders of which nobody knows yet whether the broker has them. `digest` is that of the state
    after the journal's entry `digest_at`: two processes with the same digest hold the same. The journal
    belongs to the broker's account `account_number`, which is paper or live as `trading` says; both are ""
    before that is known. `external_orders`: open orders that were made elsewhere on the account.
    `not_understood`: orders and positions at the broker that cannot be read, and why. `agreed_ns`: when
    the OMS last found orders and positions the same at the broker, 0 for not since its start; `differences`:
    positions that are not the same, by symbol; `unprotected`: those without the stop-loss that they were to
    have, by algorithm and symbol. `halt_file`: what it says. `flattening`: flattens under way.
    `sending`: how requests to the broker stand. `books`: what each algorithm
    and `external` has; `unexplained`: what the broker has beyond all of them, by symbol and of cash, when it
    was last asked. `limits_differ`: a sentence for each limit of which the file says something else than when
    it was set, and one where the file was edited since it was read; `limits_in_shadow`: how many orders each
    would have refused.
    """

    cash: str
    reserved: str
    uncertain: int
    limits_version: int
    digest: str
    digest_at: str
    account_number: str
    trading: str
    external_orders: tuple[str, ...] = ()
    not_understood: dict[str, str] = {}
    agreed_ns: int = 0
    differences: dict[str, str] = {}
    unprotected: dict[str, str] = {}
    halt_file: HaltFileDetails = HaltFileDetails()
    flattening: tuple[FlattenDetails, ...] = ()
    sending: SendingDetails = SendingDetails()
    books: dict[str, BookDetails] = {}
    unexplained: dict[str, str] = {}
    limits_differ: tuple[str, ...] = ()
    limits_in_shadow: dict[str, int] = {}


class Feed(msgspec.Struct, frozen=True):
    """What ingest says of market data, all its instances together; `feeds` are by kind.

    `retention` is what is kept of it; None where nobody says.
    """

    ticks_per_second: float | None = None
    messages_in: int | None = None
    gaps: int | None = None
    connected: dict[str, bool] = {}
    feeds: dict[str, FeedDetails] = {}
    retention: RetentionDetails | None = None


class Status(msgspec.Struct, frozen=True):
    """How the whole stands. `why_not` says why no orders are taken, while `trading` is false.

    `failed` has a sentence for each algorithm that failed, by its process: then it is not all that trades.
    `refusing` has what a server says, `orders` or `market`, that takes nothing now, or of a silent `market`.
    """

    at_ns: int
    account: str
    trading: bool
    why_not: list[str]
    processes: dict[str, Process]
    halts: dict[str, HaltedScope]
    halts_known: bool
    algorithms: dict[str, AlgorithmStatus]
    symbols: dict[str, str]
    feed: Feed
    open_orders: int
    latency_us: dict[str, dict[str, float | None]]
    streams: dict[str, int]
    # Why the market-data server was not asked; "" where it was.
    market_data_away: str = ""
    # None where no OMS says anything.
    oms: OmsStatus | None = None
    # Where faults can be made, when the simulator stands in for Alpaca; empty otherwise.
    simulator: str = ""
    failed: dict[str, str] = {}
    refusing: dict[str, str] = {}
    recent: tuple[tuple[int, Message], ...] = ()

    @property
    def stands(self) -> str:
        """Whether it trades, in a few words, and what does not."""
        if not self.trading:
            return f"not trading: {'; '.join(self.why_not) or 'not ready'}"
        lacking = [*self.failed.values()]
        if "market" in self.refusing:
            lacking.append(f"the market-data server takes nothing now: {self.refusing['market']}")
        return f"not all is trading: {'; '.join(lacking)}" if lacking else "trading"

    def as_json(self) -> bytes:
        """Encode the status without its latest messages, which `backbone tail journal` shows."""
        built = msgspec.to_builtins(msgspec.structs.replace(self, recent=()))
        del built["recent"]
        return orjson.dumps(built)


def shown_halts(state: HaltState) -> dict[str, HaltedScope]:
    """Return the halted scopes, each with its mode, the reason and who halted it."""
    return {
        scope: HaltedScope(
            "halted" if isinstance(message, Halt) else "reduce_only",
            message.reason,
            message.by,
            message.at_ns,
        )
        for scope, message in sorted(state.scopes.items())
    }
