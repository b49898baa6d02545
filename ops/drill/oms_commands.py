"""The drills of the OMS, its halts and its journal, as commands."""

import asyncio
import sys
from typing import Annotated

import typer

from ops.drill.verdict import conclude, say

# Alpaca's limit, and so many requests that a queue waits for it.
_ALPACA_A_MINUTE = 200
_QUEUED_A_SECOND = 50


def kill_oms(
    times: Annotated[int, typer.Option(min=1, help="how often the OMS is killed")] = 20,
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="orders asked for a second beside")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="the same seed goes through it in the same order")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Kill the OMS at each step of an order, a bracket, a replace and a cancel, under load and with faults.

    Before its approval is journalled, before the broker hears of it, and before the broker's answer is
    written; with each answer that may be lost, late or wrong. At the end every approved order must be
    accounted for, none may be there twice, and book, algorithm and the simulator's ledger must agree. Exit
    code 1 where any of it was not kept. Nothing of yours is touched. Once through all is 165 rounds.

    Example: backbone drill kill-oms --times 1000
    """
    from ops.drill.kill_oms import run

    killed = asyncio.run(run(times, rate, seed, say))

    def told() -> str:
        return (
            f"killed {killed.died} times in {killed.seconds:.0f} s: {_counted(killed.rounds)}\n"
            f"asked for {killed.asked} orders, approved {killed.approved}: {_counted(killed.ends)}\n"
        )

    kept = "every approved order accounted for, none twice, books equal"
    conclude(killed, as_json, told, kept=kept, differences=killed.differences)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sorted(counts.items()))


def takeover(
    times: Annotated[int, typer.Option(min=0, help="how often the leading OMS is killed")] = 10,
    stall_minutes: Annotated[
        float, typer.Option(min=0, help="then stop leader, server and standby for 400 ms by turns, so long")
    ] = 0,
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="orders asked for a second")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Kill the leading OMS under load, and measure how long it takes until its standby decides.

    From the kill to the next decision in the journal: at most a second in 99 of 100 kills. With
    --stall-minutes neither leader, server nor standby is killed but each is stopped for 400 ms by turns,
    which must move nothing. At the end book, algorithm and the simulator's ledger are compared: every order
    that was asked for is answered, and none is there twice. Exit code 1 where any of it was not kept.
    Nothing of yours is touched.

    Example: backbone drill takeover --times 100
    """
    from ops.drill.takeover import run

    outcome = asyncio.run(run(times, stall_minutes, rate, say))
    times_s = outcome.takeovers_s
    shown = {f"p{percent}_s": outcome.percentile(percent) for percent in (50, 99, 100)} if times_s else {}

    def told() -> str:
        lines = []
        if times_s:
            lines.append(
                f"takeovers: {len(times_s)}, decided again after {shown['p50_s'] * 1000:.0f} ms (p50), "
                f"{shown['p99_s'] * 1000:.0f} ms (p99), {shown['p100_s'] * 1000:.0f} ms at the most"
            )
        if outcome.stalls:
            lines.append(f"stalls of 400 ms: {outcome.stalls}, takeovers by them: {outcome.false_takeovers}")
        lines.append(
            f"orders asked for: {outcome.asked}, approved: {outcome.approved}; book, algorithm and ledger "
            f"{'differ:' if outcome.differences else 'agree'}"
        )
        lines += [f"  {sentence}" for sentence in outcome.differences]
        return "\n".join([*lines, ""])

    conclude(outcome, as_json, told, kept="passed", not_kept="NOT PASSED", more=shown)


def halt(
    rate: Annotated[
        float | None,
        typer.Option(min=1, max=5000, help="requests a second, of which the broker takes any number"),
    ] = None,
    requests_per_minute: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="requests a minute that the broker takes, as Alpaca does 200"),
    ] = None,
    times: Annotated[int, typer.Option(min=1, max=1000, help="halts of each kind under each load")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Halt under load, and measure how long orders and cancels still reach the broker.

    By the real command, by turns `backbone halt` and `backbone halt --cancel`: from the time that stands in
    the halt to the last order that reached the simulator's ledger after it, and to the last cancel. At most
    250 ms in each trial, or the exit code is 1. Without options under two loads: 1,000 requests a second with
    the broker's limit lifted, and 50 a second with 200 a minute taken. Nothing of yours is touched.

    Example: backbone drill halt --requests-per-minute 200 --times 10
    """
    from ops.drill.halt import WITHIN_MS, Asked, run

    loads = [Asked(rate or 1000, 0)] if rate or not requests_per_minute else []
    if requests_per_minute or not rate:
        loads.append(Asked(_QUEUED_A_SECOND, requests_per_minute or _ALPACA_A_MINUTE))

    def tell(trial: str) -> None:
        print(trial, file=sys.stderr if as_json else sys.stdout, flush=True)

    trials = asyncio.run(run(loads, times, tell))
    passed = all(trial.passed for trial in trials)
    if as_json:
        import msgspec

        print(msgspec.json.encode({"passed": passed, "within_ms": WITHIN_MS, "trials": trials}).decode())
    else:
        print("passed" if passed else "NOT PASSED")
    raise typer.Exit(0 if passed else 1)


def recovery(
    entries: Annotated[int, typer.Option(min=20_000, help="how long the journal is")] = 1_000_000,
    trim: Annotated[
        bool, typer.Option("--trim", help="then archive and trim it, and fold what is left, and the archive")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Time the fold of a long journal in a process of its own: from its first entry, and from a snapshot.

    The chain is checked. Of a million entries: 12 s and 150 MB; from a snapshot and 10,000 entries behind it:
    2 s. Exit code 1 where it took more, in proportion. Nothing of yours is touched; the journal takes about
    0.7 kB an entry on the disk and in the server's memory.

    Example: backbone drill recovery --entries 100000
    """
    from bus import logs
    from ops.drill.recovery import run

    logs.set_up("drill", level="warning")
    found = asyncio.run(run(entries, say, trim_too=trim))

    def told() -> str:
        folds = {
            "first entry": found.from_first,
            "snapshot": found.from_snapshot,
            "snapshot, trimmed": found.trimmed,
            "archive": found.from_archive,
        }
        return "".join(
            f"from the {what}: {took.entries:,} entries, {took.orders:,} orders in {took.seconds:.1f} s "
            f"({took.cpu_seconds:.1f} s of CPU), at most {took.peak_megabytes:.0f} MB\n"
            for what, took in folds.items()
            if took is not None
        )

    conclude(found, as_json, told, kept="passed", not_kept="NOT PASSED")


def archive(
    times: Annotated[int, typer.Option(min=1, help="how often one of the two is killed")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="the same seed kills at the same places")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Kill what archives and what trims a journal, by turns, at any line of their code.

    After each kill archive and journal together must be byte for byte the journal as it was, and fold to the
    same state, from the snapshot and from the first entry; and so once the same is done again to its end.
    Exit code 1 where any of it was not kept. Nothing of yours is touched.

    Example: backbone drill archive --times 200
    """
    from bus import logs
    from ops.drill.archive import run

    logs.set_up("drill", level="warning")
    killed = run(times, seed, say)

    def told() -> str:
        return (
            f"killed {killed.archiving} times archiving and {killed.trimming} times trimming, at "
            f"{killed.lines} lines of code, in {killed.seconds:.0f} s\n"
        )

    conclude(killed, as_json, told, kept="nothing was lost", differences=killed.differences)
