"""The tables of codes hold every code that the code gives, and no other: read from the syntax tree."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bus.state_reasons import STATE_REASONS
from oms.requests.readiness import NOT_READY
from oms.risk.refusals import REFUSALS

ROOT = Path(__file__).parents[1]
PACKAGES = ("bus", "ingest", "algos", "oms", "ops")

# Where the reasons are made for which no orders are taken at all.
NOT_READY_MODULE = ROOT / "oms" / "requests" / "readiness.py"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def own_constants(tree: ast.Module) -> dict[str, str]:
    """The texts that a module gives a name of its own."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }


@cache
def constants_of(module: str) -> dict[str, str]:
    """The texts that a module of ours gives a name; nothing where the name is that of a package."""
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return own_constants(ast.parse(path.read_text())) if path.exists() else {}


class Module:
    """A module's syntax tree: which codes its calls of a class may be given."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text() if text is None else text)
        self.constants = own_constants(self.tree) | {
            alias.asname or alias.name: found[alias.name]
            for node in self.tree.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES
            for found in [constants_of(str(node.module))]
            for alias in node.names
            if alias.name in found
        }
        # Inner functions are walked after those around them.
        self.within: dict[ast.AST, Function] = {
            inner: function
            for function in ast.walk(self.tree)
            if isinstance(function, Function)
            for inner in ast.walk(function)
            if inner is not function
        }

    def codes(self, made: str) -> Iterator[str]:
        """Every code that `made(code, ...)` or `made(code=...)` is called with here."""
        for call in self.calls(made):
            yield from self.meant(self.argument(call, 0, "code"))

    def calls(self, name: str) -> Iterator[ast.Call]:
        """The calls of this name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield node

    def argument(self, call: ast.Call, position: int, name: str) -> ast.expr:
        """The argument of a call, given by position or by name."""
        if len(call.args) > position:
            return call.args[position]
        return next(one.value for one in call.keywords if one.arg == name)

    def meant(self, node: ast.expr) -> Iterator[str]:
        """The texts that an expression may stand for: a literal, a constant, or what a parameter is given."""
        function = self.within.get(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            yield f"{node.values[0].value}<code>"
        elif isinstance(node, ast.Name) and node.id in self.constants:
            yield self.constants[node.id]
        elif isinstance(node, ast.Name) and function is not None:
            names = [one.arg for one in function.args.args]
            for call in self.calls(function.name):
                yield from self.meant(self.argument(call, names.index(node.id), node.id))
        elif not (isinstance(node, ast.Attribute) and node.attr == "code"):
            # What another reason has as its code was counted where that one is made.
            raise AssertionError(
                f"{self.path}:{node.lineno}: write the code as a literal, so that it is found"
            )


def modules() -> list[Module]:
    return [Module(path) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_every_code_of_a_refusal_is_in_the_table_and_no_other() -> None:
    # `above` makes a reason too, and is called from other files than its own.
    given = {
        code
        for module in modules()
        if module.path != NOT_READY_MODULE
        for made in ("Reason", "above")
        for code in module.codes(made)
    }
    assert given == {one.code for one in REFUSALS}
    assert "broker_<code>" in given


def test_every_code_for_which_no_orders_are_taken_is_in_the_table_and_no_other() -> None:
    assert set(Module(NOT_READY_MODULE).codes("Reason")) == {one.code for one in NOT_READY}


def test_every_code_of_a_heartbeat_is_in_the_table_and_no_other() -> None:
    given = {code for module in modules() for code in module.codes("StateReason")}
    assert given == {one.code for one in STATE_REASONS}


def test_no_code_stands_twice_and_each_says_what_to_do() -> None:
    for table in (REFUSALS, NOT_READY, STATE_REASONS):
        codes = [one.code for one in table]
        assert len(codes) == len(set(codes))
        assert not [one.code for one in table if not one.meaning or not one.do_now]


def test_a_code_that_goes_through_parameters_and_constants_is_found() -> None:
    text = (
        "LATE = 'late'\n"
        "def outer(name, n): return inner(n, name)\n"
        "def inner(n, code): return Reason(code=code, message=str(n))\n"
        "outer('wide', 1); inner(2, code='high'); Reason(code=LATE); Reason(code=f'broker_{1}')\n"
        "Reason(code=other.code)\n"
        "from oms.book.orders import ID_CONFLICT as TAKEN\n"
        "def elsewhere(n): return Reason(code=TAKEN)\n"
    )
    found = set(Module(Path("made_up.py"), text).codes("Reason"))
    assert found == {"wide", "high", "late", "broker_<code>", "id_conflict"}
