"""An image's content has a digest of its own: the same from engine to engine, another with any change of a file."""

import io
import tarfile
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.engines.content import ImageReader, content_digest
from repromatrix.engines.docker import OWNER_LABEL, DockerEngine
from repromatrix.engines.tools import find_builder
from repromatrix.errors import EnvironmentFailedError
from tests.engines.conftest import Bench, docker_or_skip, make_spec
from tests.engines.scratch import hand_over, needs_scratch_engines, scratch_engine

Change = Callable[[tarfile.TarInfo], None]
Entry = tuple[str, bytes, str, Change]  # path, type, content or target, what else to set


def _nothing(_: tarfile.TarInfo) -> None:
    pass


def _set(**values: object) -> Change:
    def change(member: tarfile.TarInfo) -> None:
        for name, value in values.items():
            setattr(member, name, value)

    return change


def file(path: str, content: bytes = b"x", change: Change = _nothing) -> Entry:
    return path, tarfile.REGTYPE, content.decode(), change


def tar(*entries: Entry) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, kind, content, change in entries:
            member = tarfile.TarInfo(path)
            member.type = kind
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                member.linkname = content
            data = content.encode() if kind == tarfile.REGTYPE else b""
            member.size = len(data)
            change(member)
            archive.addfile(member, io.BytesIO(data))
    stream.seek(0)
    return stream


PLAIN = (
    ("opt", tarfile.DIRTYPE, "", _set(mode=0o755)),
    file("opt/a", b"first"),
    file("opt/b", b"second", _set(mode=0o755)),
    ("opt/link", tarfile.SYMTYPE, "a", _nothing),
)


def digest(*entries: Entry) -> str:
    return content_digest(tar(*entries))


INJECTED = ("etc/hosts", "etc/resolv.conf", "etc/hostname", ".dockerenv", "dev/console", "proc/1", "sys/kernel")


def later(change: Change) -> Change:
    def both(member: tarfile.TarInfo) -> None:
        change(member)
        member.mtime, member.uid = 99, 1000

    return both


SAME = {
    "another order": PLAIN[::-1],
    "other times and owners": tuple((path, kind, text, later(change)) for path, kind, text, change in PLAIN),
    "a dot in front": tuple((f"./{path}", *rest) for path, *rest in PLAIN),
    "the engine's own files": (*PLAIN, *map(file, INJECTED)),
}
OTHER = {
    "another content": (PLAIN[0], file("opt/a", b"First"), *PLAIN[2:]),
    "another mode": (PLAIN[0], file("opt/a", b"first", _set(mode=0o600)), *PLAIN[2:]),
    "another name": (PLAIN[0], file("opt/c", b"first"), *PLAIN[2:]),
    "another target": (*PLAIN[:3], ("opt/link", tarfile.SYMTYPE, "b", _nothing)),
    "a link that became a file": (*PLAIN[:3], file("opt/link", b"a")),
    "one more folder": (*PLAIN, ("opt/new", tarfile.DIRTYPE, "", _nothing)),
    "one file fewer": PLAIN[:3],
    "a file beside the engine's own": (*PLAIN, file("etc/hosts.allow")),
}


@pytest.mark.parametrize("entries", SAME.values(), ids=SAME)
def test_what_says_nothing_of_the_content_does_not_count(entries: tuple[Entry, ...]) -> None:
    assert digest(*entries) == digest(*PLAIN)


@pytest.mark.parametrize("entries", OTHER.values(), ids=OTHER)
def test_every_change_of_a_file_counts(entries: tuple[Entry, ...]) -> None:
    assert digest(*entries) != digest(*PLAIN)


def test_a_second_name_of_a_file_counts_as_a_file() -> None:
    linked = (file("opt/a", b"x"), ("opt/z", tarfile.LNKTYPE, "opt/a", _nothing))
    assert digest(*linked) == digest(file("opt/a", b"x"), file("opt/z", b"x"))


def test_the_digest_tells_how_it_is_made() -> None:
    assert digest(*PLAIN).startswith("sha256:")
    assert len(digest(*PLAIN)) == len("sha256:") + 64


@pytest.mark.docker
class TestRealImage:
    def test_reading_leaves_no_container_behind(self, docker_bench: Bench) -> None:
        reader = ImageReader()
        assert reader.digest(docker_bench.built.reference) == reader.digest(docker_bench.built.reference)
        assert reader.file(docker_bench.built.reference, "/opt/repromatrix/beside.py") == b"VALUE = 7\n"
        engine = docker_bench.engine
        assert isinstance(engine, DockerEngine)
        ours = engine.client.containers(
            all=True, filters={"label": OWNER_LABEL, "ancestor": docker_bench.built.reference}
        )
        assert ours == []

    def test_what_is_not_there_is_none_and_no_error(self, docker_bench: Bench) -> None:
        reader = ImageReader()
        assert reader.file(docker_bench.built.reference, "/opt/nothing") is None
        assert reader.file(docker_bench.built.reference, "/opt") is None
        assert reader.facts("repromatrix/nothing:here") is None

    def test_an_image_that_went_away_is_named(self, docker_bench: Bench) -> None:
        assert docker_bench.engine.name == "docker"
        with pytest.raises(EnvironmentFailedError, match="repromatrix/nothing:here cannot be read"):
            ImageReader().digest("repromatrix/nothing:here")

    def test_the_engine_tells_who_starts_what_with_which_variables(self, docker_bench: Bench) -> None:
        facts = ImageReader().facts(docker_bench.built.reference)
        assert facts is not None
        assert (facts.digest, facts.user) == (docker_bench.built.digest, "65534:65534")
        assert facts.entrypoint == ("/opt/venv/bin/python", "/opt/repromatrix/entrypoint.py")
        assert dict(facts.variables)["TINY_VARIABLE"] == 'a "quoted" $HOME \\ value'
        assert facts.labels["org.opencontainers.image.title"] == "tiny test"


@pytest.fixture(scope="module")
def two_images(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, tuple[str, ...]]]:
    """The tiny environment built by two engines that had nothing but its base: content digest and layers of each."""
    needs_scratch_engines()
    home, base = docker_or_skip()
    folder = tmp_path_factory.mktemp("engines")
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPROMATRIX_CACHE", str(folder / "cache"))
        for number in (1, 2):
            spec = make_spec(folder / f"spec-{number}", base)
            with scratch_engine(Path(f"/tmp/repromatrix-{uuid.uuid4().hex[:8]}")) as address:
                patch.setenv("DOCKER_HOST", address)
                engine = DockerEngine()
                hand_over(base.reference, home, engine)
                built = engine.build(spec, folder / f"{number}.log")
                facts = ImageReader().facts(built.reference)
                assert facts is not None
                found.append((ImageReader().digest(built.reference), facts.layers))
    return found


@pytest.mark.docker
@pytest.mark.slow
class TestTwoCleanEngines:
    def test_one_spec_gives_one_content(self, two_images: list[tuple[str, tuple[str, ...]]]) -> None:
        assert two_images[0][0] == two_images[1][0]


@pytest.mark.docker
def test_two_builds_with_a_new_buildkit_have_the_same_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, base = docker_or_skip()
    builder = find_builder()
    if "buildx" not in builder.command:
        pytest.skip(f"{builder.command[0]} is no buildx: its BuildKit may leave the time in the layers")
    monkeypatch.setattr(
        "repromatrix.engines.docker.find_builder",
        lambda: replace(builder, command=(*builder.command, "--no-cache")),
    )
    spec = make_spec(tmp_path / "spec", base)
    layers = []
    for number in (1, 2):
        facts = ImageReader().facts(engine.build(spec, tmp_path / f"{number}.log").reference)
        assert facts is not None
        layers.append(facts.layers)
    assert layers[0] == layers[1]
