"""How an algorithm's process ends: aborted, fenced, shut down, late, or never started."""

import signal

import pytest
from algo_stage import Stage, ids
from waiting import wait_until

from bus import streams
from bus.control_messages import Shutdown
from bus.order_messages import (
    CancelRequest,
    OrderRefused,
    OrderRequest,
    ShutdownAcknowledged,
)


def test_a_leader_whose_lease_was_taken_writes_nothing_more_and_ends(stage: Stage) -> None:
    process = stage.lead("Buyer")
    stage.orders.set(streams.algorithm_lease("paper", "a"), "99:usurper")
    stage.trade()
    assert process.wait(timeout=20) == 1
    assert "error: " in process.communicate()[1]
    assert stage.requests() == []
    assert stage.orders.get(streams.algorithm_lease("paper", "a")) == b"99:usurper"


def test_a_handler_that_raises_aborts_that_algorithm_and_its_orders_are_canceled(stage: Stage) -> None:
    process = stage.lead("Failing")
    stage.trade()
    (order_id,) = ids(stage.wait_for_requests(1))
    entry = stage.trade(13)
    stage.trade()
    stage.wait_for_state("aborted", process)
    cancels = [item for item in stage.wait_for_requests(2) if isinstance(item, CancelRequest)]
    assert [cancel.client_order_id for cancel in cancels] == [order_id]
    assert f"thirteen (while handling md:AAPL:trades {entry})" in str(stage.detail("failure"))
    wait_until(lambda: stage.orders.exists("wants:paper:a") == 0, "the wants to be withdrawn")
    # An order that was on its way shows up: it is taken back too.
    stage.approve("bb-a-late")
    late = stage.wait_for_requests(3)[-1]
    assert isinstance(late, CancelRequest)
    assert late.client_order_id == "bb-a-late"
    # The entry it failed on is not acknowledged, the one before is; nothing is retried.
    pending = stage.md.xpending_range("md:AAPL:trades", "algo:paper:a", "-", "+", 10)
    assert entry.encode() in {item["message_id"] for item in pending}  # type: ignore[union-attr]
    assert len(ids(stage.requests())) == 1
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert 'raise RuntimeError("thirteen")' in process.communicate()[1].replace('\\"', '"')


def test_an_aborted_algorithm_may_keep_its_orders(stage: Stage) -> None:
    process = stage.lead("FailingKeeps")
    stage.trade()
    stage.wait_for_requests(1)
    stage.trade(13)
    stage.wait_for_state("aborted", process)
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert [type(request) for request in stage.requests()] == [OrderRequest, ShutdownAcknowledged]


@pytest.mark.parametrize("ask", ["SIGINT", "SIGTERM", "control"])
def test_a_shutdown_is_acknowledged_and_leaves_nothing_behind(stage: Stage, ask: str) -> None:
    process = stage.lead("Buyer")
    if ask == "control":
        stage.control(Shutdown(scope="algorithm:other", reason="not this one", by="ann", at_ns=1))
        stage.control(Shutdown(scope="algorithm:a", reason="end of day", by="ann", at_ns=2))
    else:
        process.send_signal(getattr(signal, ask))
    assert process.wait(timeout=10) == 0
    (last,) = stage.requests()
    assert isinstance(last, ShutdownAcknowledged)
    assert not stage.orders.exists(streams.algorithm_lease("paper", "a"), "wants:paper:a")
    assert stage.heartbeat()["state"] == "gone"
    assert ("end of day" in process.communicate()[1]) == (ask == "control")


def test_an_algorithm_may_cancel_first_and_acknowledge_when_the_answer_came(stage: Stage) -> None:
    process = stage.lead("Tidy")
    stage.trade()
    (order_id,) = ids(stage.wait_for_requests(1))
    stage.approve(order_id)
    process.terminate()
    cancel = stage.wait_for_requests(2)[1]
    assert isinstance(cancel, CancelRequest)
    assert process.poll() is None
    stage.tell(
        OrderRefused(algorithm="a", client_order_id=order_id, by="broker", reasons=(), at_ns=1, terms=None)
    )
    assert process.wait(timeout=10) == 0
    assert isinstance(stage.requests()[-1], ShutdownAcknowledged)


def test_one_that_does_not_acknowledge_is_ended_and_named(stage: Stage) -> None:
    process = stage.lead("Stubborn", BACKBONE_ALGO_SHUTDOWN_GRACE_S="0.5")
    process.terminate()
    assert process.wait(timeout=10) == 1
    assert "algorithm a was late" in process.communicate()[1]
    assert stage.requests() == []
    assert not stage.orders.exists(streams.algorithm_lease("paper", "a"))


def test_a_handler_that_never_returns_does_not_keep_the_process(stage: Stage) -> None:
    process = stage.lead("Hung", BACKBONE_ALGO_SHUTDOWN_GRACE_S="0.5")
    stage.trade()
    wait_until(lambda: (stage.here / "hung").exists(), "the handler to hang")
    process.terminate()
    assert process.wait(timeout=10) == 1
    said = process.communicate()[1]
    assert "algorithm a was late: its handler on_trade has not returned" in said
    assert 'mine.py", line' in said


def test_a_shutdown_over_control_ends_one_that_hangs_in_it(stage: Stage) -> None:
    process = stage.lead("HungInShutdown", BACKBONE_ALGO_SHUTDOWN_GRACE_S="0.5")
    stage.control(Shutdown(scope="all", reason="end of day", by="ann", at_ns=1))
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
    stage: Stage, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    process = stage.run(*arguments, **variables)
    assert process.wait(timeout=20) == 2
    printed = process.communicate()[1]
    assert said in printed
    assert "Traceback" not in printed
    assert not stage.orders.keys("*")
    assert not stage.md.keys("*")
