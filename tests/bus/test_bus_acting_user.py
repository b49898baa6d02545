"""Whoever acts is named, also where the user has no name."""

import getpass
import os
import socket

import pytest

from bus.acting_user import acting_user


@pytest.mark.parametrize("error", [KeyError("no entry"), OSError("no username")])
def test_a_user_without_a_name_is_known_by_number(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert acting_user() == f"uid {os.getuid()}@{socket.gethostname()}"


def test_a_user_is_known_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    assert acting_user() == f"ann@{socket.gethostname()}"
