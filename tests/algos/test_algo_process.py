"""An algorithm as a real process: what it is given becomes requests, through kills and restarts."""

import json
from decimal import Decimal

import psutil
import pytest
from algorithm_processes import Processes, ids
from waiting import wait_until

from bus import streams
from bus.control_messages import Halt
from bus.order_events import Registered
from bus.order_messages import OrderRequest, OrderTerms

pytestmark = pytest.mark.integration


def test_a_tick_becomes_a_request_under_the_lease_and_is_then_acknowledged(
    processes: Processes,
) -> None:
    process = processes.run("Buyer", "--param", "quantity=3")
    registered = streams.algorithms("paper")
    wait_until(lambda: bool(processes.orders.hexists(registered, "a")), "the registration")
    # Nothing is traded before the OMS reads the requests.
    wait_until(lambda: processes.heartbeat()["state"] == "waiting", "the wait for the OMS")
    assert not processes.orders.exists(streams.algorithm_lease("paper", "a"))
    processes.tell(Registered(algorithm="a", at_ns=1))
    processes.wait_for_state("leader", process)
    entry = processes.trade()
    (request,) = processes.wait_for_requests(1)
    assert isinstance(request, OrderRequest)
    assert request.terms == OrderTerms(symbol="AAPL", side="buy", quantity=Decimal(3))
    assert request.trigger == f"md:AAPL:trades {entry}"
    assert request.lease.encode() == processes.orders.get(streams.algorithm_lease("paper", "a"))
    assert 0 < request.requested_ns - request.received_ns < 10_000_000_000
    assert processes.wants() == {"trades": ["AAPL"]}
    wait_until(lambda: processes.pending() == 0, "the acknowledgement")
    wait_until(lambda: processes.detail("open_orders") == 1, "the heartbeat to show the order")


def test_it_stays_small_and_imports_no_library_that_it_does_not_need(processes: Processes) -> None:
    (processes.here / "mine.py").write_text(
        "import json, os, sys\n"
        "from pathlib import Path\n"
        "from algos import Algorithm, Trade\n"
        "class Looking(Algorithm):\n"
        "    symbols = ('AAPL',)\n"
        "    def on_trade(self, trade):\n"
        "        Path(os.environ['HERE'], 'modules').write_text(json.dumps(sorted(sys.modules)))\n"
    )
    process = processes.lead("Looking")
    for _ in range(1000):
        processes.trade()
    wait_until(lambda: processes.written("modules").endswith("]"), "the list of modules")
    wait_until(lambda: processes.counter("handled") == 1001, "every tick handled")
    loaded = {name.split(".")[0] for name in json.loads(processes.written("modules"))}
    assert not loaded & {"alpaca", "pandas", "numpy", "aiohttp", "requests", "typer", "websockets"}
    assert psutil.Process(process.pid).memory_info().rss < 80_000_000


def test_ticks_that_come_again_after_a_kill_make_the_same_orders(processes: Processes) -> None:
    first = processes.lead("Buyer")
    handled = processes.trade()
    before = ids(processes.wait_for_requests(1))
    processes.kill(first)
    # Killed between request and acknowledgement: the entry is still pending for the group's one member.
    processes.md.xclaim("md:AAPL:trades", "algo:paper:a", "leader", 0, [handled], force=True)
    # Killed between read and handler.
    processes.trade()
    processes.md.xreadgroup("algo:paper:a", "leader", {"md:AAPL:trades": ">"})
    processes.lead("Buyer")
    after = ids(processes.wait_for_requests(3))
    assert after[1] == before[0]
    assert after[2] != before[0]
    wait_until(lambda: processes.pending() == 0, "the acknowledgements")


def test_orders_and_positions_are_those_before_the_crash_and_unseen_fills_are_handed_over(
    processes: Processes,
) -> None:
    process = processes.lead("Buyer")
    processes.trade()
    (order_id,) = ids(processes.wait_for_requests(1))
    processes.approve(order_id)
    processes.fill(order_id, "e1")
    wait_until(lambda: processes.detail("positions") == {"AAPL": "1"}, "the position")
    wait_until(lambda: "e1" in processes.written("fills"), "the fill")
    processes.kill(process)
    # What happens while it is down.
    processes.approve("bb-a-other")
    processes.fill("bb-a-other", "e2")
    processes.approve("bb-a-open")
    processes.lead("Buyer")
    wait_until(lambda: processes.detail("positions") == {"AAPL": "2"}, "both fills")
    wait_until(lambda: "e2" in processes.written("fills"), "the fill that it had not seen")
    assert [line.split()[0] for line in processes.written("fills").splitlines()] == ["e1", "e2"]
    assert processes.detail("open_orders") == 1


def test_a_follower_takes_over_when_the_leader_dies_and_not_before(processes: Processes) -> None:
    leader = processes.lead("Buyer")
    standby = processes.run("Buyer")
    processes.wait_for_state("follower", standby)
    processes.trade()
    processes.wait_for_requests(1)
    leader.kill()
    leader.wait()
    processes.wait_for_state("leader", standby)
    processes.trade()
    first, second = processes.wait_for_requests(2)[:2]
    assert isinstance(first, OrderRequest)
    assert isinstance(second, OrderRequest)
    assert first.lease.split(":")[0] < second.lease.split(":")[0]


def test_halts_that_concern_it_reach_it_and_old_ones_do_not(processes: Processes) -> None:
    processes.control(Halt(scope="all", reason="yesterday", by="ann", at_ns=1))
    processes.lead("Buyer")
    for scope in ("algorithm:other", "algorithm:a", "symbol:AAPL"):
        processes.control(Halt(scope=scope, reason="now", by="ann", at_ns=2))
    wait_until(lambda: "symbol:AAPL" in processes.written("halts"), "the halt")
    assert processes.written("halts").splitlines() == ["Halt algorithm:a", "Halt symbol:AAPL"]


def test_a_slow_algorithm_shows_its_lag_and_stays_alive_and_leader(processes: Processes) -> None:
    process = processes.lead("Slow")
    token = processes.detail("token")
    for _ in range(100):
        processes.trade()
    wait_until(lambda: int(str(processes.detail("lag") or 0)) > 30, "the lag")
    wait_until(lambda: processes.detail("lag") == 0, "the lag to go")
    assert process.poll() is None
    assert processes.detail("token") == token
    assert processes.heartbeat()["state"] == "leader"


def test_what_cannot_be_read_is_kept_once_and_the_rest_goes_on(processes: Processes) -> None:
    processes.lead("Buyer")
    processes.md.xadd("md:AAPL:trades", {"d": "{broken", "r": "1"})
    processes.md.xadd("md:AAPL:trades", {"d": '{"S":"AAPL","p":"1","s":"1","t":1}'})
    processes.orders.xadd(streams.events("paper", "a"), {"type": "Unheard", "version": "9", "data": "{}"})
    processes.trade()
    processes.wait_for_requests(1)
    wait_until(lambda: processes.counter("unreadable") == 3, "the count")
    wait_until(lambda: processes.pending() == 0, "the acknowledgement")
    assert processes.orders.xlen(streams.DEAD) == 2
    assert processes.orders.xlen(streams.orders_dead("paper")) == 1


def test_orders_of_old_ticks_are_dropped_and_counted(processes: Processes) -> None:
    processes.lead("Buyer")
    processes.trade(age_s=60)
    processes.trade()
    processes.wait_for_requests(1)
    wait_until(lambda: processes.counter("dropped_stale") == 1, "the count")
    assert len(ids(processes.requests())) == 1
    assert processes.detail("open_orders") == 1


def test_gaps_and_entries_that_were_cut_reach_the_algorithm(processes: Processes) -> None:
    first = processes.lead("Buyer")
    processes.kill(first)
    processes.trade()
    processes.md.xreadgroup("algo:paper:a", "leader", {"md:AAPL:trades": ">"})
    processes.md.xtrim("md:AAPL:trades", maxlen=0, approximate=False)
    processes.lead("Buyer")
    opened = '{"feed":"iex","since_ns":1,"reason":"disconnected"}'
    processes.md.xadd("md:AAPL:trades", {"d": opened, "r": "1", "type": "GapOpened"})
    wait_until(lambda: "opened" in processes.written("gaps"), "the gap")
    assert processes.written("gaps").splitlines() == ["trimmed AAPL trades", "opened AAPL trades"]
    assert processes.counter("trimmed") == 1


def test_every_symbol_is_read_from_the_partitions(processes: Processes) -> None:
    processes.lead("Everything")
    assert processes.wants() == {"trades": ["*"]}
    processes.trade(stream=streams.market_all("trades", "AAPL"))
    (request,) = processes.wait_for_requests(1)
    assert isinstance(request, OrderRequest)
    assert request.trigger.startswith(streams.market_all("trades", "AAPL"))


def test_timers_make_orders_that_name_their_instant(processes: Processes) -> None:
    processes.lead("Ticking")
    requests = processes.wait_for_requests(3)
    triggers = [request.trigger for request in requests if isinstance(request, OrderRequest)]
    instants = [int(trigger.removeprefix("timer tick ")) for trigger in triggers]
    assert instants == sorted(set(instants))
    assert all(instant % 50_000_000 == 0 for instant in instants)
    assert len(set(ids(requests))) == len(requests)


def test_the_same_algorithm_on_two_accounts_gets_every_tick_on_each(processes: Processes) -> None:
    processes.lead("Buyer")
    processes.tell(Registered(algorithm="a", at_ns=1), account="second")
    second = processes.run("Buyer", BACKBONE_ACCOUNT="second")
    processes.wait_for_state("leader", second, account="second")
    entries = [processes.trade() for _ in range(20)]
    for account in ("paper", "second"):
        requests = processes.wait_for_requests(20, account=account)
        asked = [request.trigger for request in requests if isinstance(request, OrderRequest)]
        assert asked == [f"md:AAPL:trades {entry}" for entry in entries]
    assert processes.orders.exists("wants:paper:a", "wants:second:a") == 2
