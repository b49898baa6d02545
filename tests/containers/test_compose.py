"""The containers: one image, everything healthy, orders filled, least privilege, an orderly stop."""

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import engine
import pytest
import redis
from engine import Stack
from waiting import wait_until

from bus.streams import alive, journal

pytestmark = [pytest.mark.containers, pytest.mark.timeout(420)]

ALGORITHMS = {"ma-cross", "mean-reversion"}
SERVERS = {"redis-md", "redis-orders"}
OURS = {"sim", "ingest", "oms", *ALGORITHMS}

NOT_YET = "not before I have looked"

PRIVILEGES = "grep -E '^(Uid|CapPrm|CapEff|CapBnd|NoNewPrivs):' /proc/self/status"
LEDGER = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:9002/ledger').read().decode())"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Everything up, once for this file, halted before it was; the last test stops it."""
    engine.require_engine()
    with engine.stack(NOT_YET) as running:
        yield running


@pytest.fixture
def orders(stack: Stack) -> Iterator[Any]:
    """The orders server, through its published port."""
    with redis.Redis.from_url(stack.url("redis-orders", 6380), decode_responses=True) as client:
        yield client


def test_every_service_is_healthy(stack: Stack) -> None:
    containers = stack.inspect()
    assert set(containers) == OURS | SERVERS
    health = {name: each["State"]["Health"]["Status"] for name, each in containers.items()}
    assert health == dict.fromkeys(containers, "healthy")
    assert len({containers[name]["Image"] for name in OURS}) == 1, "one image for all"


def test_what_was_halted_before_anything_ran_starts_halted(stack: Stack, orders: Any) -> None:
    """The first start of all: there is no key yet, and an empty account."""

    def refused() -> bool:
        entries = orders.xrange(journal("paper"))
        return any(
            fields["type"] in ("OrderRefused", "OrdersRefused") and '"halted"' in fields["data"]
            for _, fields in entries
        )

    wait_until(refused, "an order that is refused", timeout_s=60)
    assert json.loads(stack.python("sim", LEDGER))["orders"] == []
    shown = json.loads(stack.shell("oms", "backbone status --json").splitlines()[-1])
    assert (shown["trading"], shown["halts"]["all"]["reason"]) == (False, NOT_YET)
    stack.shell("oms", "backbone resume --reason looked")


def test_orders_are_filled_and_the_broker_agrees(stack: Stack, orders: Any) -> None:
    def filled() -> dict[str, str]:
        entries = orders.xrange(journal("paper"))
        fills = [json.loads(fields["data"]) for _, fields in entries if fields["type"] == "OrderFilled"]
        return {fill["client_order_id"]: fill["symbol"] for fill in fills if fill["status"] == "filled"}

    wait_until(lambda: bool(filled()), "a filled order in the journal", timeout_s=60)
    known = filled()
    ledger = json.loads(stack.python("sim", LEDGER))
    at_broker = {order["client_order_id"]: order["symbol"] for order in ledger["orders"]}
    assert known.items() <= at_broker.items()


def test_servers_keep_what_they_promise(stack: Stack, orders: Any) -> None:
    kept = ("appendonly", "appendfsync", "maxmemory-policy")
    assert orders.config_get(*kept) == {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
    }
    with redis.Redis.from_url(stack.url("redis-md", 6379), decode_responses=True) as market:
        assert market.config_get(*kept)["appendfsync"] == "everysec"


def test_containers_may_do_as_little_as_possible(stack: Stack) -> None:
    for name, container in stack.inspect().items():
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["Init"], name
        assert host["Memory"] > 0, name
        published = {each["HostIp"] for port in (host["PortBindings"] or {}).values() for each in port}
        assert published <= {"127.0.0.1"}, name
        # What is asked for above holds in the process itself.
        found = dict(line.split(":", 1) for line in stack.shell(name, PRIVILEGES).splitlines())
        assert "0" not in found["Uid"].split(), name
        assert {int(found[cap], 16) for cap in ("CapPrm", "CapEff", "CapBnd")} == {0}, name
        assert found["NoNewPrivs"].strip() == "1", name
        assert stack.shell(name, "touch /here 2>/dev/null || echo refused") == "refused\n", name


def test_algorithms_hold_no_keys_and_have_no_way_out(stack: Stack) -> None:
    containers = stack.inspect()
    for name in ALGORITHMS:
        environment = containers[name]["Config"]["Env"]
        assert not [line for line in environment if "ALPACA" in line or "SECRET" in line], name
        networks = list(containers[name]["NetworkSettings"]["Networks"])
        assert networks == [f"{stack.project}_bus"]
    (network,) = json.loads(engine.run("docker", "network", "inspect", f"{stack.project}_bus"))
    assert network["Internal"]


def test_the_image_carries_no_tools_of_development(stack: Stack) -> None:
    unwanted = ("pytest", "mypy", "ruff", "hypothesis", "testcontainers", "setuptools")
    found = stack.python(
        "ma-cross",
        "from importlib.metadata import distributions; import sys\n"
        "print([d.name for d in distributions(path=[p for p in sys.path if p.startswith('/opt/backbone')])])",
    )
    assert "alpaca-backbone" in found
    assert not [name for name in (*unwanted, "pip") if f"'{name}'" in found]


def test_health_tells_a_process_that_is_not_there(stack: Stack) -> None:
    said = stack.shell("oms", "python -m bus.health algo-nobody || echo exit $?")
    assert said.startswith("algo-nobody has no heartbeat")
    assert said.endswith("exit 1\n")


def test_the_command_works_in_a_container(stack: Stack) -> None:
    shown = json.loads(stack.shell("oms", "backbone status --json"))
    assert set(shown["processes"]) >= {"ingest", "oms", *(f"algo-{name}" for name in ALGORITHMS)}


def test_the_journal_is_archived_in_a_volume(stack: Stack) -> None:
    wait_until(
        lambda: ".jsonl.gz" in stack.shell("oms", "ls /archive/paper/* 2>/dev/null || echo none"),
        "the archive's first file",
        timeout_s=60,
    )


def test_an_algorithm_that_dies_is_started_again(stack: Stack, orders: Any) -> None:
    def heartbeat() -> dict[str, Any]:
        keys = list(orders.scan_iter(match=alive("paper", "algo-ma-cross", "*")))
        found = [json.loads(value) for value in (orders.mget(keys) if keys else []) if value]
        return max(found, key=lambda beat: beat["at_ns"], default={})

    before = heartbeat()["details"]["token"]
    stack.shell("ma-cross", f"kill -9 {heartbeat()['pid']}")
    # The lease of the one that died must run out first.
    wait_until(
        lambda: (heartbeat().get("details") or {}).get("token", 0) > before, "a new leader", timeout_s=60
    )
    restarts = {name: each["RestartCount"] for name, each in stack.inspect().items()}
    assert restarts == dict.fromkeys(restarts, 0) | {"ma-cross": 1}


def test_alpaca_instead_of_the_simulator(stack: Stack, tmp_path: Path) -> None:
    """Keys come as files, to ingest and the OMS alone, and the data are not the simulator's."""
    for name in ("key", "secret"):
        (tmp_path / name).write_text(f"the-{name}")
    environment = {
        "ALPACA_API_KEY_FILE": str(tmp_path / "key"),
        "ALPACA_SECRET_KEY_FILE": str(tmp_path / "secret"),
        "COMPOSE_PROJECT_NAME": "",  # Not the test's own, which would hide the file's.
    }
    files = ("-f", "compose.yaml", "-f", "compose.alpaca.yaml")
    shown = engine.run("docker", "compose", *files, "config", "--format", "json", environment=environment)
    config = json.loads(shown)
    assert config["name"] == "alpaca-backbone-paper"
    assert set(config["services"]) == (OURS | SERVERS) - {"sim"}
    for name, service in config["services"].items():
        has_keys = name in ("ingest", "oms")
        assert bool(service.get("secrets")) == has_keys, name
        assert ("alpaca" in service["networks"]) == has_keys, name
        addresses = [key for key in service.get("environment", {}) if key.startswith("BACKBONE_")]
        assert not [key for key in addresses if key.endswith("_URL")], name
    assert "the-key" not in shown
    assert "the-secret" not in shown


def test_a_halt_given_with_redis_down_holds_once_all_is_started_again(stack: Stack) -> None:
    """The halt file is on a volume that a command shares with the OMS. The broker goes on."""
    ours = ("redis-md", "redis-orders", "ingest", "oms")

    def status() -> dict[str, Any]:
        shown = stack.shell("oms", "backbone status --json || echo {}")
        return dict(json.loads(shown.splitlines()[-1]))

    assert status()["halts"] == {}
    stack.kill(*ours)
    told = stack.beside("oms", "ops", "halt", "--reason", "with Redis down")
    assert "Written to /halts/halts.json: everything is halted" in told
    stack.start(*ours)
    wait_until(lambda: "all" in status().get("halts", {}), "the halt", timeout_s=90)
    shown = status()
    assert (shown["trading"], shown["halts"]["all"]["reason"]) == (False, "with Redis down")
    stack.shell("oms", "backbone resume --reason looked")
    assert status()["halts"] == {}
    assert stack.shell("oms", "ls /halts/halts.json 2>/dev/null || echo lifted") == "lifted\n"


def test_stopping_ends_everything_in_order(stack: Stack) -> None:
    stack.stop()
    containers = stack.inspect()
    exit_codes = {name: each["State"]["ExitCode"] for name, each in containers.items()}
    assert exit_codes == dict.fromkeys(containers, 0)
    ended = {name: datetime.fromisoformat(each["State"]["FinishedAt"]) for name, each in containers.items()}
    floors = [ALGORITHMS, {"oms"}, {"ingest"}, {"sim"}, SERVERS]
    for earlier, later in pairwise(floors):
        assert max(ended[name] for name in earlier) < min(ended[name] for name in later), (earlier, later)
