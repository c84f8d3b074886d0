"""How base images that are not here can be had: asked of registries in bounded time, else built, else not at all."""

import time
from dataclasses import dataclass, field, replace

import pytest

from repromatrix.engines import docker_images
from repromatrix.engines.docker_images import DockerImages
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import base as bases
from repromatrix.images import rootfs, supply
from repromatrix.images.supply import Supply
from repromatrix.matrix import Environment

ONE = bases.BaseEntry(
    name="bookworm",
    python="3.11",
    suite="bookworm",
    registry="python:3.11-slim",
    digest="sha256:" + "d" * 64,
    packages=("python3",),
)
TWO = replace(ONE, python="3.9", suite="bullseye", registry="python:3.9-slim", digest="sha256:" + "e" * 64)


@dataclass
class Images:
    """An image store whose registry answers as a test wants: a reference -> the problem with it."""

    problems: dict[str, str] = field(default_factory=dict)
    local: set[str] = field(default_factory=set)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def labels(self, reference: str) -> dict[str, str] | None:
        return {"repromatrix.base-digest": "sha256:1"} if reference in self.local else None

    def registry_problem(self, reference: str, seconds: int) -> str:
        self.asked.append((reference, seconds))
        return self.problems.get(reference, "")

    def pull(self, reference: str) -> None:
        self.local.add(reference)

    def import_rootfs(self, *_: object) -> None:
        raise AssertionError("no test here builds")


class NothingHeld:
    """An engine that holds no image of any environment."""

    def held(self, _repository: str) -> tuple[()]:
        return ()


def numpy(small_matrix, python: str = "3.11") -> Environment:
    return replace(small_matrix().environments[0], python=python)


@pytest.fixture(autouse=True)
def _can_build(monkeypatch) -> None:
    monkeypatch.setattr(bases, "entries", lambda: (ONE, TWO))
    monkeypatch.setattr(rootfs, "obstacle", lambda: "")


def test_a_base_that_is_here_pulled_or_built_is_not_missing(small_matrix) -> None:
    environments = [numpy(small_matrix), numpy(small_matrix, "3.9")]
    assert supply.missing(environments, Images(local={ONE.pinned, TWO.local}), NothingHeld()) == ()


def test_a_base_that_several_environments_need_is_missing_once(small_matrix) -> None:
    environments = [numpy(small_matrix), numpy(small_matrix, "3.9"), numpy(small_matrix)]
    assert supply.missing(environments, Images(), NothingHeld()) == (ONE, TWO)


def test_what_has_its_image_needs_no_base(small_matrix, monkeypatch) -> None:
    monkeypatch.setattr(supply.locks, "read", lambda _: None)
    monkeypatch.setattr(supply, "base_of_images", lambda *_: object())
    assert supply.missing([numpy(small_matrix)], Images(), NothingHeld()) == ()


def test_a_base_that_nobody_knows_is_an_error(small_matrix) -> None:
    with pytest.raises(EnvironmentFailedError, match=r"asks for the base 'bookworm' with Python 2\.7"):
        supply.missing([numpy(small_matrix, "2.7")], Images(), NothingHeld())


def test_nothing_missing_is_nothing_to_do() -> None:
    images = Images()
    found = supply.supply((), images)
    assert (found.work, found.problem, images.asked) == ("", "", [])


def test_what_a_registry_offers_is_pulled_by_digest() -> None:
    images = Images()
    found = supply.supply((ONE, TWO), images)
    assert found == Supply(pulled=(ONE, TWO))
    assert (found.work, found.problem) == ("2 base images from a registry", "")
    supply.obtain(found, images, _runs_nothing)
    assert images.local == {ONE.pinned, TWO.pinned}


def test_what_no_registry_offers_is_built_and_its_time_is_told() -> None:
    found = supply.supply((ONE, TWO), Images(problems={TWO.pinned: "no such host"}))
    assert (found.pulled, found.built) == ((ONE,), (TWO,))
    assert found.work == (
        "1 base image from a registry; 1 base image from packages, about 20 s, "
        "as no registry gives python:3.9-slim (no such host)"
    )
    assert found.problem == ""


def test_what_can_be_had_in_no_way_tells_both_reasons_and_what_to_type(monkeypatch) -> None:
    monkeypatch.setattr(rootfs, "obstacle", lambda: "mmdebstrap is not installed")
    found = supply.supply((ONE,), Images(problems={ONE.pinned: "no such host"}))
    assert found.problem == (
        "no registry gives python:3.11-slim (no such host), and mmdebstrap is not installed; "
        "`make base` as root gives containers"
    )


def test_a_python_that_the_distribution_does_not_have_comes_from_a_registry_only() -> None:
    bare = replace(ONE, packages=())
    found = supply.supply((bare,), Images(problems={bare.pinned: "no such host"}))
    assert found.problem.endswith("and bookworm has no Python 3.11; only a registry has that one")


def test_silent_registries_cost_a_bounded_time_all_together(monkeypatch) -> None:
    clock = iter([0.0, 0.0, 15.0])
    monkeypatch.setattr(supply, "monotonic", lambda: next(clock))
    images = Images(problems={ONE.pinned: "no answer within 15 s"})
    found = supply.supply((ONE, TWO), images)
    assert images.asked == [(ONE.pinned, 15)]
    assert found.built == (ONE, TWO)


def _runs_nothing(*_arguments: object, **_more: object) -> None:
    raise AssertionError("nothing is built")


# What building one needs.


@pytest.mark.parametrize(
    ("tool", "user", "expected"),
    [
        ("/usr/bin/mmdebstrap", 0, ""),
        (None, 0, "mmdebstrap is not installed"),
        ("/usr/bin/mmdebstrap", 1000, "mmdebstrap needs root rights"),
    ],
)
def test_building_needs_the_tool_and_root(monkeypatch, tool: str | None, user: int, expected: str) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(rootfs.shutil, "which", lambda _: tool)
    monkeypatch.setattr(rootfs.os, "geteuid", lambda: user)
    assert rootfs.obstacle() == expected


# The question that the engine passes on to a registry.


class Client:
    """An engine's client whose registry is silent, refuses or answers."""

    timeout = 300

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def inspect_distribution(self, _reference: str) -> None:
        if self.error:
            raise self.error


def _answers() -> dict[str, tuple[Exception | None, str]]:
    from docker.errors import APIError  # noqa: PLC0415 - slow to import
    from requests.exceptions import ReadTimeout  # noqa: PLC0415

    return {
        "silent": (ReadTimeout("slow"), "no answer within 7 s"),
        "refuses": (APIError("refused", explanation="no such  host"), "no such host"),
        "answers": (None, ""),
    }


@pytest.mark.parametrize("kind", ["silent", "refuses", "answers"])
def test_a_registry_is_asked_for_so_many_seconds(monkeypatch, kind: str) -> None:
    error, expected = _answers()[kind]
    client = Client(error)
    monkeypatch.setattr(docker_images, "connect", lambda: client)
    assert DockerImages().registry_problem("python@sha256:0", 7) == expected
    assert client.timeout == 7


@pytest.mark.docker
def test_a_real_engine_gives_up_in_time() -> None:
    started = time.monotonic()
    assert DockerImages().registry_problem("192.0.2.1:5000/python@sha256:" + "0" * 64, 3)
    assert time.monotonic() - started < 60
