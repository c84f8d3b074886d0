"""`repromatrix` and `python -m repromatrix`: parse, run the steps, turn errors into exit codes."""

import sys  # and nothing else up here: what Python loads before `main` begins, Ctrl-C ends with a traceback

_INTERRUPTED = 130  # as in `errors`, whose import may be what is interrupted


def main(arguments: list[str] | tuple[str, ...] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        if arguments is None:
            _end_at_once_by_ctrl_c()
        from repromatrix.cli.main import run  # noqa: PLC0415 - most of the time that a start takes

        return run(sys.argv[1:] if arguments is None else arguments, own_process=arguments is None)
    except KeyboardInterrupt:
        return _interrupted()


def _end_at_once_by_ctrl_c() -> None:
    """Answer Ctrl-C without an exception, which imports may swallow, until there is something to clean up."""
    import os  # noqa: PLC0415 - what is imported up there is not yet under `try`
    import signal  # noqa: PLC0415

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as a shell has it in the background
        signal.signal(signal.SIGINT, lambda *_: os._exit(_interrupted()))


def _interrupted() -> int:
    """Say that nothing was begun, past all buffers, and return the exit code."""
    import os  # noqa: PLC0415

    try:
        os.write(2, b"repromatrix: interrupted; nothing had begun\n")
    except OSError:  # nobody reads it
        return _INTERRUPTED
    return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
