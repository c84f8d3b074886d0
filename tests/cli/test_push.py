"""`push` and `--registry`: a second machine, without base and wheels, gives the records of the first."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from repromatrix.engines.docker import DockerEngine
from repromatrix.errors import UsageError
from repromatrix.images.sharing import VARIABLE, place
from tests.cli.conftest import Command
from tests.engines.conftest import LOCAL_BASES
from tests.engines.scratch import hand_over, scratch_engine
from tests.proxy import Proxy, proxy
from tests.registry import RegistryServer, serving

CHECKOUT = Path(__file__).parents[2]
NAME = "numpy-2.4.6-cpu"
PASSWORD = "s3cret-Word-of-a-test"  # noqa: S105 - of a registry that lives as long as this module
AUTH = base64.b64encode(f"team:{PASSWORD}".encode()).decode()


@pytest.fixture(autouse=True)
def _no_registry_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize(
    "text",
    [
        "ghcr.io/owner/repromatrix",
        "127.0.0.1:5000",
        "localhost/x",
        "registry:5000/a/b",
        "docker.io/name",
        "[::1]:5000/a",
    ],
)
def test_a_registry_s_place_is_taken_as_it_is(text: str) -> None:
    assert place(text) == place(f"{text}/") == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("user:word@ghcr.io/owner", "docker login"),
        ("https://user:word@ghcr.io/owner", "docker login"),
        ("https://ghcr.io/word", "scheme"),
        ("owner/word", "docker.io/NAME"),
        ("ghcr.io/Word", "lower case"),
        ("ghcr.io/word:tag", "HOST[:PORT]/PATH"),
        ("ghcr.io//word", "HOST[:PORT]/PATH"),
        ("word", "docker.io/NAME"),
        ("ghcr.io/word\n", "HOST[:PORT]/PATH"),
        (" ", "HOST[:PORT]/PATH"),
    ],
)
def test_what_is_no_place_is_refused_without_being_repeated(command: Command, text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        place(text)
    assert told in str(caught.value)
    said = command("push", "--registry", text)
    assert said.code == 2
    assert "word" not in (said.out + said.err).lower()


def test_push_asks_where_to(command: Command) -> None:
    said = command("push")
    assert said.code == 2
    assert f"--registry HOST[:PORT]/PATH, or set {VARIABLE}" in said.err


def test_an_engine_without_images_refuses_the_option(command: Command) -> None:
    said = command("run", "--registry", "127.0.0.1:1/team")
    assert said.code == 2
    assert "--engine docker" in said.err
    assert command.engine.runs == []


def test_an_engine_without_images_goes_on_without_the_variable_s_registry_and_says_so(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "127.0.0.1:1/team")
    said = command("run", "--select", NAME.replace("2.4.6", "2.0"))
    assert said.code == 0
    assert "127.0.0.1:1/team is not used" in said.err


def test_a_variable_that_is_no_place_is_refused_without_being_repeated(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "team:word@127.0.0.1:1/team")
    said = command("build")
    assert said.code == 2
    assert VARIABLE in said.err
    assert "word" not in said.err


# Two machines, for real.


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """An engine of its own and a cache of its own; `logins` is the Docker configuration."""

    engine: str
    folder: Path
    logins: Path

    @property
    def variables(self) -> dict[str, str]:
        own = {"REPROMATRIX_CACHE": str(self.folder / "cache"), "DOCKER_HOST": self.engine}
        return os.environ | own | {"DOCKER_CONFIG": str(self.logins)}

    def start(self, command: str, *arguments: str, **more: str) -> subprocess.Popen[str]:
        options = [sys.executable, "-m", "repromatrix", command, "--select", NAME, *arguments]
        return subprocess.Popen(
            options, cwd=CHECKOUT, env=self.variables | more, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def __call__(self, command: str, *arguments: str, **more: str) -> tuple[int, str]:
        process = self.start(command, *arguments, **more)
        out, err = process.communicate()
        return process.returncode, out + err

    def docker(self) -> DockerEngine:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", self.engine)
            return DockerEngine()


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """What the first machine pushed, and the second, which has nothing yet."""

    first: Machine
    second: Machine
    registry: RegistryServer
    folder: Path
    pushed: tuple[int, str]

    @property
    def places(self) -> list[str]:
        return ["--registry", f"{self.registry.address}/team", "--digests", str(self.folder / "digests.json")]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    source = DockerEngine()
    base = next((each for each in LOCAL_BASES[:1] if source.client.images(each)), None)
    if base is None:
        pytest.skip("no base image: make base")
    folder = tmp_path_factory.mktemp("team")
    logins = folder / "logins"
    logins.mkdir()
    with (
        scratch_engine(folder / "1") as one,
        scratch_engine(folder / "2") as two,
        serving(folder / "registry", users={"team": PASSWORD}) as registry,
    ):
        (logins / "config.json").write_text(json.dumps({"auths": {registry.address: {"auth": AUTH}}}))
        first = Machine(engine=one, folder=folder / "first", logins=logins)
        second = Machine(engine=two, folder=folder / "second", logins=logins)
        hand_over(base, source, first.docker())
        made = Team(first=first, second=second, registry=registry, folder=folder, pushed=(0, ""))
        yield replace(made, pushed=first("push", "-v", *made.places))


def records(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.json"))}


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.slow
class TestTwoMachines:
    def test_the_first_builds_and_pushes(self, team: Team) -> None:
        code, said = team.pushed
        assert code == 0, said
        assert f"built      {NAME}" in said
        assert f"pushed     {NAME} {team.registry.address}/team/{NAME}@sha256:" in said

    def test_pushing_again_sends_nothing(self, team: Team) -> None:
        code, said = team.first("push", *team.places)
        assert code == 0, said
        assert f"there      {NAME}" in said
        assert "0 pushed now" in said

    def test_interrupting_a_pull_leaves_nothing(self, team: Team) -> None:
        with proxy(team.registry.address, stall_after=0) as silent:
            code, said = _interrupted(team.second, silent, "build", *team.places[2:])
        assert code == 130, said
        assert team.second.docker().client.images() == []

    def test_who_has_not_logged_in_is_told_to(self, team: Team, tmp_path: Path) -> None:
        code, said = replace(team.second, logins=tmp_path)("build", *team.places)
        assert code == 4
        assert f"docker login {team.registry.address}" in said
        assert team.second.docker().client.images() == []

    def test_the_second_gives_the_same_records_without_base_and_wheels(self, team: Team) -> None:
        code, said = team.first("run", "--engine", "docker", "--results", str(team.folder / "r1"))
        assert code == 0, said
        code, said = team.second("run", "-v", "--engine", "docker", "--results", str(team.folder / "r2"), *team.places)
        assert code == 0, said
        assert f"pulled     {NAME}" in said
        first = records(team.folder / "r1")
        assert any(name.startswith("records") for name in first)
        assert records(team.folder / "r2") == first
        assert not (team.second.folder / "cache" / "wheels").exists()

    def test_afterwards_the_second_needs_no_registry(self, team: Team) -> None:
        code, said = team.second("run", "--engine", "docker", "--results", str(team.folder / "r3"))
        assert code == 0, said
        assert f"found      {NAME}" in said
        assert records(team.folder / "r3") == records(team.folder / "r1")

    def test_the_second_may_push_what_it_pulled_and_changes_nothing(self, team: Team) -> None:
        before = (team.folder / "digests.json").read_bytes()
        code, said = team.second("push", *team.places)
        assert code == 0, said
        assert f"there      {NAME}" in said
        assert (team.folder / "digests.json").read_bytes() == before

    def test_interrupting_a_push_leaves_the_image_and_writes_nothing_down(self, team: Team, tmp_path: Path) -> None:
        digests = tmp_path / "digests.json"
        with proxy(team.registry.address, stall_after=0) as silent:
            code, said = _interrupted(team.first, silent, "push", "--digests", str(digests))
        assert code == 130, said
        assert not digests.exists()
        assert f"found      {NAME}" in team.first("build", "--engine", "docker")[1]

    def test_no_secret_is_written_anywhere(self, team: Team) -> None:
        logs = (
            team.first.folder,
            team.second.folder,
            team.folder / "r1",
            team.folder / "r2",
            team.folder / "digests.json",
        )
        contents = [path.read_bytes() for place in logs for path in (place, *place.rglob("*")) if path.is_file()]
        contents.append(team.pushed[1].encode())
        contents.append("".join(team.second("push", "-v", *team.places)[1]).encode())
        client = team.second.docker().client
        (reference,) = (tag for image in client.images() for tag in image["RepoTags"] or () if NAME in tag)
        contents.append(json.dumps([client.inspect_image(reference), client.history(reference)]).encode())
        contents.append(b"".join(client.get_image(reference)))  # as `docker save` writes it: layers, not compressed
        assert len(contents) > 5
        for secret in (PASSWORD, AUTH):
            assert not [content[:80] for content in contents if secret.encode() in content]


def _interrupted(machine: Machine, silent: Proxy, command: str, *arguments: str) -> tuple[int, str]:
    """Press Ctrl-C once the command has asked a registry that never answers."""
    process = machine.start(command, "--registry", f"{silent.address}/team", *arguments)
    silent.asked.wait(120)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err
