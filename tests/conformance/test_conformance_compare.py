"""Comparing recordings: what differs is said in sentences, what is alike is not said at all."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import compare
import msgpack
import pytest

ROOT = Path(__file__).parents[2]


def rest(path: str, body: Any, method: str = "GET", status: int = 200) -> dict[str, Any]:
    received = body if isinstance(body, str) else json.dumps(body)
    return {"kind": "rest", "method": method, "path": path, "status": status, "received": received}


def frame(message: Any, path: str = "/v2/iex") -> dict[str, Any]:
    data = msgpack.packb(message)
    return {
        "kind": "frame", "path": path, "socket": 0, "direction": "received", "opcode": "binary",
        "is_last": True, "hex": data.hex(),
    }  # fmt: skip


def said(tmp_path: Path, one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[str]:
    found = []
    for name, lines in (("paper", one), ("sim", other)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "test.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
        found.append(compare.shapes_of(folder))
    return compare.differences(found[0], found[1], ("paper", "sim"))


def test_the_same_shapes_differ_in_nothing(tmp_path: Path) -> None:
    one = [rest("/v2/account", {"cash": "5", "tier": 1}), frame([{"T": "t", "p": 1.5, "s": 3}])]
    other = [rest("/v2/account", {"tier": 9, "cash": "7.25"}), frame([{"T": "t", "p": 2.25, "s": 1}])]
    assert said(tmp_path, one, other) == []


@pytest.mark.parametrize(
    ("one", "other", "sentence"),
    [
        ({"cash": "5"}, {"cash": 5}, "GET /a 200: .cash is text in paper and a whole number in sim."),
        ({"at": None}, {"at": "x"}, "GET /a 200: .at is null in paper and text in sim."),
        ({"a": 1, "b": {"c": 1}}, {"a": 1}, "GET /a 200: .b is an object in paper and absent in sim."),
        ({}, {"a": [1]}, "GET /a 200: .a is absent in paper and a list in sim."),
        ([{"a": 1}, {}], [{"a": 1}], "GET /a 200: [].a is a whole number or absent in paper and"
         " a whole number in sim."),
        ({"s": 100}, {"s": 1.5}, "GET /a 200: .s is a whole number in paper and a number with a fraction"
         " in sim."),
        ("", {}, "GET /a 200: the whole is nothing in paper and an object in sim."),
        ("<html>", {}, "GET /a 200: the whole is no JSON in paper and an object in sim."),
    ],
)  # fmt: skip
def test_a_difference_is_one_sentence(tmp_path: Path, one: Any, other: Any, sentence: str) -> None:
    assert said(tmp_path, [rest("/a", one)], [rest("/a", other)]) == [sentence]


def test_a_price_that_is_whole_by_chance_is_no_difference(tmp_path: Path) -> None:
    one = [rest("/a", {"p": 150}), rest("/a", {"p": 150.5})]
    assert said(tmp_path, one, [rest("/a", {"p": 99})]) == []


def test_ids_and_symbols_do_not_make_another_kind(tmp_path: Path) -> None:
    ids = ("f1a08ee3-8b15-4d31-b04b-944f30a06604", "00000000-0000-0000-0000-000000000000")
    one, other = (
        [
            rest(f"/v2/orders/{order_id}", {"id": order_id}),
            rest(f"/v2/positions/{symbol}", {"qty": "1"}),
            rest("/v2/stocks/bars", {"bars": {bar: [{"o": 1}]}, "next_page_token": None}),
        ]
        for order_id, symbol, bar in ((ids[0], "BTC/USD", "AAPL"), (ids[1], "KO", "BRK.B"))
    )
    assert said(tmp_path, one, other) == []


def test_frames_are_told_apart_by_type_and_event(tmp_path: Path) -> None:
    def update(event: str, **fields: str) -> dict[str, Any]:
        return frame({"stream": "trade_updates", "data": {"event": event, **fields}}, "/stream")

    one = [update("new"), update("fill", price="5"), frame([{"T": "q", "bp": 1}, {"T": "t", "p": "x"}])]
    other = [update("new"), update("fill"), frame([{"T": "t", "p": 2}])]
    assert said(tmp_path, one, other) == [
        "/stream in msgpack: trade_updates fill: .data.price is text in paper and absent in sim.",
        "/v2/iex in msgpack: T=t: .p is text in paper and a whole number in sim.",
        "/v2/iex in msgpack: T=q was seen in paper alone.",
    ]


def test_a_message_in_parts_is_read_whole(tmp_path: Path) -> None:
    whole = frame([{"T": "t", "p": 2}])
    first = whole | {"hex": whole["hex"][:6], "is_last": False}
    last = whole | {"hex": whole["hex"][6:], "opcode": "cont"}
    assert said(tmp_path, [whole], [first, last]) == []


def test_the_command_prints_sentences_and_ends_with_their_number(tmp_path: Path) -> None:
    said(tmp_path, [rest("/a", {"cash": "5"})], [rest("/a", {"cash": 5})])
    paper, sim = tmp_path / "paper", tmp_path / "sim"

    def run(*folders: Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "tests.conformance.compare", *map(str, folders)],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip

    found = run(paper, sim)
    assert found.returncode == 1
    assert found.stdout.splitlines() == [
        f"GET /a 200: .cash is text in {paper} and a whole number in {sim}.",
        "1 kinds of answers and frames are in both; 1 differences.",
    ]
    assert run(paper, paper).returncode == 0
    empty = run(paper, tmp_path / "nowhere")
    assert (empty.returncode, "holds no recording" in empty.stderr) == (2, True)
