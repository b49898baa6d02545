"""How an algorithm's process ends: aborted, fenced, shut down, late, or never started."""

import signal
from pathlib import Path

import pytest
from algorithm_processes import Processes, ids
from own_server import own_server
from waiting import wait_until

from bus import streams
from bus.control_messages import Shutdown
from bus.order_events import OrderRefused
from bus.order_messages import CancelRequest, OrderRequest, ShutdownAcknowledged

pytestmark = pytest.mark.integration


def test_a_leader_whose_lease_was_taken_writes_nothing_more_and_ends(processes: Processes) -> None:
    process = processes.lead("Buyer")
    processes.orders.set(streams.algorithm_lease("paper", "a"), "99:usurper")
    processes.trade()
    assert process.wait(timeout=20) == 1
    assert "error: " in process.communicate()[1]
    assert processes.requests() == []
    assert processes.orders.get(streams.algorithm_lease("paper", "a")) == b"99:usurper"


def test_a_handler_that_raises_aborts_that_algorithm_and_its_orders_are_canceled(
    processes: Processes,
) -> None:
    process = processes.lead("Failing")
    processes.trade()
    (order_id,) = ids(processes.wait_for_requests(1))
    entry = processes.trade(13)
    processes.trade()
    processes.wait_for_state("aborted", process)
    cancels = [item for item in processes.wait_for_requests(2) if isinstance(item, CancelRequest)]
    assert [cancel.client_order_id for cancel in cancels] == [order_id]
    assert f"thirteen (while handling md:AAPL:trades {entry})" in str(processes.detail("failure"))
    wait_until(lambda: processes.orders.exists("wants:paper:a") == 0, "the wants to be withdrawn")
    # An order that was on its way shows up: it is taken back too.
    processes.approve("bb-a-late")
    late = processes.wait_for_requests(3)[-1]
    assert isinstance(late, CancelRequest)
    assert late.client_order_id == "bb-a-late"
    # The entry it failed on is not acknowledged, the one before is; nothing is retried.
    pending = processes.md.xpending_range("md:AAPL:trades", "algo:paper:a", "-", "+", 10)
    assert entry.encode() in {item["message_id"] for item in pending}  # type: ignore[union-attr]
    assert len(ids(processes.requests())) == 1
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert 'raise RuntimeError("thirteen")' in process.communicate()[1].replace('\\"', '"')


def test_an_aborted_algorithm_may_keep_its_orders(processes: Processes) -> None:
    process = processes.lead("FailingKeeps")
    processes.trade()
    processes.wait_for_requests(1)
    processes.trade(13)
    processes.wait_for_state("aborted", process)
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert [type(request) for request in processes.requests()] == [OrderRequest, ShutdownAcknowledged]


@pytest.mark.parametrize("ask", ["SIGINT", "SIGTERM", "control"])
def test_a_shutdown_is_acknowledged_and_leaves_nothing_behind(processes: Processes, ask: str) -> None:
    process = processes.lead("Buyer")
    if ask == "control":
        processes.control(Shutdown(scope="algorithm:other", reason="not this one", by="ann", at_ns=1))
        processes.control(Shutdown(scope="algorithm:a", reason="end of day", by="ann", at_ns=2))
    else:
        process.send_signal(getattr(signal, ask))
    assert process.wait(timeout=10) == 0
    (last,) = processes.requests()
    assert isinstance(last, ShutdownAcknowledged)
    assert not processes.orders.exists(streams.algorithm_lease("paper", "a"), "wants:paper:a")
    assert processes.heartbeat()["state"] == "gone"
    assert ("end of day" in process.communicate()[1]) == (ask == "control")


def test_an_algorithm_may_cancel_first_and_acknowledge_when_the_answer_came(
    processes: Processes,
) -> None:
    process = processes.lead("Tidy")
    processes.trade()
    (order_id,) = ids(processes.wait_for_requests(1))
    processes.approve(order_id)
    process.terminate()
    cancel = processes.wait_for_requests(2)[1]
    assert isinstance(cancel, CancelRequest)
    assert process.poll() is None
    processes.tell(
        OrderRefused(algorithm="a", client_order_id=order_id, by="broker", reasons=(), at_ns=1, terms=None)
    )
    assert process.wait(timeout=10) == 0
    assert isinstance(processes.requests()[-1], ShutdownAcknowledged)


def test_one_that_does_not_acknowledge_is_ended_and_named(processes: Processes) -> None:
    process = processes.lead("Stubborn", BACKBONE_ALGO_SHUTDOWN_GRACE_S="0.5")
    process.terminate()
    assert process.wait(timeout=10) == 1
    assert "algorithm a was late" in process.communicate()[1]
    assert processes.requests() == []
    assert not processes.orders.exists(streams.algorithm_lease("paper", "a"))


def test_a_handler_that_never_returns_does_not_keep_the_process(processes: Processes) -> None:
    process = processes.lead("Hung", BACKBONE_ALGO_SHUTDOWN_GRACE_S="0.5")
    processes.trade()
    wait_until(lambda: (processes.here / "hung").exists(), "the handler to hang")
    process.terminate()
    assert process.wait(timeout=10) == 1
    said = process.communicate()[1]
    assert "algorithm a was late: its handler on_trade has not returned" in said
    assert 'mine.py", line' in said


def test_a_stop_while_the_orders_server_hangs_is_in_time_and_blames_the_server(
    md_url: str, tmp_path: Path
) -> None:
    with own_server() as server:
        processes = Processes(md_url, server.url, tmp_path)
        process = processes.lead("Ticking", BACKBONE_ALGO_SHUTDOWN_GRACE_S="0.5")
        processes.wait_for_requests(1)
        server.pause()
        process.terminate()
        code = process.wait(timeout=20)
        said = process.communicate()[1]
        server.go_on()
        processes.close()
    assert code == 1
    assert f"the orders server {server.url} took nothing within the 0.5 s of its shutdown" in said
    assert "requests it is not known that they left" in said
    assert "was late" not in said


def test_a_shutdown_over_control_ends_one_that_hangs_in_it(processes: Processes) -> None:
    process = processes.lead("HungInShutdown", BACKBONE_ALGO_SHUTDOWN_GRACE_S="0.5")
    processes.control(Shutdown(scope="all", reason="end of day", by="ann", at_ns=1))
    assert process.wait(timeout=10) == 1
    assert "its handler on_shutdown has not returned" in process.communicate()[1]


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["Missing"], {}, "has no class Missing"),
        (["Buyer", "--param", "quantity=few"], {}, "--param quantity='few' is not of type int"),
        (["Buyer", "--symbols", "apple"], {}, "symbol 'apple'"),
        (["Buyer"], {"BACKBONE_ALGO_GRACE": "1"}, "BACKBONE_ALGO_GRACE is not a setting"),
        (["Buyer"], {"BACKBONE_ALGO_SHUTDOWN_GRACE_S": "-1"}, "BACKBONE_ALGO_SHUTDOWN_GRACE_S"),
        (["Buyer"], {"ORDERS_REDIS_URL": "redis://127.0.0.1:1/0"}, "no server answers there"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_left_behind(
    processes: Processes, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    process = processes.run(*arguments, **variables)
    assert process.wait(timeout=20) == 2
    printed = process.communicate()[1]
    assert said in printed
    assert "Traceback" not in printed
    assert not processes.orders.keys("*")
    assert not processes.md.keys("*")
