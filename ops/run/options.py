"""Options that `backbone demo` and `backbone up` share."""

from typing import Annotated

import typer

Symbols = Annotated[str, typer.Option(help="comma-separated; default AAPL,MSFT,SPY,TSLA")]
Seconds = Annotated[float | None, typer.Option(min=0.1, help="end after so long; default: Ctrl-C")]
Algo = Annotated[
    list[str] | None, typer.Option(help="file.py:Class to run instead of the two; may be repeated")
]
Shared = Annotated[bool, typer.Option("--shared", help="one server for market data and orders is meant so")]
AsJson = Annotated[
    bool, typer.Option("--json", help="the last line on stdout is one JSON object; progress on stderr")
]
