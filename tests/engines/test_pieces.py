"""The pure parts: cutting lines, the attach protocol, the words for an end, the build context."""

import io
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.engines.attached import Demultiplexer
from repromatrix.engines.base import Base, Exit, RunLimits
from repromatrix.engines.context import build_context, recipe
from repromatrix.engines.docker import reference
from repromatrix.engines.failure import telling
from repromatrix.engines.signals import signal_name, signal_of_code
from repromatrix.engines.stream import Stream, StreamedRun
from tests.engines.conftest import make_spec

BASE = Base(kind="local", reference="base:1", digest="x")
LIMITS = RunLimits(silence=5, memory_mib=100, processes=10, output_bytes=1000)


class Recorded(StreamedRun):
    """A run whose output was written down before."""

    def __init__(self, pieces: Iterable[tuple[Stream, bytes]], log: io.BytesIO) -> None:
        super().__init__(limits=LIMITS, log=log)
        self.pieces = iter(pieces)
        self.killed = False

    def receive(self, timeout: float) -> Iterable[tuple[Stream, bytes]] | None:
        assert timeout > 0
        piece = next(self.pieces, None)
        return [piece] if piece else None

    def kill(self) -> None:
        self.killed = True

    def ending(self) -> Exit:
        return Exit(code=0)


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 1000])
def test_lines_are_the_same_however_the_bytes_arrive(size: int) -> None:
    text = b"one\n\ntwo\r\nthree without an end"
    pieces = [(Stream.STDOUT, text[i : i + size]) for i in range(0, len(text), size)]
    run = Recorded(pieces, io.BytesIO())
    assert list(run.lines()) == [b"one", b"", b"two\r", b"three without an end"]
    assert run.result() == Exit(code=0)
    assert not run.killed


def test_a_line_of_just_the_limit_is_whole_and_one_byte_more_is_too_much() -> None:
    whole = Recorded([(Stream.STDOUT, b"x" * 999 + b"\n")], io.BytesIO())
    assert list(whole.lines()) == [b"x" * 999]
    assert whole.result().clean
    more = Recorded([(Stream.STDOUT, b"kept\n" + b"x" * 996)], io.BytesIO())
    assert list(more.lines()) == [b"kept"]
    assert more.result() == Exit(too_much_output=True)
    assert more.killed


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"123456789a", b"123456789a"),
        (b"123456789abcd", b"123456789abcd"),
        (b"123456789abcde", b"123456789a\n[1 bytes of standard error were cut here]\ncde"),
        (b"123456789a" + b"x" * 90 + b"end", b"123456789a\n[90 bytes of standard error were cut here]\nend"),
    ],
)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_the_log_keeps_the_beginning_and_the_last_words_and_says_what_is_cut(
    monkeypatch: pytest.MonkeyPatch, said: bytes, kept: bytes, size: int
) -> None:
    monkeypatch.setattr("repromatrix.engines.stream._LOG_BYTES", 10)
    monkeypatch.setattr("repromatrix.engines.stream._TAIL_BYTES", 3)
    log = io.BytesIO()
    run = Recorded([(Stream.STDERR, said[i : i + size]) for i in range(0, len(said), size)], log)
    assert list(run.lines()) == []
    assert log.getvalue() == kept


def test_frames_are_taken_apart_wherever_they_are_cut() -> None:
    source = random.Random(1)  # noqa: S311 - no secret
    sent = [(source.choice([1, 2]), source.randbytes(source.randint(0, 40))) for _ in range(50)]
    wire = b"".join(frame(stream, data) for stream, data in sent)
    for _ in range(20):
        demultiplexer, got, at = Demultiplexer(), {1: b"", 2: b""}, 0
        while at < len(wire):
            step = source.randint(1, 30)
            for stream, data in demultiplexer.feed(wire[at : at + step]):
                got[stream] += data
            at += step
        assert got == {key: b"".join(data for stream, data in sent if stream == key) for key in (1, 2)}


@pytest.mark.parametrize(
    ("story", "words"),
    [
        ("$ uv venv\nerror: an earlier build\n$ python -c import x\nImportError: no x\n", "ImportError: no x"),
        (
            """$ docker build
#4 0.17 error: Failed to download `a==1`
#4 0.17   cause: Hash mismatch for `a==1`
#4 ERROR: executor failed running [/bin/sh -c x]: exit code: 2
------
 > [2/5] RUN x:
------
""",
            "Failed to download `a==1`: Hash mismatch for `a==1`",
        ),
        (
            """$ python -c import x
A module that was compiled using NumPy 1.x cannot be run in
NumPy 2.4.6 as it may crash. To support both 1.x and 2.x
versions of NumPy, modules must be compiled with NumPy 2.0.

TypeError: Unable to convert function return value to a Python type! The signature was
	() -> handle
""",
            "it was built for NumPy 1 and does not run with NumPy 2.4.6: it needs a lock with numpy<2",
        ),
        ("$ docker build\nunable to resolve docker endpoint\n", "unable to resolve docker endpoint"),
        ("$ python -c import x\n", "it said nothing"),
        ("", "it said nothing"),
    ],
)
def test_the_telling_line_of_a_log(story: str, words: str) -> None:
    assert telling(story) == words


def test_signals_by_name() -> None:
    assert [signal_of_code(code) for code in (0, 1, 127, 128, 134, 137, 139, 255)] == [
        *[None] * 4,
        "SIGABRT",
        "SIGKILL",
        "SIGSEGV",
        None,
    ]
    assert signal_name(11) == "SIGSEGV"
    assert signal_name(99) == "signal 99"


def test_only_an_exit_by_itself_with_code_0_is_clean() -> None:
    assert Exit(code=0).clean
    ends = [
        (Exit(code=1), "exit code 1"),
        (Exit(signal="SIGSEGV"), "killed by SIGSEGV"),
        (Exit(timed_out=True), "no result for 5 s: ended by the time limit"),
        (Exit(out_of_memory=True), "killed for memory (limit 100 MiB)"),
        (Exit(too_much_output=True), "more than 1000 bytes on standard output"),
        (Exit(too_many_processes=True), "more than 10 processes and threads"),
        (Exit(stopped=True), "stopped by the runner"),
    ]
    for end, words in ends:
        assert not end.clean
        assert end.explain(LIMITS) == words


def test_the_context_holds_exactly_what_the_build_needs_and_goes_away(tmp_path: Path, cache: Path) -> None:
    spec = make_spec(tmp_path / "files", BASE)
    (spec.wheels[0].parent / "other-1.0-py3-none-any.whl").touch()
    with build_context(spec) as folder:
        assert folder == cache / "contexts" / "slot-0"
        assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
            "Dockerfile",
            "lock.txt",
            "sources/beside.py",
            "sources/entrypoint.py",
            "uv",
            f"wheels/{spec.wheels[0].name}",
        ]
        assert (folder / "wheels" / spec.wheels[0].name).stat().st_ino == spec.wheels[0].stat().st_ino
    assert not folder.exists()


def test_builds_at_once_have_contexts_of_their_own_and_later_ones_the_same_again(tmp_path: Path) -> None:
    spec = make_spec(tmp_path / "files", BASE)
    with build_context(spec) as first:
        with build_context(spec) as second:
            assert first != second
            assert (first / "uv").exists()
        with build_context(spec) as third:
            assert third == second


def test_what_a_killed_runner_left_in_a_context_is_gone(tmp_path: Path, cache: Path) -> None:
    left = cache / "contexts" / "slot-0" / "wheels" / "left.whl"
    left.parent.mkdir(parents=True)
    left.touch()
    with build_context(make_spec(tmp_path / "files", BASE)) as folder:
        assert folder == left.parent.parent
        assert not left.exists()


def test_variables_stand_in_the_recipe_as_docker_reads_them(tmp_path: Path) -> None:
    spec = replace(make_spec(tmp_path, BASE), variables=(("A", "1"), ("B", 'a "b" $c \\d')))
    assert 'ENV A="1"\nENV B="a \\"b\\" \\$c \\\\d"\n' in recipe(spec)


def test_a_recipe_without_a_place_for_variables_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "Dockerfile"
    other.write_text("FROM scratch\n")
    with pytest.raises(ValueError, match="repromatrix: variables"):
        recipe(replace(make_spec(tmp_path, BASE), dockerfile=other))


@pytest.mark.parametrize(
    ("name", "repository"),
    [("torch-2.13.0-cpu", "torch-2.13.0-cpu"), ("Torch-2.13.0+cpu", "torch-2.13.0-cpu"), ("a__b", "a-b")],
)
def test_references_are_ones_that_docker_takes(tmp_path: Path, name: str, repository: str) -> None:
    spec = replace(make_spec(tmp_path, BASE), name=name, tag="0a1b")
    assert reference(spec) == f"repromatrix/{repository}:0a1b"
