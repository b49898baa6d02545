"""B5: leases are fenced. One holder, growing tokens; a paused holder that wakes too late writes nothing."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from own_server import own_server
from waiting import until

from bus.clock import ManualClock
from bus.connection import connect
from bus.errors import Fenced, ReplyLost
from bus.lease import Lease
from bus.publish import Publisher

pytestmark = pytest.mark.integration

KEY = "lease:test"


async def test_two_want_it_and_one_has_it(orders_client: Any) -> None:
    first, second = Lease(orders_client, KEY, "first"), Lease(orders_client, KEY, "second")
    outcomes = await asyncio.gather(first.acquire(), second.acquire())
    assert sorted(outcomes) == [False, True]
    holder, other = (first, second) if outcomes[0] else (second, first)
    assert holder.held
    assert not other.held
    assert other.value == ""
    assert await orders_client.get(KEY) == holder.value.encode()


async def test_a_lease_given_back_is_free_and_the_next_token_is_greater(orders_client: Any) -> None:
    tokens = []
    for name in ("a", "b", "c"):
        lease = Lease(orders_client, KEY, name)
        assert await lease.acquire()
        tokens.append(lease.token)
        await lease.release()
        assert not lease.held
        assert await orders_client.get(KEY) is None
    assert tokens == sorted(set(tokens))


async def test_an_expired_lease_can_be_taken_and_its_old_holder_is_told(orders_client: Any) -> None:
    old, new = Lease(orders_client, KEY, "old", ttl_ms=60), Lease(orders_client, KEY, "new")
    assert await old.acquire()
    assert not await new.acquire()
    await until(new.acquire, "the lease to expire")
    assert new.token > old.token
    assert not old.held
    with pytest.raises(Fenced, match="not ours any more"):
        await old.renew()
    await old.release()
    assert await orders_client.get(KEY) == new.value.encode()


async def test_a_release_by_a_late_holder_leaves_the_new_one_alone(orders_client: Any) -> None:
    old, new = Lease(orders_client, KEY, "old", ttl_ms=30), Lease(orders_client, KEY, "new")
    await old.acquire()
    await until(new.acquire)
    await old.release()
    assert await orders_client.get(KEY) == new.value.encode()
    await new.renew()


async def test_renewing_extends_it(orders_client: Any) -> None:
    lease = Lease(orders_client, KEY, "holder", ttl_ms=100)
    await lease.acquire()
    before_ms = await orders_client.pttl(KEY)
    await until(lambda: _shrunk(orders_client, before_ms))
    longer = await orders_client.pttl(KEY)
    await lease.renew()
    assert await orders_client.pttl(KEY) > longer


async def _shrunk(orders_client: Any, before_ms: int) -> bool:
    return bool(await orders_client.pttl(KEY) < before_ms - 20)


async def test_held_is_counted_from_before_the_question_was_asked(orders_client: Any) -> None:
    clock = ManualClock()
    lease = Lease(orders_client, KEY, "holder", ttl_ms=5000, clock=clock)
    await lease.acquire()
    clock.advance(4_999_999_999)
    assert lease.held
    clock.advance(1)
    assert not lease.held
    await lease.renew()
    assert lease.held


async def test_one_that_is_longer_at_first_is_as_short_as_others_once_it_is_shortened(
    orders_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    lease = Lease(orders_client, KEY, "holder", ttl_ms=500, first_ms=3000, clock=clock)
    await lease.acquire()
    assert 2500 < await orders_client.pttl(KEY) <= 3000
    clock.advance(2_999_999_999)
    assert lease.held
    await lease.renew()
    lease.shorten()
    assert 2500 < await orders_client.pttl(KEY) <= 3000
    evaluate = orders_client.eval

    async def without_reply(*arguments: Any) -> None:
        await evaluate(*arguments)
        raise ReplyLost("the reply was lost")

    # What was shortened without our hearing of it is not held for any longer.
    monkeypatch.setattr(orders_client, "eval", without_reply)
    with pytest.raises(ReplyLost):
        await lease.renew()
    assert await orders_client.pttl(KEY) <= 500
    clock.advance(499_999_999)
    assert lease.held
    clock.advance(1)
    assert not lease.held


async def test_a_lease_whose_servers_clock_was_set_back_is_free_soon_after_its_holder_died(
    orders_client: Any,
) -> None:
    holder, other = (Lease(orders_client, KEY, name, ttl_ms=10_000) for name in ("holder", "other"))
    assert await holder.acquire()
    await orders_client.pexpire(KEY, 90_000)
    assert not await other.acquire()
    assert await orders_client.pttl(KEY) > 80_000
    # An hour later than it was to run out.
    await orders_client.pexpire(KEY, 3_600_000)
    assert not await other.acquire()
    assert await orders_client.pttl(KEY) <= 100_000
    await holder.renew()
    assert await orders_client.pttl(KEY) <= 10_000


async def test_one_never_acquired_is_fenced(orders_client: Any) -> None:
    lease = Lease(orders_client, KEY, "nobody")
    assert lease.token == 0
    with pytest.raises(Fenced):
        await lease.renew()
    await lease.release()
    assert await orders_client.exists(KEY) == 0


async def test_tokens_grow_over_a_restart_of_the_server() -> None:
    with own_server() as server:
        client = connect(server.url, name="test")
        before = Lease(client, KEY, "before", ttl_ms=50)
        await before.acquire()
        server.kill()
        server.start_again()
        await client.aclose()
        client = connect(server.url, name="test")
        after = Lease(client, KEY, "after")
        await until(after.acquire)
        assert after.token > before.token
        await client.aclose()


async def test_b5_a_paused_holder_wakes_and_its_write_is_refused(orders_url: str, orders_client: Any) -> None:
    script = Path(__file__).parents[1] / "support" / "lease_holder.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        orders_url,
        KEY,
        "300",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=script.parents[2],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"token 1\n"
        process.stdin.write(b"while held\n")
        assert (await process.stdout.readline()).startswith(b"written")
        process.send_signal(signal.SIGSTOP)
        taker = Lease(orders_client, KEY, "taker")
        await until(taker.acquire, "the paused holder's lease to expire")
        publisher = Publisher(orders_url, taker)
        await publisher.append([("log", (b"Line", b"1", b"of the new holder"))])
        process.stdin.write(b"too late\n")
        process.send_signal(signal.SIGCONT)
        assert await process.stdout.readline() == b"fenced held=False\n"
        written = [fields[b"data"] for _, fields in await orders_client.xrange("log")]
        assert written == [b"while held", b"of the new holder"]
        await publisher.close()
    finally:
        process.stdin.close()
        process.send_signal(signal.SIGCONT)
        await asyncio.wait_for(process.wait(), 10)
        # The transport of the pipes is closed with the next turn of the loop.
        await asyncio.sleep(0)
