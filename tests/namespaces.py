"""Hosts that are network namespaces of the test's own, on one bridge: a scheduler, workers and a client of Dask."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

ROOT = Path(__file__).parents[1]
DASK = str(Path(sys.executable).parent / "dask")
HUB = "10.77.0.1"
SCHEDULER = f"tcp://{HUB}:8786"
# A host that is cut off is noticed in seconds, and nothing profiles.
DASK_OPTIONS = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s",  # the least that it takes
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "10s",
}


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def why_not() -> str:
    """Return why no namespaces can be made here, empty where they can."""
    if not shutil.which("ip"):
        return "no `ip` (iproute2) here"
    name = f"rm{os.getpid()}probe"
    made = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True, text=True)
    if made.returncode:
        return f"no network namespace can be made here: {made.stderr.strip()}"
    script = "ip link add name bridge0 type bridge && mount -t tmpfs tmpfs /mnt"
    able = subprocess.run(
        ["ip", "netns", "exec", name, "sh", "-c", script], check=False, capture_output=True, text=True
    )
    _ip("netns", "del", name)
    return f"no bridge or no mount in a network namespace here: {able.stderr.strip()}" if able.returncode else ""


def wait(until: Callable[[], object], what: str, seconds: float = 90) -> None:
    """Wait until something is so; generous, for other tests run beside this one."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


class Network:
    """A hub with a bridge and a scheduler, and hosts; use as a context, which leaves nothing behind."""

    def __init__(self, folder: Path) -> None:
        if reason := why_not():
            pytest.skip(reason)
        self.folder = folder
        self._prefix = f"rm{os.getpid()}"
        self._hosts: dict[str, int] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        _ip("netns", "add", self._name("hub"))
        hub = ("-n", self._name("hub"))
        _ip(*hub, "link", "add", "name", "bridge0", "type", "bridge")
        _ip(*hub, "addr", "add", f"{HUB}/24", "dev", "bridge0")
        _ip(*hub, "link", "set", "bridge0", "up")
        _ip(*hub, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            self.end(process)
        for host in ("hub", *self._hosts):
            _ip("netns", "del", self._name(host))

    def _name(self, host: str) -> str:
        return f"{self._prefix}{host}"

    def host(self, name: str) -> str:
        """Return the address of a host, which is there from the first call on."""
        if name not in self._hosts:
            number = self._hosts[name] = len(self._hosts) + 2
            space, hub = self._name(name), self._name("hub")
            _ip("netns", "add", space)
            _ip(
                "link",
                "add",
                "name",
                "eth0",
                "netns",
                space,
                "type",
                "veth",
                "peer",
                "name",
                f"to{number}",
                "netns",
                hub,
            )
            _ip("-n", hub, "link", "set", f"to{number}", "master", "bridge0")
            _ip("-n", hub, "link", "set", f"to{number}", "up")
            _ip("-n", space, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            _ip("-n", space, "link", "set", "lo", "up")
        return f"10.77.0.{self._hosts[name]}"

    def cut(self, name: str, *, off: bool) -> None:
        """Take a host from the bridge, or give it back."""
        _ip("-n", self._name("hub"), "link", "set", f"to{self._hosts[name]}", "down" if off else "up")

    def start(self, host: str, script: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start a shell script on a host, in a group of its own; what it says goes to a file."""
        log = (self.folder / f"{host}.log").open("ab")
        process = subprocess.Popen(
            ["ip", "netns", "exec", self._name(host), "sh", "-c", script],
            env={**os.environ, **DASK_OPTIONS, **variables},
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def run(self, host: str, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command on a host to its end."""
        return subprocess.run(
            ["ip", "netns", "exec", self._name(host), *command],
            env={**os.environ, **DASK_OPTIONS, **variables},
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )

    def scheduler(self) -> subprocess.Popen[bytes]:
        """Start the scheduler, and return when it answers."""
        process = self.start("hub", f"exec {DASK} scheduler --host {HUB} --port 8786 --no-dashboard")
        wait(lambda: self.listens(process), "the scheduler listens")
        return process

    def listens(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the scheduler does."""
        assert process.poll() is None, (self.folder / "hub.log").read_text()[-2000:]
        # 0A: listening; 2252: port 8786. `ip netns exec` became the process, so its files are those of the namespace.
        lines = Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()
        return any(line.split()[1].endswith(":2252") and line.split()[3] == "0A" for line in lines[1:])

    def worker(self, host: str, first: str = "true", **variables: str) -> subprocess.Popen[bytes]:
        """Start a worker, which a supervisor starts anew whenever it ends; `first` runs before it."""
        place = self.folder / f"dask-{host}"
        dask = (
            f"{DASK} worker {SCHEDULER} --host {self.host(host)} --nworkers 1 --nthreads 1 --no-nanny "
            f"--no-dashboard --local-directory {place} --death-timeout 60"
        )
        return self.start(host, f"{first} && while true; do {dask}; sleep 0.3; done", **variables)

    def workers_of(self, namespace: str) -> list[int]:
        """Return the process ids of Dask's workers in the network namespace of that name in /proc."""
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            try:
                there = str((each / "ns" / "net").readlink()) == namespace
                own = there and b"worker\0tcp" in (each / "cmdline").read_bytes()
            except OSError:  # it has ended
                continue
            found += [int(each.name)] if own else []
        return found

    @staticmethod
    def end(process: subprocess.Popen[bytes]) -> None:
        """Kill a process that was started here, with its group."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
