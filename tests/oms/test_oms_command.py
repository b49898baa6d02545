"""What a person gets who starts the OMS with something missing or wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

KEYS = {"ALPACA_API_KEY": "PKSECRETKEY", "ALPACA_SECRET_KEY": "deep-secret"}
NOWHERE = {"ORDERS_REDIS_URL": "redis://127.0.0.1:1/0", "MD_REDIS_URL": "redis://127.0.0.1:1/0"}


def started(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m oms` to its end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ALPACA", "BACKBONE"))}
    return subprocess.run(
        [sys.executable, "-m", "oms", *arguments],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_help_shows_an_example() -> None:
    shown = started("--help")
    assert shown.returncode == 0
    assert "--limits FILE" in shown.stdout
    assert "example:" in shown.stdout


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "ALPACA_API_KEY"),
        ({**KEYS, **NOWHERE}, "ORDERS_REDIS_URL"),
        ({**KEYS, "BACKBONE_OMS_LIMTIS": "x"}, "BACKBONE_OMS_LIMTIS"),
        ({**KEYS, "BACKBONE_OMS_THREADS": "many"}, "BACKBONE_OMS_THREADS"),
        ({**KEYS, "BACKBONE_OMS_DOUBT_S": "inf"}, "BACKBONE_OMS_DOUBT_S"),
        ({**KEYS, "BACKBONE_OMS_LONGEST_WAIT_S": "1e400"}, "BACKBONE_OMS_LONGEST_WAIT_S"),
    ],
)
def test_bad_settings_are_one_sentence_and_exit_code_2(environment: dict[str, str], named: str) -> None:
    shown = started(**environment)
    assert shown.returncode == 2
    assert named in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    assert "deep-secret" not in shown.stderr
    assert "PKSECRETKEY" not in shown.stderr


def test_a_bad_limits_file_is_named(tmp_path: Path) -> None:
    limits = tmp_path / "mine.toml"
    limits.write_text("[account]\norder_quantity = -5\n")
    for path in (limits, tmp_path / "missing.toml"):
        shown = started("--limits", str(path), **KEYS, **NOWHERE)
        assert shown.returncode == 2
        assert str(path) in shown.stderr
        assert "Traceback" not in shown.stderr


def test_only_the_adapter_loads_alpaca_py() -> None:
    code = "import sys, oms.__main__; sys.exit('alpaca' in sys.modules or 'requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=30, check=False).returncode == 0


def test_pure_rooms_load_no_network_library() -> None:
    rooms = (
        "engine state.state requests.decisions reconciliation.reconciliation "
        "requests.sent_orders requests.cancels rules broker_messages broker.trade_updates "
        "requests.readiness journal.digest risk.approval risk.checks risk.preconditions "
        "limits.limits book.orders book.book broker.broker_orders broker.budget amounts "
        "broker.protocol broker.alpaca_orders"
    )
    code = "import sys\n" + "\n".join(f"import oms.{room}" for room in rooms.split())
    code += "\nsys.exit(any(name in sys.modules for name in ('redis', 'asyncio', 'socket', 'alpaca')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=30, check=False).returncode == 0
