"""Names of signals, and the exit codes that mean one."""

import signal

_SHELL_BASE = 128  # shells and container init report signal n as code 128 + n


def signal_name(number: int) -> str:
    """Return `SIGSEGV` for 11; a number without a name stays one."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def signal_of_code(code: int) -> str | None:
    """Return the signal that an exit code of a container stands for, None for a plain code."""
    number = code - _SHELL_BASE
    return signal_name(number) if number in set(signal.Signals) else None
