"""Starts the `backbone` command, also as `python -m ops`."""

import signal


def main() -> None:
    """Run the command line. Until it is loaded there is nothing to tidy up: Ctrl-C ends it without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ops.cli import main as run

    run()


if __name__ == "__main__":
    main()
