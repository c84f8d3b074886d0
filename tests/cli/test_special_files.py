"""A pipe, a device, a link or a file without end where somebody's file is due: a named error, at once."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repromatrix import resources

SECONDS = 60  # no command takes one; one that hangs never ends


def _endless(path: Path) -> None:
    """Make a file that is larger than any of ours, and takes no room."""
    with path.open("wb") as stream:
        stream.truncate(1 << 41)


SPECIAL: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a link to a pipe": lambda path: (os.mkfifo(path.with_name("pipe")), path.symlink_to("pipe")),
    "a folder": Path.mkdir,
    "a file without end": _endless,
}
# The file -> the commands that read it, `FILE` being its place.
READERS = {
    "accepted.json": (("report",), ("report", "--accepted", "FILE"), ("verify", "report", "--accepted", "FILE")),
    "report/report.json": (("verify", "report"), ("verify", "FILE")),
    "report/report.md": (("verify", "report"),),
    "planned.json": (("merge", "results", "--results", "new", "--expect", "FILE"),),
    "matrix.yaml": (("plan",), ("run", "--matrix", "FILE"), ("plan", "--matrix", "FILE")),
    "tiny/workload.yaml": (("plan",), ("run",)),
    "tiny/numpy.py": (("plan",), ("run",)),
    "tiny/published.json": (("plan",), ("run",)),
    "results/manifest.json": (("report",), ("verify", "report"), ("merge", "results", "--results", "new"), ("accept",)),
}
CASES = [(file, words) for file, commands in READERS.items() for words in commands]
OF_OTHERS = ("tiny/workload.yaml", "tiny/numpy.py", "tiny/published.json", "report/report.md")


@pytest.fixture
def limited() -> Iterator[None]:
    """Ends a test that hangs."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)


@pytest.fixture
def ready(command, write_matrix):
    """A folder in which every command has what it needs."""
    write_matrix()
    (command.folder / "tiny" / "published.json").write_text('{"losses": {"NumPy": ["0.5", "0.25"]}}')
    return command


def _refused(command, words: tuple[str, ...], path: Path) -> str:
    said = command(*(str(path) if word == "FILE" else word for word in words))
    assert said.code == 2, said
    assert path.name in said.err
    assert "next: " in said.err or path.suffix in {".py", ".yaml"}
    return said.err


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("special", SPECIAL.values(), ids=SPECIAL)
@pytest.mark.parametrize(("file", "words"), CASES, ids=[f"{words[0]} {file}" for file, words in CASES])
def test_it_is_refused_by_name_wherever_a_file_is_due(ready, file: str, words: tuple[str, ...], special) -> None:
    if file.startswith(("results", "report")) or "report" in words or words[0] in {"merge", "accept"}:
        ready("run")
        ready("report")
    path = ready.folder / file
    path.unlink(missing_ok=True)
    special(path)
    _refused(ready, words, path)


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("file", OF_OTHERS)
def test_a_link_to_a_secret_is_not_read_where_others_chose_the_name(ready, file: str) -> None:
    if file.startswith("report"):
        ready("run")
        ready("report")
    path = ready.folder / file
    secret = path.rename(ready.folder / "secret")
    path.symlink_to(secret)
    err = _refused(ready, ("verify", "report") if file.startswith("report") else ("run",), path)
    assert "not a regular file but a link" in err


def test_a_link_that_a_person_names_is_followed(ready) -> None:
    (ready.folder / "matrix.yaml").rename(ready.folder / "real.yaml")
    (ready.folder / "matrix.yaml").symlink_to("real.yaml")
    assert ready("plan").code == 0


def test_what_is_replaced_between_the_look_and_the_opening_is_noticed(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "good").write_bytes(b"good")
    os.mkfifo(tmp_path / "pipe")
    looked = (tmp_path / "good").stat()
    monkeypatch.setattr(Path, "stat", lambda *_, **__: looked)
    with pytest.raises(OSError, match="not a regular file but a pipe"):
        resources.read_regular(tmp_path / "pipe", most=100, links=False)


def test_a_file_that_tells_no_size_is_not_read_without_end() -> None:
    with pytest.raises(OSError, match="longer than its 0 bytes"):
        resources.read_regular(Path("/proc/self/maps"), most=100, links=False)


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 100])
def test_a_regular_file_is_read_to_its_end(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert resources.read_regular(tmp_path / "file", most=100, links=False) == content
