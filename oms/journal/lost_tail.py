"""A journal that lacks entries which had been written: what that means, and what is done about it. Pure."""

from bus.journal_messages import JournalForked
from oms.state.inputs import EntriesMissing
from oms.state.step import Step


def take(step: Step, missing: EntriesMissing) -> None:
    """Journal what is missing, and halt the account.

    Orders, fills and positions are asked of the broker at every start. But a halt, limits and requests that
    were written since are gone with the entries, and nobody but a person can know of them.
    """
    step.error("journal entries are missing", after=missing.after_id, until=missing.until_id)
    step.record(
        JournalForked(
            after_id=missing.after_id,
            until_id=missing.until_id,
            until_hash=missing.until_hash,
            at_ns=step.now_ns,
        )
    )
    step.halt_account(
        "journal_lost",
        f"the journal lost its entries after {missing.after_id} up to {missing.until_id} with their server: "
        "halts and limits set since are gone too; look, set them again, then resume",
    )
