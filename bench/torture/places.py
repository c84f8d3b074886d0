"""Commands in hostile places: no room, no inodes, read-only, other times, languages and paths.

What cannot be written ends with a message that names what to do, without half a file; once there is room, the same
command gives what it gives elsewhere. Clocks are libfaketime's (Debian: faketime).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.torture.kills import Command, commands
from bench.torture.scene import Done, Scene, digests, unlike
from bench.torture.tally import Tally

_NAMES = ("report", "merge", "accept", "run")
_ROOM = ("size=16k", "size=64k", "size=200k", "size=400k", "size=700k")
_INODES = ("nr_inodes=12", "nr_inodes=40", "nr_inodes=90")
_CLOCKS = ("@1970-01-01 00:00:10", "@2100-12-31 23:59:50")
_LOCALES = (
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    {"LC_ALL": "nowhere", "LANGUAGE": "xx"},
    {"PYTHONIOENCODING": "ascii", "LC_ALL": "POSIX"},
)
_PATHS = ("a space", "ünï-码", "a\nline", "-q", 'it\'s "quoted" $HOME `x`', "%s{}", "x" * 200, "deep/" * 20 + "end")
_REFUSALS = (2, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    command: Command
    done: Done
    made: dict[str, str]


def hostile(scene: Scene, *, short: bool = False) -> Iterator[Tally]:
    """Try all places; yield a tally for each kind. With `short`, one try of each kind."""
    due = [_undisturbed(scene, each) for each in commands(scene) if each.name in _NAMES]
    few = slice(1) if short else slice(None)
    if can_mount():
        yield _mounted(scene, due[few], "a full disk (tmpfs)", _ROOM[1:2] if short else _ROOM)
        yield _mounted(scene, due[few], "no inodes left (tmpfs)", _INODES[1:2] if short else _INODES)
        yield _read_only(scene, due[few])
    if shutil.which("faketime"):
        yield _elsewhere(scene, due[few], "the clock in 1970 and 2100", [_clock(each) for each in _CLOCKS])
    yield _elsewhere(scene, due[few], "odd locales", _LOCALES[:1] if short else _LOCALES)
    yield _paths(scene, due[few], _PATHS[:3] if short else _PATHS)


def can_mount() -> bool:
    """Whether this process may mount file systems."""
    return os.geteuid() == 0 and bool(shutil.which("mount")) and "CapEff:\t0000000000000000" not in _status()


def _status() -> str:
    return Path("/proc/self/status").read_text()


def _undisturbed(scene: Scene, command: Command) -> _Due:
    place = scene.place(*command.begins)
    done = scene.run(command.words, place)
    return _Due(command=command, done=done, made=_made(command, place))


def _made(command: Command, place: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in command.makes:
        path = place / name
        inner = digests(path) if path.is_dir() else digests(place)
        found |= {f"{name}/{inside}": each for inside, each in inner.items() if path.is_dir() or inside == name}
    return found


@contextmanager
def _tmpfs(place: Path, options: str) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _mounted(scene: Scene, every: list[_Due], title: str, sizes: tuple[str, ...]) -> Tally:
    tally = Tally(title=title)
    for due in every:
        for size in sizes:
            if scene.is_over:
                return tally
            source = scene.place(*due.command.begins)
            place = source.parent / f"{source.name}-mounted"
            place.mkdir()
            with _tmpfs(place, "size=64m"):
                shutil.copytree(source, place, dirs_exist_ok=True)
                _shrink(place, size)
                done = scene.run(due.command.words, place)
                problems = refusal(done, due.done)
                subprocess.run(["mount", "-o", "remount,size=64m,nr_inodes=0", str(place)], check=True)
                problems += _again(scene, due, place)
            shutil.rmtree(source)
            _add(tally, due, done, f"{due.command.name}, {size}", problems)
    return tally


def _shrink(place: Path, size: str) -> None:
    """Leave a mounted folder as much more than it holds."""
    name, _, more = size.partition("=")
    if name == "size":
        held = sum(path.stat().st_blocks * 512 for path in place.rglob("*"))
        subprocess.run(["mount", "-o", f"remount,size={held + int(more[:-1]) * 1024}", str(place)], check=True)
    else:
        held = sum(1 for _ in place.rglob("*")) + 1
        subprocess.run(["mount", "-o", f"remount,nr_inodes={held + int(more)}", str(place)], check=True)


def _read_only(scene: Scene, every: list[_Due]) -> Tally:
    tally = Tally(title="a read-only folder (tmpfs)")
    for due in every:
        if scene.is_over:
            return tally
        source = scene.place(*due.command.begins)
        place = source.parent / f"{source.name}-mounted"
        place.mkdir()
        with _tmpfs(place, "size=64m"):
            shutil.copytree(source, place, dirs_exist_ok=True)
            subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
            done = scene.run(due.command.words, place, {"TMPDIR": str(scene.folder)})
            problems = refusal(done, due.done)
            subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
            problems += _again(scene, due, place)
        shutil.rmtree(source)
        _add(tally, due, done, due.command.name, problems)
    return tally


def _clock(text: str) -> dict[str, str]:
    # Not the variant for threads (MT), under which uv waits for ever.
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), Path())
    return {"LD_PRELOAD": str(library), "FAKETIME": text}


def _elsewhere(
    scene: Scene, every: list[_Due], title: str, variables: "tuple[Mapping[str, str], ...] | list[dict[str, str]]"
) -> Tally:
    tally = Tally(title=title)
    for due in every:
        for more in variables:
            if scene.is_over:
                return tally
            place = scene.place(*due.command.begins)
            done = scene.run(due.command.words, place, more)
            problems = _same(done, due, place) + scene.left(place)
            shutil.rmtree(place)
            _add(tally, due, done, f"{due.command.name}, {more}", problems)
    return tally


def _paths(scene: Scene, every: list[_Due], names: tuple[str, ...]) -> Tally:
    tally = Tally(title="odd paths")
    for due in every:
        for name in names:
            if scene.is_over:
                return tally
            source = scene.place(*due.command.begins)
            place = source / "inner" / name
            place.mkdir(parents=True)
            for each in [*due.command.begins, "matrix.yaml"]:
                (source / each).rename(place / each)
            done = scene.run(due.command.words, place)
            problems = _same(done, due, place) + scene.left(place)
            shutil.rmtree(source)
            _add(tally, due, done, f"{due.command.name}, {name!r}", problems)
    return tally


def _same(done: Done, due: _Due, place: Path) -> list[str]:
    problems = [] if done.code == due.done.code else [f"exit code {done.code}: {done.err[-300:]}"]
    return problems + unlike(_made(due.command, place), due.made)


def _again(scene: Scene, due: _Due, place: Path) -> list[str]:
    again = scene.run(due.command.words, place)
    return [f"again: {each}" for each in _same(again, due, place) + scene.left(place)]


def refusal(done: Done, due: Done) -> list[str]:
    """Return what is wrong with how a command ended that may have found no room."""
    if done.code == due.code and "Traceback" not in done.err:
        return []
    problems = [] if done.code in _REFUSALS else [f"exit code {done.code}: {done.err[-300:]}"]
    if "next:" not in done.err or "Traceback" in done.err:
        problems.append(f"tells no next step: {done.err[-300:]}")
    return problems


def _add(tally: Tally, due: _Due, done: Done, title: str, problems: list[str]) -> None:
    outcome = "as elsewhere" if done.code == due.done.code else f"refused with {done.code}"
    tally.add(outcome, [f"{title}: {each}" for each in problems])
