"""Who owns a container or a folder, so that what a killed runner left can be told from what a living one uses."""

import os
from functools import cache
from pathlib import Path

_START_TIME = 19  # index in /proc/PID/stat after the command name: field 22


@cache
def machine() -> str:
    """Return what makes a process id mean something: this boot, and this namespace of process ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return "unknown"


def ourselves() -> str:
    """Return the owner label of this process."""
    return f"{os.getpid()} {_started(os.getpid())} {machine()}"


def is_dead(owner: str) -> bool:
    """Tell whether the process behind an owner label is surely gone; of other machines nothing is sure."""
    pid, _, rest = owner.partition(" ")
    started, _, where = rest.partition(" ")
    return pid.isdigit() and where == machine() != "unknown" and _started(int(pid)) != started


def _started(pid: int) -> str:
    """Return the start time of a process in clock ticks since boot, empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[_START_TIME]
    except OSError:
        return ""
