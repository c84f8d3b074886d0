"""A small parent between the runner and a command, so that nothing of the command outlives the runner.

Started as `python -I -S supervise.py FD`; FD is a socket to the runner: one JSON line comes in (see `Order`), one word
and a number go out ("exit 0", "signal 11", "memory 0", "processes 0"). When the runner closes its end, or dies in
whatever way, everything below is killed. Standard library only; it imports nothing of the project.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn, TypedDict

_TICK = 0.1  # seconds between two looks at memory and processes
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class Order(TypedDict):
    """What to run: 0 and no CPUs are no limits; `grace` is the time for cleaning up that a stopped command gets."""

    command: list[str]
    environment: dict[str, str]
    folder: str
    memory_mib: int
    processes: int
    cpus: list[int]
    grace: float


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _become(order: Order, parent: int) -> NoReturn:
    """Turn this forked child into the command."""
    try:
        os.setpgid(0, 0)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the supervisor died between the fork and the line above
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores them, and ignoring is inherited
        import resource  # noqa: PLC0415 - no other system than Linux runs this, and some that look at it have none

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")  # the kernel takes the command, not the runner
        _pin(order["cpus"])
        os.chdir(order["folder"])
        os.execve(order["command"][0], order["command"], order["environment"])  # noqa: S606
    except OSError as error:
        os.write(2, f"cannot start {order['command'][0]}: {error}\n".encode())
    os._exit(127)


def _pin(cpus: list[int]) -> None:
    """Leave this process those CPUs only.

    Raises:
        OSError: it cannot have all of them.
    """
    if not cpus:
        return
    os.sched_setaffinity(0, cpus)
    if os.sched_getaffinity(0) != set(cpus):  # the kernel drops without a word what it does not allow
        raise OSError(f"the CPUs {cpus} cannot all be used here")


def _tree(root: int, enough: int = 0) -> list[int]:
    """Return `root` and all processes below it, as far as the kernel tells; with `enough`, stop at so many.

    Who forks without end makes processes faster than they can be listed: the listing must not run after them.
    """
    found = [root]
    for pid in found:
        if 0 < enough <= len(found):
            break
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - a glob would lose the race
                with contextlib.suppress(OSError):
                    found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def _over(order: Order) -> str | None:
    """Return the limit that the command's processes exceed together, if any."""
    resident, tasks = 0, 0
    most = order["processes"]
    pids = _tree(os.getpid(), enough=most + 2 if most else 0)[1:]
    if most and len(pids) > most:
        return "processes 0"
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            resident += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_KIB
            tasks += len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 - names only, ten times a second
    if most and tasks > most:
        return "processes 0"
    limit = order["memory_mib"] * 1024
    # Pages that forked processes share count once, which is slow to find out and so asked only when it matters.
    if limit and resident > limit and sum(map(_proportional, pids)) > limit:
        return "memory 0"
    return None


def _proportional(pid: int) -> int:
    """Return the memory of a process in KiB, pages shared by n processes counted as 1/n."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return 0


def _reap() -> dict[int, int]:
    """Return the status of the command, and of each orphan below it, that has ended."""
    ended: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while (one := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            ended[one[0]] = one[1]
    return ended


def _watch(child: int, order: Order, lifeline: int) -> str:
    """Wait until the command ends, a limit is passed, or the runner lets go."""
    waiting = [lifeline]
    with contextlib.suppress(OSError, AttributeError):
        waiting.append(os.pidfd_open(child))  # wakes at the exit itself; without it at the next tick
    while True:
        ready, _, _ = select.select(waiting, [], [], _TICK)
        if lifeline in ready:
            return "stopped 0"
        status = _reap().get(child)
        if status is not None and os.WIFSIGNALED(status):
            return f"signal {os.WTERMSIG(status)}"
        if status is not None:
            return f"exit {os.waitstatus_to_exitcode(status)}"
        if verdict := _over(order):
            return verdict


def _ask(child: int, grace: float) -> None:
    """Give the command that many seconds to end by itself."""
    deadline = time.monotonic() + grace
    if grace:
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGTERM)
    while time.monotonic() < deadline and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.02)


def _kill_all(child: int) -> None:
    """Kill the command's group, then whoever left it: orphans come to this process, its subreaper."""
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    while True:
        for pid in reversed(_tree(os.getpid())[1:]):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            # All that have ended, not one a round: a listing of ten thousand takes a second.
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:  # the listing may miss some, this does not
            return
        select.select([], [], [], 0.005)


def _read_order(lifeline: int) -> Order:
    text = b""
    while not text.endswith(b"\n"):
        piece = os.read(lifeline, 1 << 16)
        if not piece:
            sys.exit(1)
        text += piece
    order: Order = json.loads(text)
    return order


def main() -> None:
    """Run the order that comes on the socket and answer how it ended."""
    lifeline = int(sys.argv[1])
    os.set_inheritable(lifeline, False)
    order = _read_order(lifeline)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    supervisor = os.getpid()
    child = os.fork()
    if child == 0:
        _become(order, supervisor)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)  # else the pipes would stay open after the command's end
    verdict = _watch(child, order, lifeline)
    if verdict.startswith("stopped"):
        _ask(child, order["grace"])
    with contextlib.suppress(OSError):
        os.write(lifeline, verdict.encode())  # first: to kill thousands takes longer than the runner waits for a line
    _kill_all(child)


if __name__ == "__main__":
    main()
