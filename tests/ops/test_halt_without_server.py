"""`backbone halt`, `resume`, `status` and `up --halted` where no orders server answers, or one that hangs."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from backbone import backbone, environment

from bus import embedded, halt_file
from bus.control_messages import Halt
from bus.settings import BusSettings, load
from ops.halt_file import file_of
from ops.run.processes import with_servers
from ops.running import Servers

pytestmark = pytest.mark.e2e


@pytest.fixture
def hanging(home: Path) -> Iterator[embedded.EmbeddedServer]:
    """A server that takes connections and answers nobody."""
    server = embedded.start("orders", home / "data")
    os.kill(server.process.pid, signal.SIGSTOP)
    yield server
    os.kill(server.process.pid, signal.SIGCONT)
    server.stop()


def test_with_nothing_running_a_halt_is_written_down_and_status_tells_it(home: Path) -> None:
    within = environment(home)
    told = backbone("halt", "--reason", "at 3 am", within=within)
    assert (told.returncode, told.stderr) == (0, "")
    file = home / "halts-paper.json"
    for said in (
        "Nothing is running",
        f"Written to {file}: everything is halted",
        "Now:",
        "At the next start",
    ):
        assert said in told.stdout
    assert halt_file.read(file)["all"].reason == "at 3 am"
    status = backbone("status", within=within)
    assert status.returncode == 2
    assert "all halted, at 3 am" in status.stderr
    other = backbone("resume", "--algo", "alpha", "--reason", "looked", "--json", within=within)
    assert (other.returncode, json.loads(other.stdout)["halt_file"]["left"]) == (1, ["all"])
    lifted = backbone("resume", "--reason", "looked", "--json", within=within)
    assert (lifted.returncode, json.loads(lifted.stdout)["halt_file"]["lifted"]) == (1, ["all"])
    assert not file.exists()


def test_a_server_that_hangs_holds_no_halt_up(home: Path, hanging: embedded.EmbeddedServer) -> None:
    file = home / "here" / "halts.json"
    within = environment(home, ORDERS_REDIS_URL=hanging.url, BACKBONE_HALT_FILE=str(file))
    told = backbone("halt", "--symbol", "GME", "--reason", "at 3 am", "--json", within=within, timeout_s=15)
    said = json.loads(told.stdout)
    assert (told.returncode, said["reached_server"], said["halts_known"]) == (0, False, False)
    assert list(halt_file.read(file)) == said["halt_file"]["left"] == ["symbol:GME"]


def test_a_halt_file_that_cannot_be_written_fails_where_no_server_takes_the_halt(home: Path) -> None:
    within = environment(home, BACKBONE_HALT_FILE="/dev/null/halts.json")
    told = backbone("halt", "--reason", "at 3 am", within=within)
    assert told.returncode == 1
    assert "This command has halted nothing" in told.stdout


def test_one_halt_and_one_resume_change_key_and_file(home: Path, md_url: str, orders_url: str) -> None:
    within = environment(home, MD_REDIS_URL=md_url, ORDERS_REDIS_URL=orders_url)
    told = backbone("halt", "--reason", "drill", within=within)
    file = home / "halts-paper.json"
    assert (told.returncode, list(halt_file.read(file))) == (0, ["all"])
    assert f"Written to {file}" in told.stdout
    lifted = backbone("resume", "--reason", "done", within=within)
    assert lifted.returncode == 0
    assert f"Lifted in the halt file {file} too: all." in lifted.stdout
    assert not file.exists()


def test_a_run_whose_data_end_with_it_has_a_halt_file_of_its_own(tmp_path: Path) -> None:
    own = str(tmp_path / "halts.json")
    demo = Servers("redis://md", "redis://orders", "paper", halt_file=own)
    assert file_of(load(BusSettings), demo) == Path(own)
    assert with_servers(demo, {"BACKBONE_HALT_FILE": "another"})["BACKBONE_HALT_FILE"] == own
    named = Servers("redis://md", "redis://orders", "two")
    assert file_of(load(BusSettings), named).name == "halts-two.json"


def test_what_needs_a_name_is_lifted_by_none_without_one_whether_a_server_answers_or_not(
    home: Path, md_url: str, orders_url: str
) -> None:
    """The halt file is asked first, and nothing in it changes before the name is there."""
    file = home / "halts-paper.json"
    by_oms = Halt(scope="algorithm:alpha", reason="it ran away", by="oms", at_ns=1, latched=True)
    for servers in ({}, {"MD_REDIS_URL": md_url, "ORDERS_REDIS_URL": orders_url}):
        within = environment(home, **servers)
        halt_file.write_halt(file, by_oms)
        told = backbone("halt", "--algo", "alpha", "--reduce-only", "--reason", "out of it", within=within)
        assert told.returncode == 0
        told = backbone("resume", "--reason", "looked", within=within)
        assert (told.returncode, "give --by NAME" in told.stderr) == (2, True)
        assert halt_file.read(file) == {"algorithm:alpha": by_oms}
        told = backbone("resume", "--reason", "looked", "--by", "Ann Lee", within=within)
        assert told.returncode == (0 if servers else 1)
        assert not file.exists()
