"""Turn the data of an older message version into those of the next, one step each."""

from collections.abc import Callable, Mapping
from typing import Any

# Gets the data of an entry as read from its JSON and returns them as the next version writes them.
Upcast = Callable[[dict[str, Any]], dict[str, Any]]

# By wire name and the version that is read. A field that is added with a default needs none; one that is
# renamed, removed, or changes its meaning takes a new `version` in its class and an upcast from the last one.
UPCASTS: Mapping[tuple[str, int], Upcast] = {}
