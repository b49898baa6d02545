"""What `backbone demo` and `backbone up` share: run a plan, and print its summary for people or as JSON."""

import os
import sys
from collections.abc import Callable

from bus import logs
from bus.connection import connect
from bus.errors import InvalidInput
from bus.service import FAILED
from bus.service import run as run_process
from bus.streams import alive
from ops import servers
from ops.run.plan import Plan
from ops.run.run_plan import run_plan
from ops.run.summary import Summary, lines
from ops.terminal.view import PlainView, View


def run_command(make_plan: Callable[[], Plan], *, prints_json: bool) -> int:
    """Make the plan, run it, print its summary.

    Returns the exit code: 0, 1 for a failure (an algorithm's too) or where the books differ, 2 for bad input.
    """
    found: list[Summary] = []

    async def body() -> None:
        plan = make_plan()
        if plan.servers is not None:
            await servers.check(plan.servers, shared=plan.shared)
            await _require_no_other_run(plan.servers.orders, plan.account)
        found.append(await run_plan(plan, _view(plan, prints_json), os.environ))

    # Only errors are logged: everything else that the supervisor says is shown by the view.
    logs.set_up("supervisor", level="error")
    code = run_process(body)
    if not found:
        return code
    _print(found[0], prints_json)
    return code or (0 if found[0].consistent and not found[0].failed else FAILED)


async def _require_no_other_run(orders_url: str, account: str) -> None:
    """Raise InvalidInput while another supervisor runs this account: each would start every service."""
    client = connect(orders_url, name="ops-check")
    try:
        if [key async for key in client.scan_iter(match=alive(account, "supervisor", "*"), count=500)]:
            raise InvalidInput(
                f"another `backbone demo` or `backbone up` of account {account} runs on these servers: "
                "stop it first (one that was killed counts as running for 3 s)"
            )
    finally:
        await client.aclose()


def _view(plan: Plan, prints_json: bool) -> View:
    if prints_json or not sys.stdout.isatty():
        return PlainView(sys.stderr if prints_json else sys.stdout)
    from ops.terminal.live import LiveView

    return LiveView(plan.title)


def _print(summary: Summary, prints_json: bool) -> None:
    if prints_json:
        print(summary.as_json())
        return
    width = max(len(name) for name, _ in lines(summary))
    print()
    for name, value in lines(summary):
        print(f"  {name:<{width}}  {value}")
    for sentence in (*summary.failed, *summary.differences):
        print(f"  {sentence}")
