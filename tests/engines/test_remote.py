"""Between the engine and a real registry: what is asked, sent and fetched, and what is said when it goes wrong."""

import base64
import io
import json
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from repromatrix.engines.docker import DockerEngine
from repromatrix.engines.remote import LocalImage, Remote
from repromatrix.errors import EnvironmentFailedError
from tests.engines.scratch import scratch_engine
from tests.proxy import proxy
from tests.registry import RegistryServer, serving

pytestmark = pytest.mark.docker
NAME = "remote-test"
PASSWORD = "s3cret-Word"  # noqa: S105 - of a registry that lives as long as one test
MIB = 1 << 20


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine that holds nothing."""
    with scratch_engine(tmp_path_factory.mktemp("remote") / "e") as found:
        yield found


@pytest.fixture
def engine(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DockerEngine]:
    monkeypatch.setenv("DOCKER_HOST", address)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    made = DockerEngine()
    yield made
    forget(made)


def forget(engine: DockerEngine) -> None:
    """Remove every image: from here on it is another machine."""
    for image in engine.client.images(quiet=True, all=True):
        engine.client.remove_image(image, force=True)


@pytest.fixture
def remote(engine: DockerEngine) -> Remote:
    return engine.remote


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryServer]:
    with serving(tmp_path / "registry") as server:
        yield server


@pytest.fixture
def private(tmp_path: Path) -> Iterator[RegistryServer]:
    with serving(tmp_path / "registry", users={"team": PASSWORD}) as server:
        yield server


def make(engine: DockerEngine, place: str, size: int = 64) -> str:
    """Make an image of so many random bytes, tagged for a registry; return its repository."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = size
        archive.addfile(entry, io.BytesIO(os.urandom(size)))
    repository = f"{place}/{NAME}"
    engine.client.import_image_from_data(
        stream.getvalue(), repository=repository, tag="one", changes=['LABEL some="value"']
    )
    return repository


def log_in(folder: Path, host: str, password: str) -> None:
    """Leave what `docker login` leaves."""
    auth = base64.b64encode(f"team:{password}".encode()).decode()
    (folder / "docker").mkdir(exist_ok=True)
    (folder / "docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def error_of(call: Callable[[], object]) -> EnvironmentFailedError:
    with pytest.raises(EnvironmentFailedError) as caught:
        call()
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_what_was_pushed_is_pulled_by_the_digest_that_the_push_gave(
    engine: DockerEngine, remote: Remote, registry: RegistryServer
) -> None:
    repository = make(engine, registry.address)
    before = remote.local(f"{repository}:one")
    digest = remote.push(repository, "one")
    assert remote.digest(f"{repository}:one") == digest
    forget(engine)
    pulled = remote.pull(f"{repository}@{digest}")
    assert before is not None
    assert pulled == LocalImage(id=before.id, tags=(), digests=(f"{repository}@{digest}",), labels={"some": "value"})


def test_what_is_not_there_has_no_digest(remote: Remote, registry: RegistryServer) -> None:
    assert remote.digest(f"{registry.address}/nothing:one") is None
    assert remote.digest(f"{registry.address}/nothing@sha256:{'0' * 64}") is None
    assert remote.local("remote-test-nothing:one") is None
    assert remote.held("remote-test-nothing") == ()


def test_a_reference_goes_and_the_image_with_the_last_one(
    engine: DockerEngine, remote: Remote, registry: RegistryServer
) -> None:
    repository = make(engine, registry.address)
    remote.tag(f"{repository}:one", "remote-test", "kept")
    remote.untag(f"{repository}:one")
    remote.untag(f"{repository}:one")  # which is gone already
    assert [each.tags for each in remote.held("remote-test")] == [("remote-test:kept",)]
    remote.untag("remote-test:kept")
    assert engine.client.images(all=True) == []


def test_a_registry_that_does_not_answer_is_named(
    engine: DockerEngine, remote: Remote, registry: RegistryServer
) -> None:
    repository = make(engine, registry.address)
    registry.stop()
    error = error_of(lambda: remote.digest(f"{repository}:one"))
    assert "connection refused" in error.what
    assert registry.address in error.what
    assert "--registry" in error.hint


@pytest.mark.slow  # the engine itself tries five times, waiting longer each time
def test_a_registry_that_goes_away_in_the_middle_of_a_push_costs_that_push_only(
    engine: DockerEngine, remote: Remote, registry: RegistryServer
) -> None:
    with proxy(registry.address, cut_after=MIB) as through:
        repository = make(engine, through.address, 4 * MIB)
        before = remote.local(f"{repository}:one")
        error = error_of(lambda: remote.push(repository, "one"))
        assert f"{repository}:one cannot be pushed" in error.what
        assert remote.local(f"{repository}:one") == before
    direct = f"{registry.address}/{NAME}"
    assert remote.digest(f"{direct}:one") is None
    remote.tag(f"{repository}:one", direct, "one")
    digest = remote.push(direct, "one")
    assert remote.digest(f"{direct}:one") == digest


@pytest.mark.parametrize("way", ["ask", "push", "pull"])
def test_stopping_ends_a_transfer_on_which_nothing_comes_any_more(
    engine: DockerEngine, remote: Remote, registry: RegistryServer, way: str
) -> None:
    digest = remote.push(make(engine, registry.address, 4 * MIB), "one")
    with proxy(registry.address, stall_after=0) as between:
        silent = between.address
        repository = make(engine, silent, 4 * MIB) if way == "push" else f"{silent}/{NAME}"
        transfers: dict[str, Callable[[], object]] = {
            "ask": lambda: remote.digest(f"{repository}:one"),
            "push": lambda: remote.push(repository, "one"),
            "pull": lambda: remote.pull(f"{repository}@{digest}"),
        }
        before = remote.held(repository)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(transfers[way])
            threading.Timer(0.5, engine.stop).start()
            error = error_of(lambda: waiting.result(timeout=60))
    assert "stopped by the runner" in error.what
    assert remote.held(repository) == before


def test_stopping_holds_for_what_begins_later(engine: DockerEngine, remote: Remote, registry: RegistryServer) -> None:
    repository = make(engine, registry.address)
    remote.stop()
    assert "stopped" in error_of(lambda: remote.push(repository, "one")).what


def test_who_has_logged_in_gets_in(private: RegistryServer, tmp_path: Path, engine: DockerEngine) -> None:
    log_in(tmp_path, private.address, PASSWORD)
    remote = DockerEngine().remote
    repository = make(engine, private.address)
    digest = remote.push(repository, "one")
    forget(engine)
    assert remote.digest(f"{repository}:one") == digest
    assert remote.pull(f"{repository}@{digest}").labels == {"some": "value"}


@pytest.mark.parametrize("password", [None, "wrong-Word"])
@pytest.mark.parametrize("way", ["ask", "push", "pull"])
def test_who_has_not_is_told_to_log_in(
    private: RegistryServer, tmp_path: Path, engine: DockerEngine, password: str | None, way: str
) -> None:
    if password:
        log_in(tmp_path, private.address, password)
    remote = DockerEngine().remote
    repository = make(engine, private.address)
    calls: dict[str, Callable[[], object]] = {
        "ask": lambda: remote.digest(f"{repository}:one"),
        "push": lambda: remote.push(repository, "one"),
        "pull": lambda: remote.pull(f"{repository}:one"),
    }
    error = error_of(calls[way])
    assert f"{private.address} does not let us in" in error.what
    assert error.hint == f"docker login {private.address}"
    assert "wrong-Word" not in str(error)


def test_a_credential_helper_that_fails_is_told_without_what_it_printed(
    private: RegistryServer, tmp_path: Path, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "bin" / "docker-credential-broken"
    helper.parent.mkdir()
    helper.write_text(f"#!/bin/sh\necho {PASSWORD}\nexit 1\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}:{os.environ['PATH']}")
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text('{"credsStore": "broken"}')
    remote = DockerEngine().remote
    repository = make(engine, private.address)
    for call in (lambda: remote.digest(f"{repository}:one"), lambda: remote.push(repository, "one")):
        error = error_of(call)
        assert "credentials" in error.what
        assert error.hint == f"docker login {private.address}"
