"""`python -m ops` is the `backbone` command."""

from ops.cli import main

if __name__ == "__main__":
    main()
