"""Run the benchmarks and print a table, or one JSON object: `make bench ARGS="--only hop_1k --json"`."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    algorithm_memory,
    decision_cost,
    decisions,
    first_fill,
    hop,
    ingest,
    simulator_market,
    simulator_orders,
    tick_to_approved,
)
from benchmarks.row import Row

BENCHMARKS: dict[str, Callable[[Path], Row]] = {
    "ingest_20": lambda directory: ingest.measure(directory, frame_messages=20),
    "ingest_1": lambda directory: ingest.measure(directory, frame_messages=1),
    "hop_1k": lambda directory: hop.measure(directory, rate=1_000),
    "hop_20k": lambda directory: hop.measure(directory, rate=20_000),
    "tick_to_approved": tick_to_approved.measure,
    "decision_cost": decision_cost.measure,
    "oms_decisions": decisions.measure,
    "algo_memory": algorithm_memory.measure,
    "first_fill": first_fill.measure,
    "sim_market": simulator_market.measure,
    "sim_orders": simulator_orders.measure,
}


def main() -> int:
    """Measure what was asked for; exit code 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the hot paths, each against the limit of this machine in the same run.",
        epilog="example: python -m benchmarks --only hop_1k --json",
    )
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS), help="run one (repeatable)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()

    rows = []
    for name in arguments.only or BENCHMARKS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        # A short path: a unix socket's address may not be longer than about a hundred characters.
        with tempfile.TemporaryDirectory(prefix="bb-") as directory:
            rows.append(BENCHMARKS[name](Path(directory)))
    if arguments.json:
        print(json.dumps({row.name: row.as_json() for row in rows}))
    else:
        # Wide enough for one line a row, also into a file.
        console = Console()
        Console(width=max(console.width, 150)).print(_table(rows))
    return 0 if all(row.holds for row in rows) else 1


def _table(rows: list[Row]) -> Table:
    table = Table("benchmark", "value", "CPU", "limit", "ratio", "bar", "holds", "what the limit is")
    for row in rows:
        sign = "≥" if row.rule == "at_least" else "≤"
        floor = f", {row.floor:,.0f} {row.unit}" if row.floor is not None else ""
        table.add_row(
            row.name,
            f"{row.value:,.1f} {row.unit}",
            "" if row.cpu_us is None else f"{row.cpu_us:.1f} us",
            f"{row.limit:,.1f}",
            f"{row.ratio:.2f}",
            f"{sign} {row.bar:g}{floor}",
            "yes" if row.holds else "NO",
            row.limit_is,
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
