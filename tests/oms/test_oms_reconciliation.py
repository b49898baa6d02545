"""What the broker is asked after a start."""

from engine_run import SECOND_NS, EngineRun

from bus.halt_state import HaltState
from oms.inputs import HaltStateRead, ListOrders, Started

HOUR_NS = 3600 * SECOND_NS


def test_a_journal_written_while_the_clock_was_ahead_hides_no_order_of_today() -> None:
    run = EngineRun()
    run.tick(0)
    run.take(HaltStateRead(HaltState(known=True)))
    (question,) = run.take(Started(run.now_ns - HOUR_NS, run.now_ns + HOUR_NS)).ask
    assert isinstance(question, ListOrders)
    assert question.since_ns < run.now_ns
