"""The pages under docs/reference are what the code says now, and leave nothing out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from golden_messages import FAMILIES, GOLDEN, MARKET

from bus.settings import AlpacaSettings, BusSettings, variable_name
from bus.variables import help_text, variables_of
from reference_pages import events_page, settings_page
from reference_pages.field_meanings import FIELD_MEANINGS
from reference_pages.other_variables import COMPOSE
from reference_pages.pages import ROOT, pages

PAGES = {path.name: (path, content) for path, content in pages().items()}

# What reads a setting: the package of each process.
PACKAGES = {"ingest": "ingest", "oms": "oms", "algo": "algos", "ops": "ops"}

PRODUCT = [path for package in ("bus", "sim", *PACKAGES.values()) for path in (ROOT / package).rglob("*.py")]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    path, content = PAGES[name]
    assert path.is_file(), f"docs/reference/{name} is missing: run `make reference`"
    assert path.read_text() == content, f"docs/reference/{name} is stale: run `make reference`"


def test_every_page_is_linked_to() -> None:
    for document in ("README.md", "docs/architecture.md"):
        text = (ROOT / document).read_text()
        assert [name for name in PAGES if f"reference/{name}" not in text] == [], document


def test_nothing_in_a_page_is_taken_for_a_tag() -> None:
    """Outside of code, what stands in angle brackets is not shown."""
    for name, (_, content) in PAGES.items():
        prose = re.sub(r"```.*?```|`[^`]*`", "", content.split("\n", 1)[1], flags=re.S)
        assert "<" not in prose, name


# Settings.


@pytest.mark.parametrize("process", settings_page.PROCESSES)
def test_every_setting_says_what_it_does(process: str) -> None:
    for variable in variables_of(settings_page.PROCESSES[process]):
        assert len(variable.meaning) > 10, f"{variable.name} has no description"


@pytest.mark.parametrize("field", AlpacaSettings.model_fields)
def test_a_shared_setting_names_the_processes_that_use_it(field: str) -> None:
    # The keys go through one method.
    used = "keys()" if field.startswith("alpaca_") else field
    users = []
    for process, package in PACKAGES.items():
        own = ROOT / package / "settings.py"
        text = "".join(path.read_text() for path in (ROOT / package).rglob("*.py"))
        itself = own.read_text() if own.is_file() else ""
        # One names the account that has no name, the others the address where none is given.
        also = {"trading": "account", "data_url": "data_api_url", "trading_url": "trading_api_url"}
        uses = [used, also.get(field, used)]
        if any(re.search(rf"\bsettings\.{re.escape(one)}(?!\w)", text) for one in uses) or re.search(
            rf"\bself\.{field}\b", itself
        ):
            users.append(process)
    name = variable_name(AlpacaSettings, field)
    variable = next(one for one in variables_of(AlpacaSettings) if one.name == name)
    assert list(settings_page.read_by(variable)) == users


def test_every_variable_that_the_code_names_is_on_the_page() -> None:
    pattern = r"\b(?:BACKBONE|ALPACA|SIM|MD|ORDERS)_[A-Z_]*[A-Z]\b"
    named = {found for path in PRODUCT for found in re.findall(pattern, path.read_text())}
    shown = set(re.findall(pattern, PAGES["settings.md"][1]))
    known = shown | {f"{name}_FILE" for name in shown}
    # Beginnings of names, such as BACKBONE_OMS_.
    beginnings = {name for name in named if any(one.startswith(f"{name}_") for one in shown)}
    assert named - known - beginnings == set()
    assert {"BACKBONE_HOME", "BACKBONE_SERVER_BIN", "SIM_API_KEY"} <= named


def test_every_variable_of_the_compose_files_is_on_the_page() -> None:
    text = "".join((ROOT / name).read_text() for name in ("compose.yaml", "compose.alpaca.yaml"))
    assert set(re.findall(r"\$\{(\w+)", text)) == set(COMPOSE)


def test_secrets_show_no_default_and_no_page_an_address_of_this_machine() -> None:
    shown = {one.name: one for one in variables_of(AlpacaSettings)}
    for name in ("ALPACA_API_KEY", "ALPACA_SECRET_KEY"):
        assert (shown[name].allowed, shown[name].default) == ("text, a secret", "")
    assert not [name for name, (_, content) in PAGES.items() if str(ROOT) in content]


@pytest.mark.parametrize(("process", "package"), list(PACKAGES.items())[:3])
def test_help_names_the_settings_that_the_process_reads_and_no_others(process: str, package: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", package, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    for variable in variables_of(settings_page.PROCESSES[process]):
        reads = process in settings_page.read_by(variable)
        assert bool(re.search(rf"^  {variable.name}$", shown, re.M)) is reads, variable.name


def test_help_says_what_is_allowed_and_what_holds_without() -> None:
    text = " ".join(help_text(BusSettings, "oms").split())
    assert "BACKBONE_LOG_LEVEL the lowest level of log lines that are written" in text
    assert "(debug, info, warning, error; default info)" in text
    assert "BACKBONE_LOG_LEVEL" not in help_text(BusSettings, "ops")


# Messages.


def test_every_message_is_on_the_page_with_an_example_that_is_read_back() -> None:
    """The examples are the golden entries, of which `test_bus_versions.py` says that they can be read."""
    assert events_page.EXAMPLES == GOLDEN
    assert Path(GOLDEN).is_file()
    shown = re.findall(r"^### (\w+)$", PAGES["events.md"][1], re.M)
    messages = [cls.wire for classes in FAMILIES.values() for cls in classes]
    parts = [cls.__name__ for cls in events_page.PARTS]
    assert sorted(shown) == sorted([*messages, *parts, *MARKET])


def test_every_entry_of_the_account_stream_is_on_the_page() -> None:
    written = re.findall(r'\b_keep\(b"(\w+)"', (ROOT / "ingest/streams/alpaca_account.py").read_text())
    assert sorted(set(written)) == sorted(events_page.ACCOUNT)


def test_no_meaning_is_kept_for_a_field_that_is_gone() -> None:
    classes = [cls for family in FAMILIES.values() for cls in family]
    fields = {
        (cls.__name__, name)
        for cls in (*classes, *events_page.PARTS, *events_page.MARKET.values())
        for name in cls.__struct_fields__
    }
    own = {f"{cls}.{name}" for cls, name in fields}
    shared = {name for cls, name in fields if f"{cls}.{name}" not in FIELD_MEANINGS}
    assert set(FIELD_MEANINGS) - own - shared == set()
