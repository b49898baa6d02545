"""What is asked of `backbone demo` is checked before anything starts."""

import os
from pathlib import Path

import pytest

from bus.errors import InvalidInput
from bus.settings import BusSettings, load
from ops import running
from ops.run.demo_plan import DemoOptions, plan_demo
from ops.run.processes import planned_algorithms, with_servers, without_keys
from ops.running import Running, Servers
from ops.services import _joined

OWN = """
from algos import Algorithm, Trade

class Mine(Algorithm):
    def on_trade(self, trade: Trade) -> None:
        pass
"""


@pytest.fixture(autouse=True)
def _no_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("MD_REDIS", "ORDERS_REDIS", "BACKBONE_", "ALPACA_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BACKBONE_HOME", str(tmp_path / "home"))


def recording(directory: Path) -> Path:
    path = directory / "day.ndjson"
    path.write_text(
        '{"T":"t","S":"IBM","t":"2024-01-02T14:30:00Z","p":10,"s":1}\n'
        '{"T":"t","S":"XYZW","t":"2024-01-02T14:30:01Z","p":20,"s":1}\n'
    )
    return path


def test_without_options_four_symbols_and_two_algorithms_run() -> None:
    plan = plan_demo(DemoOptions())
    assert plan.symbols == ("AAPL", "MSFT", "SPY", "TSLA")
    assert [algorithm.process for algorithm in plan.algorithms] == ["algo-ma-cross", "algo-mean-reversion"]
    assert plan.servers is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (DemoOptions(symbols="AAPL,NOPE"), "does not know NOPE"),
        (DemoOptions(symbols="aapl"), "aapl"),
        (DemoOptions(speed=2.0), "--data"),
        (DemoOptions(keep_times=True), "--data"),
        (DemoOptions(data=Path("/no/such/file.ndjson")), "file.ndjson"),
        (DemoOptions(targets=("nothing.py:Mine",)), "nothing.py"),
        (DemoOptions(targets=("algos.strategies.mean_reversion:Nope",)), "MeanReversion"),
    ],
)
def test_an_option_that_cannot_be_met_is_a_sentence(options: DemoOptions, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        plan_demo(options)


def test_a_recording_brings_its_own_symbols(tmp_path: Path) -> None:
    data = recording(tmp_path)
    assert plan_demo(DemoOptions(data=data)).symbols == ("IBM", "XYZW")
    assert plan_demo(DemoOptions(data=data, symbols="IBM")).symbols == ("IBM",)
    with pytest.raises(InvalidInput, match="has no AAPL; it has IBM, XYZW"):
        plan_demo(DemoOptions(data=data, symbols="AAPL"))
    with pytest.raises(InvalidInput, match="--rate"):
        plan_demo(DemoOptions(data=data, rate=5))


def test_two_algorithms_of_one_class_get_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    assert [algorithm.name for algorithm in planned_algorithms([f"{path}:Mine"] * 2, ["AAPL"])] == [
        "mine",
        "mine-2",
    ]


def test_one_server_named_without_the_other_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MD_REDIS_URL", "redis://127.0.0.1:1/0")
    with pytest.raises(InvalidInput, match="MD_REDIS_URL is set and ORDERS_REDIS_URL is not"):
        plan_demo(DemoOptions())
    monkeypatch.setenv("ORDERS_REDIS_URL", "redis://127.0.0.1:2/0")
    assert plan_demo(DemoOptions()).servers == Servers(
        "redis://127.0.0.1:1/0", "redis://127.0.0.1:2/0", "paper"
    )


def test_a_halt_needs_the_orders_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_REDIS_URL", "redis://127.0.0.1:2/0")
    assert running.servers(orders_only=True).orders == "redis://127.0.0.1:2/0"
    with pytest.raises(InvalidInput, match="set both"):
        running.servers()


def test_other_terminals_find_what_runs_and_only_while_it_runs() -> None:
    with pytest.raises(InvalidInput, match="nothing is running: start"):
        running.servers()
    claim = running.claim("paper")
    assert claim is not None
    assert running.claim("paper") is None
    found = Servers("unix:///md", "unix:///orders", "paper")
    claim.write(Running(1, "demo", found))
    path = running.home() / "running-paper.json"
    assert running.servers() == found
    assert path.stat().st_mode & 0o777 == 0o600
    claim.release()
    assert not path.exists()
    assert running.read(load(BusSettings)) is None


def test_each_account_runs_by_itself_and_none_is_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    paper, live = (
        Servers(f"unix:///{name}/md", f"unix:///{name}/orders", name) for name in ("paper", "live")
    )
    claims = {name: running.claim(name) for name in ("paper", "live")}
    assert None not in claims.values()
    claims["live"].write(Running(1, "up", live))  # type: ignore[union-attr]
    # The only one that runs is meant, unless another is named.
    assert running.servers() == live
    monkeypatch.setenv("BACKBONE_TRADING", "paper")
    with pytest.raises(InvalidInput, match="nothing is running for account paper"):
        running.servers()
    monkeypatch.delenv("BACKBONE_TRADING")
    claims["paper"].write(Running(2, "demo", paper))  # type: ignore[union-attr]
    with pytest.raises(InvalidInput, match="accounts live and paper run here: set BACKBONE_ACCOUNT"):
        running.servers()
    monkeypatch.setenv("BACKBONE_TRADING", "live")
    assert running.servers() == live
    monkeypatch.setenv("BACKBONE_ACCOUNT", "paper")
    assert running.servers() == paper
    for claim in claims.values():
        claim.release()  # type: ignore[union-attr]


def test_each_account_has_a_directory_of_its_own() -> None:
    assert running.data_directory("paper") == running.home() / "data-paper"
    assert running.data_directory("live") == running.home() / "data-live"


def test_a_home_of_an_earlier_release_stays_that_of_paper_and_asks_for_others() -> None:
    earlier = running.home() / "data"
    earlier.mkdir()
    assert running.data_directory("paper") == earlier
    for account in ("live", "second"):
        own = running.home() / f"data-{account}"
        with pytest.raises(InvalidInput, match=f"cp -a {earlier} {own}"):
            running.data_directory(account)
        own.mkdir()
        assert running.data_directory(account) == own
    (running.home() / "data-paper").mkdir()
    assert running.data_directory("paper") == running.home() / "data-paper"


def test_the_demo_is_paper_whatever_is_traded_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKBONE_TRADING", "live")
    assert plan_demo(DemoOptions()).account == "paper"
    monkeypatch.setenv("BACKBONE_ACCOUNT", "second")
    assert plan_demo(DemoOptions()).account == "second"


def test_a_running_file_that_nobody_holds_is_out_of_date() -> None:
    claim = running.claim("paper")
    assert claim is not None
    claim.write(Running(1, "demo", Servers("a", "b", "paper")))
    # As after SIGKILL: the lock goes with the process, the file stays.
    claim._file.close()
    assert running.read(load(BusSettings)) is None


def test_an_algorithm_gets_no_keys_in_any_spelling() -> None:
    environment = {"ALPACA_API_KEY": "k", "ALPACA_SECRET_KEY_FILE": "/f", "PATH": "/bin"}
    assert without_keys(environment) == {"PATH": "/bin"}


def test_the_servers_of_a_run_replace_those_of_the_environment() -> None:
    given = with_servers(Servers("m", "o", "paper"), {"MD_REDIS_URL_FILE": "/f", "ORDERS_REDIS_URL": "x"})
    assert given == {"MD_REDIS_URL": "m", "ORDERS_REDIS_URL": "o", "BACKBONE_ACCOUNT": "paper"}


def test_settings_and_limits_that_a_service_would_refuse_are_named_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text("[account]\norder_quantity = -5\n")
    monkeypatch.setenv("BACKBONE_OMS_LIMITS", str(limits))
    with pytest.raises(InvalidInput, match=r"limits\.toml: \[account\] order_quantity is -5"):
        plan_demo(DemoOptions())
    monkeypatch.setenv("BACKBONE_OMS_LIMITS", str(tmp_path / "missing.toml"))
    with pytest.raises(InvalidInput, match=r"missing\.toml: No such file"):
        plan_demo(DemoOptions())
    monkeypatch.delenv("BACKBONE_OMS_LIMITS")
    monkeypatch.setenv("BACKBONE_OMS_LIMTIS", "x")
    with pytest.raises(InvalidInput, match="BACKBONE_OMS_LIMTIS is not a setting"):
        plan_demo(DemoOptions())


def test_an_algorithm_joins_what_runs_here_unless_servers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _joined() == {}
    monkeypatch.setattr(running, "read", lambda settings: Running(1, "demo", Servers("m", "o", "paper")))
    assert _joined() == {"MD_REDIS_URL": "m", "ORDERS_REDIS_URL": "o", "BACKBONE_ACCOUNT": "paper"}
    monkeypatch.setenv("ORDERS_REDIS_URL", "redis://127.0.0.1:1/0")
    assert _joined() == {}
