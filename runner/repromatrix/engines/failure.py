"""The error for a build that did not end well, with the telling lines of its log."""

import re
from pathlib import Path

from repromatrix.engines.base import Exit
from repromatrix.errors import EnvironmentFailedError

_COMMAND = "$ "  # how a log marks the command that follows
_BUILDKIT_PREFIX = re.compile(r"^#\d+ (\d+\.\d+ )?")
_UV = re.compile(r"^(?:error|cause): (.*)")
_PYTHON = re.compile(r"^[A-Za-z_.]*(Error|Exception|Interrupt)\b")
# NumPy says it before an exception that tells nothing: a framework that names no newest NumPy gets the newest one.
_NUMPY = re.compile(r"compiled using NumPy 1\.x cannot be run in (NumPy \d[\w.]*)")
_NOISE = re.compile(r"^(-*$|ERROR: executor failed|executor failed|> \[)")
_LENGTH = 300


def build_failure(name: str, ended: Exit, log: Path) -> EnvironmentFailedError:
    """Return the error for the build of `name`."""
    how = "stopped" if ended.stopped else ended.signal or f"exit code {ended.code}"
    return EnvironmentFailedError(
        f"{name}: the environment could not be built ({how}): {telling(log.read_text(errors='replace'))[:_LENGTH]}",
        where=str(log),
        hint=f"read {log}; then `repromatrix build --select {name}`",
    )


def telling(story: str) -> str:
    """Return why the last command of a log failed: what uv says, else Python's exception, else the last line."""
    last = story[story.rfind(f"\n{_COMMAND}") + 1 :].splitlines()
    lines = [_BUILDKIT_PREFIX.sub("", line).strip() for line in last if not line.startswith(_COMMAND)]
    said = [line for line in lines if line and not _NOISE.match(line)]
    by_uv = dict.fromkeys(match[1] for line in said if (match := _UV.match(line)))
    if by_uv:
        return ": ".join(by_uv)
    if built_for_another := _NUMPY.search(" ".join(said)):
        return f"it was built for NumPy 1 and does not run with {built_for_another[1]}: it needs a lock with numpy<2"
    by_python = [line for line in said if _PYTHON.match(line)]
    return (by_python or said or ["it said nothing"])[-1]
