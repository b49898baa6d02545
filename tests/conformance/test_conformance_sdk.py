"""The suite runs under the alpaca-py that is locked, and once more under an older one."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import alpaca
import pytest

ROOT = Path(__file__).parents[2]
# Set for the inner run alone: the version that it is to be about.
EXPECTED = "CONFORMANCE_SDK"
# These are about our own tools, whichever alpaca-py there is.
TOOLS = ("recording", "compare", "target")


def named_in(file: str, pattern: str) -> str:
    found = re.search(pattern, (ROOT / file).read_text(), re.M)
    assert found is not None, f"{file} names no version of alpaca-py"
    return found[1]


def locked() -> str:
    """The version that everything of ours runs with."""
    return named_in("requirements.lock", r"^alpaca-py==(\S+)$")


def older() -> str:
    """The version beside it; the Makefile installs it and is the one place that names it."""
    return named_in("Makefile", r"^OLDER_SDK := (\S+)$")


def of_the_target() -> list[str]:
    """The files that hold the target against Alpaca, and this one."""
    tools = {f"test_conformance_{name}.py" for name in TOOLS}
    found = sorted(path for path in Path(__file__).parent.glob("test_*.py") if path.name not in tools)
    return [str(path.relative_to(ROOT)) for path in found]


def test_this_is_the_alpaca_py_that_the_run_is_about() -> None:
    expected = os.environ.get(EXPECTED, locked())
    assert (alpaca.__version__, importlib.metadata.version("alpaca-py")) == (expected, expected)


@pytest.mark.skipif(EXPECTED in os.environ, reason="this is the inner run")
def test_the_suite_passes_under_the_older_alpaca_py(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--conformance-target", "simulator") == "paper":
        pytest.skip("a run on paper is about one version")
    version = older()
    assert version != locked()
    folder = Path(sys.prefix) / "sdk" / version
    assert (folder / "alpaca").is_dir(), (
        f"alpaca-py {version} is not installed beside ours: `make test` does it"
    )
    # Nothing of a run that this one may be a part of.
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *of_the_target()],
        cwd=ROOT,
        env=surroundings | {"PYTHONPATH": str(folder), EXPECTED: version},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None
    assert int(passed[1]) > 50, run.stdout
