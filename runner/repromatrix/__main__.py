"""`repromatrix` and `python -m repromatrix`: parse, run the steps, turn errors into exit codes."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    from repromatrix.cli.main import run  # noqa: PLC0415 - `--help` must not pay for what it does not use

    if arguments is not None:
        return run(arguments)
    return run(sys.argv[1:], own_process=True)


if __name__ == "__main__":
    sys.exit(main())
