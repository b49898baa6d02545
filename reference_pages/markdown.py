"""Write tables and blocks of Markdown."""

from collections.abc import Iterable, Sequence

GENERATED = "<!-- Generated from the code by `make reference`; changes belong there. -->"


def page(title: str, *parts: str) -> str:
    """Join a page from its title and its parts, a blank line between them."""
    return "\n\n".join((GENERATED, f"# {title}", *(part.strip("\n") for part in parts))) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; a bar within a cell is escaped."""
    lines = [heads, ["---"] * len(heads), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: str) -> str:
    """Show a name or a value as code; "" stays empty."""
    return f"`{text}`" if text else ""


def block(text: str, language: str) -> str:
    """Write a block of code."""
    return f"```{language}\n{text}\n```"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
