"""Whether what came is as Alpaca documents it: asserts with all differences at once."""

from collections.abc import Callable
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from edge import Edge
from shapes import Shape, differences
from target import Target

MOST_SHOWN = 12


class Agreement:
    """Holds values against shapes, as strictly as the target allows."""

    def __init__(self, target: Target, edge: Edge) -> None:
        self._target = target
        self._edge = edge

    def of(self, value: Any, shape: Shape, name: str) -> None:
        """The value has this shape; fails with a sentence for each difference."""
        found = differences(value, shape, name, self._target.allows_more_keys)
        assert not found, "\n" + "\n".join([*found[:MOST_SHOWN], f"{len(found)} differences"])

    def answer(self, shape: Shape, status: int = 200) -> Any:
        """The newest answer has this status and shape; returns its body."""
        last = self._edge.last
        assert last.status == status, f"{last.method} {last.path} answered {last.status}: {last.received}"
        body = last.body
        self.of(body, shape, f"{last.method} {last.path}")
        return body

    def refusal(self, status: int, code: int | None, call: Callable[[], Any]) -> dict[str, Any]:
        """alpaca-py raises APIError on this, with this status and code; returns the body."""
        with pytest.raises(APIError) as error:
            call()
        body: dict[str, Any] = self._edge.last.body
        assert (error.value.status_code, body.get("code")) == (status, code), body
        assert isinstance(body["message"], str)
        assert body["message"]
        return body
