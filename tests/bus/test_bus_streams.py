"""Names of streams and keys, and what people may type."""

import pytest

from bus import streams
from bus.errors import InvalidInput


def test_names_are_those_of_the_design() -> None:
    assert streams.market("AAPL", "trades") == "md:AAPL:trades"
    assert streams.market("BTC/USD", "bars") == "md:BTC/USD:bars"
    assert streams.requests("paper", "ma-cross") == "orders:{paper}:requests:ma-cross"
    assert streams.events("paper", "ma-cross") == "orders:{paper}:events:ma-cross"
    assert streams.journal("paper") == "orders:{paper}:journal"
    assert streams.account("paper") == "account:{paper}"
    assert streams.account_lease("paper") == "account:{paper}:lease"
    assert streams.oms_lease("paper") == "orders:{paper}:lease:oms"
    assert streams.algorithm_lease("paper", "ma-cross") == "orders:{paper}:lease:ma-cross"
    assert streams.orders_dead("paper") == "orders:{paper}:dead"
    assert streams.algorithms("paper") == "orders:{paper}:algos"
    assert (streams.CONTROL, streams.HALT, streams.DEAD) == ("control:{control}", "halt:{control}", "dead")
    assert streams.alive("paper", "oms", "1f3a") == "alive:{paper}:oms:1f3a"
    assert streams.market_lease("iex") == "lease:market:iex"
    assert streams.wants("paper", "ma-cross") == "wants:paper:ma-cross"
    assert streams.algorithm_group("paper", "ma-cross") == "algo:paper:ma-cross"


def test_a_heartbeats_key_names_its_account_process_and_instance() -> None:
    assert streams.heartbeat_names(streams.alive("paper", "oms", "1f3a")) == ("paper", "oms", "1f3a")
    assert streams.heartbeat_names("alive:oms") == ("", "oms", ""), "as earlier versions wrote it"


def test_what_one_script_touches_shares_a_slot() -> None:
    """Redis takes what stands in the braces for the slot."""
    for names in (
        (
            streams.journal("paper"),
            streams.requests("paper", "a"),
            streams.events("paper", "a"),
            streams.oms_lease("paper"),
            streams.algorithm_lease("paper", "a"),
        ),
        (streams.account("paper"), streams.account_lease("paper")),
        (streams.CONTROL, streams.HALT),
    ):
        assert len({name[name.index("{") : name.index("}")] for name in names}) == 1


@pytest.mark.parametrize("name", ["a", "ma-cross", "0", "x" * 32, "-"])
def test_names_that_are_allowed(name: str) -> None:
    assert streams.checked_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "x" * 33, "MA", "ma_cross", "a b", "a:b", "a{b}", "a\n", "ä", "*", "a/b"]
)
def test_names_that_are_not(name: str) -> None:
    with pytest.raises(InvalidInput, match="use 1 to 32 of a-z, 0-9 and '-'") as raised:
        streams.checked_name(name, "algorithm")
    assert str(raised.value).startswith(f"algorithm {name!r}")


@pytest.mark.parametrize("name", ["oms", "external"])
def test_names_that_the_backbone_uses_itself(name: str) -> None:
    with pytest.raises(InvalidInput, match="taken by the backbone itself"):
        streams.checked_name(name)
