"""The recorder: what it writes can be read back, and nothing in it says whose account it was."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import requests
from account_of import account_of
from alpaca.trading.client import TradingClient
from edge import Edge
from frames import Frame, Wire
from hypothesis import given
from hypothesis import strategies as st
from plain_socket import opened
from recording import Leak, Recorder, Scrubber, read
from simulator import Simulator
from streaming import updates_of
from target import Target, of_simulator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def own() -> Iterator[Target]:
    """Always a simulator, whatever the suite is pointed at."""
    with Simulator.start() as started:
        yield of_simulator(started)


@pytest.fixture
def hidden(own: Target) -> list[str]:
    """Everything that must not be seen."""
    account = account_of(own)
    return [own.key, own.secret, account["id"], account["account_number"]]


@pytest.fixture
def writer(own: Target, hidden: list[str], tmp_path: Path) -> Recorder:
    scrubber = Scrubber(own.key, own.secret)
    for value in hidden[2:]:
        scrubber.hide(value)
    made = Recorder(tmp_path, scrubber)
    made.begin("module", "test[one/two]")
    return made


def lines(folder: Path) -> list[dict[str, Any]]:
    """Everything that was recorded, with the one file that it must be in."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [str(path.relative_to(folder)) for path in files] == ["module/test_one_two.ndjson"]
    return read(files[0])


def assert_nothing_is_seen(folder: Path, hidden: list[str]) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    basic = base64.b64encode(f"{hidden[0]}:{hidden[1]}".encode()).decode()
    for path in files:
        data = path.read_bytes()
        for value in (*hidden, basic):
            assert value.encode() not in data, path
            assert value.encode().hex().encode() not in data, path


def test_an_exchange_can_be_read_back_without_what_is_hidden(
    own: Target, writer: Recorder, hidden: list[str], tmp_path: Path
) -> None:
    edge = Edge(own, writer.exchange)
    with requests.Session() as session:
        edge.mount(session)
        session.auth = (own.key, own.secret)
        session.get(f"{own.trading_url}/v2/account?note={own.key}", timeout=10)
        session.post(f"{own.trading_url}/v2/orders", json={"symbol": own.secret}, timeout=10)
    client = TradingClient(own.key, own.secret, url_override=own.trading_url)
    edge.mount(client._session)
    client.get_account()
    client._session.close()
    edge.close()
    first, refused, account = lines(tmp_path)
    assert (first["method"], first["path"], first["status"]) == ("GET", "/v2/account", 200)
    assert first["headers"]["X-RateLimit-Limit"] == "200"
    assert (refused["status"], json.loads(refused["sent"])["symbol"][:8]) == (422, "SCRUBBED")
    assert json.loads(account["received"])["id"] == "00000000-0000-0000-0000-000000000000"
    assert json.loads(account["received"])["currency"] == "USD"
    assert_nothing_is_seen(tmp_path, hidden)


@pytest.mark.parametrize("is_msgpack", [False, True])
async def test_frames_can_be_read_back_without_what_is_hidden(
    own: Target, writer: Recorder, hidden: list[str], tmp_path: Path, is_msgpack: bool
) -> None:
    url = own.stream("/v2/iex")
    async with opened(own, url, writer.frame, is_msgpack=is_msgpack) as socket:
        await socket.hear()
        login = socket.write({"action": "auth", "key": own.key, "secret": own.secret})
        # The cut goes through the secret.
        await socket.say_raw([login[:-10], login[-10:-5], login[-5:]])
        assert (await socket.answer())["T"] == "success"
        await socket.ask({"action": "subscribe", "bars": ["*"]})
    found = [line for line in lines(tmp_path) if line["opcode"] in ("text", "binary", "cont")]
    assert [line["direction"] for line in found[:5]] == ["received", "sent", "sent", "sent", "received"]
    assert [line["is_last"] for line in found[1:4]] == [False, False, True]
    assert {line["path"] for line in found} == {"/v2/iex"}
    parts = b"".join(bytes.fromhex(line["hex"]) for line in found[1:4])
    read_back = msgpack.unpackb(parts) if is_msgpack else json.loads(parts)
    assert (read_back["action"], len(read_back["key"])) == ("auth", len(own.key))
    connected = found[0]
    first = msgpack.unpackb(bytes.fromhex(connected["hex"])) if is_msgpack else json.loads(connected["text"])
    assert first == [{"T": "success", "msg": "connected"}]
    assert_nothing_is_seen(tmp_path, hidden)


async def test_alpaca_pys_own_streams_are_recorded_too(
    own: Target, writer: Recorder, hidden: list[str], tmp_path: Path
) -> None:
    async with updates_of(own, writer.frame):
        pass
    found = lines(tmp_path)
    login = json.loads(found[0]["text"])
    assert (found[0]["direction"], login["action"]) == ("sent", "authenticate")
    answers = [line for line in found if line["direction"] == "received" and line["opcode"] == "binary"]
    assert json.loads(bytes.fromhex(answers[1]["hex"]))["stream"] == "listening"
    assert_nothing_is_seen(tmp_path, hidden)


def test_a_later_run_of_a_test_replaces_its_recording(writer: Recorder, tmp_path: Path) -> None:
    wire = Wire("ws://127.0.0.1/stream", writer.frame)
    for _ in range(2):
        writer.begin("module", "test[one/two]")
        wire.note("sent", 1, True, b"{}")
    assert len(lines(tmp_path)) == 1


def test_a_message_without_an_end_is_not_written(writer: Recorder, own: Target, tmp_path: Path) -> None:
    writer.frame(Wire("ws://127.0.0.1/stream", writer.frame), Frame(0, "sent", "text", False, b"half"))
    assert not list(tmp_path.rglob("*.ndjson"))


def test_the_suite_records_when_it_is_asked_to(tmp_path: Path) -> None:
    key, secret = "PKCONFORMANCE0123456", "conformance/secret+0123456789=="
    given_names = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    run = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
            "--record-to", str(tmp_path), "tests/conformance/test_conformance_account.py",
        ],
        cwd=ROOT,
        env=given_names | {"SIM_API_KEY": key, "SIM_SECRET_KEY": secret},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
    (day,) = tmp_path.iterdir()
    (version,) = day.iterdir()
    assert version.name.startswith("simulator-alpaca-py-0.4")
    file = version / "test_conformance_account" / "test_the_account_has_every_key.ndjson"
    (account,) = [json.loads(line["received"]) for line in read(file)]
    assert account["id"] == "00000000-0000-0000-0000-000000000000"
    assert account["account_number"][:4] == "SCRU"
    assert_nothing_is_seen(tmp_path, [key, secret])


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40)


@given(key=SECRETS, secret=SECRETS, around=st.lists(st.binary(max_size=20), min_size=3, max_size=3))
def test_whatever_the_keys_are_bytes_keep_their_length_and_lose_them(
    key: str, secret: str, around: list[bytes]
) -> None:
    data = around[0] + key.encode() + around[1] + secret.encode() + around[2]
    scrubbed = Scrubber(key, secret).data(data)
    assert len(scrubbed) == len(data)
    assert key.encode() not in scrubbed
    assert secret.encode() not in scrubbed


def test_what_would_be_seen_all_the_same_is_not_written() -> None:
    scrubber = Scrubber("PKKEY-0123456789", "secret-0123456789")
    for text in ("secret-0123456789", b"secret-0123456789".hex()):
        with pytest.raises(Leak):
            scrubber.check(f'{{"hex": "{text}"}}')
