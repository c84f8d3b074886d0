"""A folder in which commands run as a person runs them: a cache of its own, results to begin with, nothing else."""

import hashlib
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repromatrix.engines import owner
from repromatrix.images.lock import hashes_in

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(Path(sys.executable).with_name("repromatrix"))
SIDES = ("numpy-2.4.6-cpu", "numpy-1.26.4-cpu")
CELLS = "mazur/{}/sequential"  # with its ensemble
ANSWER = 120  # seconds for a command, on a machine that is busy
_LEAVING = 60  # seconds after which nothing of a command may be left
_COPIES = ("A", "B", "M", "O")
_UNSTEADY = ("logs",)  # what the frameworks said, appended to
_WHEN = re.compile(rb'"when": "[^"]*"|(?<=^ )"sha256": "[^"]*"', re.MULTILINE)  # and the digest over it


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that ended: its code, -N for signal N, and what it said."""

    code: int
    out: str
    err: str
    seconds: float


class Scene:
    """The campaign's folder; every try gets a folder of its own in it."""

    def __init__(self, folder: Path, wheels: Path, engine: str = "process", end: float = math.inf) -> None:
        self.folder = folder
        self._end = end
        self.engine = engine
        self.cache = folder / "cache"
        self.cache.mkdir(parents=True)
        for name in SIDES:  # those that are there already: what is missing is fetched
            for digest in hashes_in(ROOT / "images" / "numpy" / "locks" / f"{name}.txt"):
                if (wheels / digest).is_dir():
                    shutil.copytree(wheels / digest, self.cache / "wheels" / digest, copy_function=os.link)
        self.first = folder / "first"
        self.first.mkdir()
        shutil.copy(ROOT / "matrix.yaml", self.first)
        self._number = 0

    @property
    def is_over(self) -> bool:
        """Whether no other try is to begin: the time of the campaign is up."""
        return time.monotonic() > self._end

    def begin(self) -> None:
        """Make what the tries begin with: two runs (A, B), both together (M), the report of them (O).

        Raises:
            RuntimeError: a command fails that nobody disturbs.
        """
        for name, environment in zip("AB", SIDES, strict=True):
            self.require("run", "-q", "--engine", self.engine, "--select", CELLS.format(environment), "--results", name)
        self.require("merge", "-q", "A", "B", "--results", "M")
        self.require("report", "-q", "--results", "M", "--output", "O")

    def require(self, *words: str) -> None:
        """Run a command that must work."""
        done = self.run(words, self.first)
        if done.code:
            raise RuntimeError(f"repromatrix {' '.join(words)} ends with {done.code}: {done.err}")

    def place(self, *parts: str) -> Path:
        """Return a new folder with copies of what `begin` made."""
        self._number += 1
        found = self.folder / f"try-{self._number}"
        (found / "tmp").mkdir(parents=True)
        shutil.copy(ROOT / "matrix.yaml", found)
        for name in parts:
            if name in _COPIES:
                shutil.copytree(self.first / name, found / name)
        return found

    def variables(self, place: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the variables of a command that runs in a folder."""
        return {
            **os.environ,
            "REPROMATRIX_CACHE": str(self.cache),
            "TMPDIR": str(place / "tmp") if (place / "tmp").is_dir() else str(self.folder),
            "COLUMNS": "200",
            **(more or {}),
        }

    def start(
        self, words: Sequence[str], place: Path, more: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start a command in a folder."""
        return subprocess.Popen(
            [COMMAND, *words],
            cwd=place,
            env=self.variables(place, more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_answer_hangups,  # noqa: PLW1509 - no process of a campaign has a second thread
        )

    def run(self, words: Sequence[str], place: Path, more: Mapping[str, str] | None = None) -> Done:
        """Run a command in a folder to its end."""
        return finish(self.start(words, place, more))

    def left(self, place: Path, cache: Path | None = None) -> list[str]:
        """Return what is left of commands that ended: processes, temporary files, containers."""
        deadline = time.monotonic() + _LEAVING
        while (found := self._processes() + self._containers()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found + litter(place, cache or self.cache)

    def _processes(self) -> list[str]:
        return [f"process: {each}" for each in processes(str(self.folder))]

    def _containers(self) -> list[str]:
        if self.engine != "docker":
            return []
        shown = '{{.ID}} {{.Label "repromatrix.owner"}}'
        command = ["docker", "ps", "--all", "--filter", "label=repromatrix.owner", "--format", shown]
        found = [line.partition(" ") for line in subprocess.check_output(command, text=True).splitlines()]
        # Whoever else works on this machine has containers too; what this campaign began has ended.
        return [f"container: {name}" for name, _, owned in found if owner.is_dead(owned)]


def _answer_hangups() -> None:
    """Have a command answer SIGHUP, which `nohup` has this campaign ignore."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def finish(process: "subprocess.Popen[bytes]", seconds: float = ANSWER) -> Done:
    """Return how a command ended; one that does not is killed, with the code 124."""
    begin = time.monotonic()
    try:
        out, err = process.communicate(timeout=seconds)
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        code = 124
    return Done(
        code=code, out=out.decode(errors="replace"), err=err.decode(errors="replace"), seconds=time.monotonic() - begin
    )


def processes(words: str) -> list[str]:
    """Return the command lines of the processes whose command line or variables hold `words`."""
    found, ours = [], _ancestors()
    for path in Path("/proc").glob("[0-9]*"):
        if int(path.name) in ours:
            continue
        try:
            line = (path / "cmdline").read_bytes()
            if line and words.encode() in line + (path / "environ").read_bytes():
                found.append(line.replace(b"\0", b" ").decode(errors="replace")[:160])
        except OSError:
            continue
    return found


def _ancestors() -> set[int]:
    """Return this process and those above it, whose command lines may name the folder."""
    found, pid = set(), os.getpid()
    while pid:
        found.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def litter(place: Path, cache: Path) -> list[str]:
    """Return the temporary files that are left."""
    found = [*(cache / "runs").glob("*"), *cache.glob("wheels/.fetch-*"), *(place / "tmp").glob("*")]
    found += [path for path in place.rglob(".*") if path.name.endswith(".part")]
    found += cache.glob("*/.*.part")
    return [f"left: {path.relative_to(place.parent)}" for path in found]


def digests(folder: Path) -> dict[str, str]:
    """Return path -> SHA-256 of every file of a folder, without logs, and without when a run was accepted."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(_content(path)).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.relative_to(folder).parts[0] not in _UNSTEADY
    }


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    return _WHEN.sub(b"", data) if path.name == "accepted.json" else data


def unlike(found: Mapping[str, str], due: Mapping[str, str]) -> list[str]:
    """Return what differs between two folders."""
    return [f"differs: {name}" for name in sorted({*found, *due}) if found.get(name) != due.get(name)][:5]
