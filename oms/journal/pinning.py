"""Which broker account a journal belongs to: written down once, compared at each start. Pure."""

from bus.account_messages import AccountPinned
from oms.state.inputs import AccountRead
from oms.state.step import Step

_BEGIN_ANEW = '; if that paper account was reset, begin anew: backbone account begin-anew --reason "..."'


def take_account(step: Step, read: AccountRead) -> None:
    """Pin the journal to the account of the keys, where it is pinned to none."""
    if step.state.pinned is None:
        step.record(AccountPinned(number=read.number, trading=read.trading, at_ns=step.now_ns))


def refusal(name: str, pinned: AccountPinned | None, read: AccountRead) -> str:
    """Why keys of this account may not use the journal of the account called `name`; "" where they may."""
    if pinned is None or (pinned.number, pinned.trading) == (read.number, read.trading):
        return ""
    reset = _BEGIN_ANEW if pinned.trading == read.trading == "paper" else ""
    return (
        f"the journal of account {name} belongs to Alpaca's {pinned.trading} account {pinned.number}, and "
        f"the keys are of the {read.trading} account {read.number}: use keys of {pinned.number}, or set "
        f"BACKBONE_ACCOUNT to another name, which has a journal of its own{reset}"
    )
