"""A process's life: signals, heartbeat, bounded stop, exit codes."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from waiting import until

import bus.service
from bus.errors import BackboneError, InvalidInput
from bus.heartbeat import AlgorithmDetails, Heartbeat, State, StateReason, decode
from bus.service import Service, live, run_together
from bus.streams import alive, heartbeat_names

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parents[1] / "support" / "service_child.py"
Start = Callable[[str], Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def start(orders_url: str) -> AsyncIterator[Start]:
    """Starts the child in a mode."""
    started = []

    async def one(mode: str, url: str = orders_url) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(SCRIPT),
            url,
            mode,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=SCRIPT.parents[2],
        )
        started.append(process)
        return process

    yield one
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, list[str], str]:
    """Exit code, lines and stderr."""
    out, errors = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, out.decode().splitlines(), errors.decode()


async def heartbeats(orders_client: Any) -> list[Heartbeat]:
    """Those of every child."""
    keys = [key.decode() async for key in orders_client.scan_iter(match=alive("paper", "child", "*"))]
    values = await orders_client.mget(keys) if keys else []
    found = [
        decode(*heartbeat_names(key)[1:], value)
        for key, value in zip(keys, values, strict=True)
        if value is not None
    ]
    assert all(isinstance(one, Heartbeat) for one in found)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_a_signal_is_a_clean_stop_and_the_heartbeat_goes(
    start: Start, orders_client: Any, number: signal.Signals
) -> None:
    process = await start("waits")
    await until(lambda: _beats(orders_client, State.READY, 1), "the heartbeat")
    [beat] = await heartbeats(orders_client)
    assert (beat.process, beat.account, beat.pid) == ("child", "paper", process.pid)
    assert beat.details == AlgorithmDetails(algorithm="child", open_orders=3)
    assert beat.version == version("alpaca-backbone")
    assert 0 < await orders_client.pttl(alive("paper", "child", beat.instance)) <= 3000
    process.send_signal(number)
    code, lines, errors = await ended(process)
    assert (code, lines) == (0, ["running", f"stopping: signal {number.name}", "ended"])
    assert "Traceback" not in errors
    assert await heartbeats(orders_client) == []


async def test_two_of_one_name_stand_side_by_side_and_the_leaver_takes_only_its_own(
    start: Start, orders_client: Any
) -> None:
    leader, standby = await start("waits"), await start("waits")
    await until(lambda: _beats(orders_client, State.READY, 2), "both heartbeats")
    assert {beat.pid for beat in await heartbeats(orders_client)} == {leader.pid, standby.pid}
    standby.send_signal(signal.SIGTERM)
    await ended(standby)
    [left] = await heartbeats(orders_client)
    assert left.pid == leader.pid
    leader.send_signal(signal.SIGTERM)
    await ended(leader)
    assert await heartbeats(orders_client) == []


async def _beats(orders_client: Any, state: State, count: int) -> bool:
    return [beat.state for beat in await heartbeats(orders_client)] == [state] * count


async def test_a_body_that_hangs_is_cancelled_after_its_grace(start: Start, orders_client: Any) -> None:
    process = await start("hung")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"running\n"
    process.send_signal(signal.SIGTERM)
    code, lines, errors = await ended(process)
    assert lines == ["cancelled", "ended"]
    assert "did not stop in time" in errors
    assert code == 0
    assert await heartbeats(orders_client) == []


@pytest.mark.parametrize(
    ("mode", "code", "said"),
    [
        ("returns", 0, ""),
        ("bad-input", 2, "error: symbol 'x': write it as Alpaca does"),
        ("refused", 1, "error: OOM"),
    ],
)
async def test_an_end_is_an_exit_code_and_at_most_one_sentence(
    start: Start, orders_client: Any, mode: str, code: int, said: str
) -> None:
    outcome, lines, errors = await ended(await start(mode))
    assert (outcome, lines) == (code, ["running", "ended"])
    assert errors.strip() == said
    assert await heartbeats(orders_client) == []


async def test_a_defect_shows_its_traceback(start: Start, orders_client: Any) -> None:
    code, _, errors = await ended(await start("defect"))
    assert code == 1
    assert "Traceback" in errors
    assert "ZeroDivisionError: a defect" in errors
    assert await heartbeats(orders_client) == []


async def test_two_known_failures_at_once_are_a_sentence_each_at_most(start: Start) -> None:
    code, _, errors = await ended(await start("both-bad"))
    assert code == 2
    assert "error: first" in errors
    assert "Traceback" not in errors


async def test_a_wrong_address_is_a_sentence_though_body_and_heartbeat_meet_it(
    start: Callable[..., Awaitable[asyncio.subprocess.Process]],
) -> None:
    code, _, errors = await ended(await start("waits", url="http://nowhere"))
    assert code == 2
    assert errors.strip().startswith("error: server address http://nowhere")


async def test_a_body_runs_on_while_the_heartbeat_cannot_be_written() -> None:
    service = Service("lonely", "paper")
    rounds = 0

    async def body() -> None:
        nonlocal rounds
        for _ in range(5):
            rounds += 1
            await asyncio.sleep(0.01)

    await live(service, "redis://127.0.0.1:1/0", body)
    assert rounds == 5


async def test_a_heartbeat_that_fails_for_good_ends_body_first(
    orders_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What body does on its way out is over before `live` is."""
    service = Service("broken", "paper")
    monkeypatch.setattr(bus.service, "HEARTBEAT_S", 0.01)
    steps: list[str] = []

    async def body() -> None:
        steps.append("began")
        service.details = object()  # type: ignore[assignment]
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            steps.append("ended")

    with pytest.raises(BaseExceptionGroup) as raised:
        await live(service, orders_url, body)
    assert steps == ["began", "ended"]
    assert raised.group_contains(TypeError)


async def test_stop_keeps_the_first_reason() -> None:
    service = Service("x", "paper")
    service.stop("first")
    service.stop("second")
    assert service.stop_reason == "first"
    assert service.stopping.is_set()
    assert repr(service) == "x of paper, starting"


async def test_run_together_ends_the_others_with_the_first() -> None:
    ended: list[str] = []

    async def waits(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def returns() -> None:
        return

    await run_together(waits("a"), returns(), waits("b"))
    assert sorted(ended) == ["a", "b"]


async def test_run_together_raises_what_one_raises_and_passes_a_cancel_on() -> None:
    cancelled = 0

    async def waits() -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled += 1
            raise

    async def fails() -> None:
        raise InvalidInput("wrong")

    with pytest.raises(BackboneError, match="wrong"):
        await run_together(waits(), fails(), waits())
    assert cancelled == 2
    together = asyncio.create_task(run_together(waits(), waits()))
    await asyncio.sleep(0.01)
    together.cancel()
    with pytest.raises(asyncio.CancelledError):
        await together
    assert cancelled == 4


def test_a_state_is_told_with_its_reasons_and_instances_differ() -> None:
    one, other = Service("x", "paper"), Service("x", "paper")
    assert one.instance != other.instance
    assert Service("x", "paper", instance="left").instance == "left"
    one.tell(State.WAITING, StateReason("a", "for this"), StateReason("b", "and for that"))
    assert repr(one) == "x of paper, waiting: for this; and for that"
    told = decode("x", one.instance, one.heartbeat())
    assert isinstance(told, Heartbeat)
    assert [reason.code for reason in told.reasons] == ["a", "b"]
    one.tell(State.READY)
    assert one.why == ""
