"""The whole journal of every release still folds to what it said then."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from golden_journal import GOLDEN, facts, folded

from bus.chain import NO_HASH


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.jsonl")), ids=lambda file: file.stem)
def test_a_journal_of_a_release_folds_to_what_it_said(file: Path) -> None:
    state, chain = folded(file)
    assert facts(state) == json.loads(file.with_suffix(".json").read_text())
    assert not state.unknown
    assert chain.wrong_id == ""
    assert chain.head != NO_HASH


def test_there_is_a_journal_of_this_release() -> None:
    assert (GOLDEN / f"journal-{version('alpaca-backbone')}.jsonl").is_file()
