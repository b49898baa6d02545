"""The effects of faults when they begin: on readers, connections, server-sent events, and on brokers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sim.accounts.trading_account import TradingAccounts
from sim.incidents.fault_switch import Effects
from sim.streams import connection_faults
from sim.streams.reader import Reader

# Returns the readers of a stream: "stocks", "crypto" or "trade_updates".
Readers = Callable[[str], Sequence[Reader]]

_ON_READERS: dict[str, Callable[[Reader, dict[str, Any]], None]] = {
    "disconnect": connection_faults.cut,
    "stale_session": connection_faults.cut,
    "slow_client": connection_faults.end_as_slow,
    "drop_mid_frame": connection_faults.drop_mid_frame,
    "huge_frame": connection_faults.send_huge_frame,
    "unknown_type": connection_faults.send_unknown,
}


def on_readers(readers: Readers) -> Effects:
    """Return the effects on every reader of a stream, or on those of one account; none is undone."""

    def apply(act: Callable[[Reader, dict[str, Any]], None], fault: dict[str, Any]) -> None:
        account = fault.get("account")
        for reader in list(readers(fault["stream"])):
            if account is None or reader.account == account:
                act(reader, fault)

    return Effects({name: partial(apply, act) for name, act in _ON_READERS.items()}, {})


def on_events(end: Callable[[], None]) -> Effects:
    """Return the effects on streams of server-sent events; `end` ends them all."""
    return Effects({"end_events": lambda fault: end()}, {})


def on_connections(refuse: Callable[[bool], None]) -> Effects:
    """Return the effects on connections that are made; `refuse` refuses them, or takes them again."""
    return Effects(
        {"refuse_connections": lambda fault: refuse(True)},
        {"refuse_connections": lambda fault: refuse(False)},
    )


def on_orders(accounts: TradingAccounts, chance: float) -> Effects:
    """Return the effects on brokers; `chance` is how often fills are partial without the fault."""

    def change(fault: dict[str, Any], to: float) -> None:
        for account in accounts.all():
            if fault["account"] in (None, account.key):
                account.brokerage.change_partial_chance(to)

    return Effects(
        {"partial_fills": lambda fault: change(fault, fault["chance"])},
        {"partial_fills": lambda fault: change(fault, chance)},
    )
