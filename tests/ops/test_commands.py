"""Every command: help with an example, and bad input as one sentence with exit code 2."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
from backbone import backbone, environment

from bus.connection import connect
from bus.dead_letter import NEVER_AN_ENTRY, dead_letter_fields
from bus.dead_letters import write_dead_letter
from bus.delivery import Delivery
from oms.settings import DEFAULT_LIMITS

pytestmark = pytest.mark.e2e

COMMANDS = (
    "demo", "up", "sim", "ingest", "oms", "algo", "status", "tail", "halt", "resume", "dead", "doctor",
    "account", "backfill",
)  # fmt: skip
BROKEN = "from algos import Algorithm\n\nclass Mine(Algorithm)\n    pass\n"


@pytest.fixture
def within(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path / "home")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str, within: dict[str, str]) -> None:
    told = backbone(command, "--help", within=within)
    assert told.returncode == 0
    assert "example" in told.stdout.lower()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--symbols", "AAPL,NOPE"], "NOPE"),
        (["demo", "--algo", "broken.py:Mine"], "broken.py, line 3"),
        (["demo", "--algo", "missing.py:Mine"], "missing.py"),
        (["demo", "--data", "broken.ndjson"], "broken.ndjson, line 2"),
        (["demo", "--seconds", "soon"], "--seconds"),
        (["up"], "ALPACA_API_KEY"),
        (["status"], "nothing is running"),
        (["tail", "AAPL"], "nothing is running"),
        (["halt"], "--reason"),
        (["halt", "--reason", " "], "--reason is empty"),
        (["halt", "--reason", "x", "--algo", "Not A Name"], "Not A Name"),
        (["dead", "put-back", "x"], "ID 'x'"),
        (["account", "begin-anew", "--yes"], "--reason"),
        (["account", "begin-anew", "--reason", "reset"], "--yes is missing"),
        (["account", "begin-anew", "--reason", "reset", "--yes"], "has no journal here"),
        (["algo", "broken.py:Mine"], "broken.py"),
        (["sim", "--rate", "fast"], "--rate"),
        (["oms", "--limits", "missing.toml"], "missing.toml"),
        (["backfill", "AAPL", "--from", "2026-11-27", "--to", "2026-11-28"], "ALPACA_API_KEY"),
        (["backfill", "AAPL", "--from", "now", "--to", "2026-11-28"], "--from 'now'"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_code_2(
    arguments: list[str], said: str, within: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "broken.ndjson").write_text(
        '{"T":"t","S":"AAPL","t":"2020-01-02T14:30:00Z","p":1,"s":1}\n{"T":\n'
    )
    placed = [str(tmp_path / word) if word.startswith(("broken", "missing")) else word for word in arguments]
    told = backbone(*placed, within=within)
    assert told.returncode == 2, told.stderr
    assert said in told.stderr
    assert "Traceback" not in told.stderr
    assert told.stdout == ""


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ({"MD_REDIS_URL": "redis://127.0.0.1:1/0"}, "ORDERS_REDIS_URL is not"),
        (
            {"MD_REDIS_URL": "redis://u:hush@127.0.0.1:1/0", "ORDERS_REDIS_URL": "redis://127.0.0.1:1/0"},
            "no server answers",
        ),
        ({"BACKBONE_ACOUNT": "x"}, "BACKBONE_ACOUNT is not a setting"),
    ],
)
def test_wrong_surroundings_are_named_without_passwords(
    servers: dict[str, str], said: str, within: dict[str, str]
) -> None:
    told = backbone("demo", within=within | servers)
    assert told.returncode == 2
    assert said in told.stderr
    assert "hush" not in told.stderr


def test_halt_and_resume_need_nobody_but_the_orders_server(orders_url: str, within: dict[str, str]) -> None:
    within |= {"ORDERS_REDIS_URL": orders_url}
    one = backbone("halt", "--symbol", "AAPL", "--reason", "odd prices", within=within)
    assert "halted: symbol:AAPL, odd prices" in one.stdout
    every = backbone("halt", "--reason", "stop", "--reduce-only", within=within)
    assert "reduce only: all, stop" in every.stdout
    assert "cancels still pass" in every.stdout
    unknown = backbone("halt", "--algo", "nobody", "--reason", "x", within=within)
    assert "halted: algorithm:nobody, x" in unknown.stdout
    assert (
        "WARNING: no algorithm is called nobody, so this stops nothing yet; none is known" in unknown.stdout
    )
    with redis.Redis.from_url(orders_url) as client:
        kinds = [fields[b"type"] for _, fields in client.xrange("control:{control}")]
    assert kinds == [b"Halt", b"ReduceOnly", b"Halt"]
    left = backbone("resume", "--symbol", "AAPL", "--reason", "fine", within=within)
    assert "halted: symbol:AAPL" not in left.stdout
    assert "reduce only: all" in left.stdout
    assert "symbol:AAPL; still in it: algorithm:nobody, all." in left.stdout
    assert "Nothing is halted" in backbone("resume", "--reason", "over", within=within).stdout


@pytest.mark.parametrize(
    ("option", "name", "scope", "near"),
    [
        ("--algo", "ma-crss", "algorithm:ma-crss", "ma-cross"),
        ("--symbol", "BTCUS", "symbol:BTCUS", "BTC/USD"),
        ("--account", "papr", "account:papr", "paper"),
    ],
)
def test_a_halt_of_what_nobody_knows_holds_and_says_so(
    orders_url: str, within: dict[str, str], option: str, name: str, scope: str, near: str
) -> None:
    within |= {"ORDERS_REDIS_URL": orders_url}
    with redis.Redis.from_url(orders_url) as client:
        client.hset("orders:{paper}:algos", "ma-cross", "{}")
        client.set("wants:paper:oms", json.dumps({"trades": ["BTC/USD"], "bars": ["*"]}))
        client.set("wants:paper:broken", "not json")
        told = backbone("halt", option, name, "--reason", "x", "--json", within=within)
        assert told.returncode == 0, told.stderr
        said = json.loads(told.stdout)
        assert list(said["halts"]) == [scope]
        (warning,) = said["warnings"]
        assert f"known are {near}; did you mean {near}?" in warning
        right = backbone("halt", option, near, "--reason", "x", "--json", within=within)
        assert json.loads(right.stdout)["warnings"] == []


def test_a_pair_is_halted_and_resumed_in_either_spelling(orders_url: str, within: dict[str, str]) -> None:
    within |= {"ORDERS_REDIS_URL": orders_url}
    with redis.Redis.from_url(orders_url) as client:
        client.hset("halt:{control}", "initialised", "1")
        client.set("wants:paper:of-an-older-version", json.dumps({"trades": ["BTCUSD"]}))
    for halted, resumed in (("BTCUSD", "BTC/USD"), ("BTC/USD", "btcusd"), ("btc/usd", "BTCUSD")):
        one = backbone("halt", "--symbol", halted, "--reason", "x", within=within)
        assert "halted: symbol:BTC/USD, x" in one.stdout
        assert "WARNING" not in one.stdout
        lifted = backbone("resume", "--symbol", resumed, "--reason", "x", within=within).stdout
        assert lifted.startswith("Nothing is halted: trading goes on.\nLifted in the halt file ")
        assert lifted.endswith(" too: symbol:BTC/USD.\n")


def test_a_resume_of_what_is_not_halted_says_what_is(orders_url: str, within: dict[str, str]) -> None:
    within |= {"ORDERS_REDIS_URL": orders_url}
    backbone("halt", "--algo", "ma-cross", "--reason", "x", within=within)
    told = backbone("resume", "--algo", "ma-crss", "--reason", "fine", "--json", within=within)
    said = json.loads(told.stdout)
    assert said["warnings"] == ["algorithm:ma-crss was not halted by itself: halted are algorithm:ma-cross"]
    assert list(said["halts"]) == ["algorithm:ma-cross"]
    assert not said["halts_known"]
    over = backbone("resume", "--reason", "over", within=within)
    assert over.stdout.startswith("Nothing is halted: trading goes on.\nLifted in the halt file ")
    again = backbone("resume", "--reason", "over", within=within)
    assert "WARNING: nothing was halted" in again.stdout


def test_the_doctor_names_what_in_the_limits_binds_nothing(
    md_url: str, orders_url: str, within: dict[str, str], tmp_path: Path
) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text(DEFAULT_LIMITS.read_text() + "\n[algorithm.ma-crss]\norder_value = 1\n")
    within |= {
        "MD_REDIS_URL": md_url,
        "ORDERS_REDIS_URL": orders_url,
        "BACKBONE_OMS_LIMITS": str(limits),
    }
    with redis.Redis.from_url(orders_url) as client:
        client.hset("orders:{paper}:algos", "ma-cross", "{}")
    told = backbone("doctor", within=within)
    assert "[algorithm.ma-crss]: no algorithm of this name has registered; known are ma-cross" in told.stdout
    limits.write_text("nonsense")
    broken = backbone("doctor", within=within)
    assert broken.returncode == 1
    assert "not valid TOML" in broken.stdout


def test_the_doctor_names_a_shared_server_and_sees_that_it_is_meant(
    orders_url: str, within: dict[str, str]
) -> None:
    within |= {"MD_REDIS_URL": orders_url, "ORDERS_REDIS_URL": orders_url}
    told = backbone("doctor", within=within)
    assert told.returncode == 1
    assert "one server" in told.stdout
    assert backbone("doctor", "--shared", within=within).returncode == 0


def test_the_doctor_names_an_orders_server_that_may_forget(
    md_url: str, orders_url: str, within: dict[str, str]
) -> None:
    # The two of the tests the wrong way round: the market-data server writes once a second.
    within |= {"MD_REDIS_URL": orders_url, "ORDERS_REDIS_URL": md_url}
    told = backbone("doctor", "--json", within=within)
    assert told.returncode == 1
    assert "set `appendfsync always`" in told.stdout


def test_one_server_for_both_must_be_meant(orders_url: str, within: dict[str, str]) -> None:
    within |= {"MD_REDIS_URL": orders_url, "ORDERS_REDIS_URL": orders_url}
    told = backbone("demo", within=within)
    assert (told.returncode, "--shared" in told.stderr, told.stdout) == (2, True, "")


def test_dead_entries_are_listed_and_put_back(orders_url: str, within: dict[str, str]) -> None:
    within |= {"ORDERS_REDIS_URL": orders_url}
    assert backbone("dead", within=within).stdout == "Nothing is dead.\n"
    with redis.Redis.from_url(orders_url) as client:
        client.xadd("somewhere", {"type": "Odd", "data": "{}"}, id="5-0")
        poison = Delivery("somewhere", "5-0", client.xrange("somewhere")[0][1])
        asyncio.run(buried(orders_url, poison))
        (entry_id, _), *_ = client.xrange("dead")
        listed = backbone("dead", "list", within=within)
        assert "from somewhere 5-0: ValueError: odd" in listed.stdout
        assert "kept by algo-odd" in listed.stdout
        assert f"backbone dead put-back {entry_id.decode()}\n" in listed.stdout
        again = backbone("dead", "put-back", entry_id.decode(), "--json", within=within)
        assert again.returncode == 0, again.stderr
        said = json.loads(again.stdout)
        assert (said["stream"], said["was"]) == ("somewhere", entry_id.decode())
        assert client.xrange("somewhere", said["id"], said["id"])
        assert client.xlen("dead") == 0
        assert [fields[b"type"] for _, fields in client.xrange("somewhere")] == [b"Odd", b"Odd"]
    assert backbone("dead", "put-back", "9-9", within=within).returncode == 2


def test_what_cannot_be_put_back_is_listed_with_the_reason_and_stays(
    orders_url: str, within: dict[str, str]
) -> None:
    within |= {"ORDERS_REDIS_URL": orders_url}
    letter = dead_letter_fields(
        stream="feed:iex",
        entry_id="1",
        fields={b"d": b"garbage"},
        error="not msgpack",
        by="ingest",
        why_not_put_back=NEVER_AN_ENTRY,
    )
    with redis.Redis.from_url(orders_url) as client:
        of_feed = client.xadd("dead", letter).decode()
        event = {
            "stream": "orders:{paper}:requests:a",
            "entry_id": "1-0",
            "error": "no",
            "payload": "data={}",
        }
        kept = {"type": "FactKept", "version": "1", "data": json.dumps(event)}
        of_orders = client.xadd("orders:{paper}:dead", kept).decode()
        listed = [
            json.loads(line) for line in backbone("dead", "list", "--json", within=within).stdout.splitlines()
        ]
        assert [(one["stream"], one["by"]) for one in listed] == [
            ("feed:iex", "ingest"),
            ("orders:{paper}:requests:a", "oms"),
        ]
        shown = backbone("dead", within=within).stdout
        for one in listed:
            assert f"cannot be put back: {one['why_not_put_back']}" in shown
        for words in ([of_feed], [of_orders, "--orders"]):
            told = backbone("dead", "put-back", *words, within=within)
            assert told.returncode == 2
            assert "cannot be put back: " in told.stderr
        assert (client.xlen("dead"), client.xlen("orders:{paper}:dead")) == (1, 1)
        assert client.exists("feed:iex", "orders:{paper}:requests:a") == 0


def test_dead_market_data_are_put_back_on_their_own_server(
    md_url: str, orders_url: str, within: dict[str, str]
) -> None:
    asyncio.run(buried(orders_url, Delivery("md:AAPL:trades", "1-1", {b"d": b"{}", b"r": b"1"})))
    with redis.Redis.from_url(orders_url) as orders, redis.Redis.from_url(md_url) as market:
        (entry_id, _), *_ = orders.xrange("dead")
        given = within | {"MD_REDIS_URL": md_url, "ORDERS_REDIS_URL": orders_url}
        told = backbone("dead", "put-back", entry_id.decode(), within=given)
        assert told.returncode == 0, told.stderr
        assert [fields for _, fields in market.xrange("md:AAPL:trades")] == [{b"d": b"{}", b"r": b"1"}]
        assert (orders.exists("md:AAPL:trades"), orders.xlen("dead")) == (0, 0)


def test_an_unwritable_home_leaves_no_directory_behind(within: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "scratch"
    place.mkdir()
    told = backbone("demo", within=within | {"BACKBONE_HOME": "/dev/null/x", "TMPDIR": str(place)})
    assert told.returncode == 2
    assert "BACKBONE_HOME=/dev/null/x" in told.stderr
    assert list(place.iterdir()) == []


async def buried(orders_url: str, delivery: Delivery) -> None:
    """Put an entry among the dead, as a consumer does."""
    client = connect(orders_url, name="test")
    await write_dead_letter(client, delivery, ValueError("odd"), by="algo-odd")
    await client.aclose()


def test_ctrl_c_while_a_command_is_loaded_says_nothing(tmp_path: Path) -> None:
    # Loading it takes until a signal comes.
    (tmp_path / "typer.py").write_text("import signal\nprint('loading', flush=True)\nsignal.pause()\n")
    loading = subprocess.Popen(
        [sys.executable, "-m", "ops", "status"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert loading.stdout is not None
    assert loading.stdout.readline() == "loading\n"
    loading.send_signal(signal.SIGINT)
    _, said = loading.communicate(timeout=20)
    assert (loading.returncode, said) == (-signal.SIGINT, "")


# Ended while it is at work, and not while it waits.
_ENDED_AT_WORK = """
import asyncio, os, signal
from ops import cli

async def command():
    os.kill(os.getpid(), signal.SIGTERM)
    print("what was begun is finished")
    try:
        await asyncio.Event().wait()
    finally:
        print("tidied up")

cli.with_commands = lambda: lambda: asyncio.run(command())
cli.main()
"""


@pytest.mark.parametrize("at_first", [signal.SIG_IGN, signal.default_int_handler], ids=["ignored", "heeded"])
def test_a_command_is_ended_whole_by_sigterm_whatever_it_was_started_from(at_first: Any) -> None:
    """A shell without job control starts what it puts into the background with SIGINT ignored."""
    told = subprocess.run(
        [sys.executable, "-c", _ENDED_AT_WORK],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, at_first),
    )
    assert (told.returncode, told.stderr) == (130, "")
    assert told.stdout.splitlines() == ["what was begun is finished", "tidied up"]
