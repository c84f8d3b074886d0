"""A workload that is a command: what workload.yaml says of it -> a frozen `Command`, and what is wrong with that."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from repromatrix.errors import MatrixError
from repromatrix.matrix.check import suggest
from repromatrix.matrix.document import NodePath
from repromatrix.matrix.model import Command
from repromatrix.matrix.text import read_text

KEY = "command"
OWN = ("frameworks", "packages", "root", "files", "data", "network", "read")  # mean nothing without a command
FOREIGN = ("inputs", "numbers", "rows", "batch", "outputs", "variants", "graph", "published")  # and these with one
STREAMS = ("stdout", "stderr")
_ALL = ("*.py",)
_HOLE = re.compile(r"\{([a-z0-9][a-z0-9._-]*)\}")  # anything else in braces is the command's own
_MOST_FILES = 1000
_PATTERN = r"name each value: 'step (?P<step>\d+) loss (?P<loss>\S+)'"
Problem = tuple[NodePath, str, str]


def holes(words: Sequence[str]) -> list[str]:
    """Return the names in braces that a command has."""
    return [name for word in words for name in _HOLE.findall(word)]


def filled(words: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Return a command with a value for each name in braces; other names stay."""
    return tuple(_HOLE.sub(lambda hole: values.get(hole[1], hole[0]), word) for word in words)


def read(data: Mapping[str, Any], folder: Path, name: str) -> Command:
    """Return the command of a checked file; `name` is the workload's, for messages.

    Raises:
        MatrixError: a file cannot be read as text.
    """
    root, said = _root(data, folder), data.get("read", {})
    return Command(
        words=tuple(data[KEY]),
        frameworks=tuple(data["frameworks"]),
        packages=tuple(data.get("packages", ())),
        files=tuple((path, read_text(root / path, "", f"{name}/{path}")) for path in _files(data, root)),
        data=tuple((key, _lying(path, folder).resolve()) for key, path in data.get("data", {}).items()),
        network=data.get("network", False),
        source=said.get("from", STREAMS[0]),
        pattern=said.get("pattern"),
    )


def _lying(path: str, folder: Path) -> Path:
    """Return where data lie; `~NAME` of a user that there is not is a name like any other."""
    try:
        return folder / Path(path).expanduser()
    except RuntimeError:
        return folder / path


def problems(data: Mapping[str, Any], folder: Path, known: Sequence[str]) -> Iterator[Problem]:
    """Yield what is wrong with a command; `known` are the frameworks that there are."""
    if KEY not in data:
        yield from (((key,), f"{key} means nothing without a command", "leave it out") for key in OWN if key in data)
        return
    for key in FOREIGN:
        if key in data:
            yield (key,), f"a command has no {key}", "leave it out: a command is run as it is"
    for i, framework in enumerate(data["frameworks"]):
        if framework not in known:
            yield ("frameworks", i), f"no framework {framework!r} in images/", suggest(framework, known)
    yield from _packages(data)
    yield from _copied(data, _root(data, folder))
    yield from _words(data)
    for name, path in data.get("data", {}).items():
        if not _lying(path, folder).exists():
            yield ("data", name), f"no such file or folder: {path}", "the path is relative to workload.yaml"
    yield from _read(data)


def _root(data: Mapping[str, Any], folder: Path) -> Path:
    root: str = data.get("root", ".")
    return (folder / root).resolve()


def _files(data: Mapping[str, Any], root: Path) -> list[str]:
    """Return the files that are copied, each once, as paths below the root."""
    found = [path for pattern in data.get("files", _ALL) for path in _meant(pattern, root)]
    return list(dict.fromkeys(path.relative_to(root).as_posix() for path in found))


def _meant(pattern: str, root: Path) -> list[Path]:
    """Return the files below the root that a pattern names; none for what is no pattern of a path below it."""
    if not Path(pattern).parts or Path(pattern).is_absolute():
        return []
    try:
        found = sorted(root.glob(pattern))
    except ValueError:
        return []
    return [path for path in found if path.is_file() and ".." not in path.parts]


def _packages(data: Mapping[str, Any]) -> Iterator[Problem]:
    for i, text in enumerate(data.get("packages", ())):
        try:
            url = Requirement(text).url
        except InvalidRequirement as error:
            yield ("packages", i), f"not a requirement: {text!r} ({str(error).splitlines()[0]})", "such as: pandas>=2"
        else:
            if url:
                yield ("packages", i), f"{text!r} names an address", "name a package: an index has its hashes"


def _copied(data: Mapping[str, Any], root: Path) -> Iterator[Problem]:
    if not root.is_dir():
        yield ("root",), f"no such folder: {data.get('root')}", "the path is relative to workload.yaml"
        return
    for i, pattern in enumerate(data.get("files", ())):
        if not _meant(pattern, root):
            yield ("files", i), f"no file is called {pattern}", f"files are below {data.get('root', 'its own folder')}"
    found = _files(data, root)
    if len(found) > _MOST_FILES:
        yield ("files",), f"{len(found):,} files", f"at most {_MOST_FILES:,} travel with a job: mount them as `data`"
        return
    for path in found:
        try:
            read_text(root / path, "")
        except MatrixError as error:
            yield ("files",), f"{path}: {error.what}", "files are text of at most 1 MiB; mount others as `data`"
    for i, word in enumerate(data[KEY]):
        script = word.endswith(".py") and not word.startswith(("/", "{")) and not holes([word])
        if script and word.removeprefix("./") not in found:
            yield (
                (KEY, i),
                f"{word} is not among the files that are copied",
                suggest(word, found) if found else ("name it in `files`"),
            )


def _words(data: Mapping[str, Any]) -> Iterator[Problem]:
    named, factors = holes(data[KEY]), list(data.get("factors", {}))
    known = [*factors, *data.get("data", {}), "dtype"]
    for i, word in enumerate(data[KEY]):
        for name in holes([word]):
            if name not in known:
                yield (KEY, i), f"{{{name}}} is no factor and no data", suggest(name, known)
    for name in factors:
        if name not in named:
            hint = f"put {{{name}}} into the command, where its value goes"
            yield ("factors", name), f"the command does not take the factor {name}", hint
    several = data.get("dtypes", [])
    count = len(several) if isinstance(several, list) else max(map(len, several.values()))
    if count > 1 and "dtype" not in named:
        yield ("dtypes",), "the command does not take a dtype", "put {dtype} into the command, or name one dtype"
    for name in data.get("data", {}):
        if name in factors or name == "dtype":
            yield ("data", name), f"{name} is a factor too", "call one of them otherwise"


def _read(data: Mapping[str, Any]) -> Iterator[Problem]:
    pattern = data.get("read", {}).get("pattern")
    if pattern is None:
        return
    try:
        names = [*re.compile(pattern).groupindex]
    except (re.error, OverflowError, RecursionError) as error:
        yield ("read", "pattern"), f"not a regular expression: {error}", _PATTERN
        return
    if not names:
        what = "the pattern names no value"
        yield ("read", "pattern"), what, _PATTERN
    for i, name in enumerate(data.get("metrics", ())):
        if names and name not in names:
            yield ("metrics", i), f"the pattern has no group {name!r}", suggest(name, names)
