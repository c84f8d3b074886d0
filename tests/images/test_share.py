"""Images in a registry: what one machine pushed another takes as it is, and nothing else is taken for it."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from repromatrix.engines.base import Base, BuildSpec, Built
from repromatrix.engines.docker import TAG_LABEL, DockerEngine, reference
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import base as bases
from repromatrix.images import lock as locks
from repromatrix.images.digests import Digests, Pushed
from repromatrix.images.share import Share, base_of_images
from repromatrix.images.spec import build_spec
from repromatrix.matrix import Environment
from tests.engines.scratch import scratch_engine
from tests.registry import RegistryServer, serving

pytestmark = pytest.mark.docker
LOCAL = Base(kind="local", reference="nowhere", digest=f"sha256:{'1' * 64}")
OTHER = replace(LOCAL, digest=f"sha256:{'2' * 64}")
NOBODY_S = f"sha256:{'0' * 64}"
BODY = f"numpy==2.0 --hash=sha256:{'a' * 64}\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine that holds nothing."""
    with scratch_engine(tmp_path_factory.mktemp("share") / "e") as address:
        yield address


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryServer]:
    with serving(tmp_path / "registry") as server:
        yield server


@dataclass(slots=True, kw_only=True)
class Team:
    """Machines that share `registry`; each has the one engine to itself, after `forget`."""

    engine: DockerEngine
    registry: RegistryServer
    environment: Environment
    lock: locks.Lock
    digests: Digests
    said: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{self.registry.address}/team"

    def share(self, digests: Path | None = None, **options: bool) -> Share:
        return Share(
            engine=self.engine,
            remote=self.engine.remote,
            registry=self.place,
            digests=Digests(digests) if digests else self.digests,
            tell=self.said.append,
            **options,
        )

    def spec(self, base: Base = LOCAL) -> BuildSpec:
        return build_spec(self.environment, base, self.lock, ())

    def make(self, base: Base = LOCAL, *, content: bytes = b"content", **labels: str) -> BuildSpec:
        """Stand in for a build: an image with the labels of one, or with others, and one file."""
        spec = self.spec(base)
        values = (
            dict(spec.labels) | {TAG_LABEL: spec.tag} | {f"repromatrix.{name}": each for name, each in labels.items()}
        )
        repository, _, tag = reference(spec).rpartition(":")
        changes = [f'LABEL {name}="{value}"' for name, value in values.items()]
        self.engine.client.import_image_from_data(layer(content), repository=repository, tag=tag, changes=changes)
        return spec

    def push(self, spec: BuildSpec) -> str:
        return self.share().push(self.environment, self.lock, spec).reference

    def forget(self) -> None:
        """Remove every image: from here on it is another machine."""
        for image in self.engine.client.images(quiet=True, all=True):
            self.engine.client.remove_image(image, force=True)

    def images(self) -> list[str]:
        return self.engine.client.images(quiet=True, all=True)


def layer(content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def team(
    address: str, registry: RegistryServer, environment: Environment, write_lock: Callable[[str], Path],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Team]:  # fmt: skip
    monkeypatch.setenv("DOCKER_HOST", address)
    lock = locks.read(environment, write_lock(BODY))
    digests = Digests(tmp_path / "pushed-images.json")
    made = Team(engine=DockerEngine(), registry=registry, environment=environment, lock=lock, digests=digests)
    yield made
    made.forget()


def taken(team: Team) -> tuple[Base, Built | None]:
    """Return what a machine without a base takes."""
    share = team.share()
    base = share.base(team.environment, team.lock, None)
    assert base
    return base, share.fetch(team.spec(base))


def failing(team: Team) -> EnvironmentFailedError:
    """Return the error of a machine without a base that wants the image, of which nothing may be left."""
    with pytest.raises(EnvironmentFailedError) as caught:
        taken(team)
    assert team.images() == []
    return caught.value


def test_a_machine_without_a_base_takes_what_another_pushed(team: Team) -> None:
    spec = team.make()
    before = team.engine.find(spec)
    team.push(spec)
    team.forget()
    share = team.share()
    base = share.base(team.environment, team.lock, None)
    assert (base.kind, base.digest) == ("local", LOCAL.digest) if base else pytest.fail("it found none")
    assert share.fetch(team.spec(base)) == before
    assert team.engine.find(spec) == before
    assert [line.split()[0] for line in team.said] == ["pulled"]


def test_what_is_here_is_not_asked_for(team: Team) -> None:
    team.push(team.make())
    team.registry.stop()
    assert team.share().base(team.environment, team.lock, LOCAL) == LOCAL


def test_what_was_pulled_is_found_without_a_registry_and_without_a_base(team: Team, tmp_path: Path) -> None:
    spec = team.make()
    assert base_of_images(team.environment, team.lock, team.engine.remote) == replace(
        LOCAL, reference=bases.entry(team.environment).local
    )
    team.registry.stop()
    base = team.share(tmp_path / "none.json").base(team.environment, team.lock, None)
    assert base
    assert team.spec(base).tag == spec.tag


def test_an_image_of_another_lock_is_not_the_environment_s(team: Team, write_lock: Callable[[str], Path]) -> None:
    team.make()
    other = locks.read(team.environment, write_lock(BODY.replace("a" * 64, "b" * 64)))
    assert base_of_images(team.environment, other, team.engine.remote) is None


def test_on_the_pinned_base_no_digests_file_is_needed(team: Team, tmp_path: Path) -> None:
    wanted = bases.entry(team.environment)
    pinned = Base(kind="registry", reference=wanted.pinned, digest=wanted.digest)
    before = team.engine.find(team.make(pinned))
    team.push(team.spec(pinned))
    team.forget()
    share = team.share(tmp_path / "none.json")
    assert share.base(team.environment, team.lock, None) == pinned
    assert share.fetch(team.spec(pinned)) == before


def test_what_the_registry_does_not_have_is_left_to_be_built_and_that_is_said(team: Team) -> None:
    share = team.share()
    assert share.base(team.environment, team.lock, None) is None
    assert share.fetch(team.spec()) is None
    assert share.base(team.environment, team.lock, OTHER) is None  # asked again it says the same, and no line more
    assert team.said == [f"absent     numpy-2.0-cpu: not in {team.place}: built here"]


def test_the_digests_file_holds_no_time_and_no_place(team: Team) -> None:
    sent = team.push(team.make())
    manifest = sent.partition("@")[2]
    base = {"kind": "local", "digest": LOCAL.digest}
    assert json.loads(team.digests.path.read_text()) == {
        "format": 1,
        "generated": "by: repromatrix push",
        "images": {"numpy-2.0-cpu": {team.spec().tag: {"base": base, "manifest": manifest}}},
    }


def test_what_is_there_is_not_pushed_again(team: Team) -> None:
    spec = team.make()
    sends = [team.share().push(team.environment, team.lock, spec) for _ in range(2)]
    assert [each.now for each in sends] == [True, False]
    assert sends[0].reference == sends[1].reference


def test_what_was_pulled_is_there_already(team: Team) -> None:
    spec = team.make()
    sent = team.push(spec)
    team.forget()
    share = team.share()
    base = share.base(team.environment, team.lock, None)
    assert base
    promised = share.promised(team.spec(base))
    assert promised is not None
    assert (promised.reference, promised.now) == (sent, False)
    share.fetch(team.spec(base))
    assert not team.share().push(team.environment, team.lock, spec).now


def test_two_machines_that_built_the_same_leave_one_answer(team: Team) -> None:
    team.push(team.make(content=b"first"))
    team.forget()
    second = team.push(team.make(content=b"second"))
    (pushed,) = team.digests.of(team.environment.name)
    assert second.endswith(pushed.manifest)


def test_the_newest_push_on_a_local_base_is_what_a_machine_without_one_takes(team: Team) -> None:
    team.push(team.make())
    newer = team.make(OTHER)
    team.push(newer)
    assert [each.tag for each in team.digests.of(team.environment.name)] == [newer.tag]


def test_an_image_on_a_base_that_is_no_longer_pinned_is_not_taken(team: Team) -> None:
    entry = Pushed(tag=team.spec(OTHER).tag, base_kind="registry", base_digest=OTHER.digest, manifest=NOBODY_S)
    team.digests.record(team.environment.name, entry)
    assert team.share().base(team.environment, team.lock, None) is None


def test_pushing_goes_by_the_base_of_this_machine(team: Team) -> None:
    team.push(team.make())
    team.forget()
    assert team.share().base(team.environment, team.lock, OTHER) == replace(
        LOCAL, reference=bases.entry(team.environment).local
    )
    assert team.share(own_base_first=True).base(team.environment, team.lock, OTHER) is None


def test_threads_that_want_one_image_pull_it_once(team: Team) -> None:
    team.push(team.make(content=bytes(8 << 20)))
    team.forget()
    share = team.share()
    base = share.base(team.environment, team.lock, None)
    assert base
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: share.fetch(team.spec(base)), range(4)))
    assert found == {team.engine.find(team.spec())}
    assert [line.split()[0] for line in team.said] == ["pulled"]


@pytest.mark.parametrize("label", ["tag", "lock", "sources"])
def test_another_image_under_our_content_tag_is_refused_by_its_labels(team: Team, label: str) -> None:
    spec = team.make(**{label: "another"})
    team.push(spec)
    team.forget()
    error = failing(team)
    assert f"label repromatrix.{label}: expected " in error.what
    assert "found another" in error.what
    assert f"{team.place}/numpy-2.0-cpu@sha256:" in error.what


def test_another_image_under_the_name_without_a_label_is_refused(team: Team, tmp_path: Path) -> None:
    wanted = bases.entry(team.environment)
    spec = team.spec(Base(kind="registry", reference=wanted.pinned, digest=wanted.digest))
    team.engine.client.import_image_from_data(layer(b"x"), repository=f"{team.place}/numpy-2.0-cpu", tag=spec.tag)
    team.engine.remote.push(f"{team.place}/numpy-2.0-cpu", spec.tag)
    team.forget()
    team.digests = Digests(tmp_path / "none.json")
    assert "label repromatrix.tag: expected" in failing(team).what


def test_a_refused_image_that_somebody_had_pulled_himself_stays_his(team: Team) -> None:
    sent = team.push(team.make(lock="another"))
    team.forget()
    team.engine.remote.pull(sent)
    share = team.share()
    base = share.base(team.environment, team.lock, None)
    assert base
    with pytest.raises(EnvironmentFailedError, match=r"repromatrix\.lock"):
        share.fetch(team.spec(base))
    assert team.engine.remote.local(sent) is not None
    assert team.engine.find(team.spec(base)) is None


def test_a_digests_file_that_names_another_digest_is_told_with_both(team: Team) -> None:
    sent = team.push(team.make())
    found = sent.partition("@")[2]
    wrong = Pushed(tag=team.spec().tag, base_kind="local", base_digest=LOCAL.digest, manifest=NOBODY_S)
    team.digests.record(team.environment.name, wrong)
    team.forget()
    error = failing(team)
    assert f"expected {NOBODY_S}, found {found}" in error.what
    assert team.spec().tag in error.what
    assert error.where == str(team.digests.path)


def test_an_image_that_was_replaced_under_its_tag_is_still_pulled_by_its_digest(team: Team, tmp_path: Path) -> None:
    team.make(content=b"good")
    good = team.engine.find(team.spec())
    team.push(team.spec())
    team.forget()
    team.make(content=b"evil")
    Share(
        engine=team.engine, remote=team.engine.remote, registry=team.place,
        digests=Digests(tmp_path / "theirs.json"), tell=team.said.append,
    ).push(team.environment, team.lock, team.spec())  # fmt: skip
    team.forget()
    share = team.share()
    base = share.base(team.environment, team.lock, None)
    assert base
    assert share.fetch(team.spec(base)) == good


def test_what_was_tampered_with_in_the_registry_s_store_is_refused(team: Team, tmp_path: Path) -> None:
    team.push(team.make(content=b"good" * 100))
    team.forget()
    for blob in (tmp_path / "registry" / "store").rglob("data"):
        data = blob.read_bytes()
        if data[:2] == b"\x1f\x8b":  # the layer
            blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    error = failing(team)
    assert "cannot be pulled" in error.what
    assert "verification failed" in error.what


def test_a_registry_that_does_not_answer_is_told_and_nothing_is_built_instead(team: Team) -> None:
    team.push(team.make())
    team.forget()
    team.registry.stop()
    error = failing(team)
    assert team.registry.address in error.what
    assert "connection refused" in error.what
    assert "--registry" in error.hint
