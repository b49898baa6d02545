"""Who acts, as it stands beside a halt or a change of limits: the user and the machine."""

import getpass
import os
import socket


def acting_user() -> str:
    """Return `<user>@<host>` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container's user need not have a name.
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
