"""`repromatrix` and `python -m runner`: parse, run the steps, turn errors into exit codes."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    from runner.cli.main import run  # noqa: PLC0415 - `--help` must not pay for what it does not use

    return run(list(sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    sys.exit(main())
