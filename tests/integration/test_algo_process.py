"""An algorithm as a real process: what it is given becomes requests, through kills and restarts."""

import json
from decimal import Decimal

import psutil
from algo_stage import Stage, ids
from waiting import wait_until

from bus import streams
from bus.control_messages import Halt
from bus.order_messages import (
    OrderRequest,
    OrderTerms,
    Registered,
)


def test_a_tick_becomes_a_request_under_the_lease_and_is_then_acknowledged(stage: Stage) -> None:
    process = stage.run("Buyer", "--param", "quantity=3")
    registered = streams.algorithms("paper")
    wait_until(lambda: bool(stage.orders.hexists(registered, "a")), "the registration")
    # Nothing is traded before the OMS reads the requests.
    wait_until(lambda: stage.heartbeat()["state"] == "waiting", "the wait for the OMS")
    assert not stage.orders.exists(streams.algorithm_lease("paper", "a"))
    stage.tell(Registered(algorithm="a", at_ns=1))
    stage.wait_for_state("leader", process)
    entry = stage.trade()
    (request,) = stage.wait_for_requests(1)
    assert isinstance(request, OrderRequest)
    assert request.terms == OrderTerms(symbol="AAPL", side="buy", quantity=Decimal(3))
    assert request.trigger == f"md:AAPL:trades {entry}"
    assert request.lease.encode() == stage.orders.get(streams.algorithm_lease("paper", "a"))
    assert 0 < request.requested_ns - request.received_ns < 10_000_000_000
    assert stage.wants() == {"trades": ["AAPL"]}
    wait_until(lambda: stage.pending() == 0, "the acknowledgement")
    wait_until(lambda: stage.detail("open_orders") == 1, "the heartbeat to show the order")


def test_it_stays_small_and_imports_no_library_that_it_does_not_need(stage: Stage) -> None:
    (stage.here / "mine.py").write_text(
        "import json, os, sys\n"
        "from pathlib import Path\n"
        "from algos import Algorithm, Trade\n"
        "class Looking(Algorithm):\n"
        "    symbols = ('AAPL',)\n"
        "    def on_trade(self, trade):\n"
        "        Path(os.environ['HERE'], 'modules').write_text(json.dumps(sorted(sys.modules)))\n"
    )
    process = stage.lead("Looking")
    for _ in range(1000):
        stage.trade()
    wait_until(lambda: stage.written("modules").endswith("]"), "the list of modules")
    wait_until(lambda: stage.counter("handled") == 1001, "every tick handled")
    loaded = {name.split(".")[0] for name in json.loads(stage.written("modules"))}
    assert not loaded & {"alpaca", "pandas", "numpy", "aiohttp", "requests", "typer", "websockets"}
    assert psutil.Process(process.pid).memory_info().rss < 80_000_000


def test_ticks_that_come_again_after_a_kill_make_the_same_orders(stage: Stage) -> None:
    first = stage.lead("Buyer")
    handled = stage.trade()
    before = ids(stage.wait_for_requests(1))
    stage.kill(first)
    # Killed between request and acknowledgement: the entry is still pending for the group's one member.
    stage.md.xclaim("md:AAPL:trades", "algo:paper:a", "leader", 0, [handled], force=True)
    # Killed between read and handler.
    stage.trade()
    stage.md.xreadgroup("algo:paper:a", "leader", {"md:AAPL:trades": ">"})
    stage.lead("Buyer")
    after = ids(stage.wait_for_requests(3))
    assert after[1] == before[0]
    assert after[2] != before[0]
    wait_until(lambda: stage.pending() == 0, "the acknowledgements")


def test_orders_and_positions_are_those_before_the_crash_and_unseen_fills_are_handed_over(
    stage: Stage,
) -> None:
    process = stage.lead("Buyer")
    stage.trade()
    (order_id,) = ids(stage.wait_for_requests(1))
    stage.approve(order_id)
    stage.fill(order_id, "e1")
    wait_until(lambda: stage.detail("positions") == {"AAPL": "1"}, "the position")
    wait_until(lambda: "e1" in stage.written("fills"), "the fill")
    stage.kill(process)
    # What happens while it is down.
    stage.approve("bb-a-other")
    stage.fill("bb-a-other", "e2")
    stage.approve("bb-a-open")
    stage.lead("Buyer")
    wait_until(lambda: stage.detail("positions") == {"AAPL": "2"}, "both fills")
    wait_until(lambda: "e2" in stage.written("fills"), "the fill that it had not seen")
    assert [line.split()[0] for line in stage.written("fills").splitlines()] == ["e1", "e2"]
    assert stage.detail("open_orders") == 1


def test_a_follower_takes_over_when_the_leader_dies_and_not_before(stage: Stage) -> None:
    leader = stage.lead("Buyer")
    standby = stage.run("Buyer")
    stage.wait_for_state("follower", standby)
    stage.trade()
    stage.wait_for_requests(1)
    leader.kill()
    leader.wait()
    stage.wait_for_state("leader", standby)
    stage.trade()
    first, second = stage.wait_for_requests(2)[:2]
    assert isinstance(first, OrderRequest)
    assert isinstance(second, OrderRequest)
    assert first.lease.split(":")[0] < second.lease.split(":")[0]


def test_halts_that_concern_it_reach_it_and_old_ones_do_not(stage: Stage) -> None:
    stage.control(Halt(scope="all", reason="yesterday", by="ann", at_ns=1))
    stage.lead("Buyer")
    for scope in ("algorithm:other", "algorithm:a", "symbol:AAPL"):
        stage.control(Halt(scope=scope, reason="now", by="ann", at_ns=2))
    wait_until(lambda: "symbol:AAPL" in stage.written("halts"), "the halt")
    assert stage.written("halts").splitlines() == ["Halt algorithm:a", "Halt symbol:AAPL"]


def test_a_slow_algorithm_shows_its_lag_and_stays_alive_and_leader(stage: Stage) -> None:
    process = stage.lead("Slow")
    token = stage.detail("token")
    for _ in range(100):
        stage.trade()
    wait_until(lambda: int(str(stage.detail("lag") or 0)) > 30, "the lag")
    wait_until(lambda: stage.detail("lag") == 0, "the lag to go")
    assert process.poll() is None
    assert stage.detail("token") == token
    assert stage.heartbeat()["state"] == "leader"


def test_what_cannot_be_read_is_kept_once_and_the_rest_goes_on(stage: Stage) -> None:
    stage.lead("Buyer")
    stage.md.xadd("md:AAPL:trades", {"d": "{broken", "r": "1"})
    stage.md.xadd("md:AAPL:trades", {"d": '{"S":"AAPL","p":"1","s":"1","t":1}'})
    stage.orders.xadd(streams.events("paper", "a"), {"type": "Unheard", "version": "9", "data": "{}"})
    stage.trade()
    stage.wait_for_requests(1)
    wait_until(lambda: stage.counter("unreadable") == 3, "the count")
    wait_until(lambda: stage.pending() == 0, "the acknowledgement")
    assert stage.orders.xlen(streams.DEAD) == 2
    assert stage.orders.xlen(streams.orders_dead("paper")) == 1


def test_orders_of_old_ticks_are_dropped_and_counted(stage: Stage) -> None:
    stage.lead("Buyer")
    stage.trade(age_s=60)
    stage.trade()
    stage.wait_for_requests(1)
    wait_until(lambda: stage.counter("dropped_stale") == 1, "the count")
    assert len(ids(stage.requests())) == 1
    assert stage.detail("open_orders") == 1


def test_gaps_and_entries_that_were_cut_reach_the_algorithm(stage: Stage) -> None:
    first = stage.lead("Buyer")
    stage.kill(first)
    stage.trade()
    stage.md.xreadgroup("algo:paper:a", "leader", {"md:AAPL:trades": ">"})
    stage.md.xtrim("md:AAPL:trades", maxlen=0, approximate=False)
    stage.lead("Buyer")
    opened = '{"feed":"iex","since_ns":1,"reason":"disconnected"}'
    stage.md.xadd("md:AAPL:trades", {"d": opened, "r": "1", "type": "GapOpened"})
    wait_until(lambda: "opened" in stage.written("gaps"), "the gap")
    assert stage.written("gaps").splitlines() == ["trimmed AAPL trades", "opened AAPL trades"]
    assert stage.counter("trimmed") == 1


def test_every_symbol_is_read_from_the_partitions(stage: Stage) -> None:
    stage.lead("Everything")
    assert stage.wants() == {"trades": ["*"]}
    stage.trade(stream=streams.market_all("trades", "AAPL"))
    (request,) = stage.wait_for_requests(1)
    assert isinstance(request, OrderRequest)
    assert request.trigger.startswith(streams.market_all("trades", "AAPL"))


def test_timers_make_orders_that_name_their_instant(stage: Stage) -> None:
    stage.lead("Ticking")
    requests = stage.wait_for_requests(3)
    triggers = [request.trigger for request in requests if isinstance(request, OrderRequest)]
    instants = [int(trigger.removeprefix("timer tick ")) for trigger in triggers]
    assert instants == sorted(set(instants))
    assert all(instant % 50_000_000 == 0 for instant in instants)
    assert len(set(ids(requests))) == len(requests)


def test_the_same_algorithm_on_two_accounts_gets_every_tick_on_each(stage: Stage) -> None:
    stage.lead("Buyer")
    stage.tell(Registered(algorithm="a", at_ns=1), account="second")
    second = stage.run("Buyer", BACKBONE_ACCOUNT="second")
    stage.wait_for_state("leader", second, account="second")
    entries = [stage.trade() for _ in range(20)]
    for account in ("paper", "second"):
        requests = stage.wait_for_requests(20, account=account)
        asked = [request.trigger for request in requests if isinstance(request, OrderRequest)]
        assert asked == [f"md:AAPL:trades {entry}" for entry in entries]
    assert stage.orders.exists("wants:paper:a", "wants:second:a") == 2
