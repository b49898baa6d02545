"""docs/promises.md names a test for each promise: every one of them must exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "promises.md").read_text())


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_a_named_test_exists(path: str, name: str) -> None:
    source = (ROOT / path).read_text()
    assert not name or re.search(rf"^(async def|def|class) {name}\b", source, re.MULTILINE)
