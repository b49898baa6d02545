"""What an operator asks of the OMS on control, each word handed to whoever decides on it. Pure."""

from bus.control_messages import AssignPosition, CancelOrders, Flatten, Reconcile, TakeCorporateAction
from oms.halts import cancel_scope, flattening
from oms.reconciliation import accepted_differences, assignments, corporate_actions
from oms.requests import limit_commands
from oms.state.inputs import ControlRead
from oms.state.step import Step


def take(step: Step, read: ControlRead) -> None:
    """Take one word; what is for another account's OMS is nothing."""
    message = read.message
    if isinstance(message, Flatten):
        flattening.take(step, read)
    elif isinstance(message, CancelOrders):
        cancel_scope.take(step, read)
    elif message.account != step.account:
        return
    elif isinstance(message, Reconcile):
        accepted_differences.take(step, read.entry_id, message)
    elif isinstance(message, AssignPosition):
        assignments.take(step, read.entry_id, message)
    elif isinstance(message, TakeCorporateAction):
        corporate_actions.take(step, read.entry_id, message)
    else:
        limit_commands.take(step, read.entry_id, message)
