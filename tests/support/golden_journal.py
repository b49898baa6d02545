"""A whole small journal of this release, and what it says; run as a script it writes both, once a release.

A journal that a release wrote is never written again: later ones have to fold it to the same.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine_run import EngineRun, at_broker, frame
from risk_day import halted, limit_terms, name, replace_request, request, terms

from bus.chain import HASH, NO_HASH, Chain, entry_hash
from bus.control_messages import Halt
from bus.journal_lines import entries_of, line_of
from bus.order_messages import CancelRequest, ShutdownAcknowledged
from oms.journal.journal_reader import EVENT_CODEC
from oms.state.inputs import AccountRead, CancelAnswered, HaltStateRead
from oms.state.state import State

GOLDEN = Path(__file__).parents[1] / "oms" / "golden"
DAY_NS = 86_400 * 1_000_000_000


def facts(state: State) -> dict[str, Any]:
    """What a state says of the account, in words that a later release has too."""
    book = state.book
    known = {order_id: book.order(order_id) for order_id in (name(number) for number in range(1, 10))}
    return {
        "account": None if state.pinned is None else [state.pinned.number, state.pinned.trading],
        "positions": {who: {s: str(q) for s, q in held.items()} for who, held in book.positions().items()},
        "cash": str(book.cash()),
        "open": sorted(order.client_order_id for order in book.open_orders()),
        "orders": {
            order_id: [order.status, str(order.filled)]
            for order_id, order in known.items()
            if order is not None
        },
        "limits_version": None if state.limits is None else state.limits.version,
        "halted": sorted(state.halts.scopes),
        "retired": dict(sorted(state.retired.items())),
        "dead_letters": state.dead_letters,
    }


def folded(file: Path) -> tuple[State, Chain]:
    """The state to which a file's journal folds."""
    state, chain = State(), Chain()
    with file.open("rb") as lines:
        for _, fields in entries_of(lines, chain, file.name):
            state.apply(EVENT_CODEC.decode(dict(zip(fields[0::2], fields[1::2], strict=True))))
    return state, chain


def _day() -> EngineRun:
    """Days of an algorithm: fills, a replace, a cancel, a refusal, and what cannot be read."""
    run = EngineRun()
    run.take(AccountRead("PA3JKX1P5QWE", "paper"))
    run.begin()
    (first,) = run.read(request()).send
    run.accepted(first)
    run.told(
        frame(
            at_broker(first, "partially_filled", "4"), "partial_fill", execution_id="e1", qty="4", price="100"
        )
    )
    run.told(frame(at_broker(first, "filled", "10"), "fill", execution_id="e2", qty="6", price="100.5"))
    (second,) = run.read(request(limit_terms("99", "5"), 2)).send
    run.accepted(second)
    (third,) = run.read(replace_request(second.client_order_id, limit_terms("99.5", "5"), 3)).send
    run.accepted(third)
    run.told(frame(at_broker(second, "replaced"), "replaced"))
    run.read(CancelRequest(client_order_id=third.client_order_id, lease="1:alpha", requested_ns=run.now_ns))
    run.take(CancelAnswered(third.client_order_id, None))
    run.told(frame(at_broker(third, "canceled"), "canceled"))
    assert not run.read(request(terms("2000"), 4)).send
    for _ in range(2):
        run.tick(DAY_NS)
    run.price("101")
    (fifth,) = run.read(request(limit_terms("100", "3"), 5)).send
    run.accepted(fifth)
    run.read(ShutdownAcknowledged(lease="1:beta", at_ns=run.now_ns), "beta")
    run.told(b"not JSON", "TradeUpdate")
    run.take(HaltStateRead(halted(Halt, "account:paper")))
    return run


def write() -> None:
    """Write the journal of the installed version, where there is none yet."""
    file = GOLDEN / f"journal-{version('alpaca-backbone')}.jsonl"
    GOLDEN.mkdir(exist_ok=True)
    head, lines = NO_HASH, []
    for number, entry in enumerate(_day().journal):
        id_ = f"1700000000000-{number}".encode()
        fields = [part for item in zip((b"type", b"version", b"data"), entry, strict=True) for part in item]
        head = entry_hash(head, id_, fields)
        lines.append(line_of((id_, [*fields, HASH, head])))
    with file.open("xb") as out:
        out.writelines(lines)
    state, _ = folded(file)
    file.with_suffix(".json").write_text(json.dumps(facts(state), indent=2) + "\n")


if __name__ == "__main__":
    write()
