"""Commands that are ended at random moments: afterwards the same command gives what it gives undisturbed."""

import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.torture.scene import CELLS, SIDES, Done, Scene, digests, finish, unlike
from bench.torture.tally import Tally

_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_INTERRUPTED = 130
_SHARE_EARLY = 0.1
_EARLY = 0.04  # seconds: while Python itself starts
_OF_UV = ("uv_cache.json",)  # beside each package: when uv saw its wheel
_A, _B = (CELLS.format(each) for each in SIDES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of the campaign.

    Attributes:
        words: what is typed.
        begins: what of the first results it begins with.
        makes: files and folders that must be as after an undisturbed run.
        prepare: what else is in its folder.
        own_cache: whether it gets a cache of its own, `cache` in its folder, which is part of what it makes.
    """

    name: str
    words: tuple[str, ...]
    begins: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    prepare: Callable[[Path], None] = lambda _: None
    own_cache: bool = False


def commands(scene: Scene) -> tuple[Command, ...]:
    """Return the commands that are tried with an engine."""
    engine, cells = ("--engine", scene.engine), ("--select", _A)
    with_engine = (
        Command(name="run", words=("run", *engine, *cells, "--results", "R"), makes=("R",)),
        Command(name="matrix", words=("matrix", *engine, *cells, "--results", "R", "--output", "P"), makes=("R", "P")),
        Command(name="trace", words=("trace", _A, _B, *engine, "--results", "M"), begins=("M",), makes=("M",)),
        Command(name="explain", words=("explain", _A, _B, *engine, "--results", "M"), begins=("M",), makes=("M",)),
    )
    if scene.engine == "docker":
        return with_engine[:2]
    return (
        *with_engine,
        Command(name="report", words=("report", "--results", "M", "--output", "P"), begins=("M",), makes=("M", "P")),
        Command(name="verify", words=("verify", "O", "--results", "M"), begins=("M", "O"), makes=("M", "O")),
        Command(name="merge", words=("merge", "A", "B", "--results", "N"), begins=("A", "B"), makes=("A", "B", "N")),
        Command(name="accept", words=("accept", "--results", "M"), begins=("M",), makes=("M", "accepted.json")),
        Command(name="compare", words=("compare", _A, _B, "--results", "M"), begins=("M",), makes=("M",)),
        Command(name="plan", words=("plan",)),
        Command(
            name="build",
            words=("build", *engine, "--select", SIDES[0]),
            prepare=lambda place: _wheels(place, scene),
            own_cache=True,
        ),
        Command(name="clean", words=("clean", "--all"), prepare=lambda place: _cache(place, scene), own_cache=True),
    )


def _wheels(place: Path, scene: Scene) -> None:
    shutil.copytree(scene.cache / "wheels", place / "cache" / "wheels", copy_function=os.link)


def _cache(place: Path, scene: Scene) -> None:
    (place / "cache").mkdir()
    kept = scene.cache / "environments"
    shutil.copytree(kept, place / "cache" / "environments", symlinks=True)


class Kills:
    """Tries of all commands with one engine."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._scene = scene
        self._chance = random.Random(seed)  # noqa: S311
        self._due: dict[str, tuple[Done, dict[str, str]]] = {}
        self.tallies: dict[str, Tally] = {}

    def run(self, count: int, names: tuple[str, ...] = ()) -> Iterator[Tally]:
        """End commands `count` times, each in turn; yield the tally after each try."""
        every = [each for each in commands(self._scene) if not names or each.name in names]
        for number in range(count):
            if self._scene.is_over:
                return
            command = every[number % len(every)]
            number_of_signal = _SIGNALS[self._chance.randrange(len(_SIGNALS))]
            yield self._try(command, number_of_signal, early=self._chance.random() < _SHARE_EARLY)

    def _try(self, command: Command, number: signal.Signals, *, early: bool) -> Tally:
        due, files = self._undisturbed(command)
        moment = self._chance.uniform(0, _EARLY if early else due.seconds)
        place, more = self._place(command)
        process = self._scene.start(command.words, place, more)
        time.sleep(moment)
        process.send_signal(number)
        done = finish(process)
        again = self._scene.run(command.words, place, more)
        cache = place / "cache" if command.own_cache else None
        python = number is signal.SIGINT and python_itself(done.err)
        problems = [*([] if python else wrong_end(done, due, number)), *wrong_again(again, due)]
        problems += unlike(self._made(command, place), files) + self._scene.left(place, cache)
        tally = self.tallies.setdefault(command.name, Tally(title=f"{command.name} ({self._scene.engine})"))
        how = "SIGINT before our code" if python else "ended before" if done.code == due.code else number.name
        tally.add(how, [f"{command.name}, {number.name} after {moment:.3f} s: {each}" for each in problems])
        shutil.rmtree(place, ignore_errors=True)
        return tally

    def _undisturbed(self, command: Command) -> tuple[Done, dict[str, str]]:
        if command.name not in self._due:
            place, more = self._place(command)
            begin = time.monotonic()
            done = self._scene.run(command.words, place, more)
            made = self._made(command, place)
            again = self._scene.run(command.words, place, more)  # what a second run makes of it: nothing new
            if again.code != done.code or self._made(command, place) != made:
                raise RuntimeError(f"{command.name} undisturbed is not steady: {done} {again}")
            self._due[command.name] = (done, made)
            assert done.seconds <= time.monotonic() - begin
            shutil.rmtree(place, ignore_errors=True)
        return self._due[command.name]

    def _place(self, command: Command) -> tuple[Path, dict[str, str]]:
        place = self._scene.place(*command.begins)
        command.prepare(place)
        # No engine answers there: the images of this machine are not for a campaign to remove.
        own = {"REPROMATRIX_CACHE": str(place / "cache"), "DOCKER_HOST": f"unix://{place}/no-engine"}
        return place, own if command.own_cache else {}

    def _made(self, command: Command, place: Path) -> dict[str, str]:
        if command.own_cache:
            return _environments(place / "cache")
        found = {}
        for name in command.makes:
            path = place / name
            inner = digests(path) if path.is_dir() else digests(place)
            found |= (
                {f"{name}/{inside}": digest for inside, digest in inner.items()}
                if path.is_dir()
                else {name: inner.get(name, "absent")}
            )
        return found


def _environments(cache: Path) -> dict[str, str]:
    """Return what of a cache does not carry its own path: the files of packages."""
    found = {}
    for path in sorted(cache.glob("environments/*/lib/python*/site-packages/**/*")):
        if path.is_file() and "__pycache__" not in path.parts and path.name not in _OF_UV:
            inside = path.relative_to(cache)
            found[str(inside)] = str(path.stat().st_size)
    return found


def python_itself(said: str) -> bool:
    """Whether Ctrl-C came while Python itself started, so that it was Python's to answer: no line of ours ran yet."""
    return bool(re.search(r"Traceback|Exception ignored", said)) and not re.search(r"repromatrix/\w+/\w+\.py", said)


def wrong_end(done: Done, due: Done, number: signal.Signals) -> list[str]:
    """Return what is wrong with how a command ended that was asked to end."""
    problems = [
        f"says {each!r}" for each in ("Traceback", "Exception ignored", "a defect of repromatrix") if each in done.err
    ]
    # By the signal itself before our code runs and after it has ended: what is left and made is looked at for all.
    allowed = {due.code, -number, *([] if number is signal.SIGKILL else [_INTERRUPTED])}
    if done.code not in allowed:
        problems.append(f"exit code {done.code}: {done.err[-300:]}")
    if done.code == _INTERRUPTED and "interrupted" not in done.err:
        problems.append("ends without a message")
    return problems


def wrong_again(again: Done, due: Done) -> list[str]:
    """Return what is wrong with the run after it."""
    return [] if again.code == due.code else [f"again: exit code {again.code}, not {due.code}: {again.err[-300:]}"]
