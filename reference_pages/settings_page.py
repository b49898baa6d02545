"""The page of settings: every environment variable of every process, and the simulator's options."""

import argparse

from algos.settings import AlgoSettings
from bus.settings import AlpacaSettings, BusSettings
from bus.variables import Variable, variables_of
from ingest.settings import IngestSettings
from oms.settings import OmsSettings
from reference_pages.markdown import code, page, table
from reference_pages.other_variables import COMPOSE, NOT_SETTINGS
from sim.arguments import parser

_HEADS = ("variable", "allowed", "default", "read by", "meaning")

# The settings class of each process; `ops` is every other command.
PROCESSES: dict[str, type[BusSettings]] = {
    "ingest": IngestSettings,
    "oms": OmsSettings,
    "algo": AlgoSettings,
    "ops": AlpacaSettings,
}

_INTRO = """
Settings come from the environment, and are read once, when a process starts. A name that begins with
`BACKBONE_` and is no setting is refused, so that a misspelt one is noticed; a variable that is set to
nothing counts as not set. A wrong value ends the process with one sentence and exit code 2. `backbone
ingest --help`, `backbone oms --help` and `backbone algo --help` name those that the process reads.

**From a file.** Each variable of the first five tables may be given as `NAME_FILE` instead: the path of a
file that holds the value, which is how container secrets arrive (`ALPACA_API_KEY_FILE=/run/secrets/key`).
Both at once are refused.

**Read by.** `ingest`, `oms` and `algo` are the services of these names; `ops` is every other command
(`demo`, `up`, `status`, `tail`, `halt`, `resume`, `dead`, `account`, `doctor`).

Risk limits are no variables: they stand in the file that `BACKBONE_OMS_LIMITS` names, and each is
explained in [oms/default_limits.toml](../../oms/default_limits.toml).
"""

_SECTIONS: tuple[tuple[str, str, type[BusSettings]], ...] = (
    ("Every process", "", BusSettings),
    ("Alpaca", "How to reach Alpaca, or a simulator in its place.", AlpacaSettings),
    ("Ingest", "", IngestSettings),
    ("The OMS", "", OmsSettings),
    ("An algorithm's process", "", AlgoSettings),
)


def content() -> str:
    """Return the page."""
    parts = [_INTRO]
    shown: set[str] = set()
    for title, sentence, cls in _SECTIONS:
        found = [one for one in variables_of(cls) if one.name not in shown]
        shown |= {one.name for one in found}
        parts += [
            f"## {title}",
            *([sentence] if sentence else []),
            table(_HEADS, (_row(one, code(one.default)) for one in found)),
        ]
    parts += ["## Others", table(_HEADS, (_row(one, one.default) for one in NOT_SETTINGS))]
    parts += ["## Containers", _CONTAINERS, table(("variable", "meaning"), _compose_rows())]
    parts += ["## The simulator's options", _SIMULATOR, *_options(parser())]
    return page("Settings", *parts)


_CONTAINERS = """
`compose.yaml` and `compose.alpaca.yaml` read these from the shell or from a file `.env` beside them.
"""

_SIMULATOR = """
The simulator is told by its command line what to do; only its keys may come from the environment (above).
"""


def read_by(variable: Variable) -> tuple[str, ...]:
    """Return the processes that use a variable: those that say so, else all whose settings have it."""
    if variable.read_by is not None:
        return variable.read_by
    return tuple(
        process
        for process, cls in PROCESSES.items()
        if variable.name in {one.name for one in variables_of(cls)}
    )


def _row(variable: Variable, default: str) -> tuple[str, ...]:
    readers = ", ".join(read_by(variable)) or "nobody"
    return code(variable.name), variable.allowed, default or "none", readers, variable.meaning


def _compose_rows() -> list[tuple[str, str]]:
    return [(code(name), meaning) for name, meaning in COMPOSE.items()]


def _options(made: argparse.ArgumentParser) -> list[str]:
    # argparse shows its options as a text for a terminal of some width, and in no other way.
    parts = []
    for group in made._action_groups:
        rows = [
            (code(", ".join(action.option_strings)), action.help or "")
            for action in group._group_actions
            if action.dest != "help"
        ]
        if rows:
            title = (
                "Output"
                if group.title in ("options", "optional arguments")
                else str(group.title).capitalize()
            )
            parts += [f"### {title}", table(("option", "meaning"), rows)]
    return parts
