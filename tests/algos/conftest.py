"""Fixtures that several integration tests use."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from algorithm_processes import Processes


@pytest.fixture
def processes(md_url: str, orders_url: str, tmp_path: Path) -> Iterator[Processes]:
    """Two empty servers for algorithms that run as processes; none of these outlives the test."""
    made = Processes(md_url, orders_url, tmp_path)
    yield made
    made.close()
