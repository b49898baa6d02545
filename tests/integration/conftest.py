"""Fixtures that several integration tests use."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from algo_stage import Stage


@pytest.fixture
def stage(md_url: str, orders_url: str, tmp_path: Path) -> Iterator[Stage]:
    """Two empty servers for algorithms that run as processes; none of these outlives the test."""
    made = Stage(md_url, orders_url, tmp_path)
    yield made
    made.close()
