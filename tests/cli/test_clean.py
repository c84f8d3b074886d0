"""`repromatrix clean` as a person meets it: what is asked for, what is printed, what is gone."""

import json
import os
import re
import threading
import time
from pathlib import Path
from typing import ClassVar

import pytest

from repromatrix.engines import docker_images
from repromatrix.engines.docker_images import Held
from repromatrix.errors import ExitCode, NoEngineError
from repromatrix.images import uses
from repromatrix.operations.kept import Judgements
from repromatrix.operations.release import release

TAG = "0123456789abcdef01234567"


class Engine:
    """Stands for the image store of a Docker engine; `reasons` are its refusals."""

    images: tuple[Held, ...] = ()
    reasons: ClassVar[dict[str, str]] = {}
    removed: ClassVar[list[str]] = []

    def held(self, *labels: str) -> tuple[Held, ...]:
        return tuple(each for each in self.images if set(labels) & each.labels.keys())

    def remove(self, reference: str) -> str:
        if reason := self.reasons.get(reference, ""):
            return reason
        self.removed.append(reference)
        return ""


@pytest.fixture(autouse=True)
def engine(monkeypatch) -> type[Engine]:
    monkeypatch.setattr(Engine, "images", ())
    monkeypatch.setattr(Engine, "reasons", {})
    monkeypatch.setattr(Engine, "removed", [])
    monkeypatch.setattr(docker_images, "DockerImages", Engine)
    return Engine


@pytest.fixture
def cache(command, tmp_path: Path) -> Path:  # noqa: ARG001 - the bench names the cache
    return tmp_path / "cache"


def _old(path: Path, days: int = 100) -> Path:
    path.mkdir(parents=True)
    (path / "complete.json").write_text("{}")
    os.utime(path, (time.time() - days * 86400,) * 2)
    return path


def _image(name: str = "numpy-0.1-cpu") -> Held:
    labels = {"repromatrix.tag": TAG, "org.opencontainers.image.title": name}
    return Held(id="sha256:1", references=(f"repromatrix/{name}:{TAG}",), labels=labels, size=3 << 20, made=100)


REFUSED = {
    "nothing": ((), "what is to be removed?", "--unused"),
    "all and a part": (("--all", "--unused"), "--all and a part of it", "leave out --all"),
    "no age": (("--older-than", "soon"), "no age: 'soon'", "--older-than 30d"),
    "an age without a unit": (("--older-than", "30"), "no age: '30'", "--older-than 30d"),
}


@pytest.mark.parametrize(("arguments", "what", "hint"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_meant_is_refused_and_nothing_goes(command, cache, arguments, what, hint) -> None:
    there = _old(cache / "environments" / f"numpy-0.1-cpu-{TAG}")
    said = command("clean", *arguments)
    assert said.code == ExitCode.USAGE
    assert what in said.err
    assert hint in said.err.split("next: ")[1]
    assert there.exists()


def test_environments_that_nobody_knows_are_refused(command) -> None:
    said = command("clean", "--select", "caffe-*")
    assert said.code == ExitCode.NOTHING_SELECTED


def test_what_goes_is_told_line_by_line_with_its_size_and_a_sum(command, cache, engine) -> None:
    gone = _old(cache / "environments" / f"numpy-0.1-cpu-{TAG}")
    engine.images = (_image(),)
    said = command("clean", "--unused")
    assert said.code == 0
    assert re.sub(r" [48]\.0 KiB", " some KiB", said.out).splitlines() == [  # a folder has blocks or not
        f"removed    image              3.0 MiB  repromatrix/numpy-0.1-cpu:{TAG}",
        f"removed    environment        some KiB  environments/numpy-0.1-cpu-{TAG}",
        "removed    2 things, 3.0 MiB",
    ]
    assert "docker builder prune" in said.err
    assert not gone.exists()
    assert engine.removed == [f"repromatrix/numpy-0.1-cpu:{TAG}"]


def test_a_dry_run_says_the_same_and_removes_nothing(command, cache, engine) -> None:
    there = _old(cache / "environments" / f"numpy-0.1-cpu-{TAG}")
    engine.images = (_image(),)
    dry = command("clean", "--unused", "--dry-run")
    assert there.exists()
    assert engine.removed == []
    assert dry.out.replace("would go ", "removed  ") == command("clean", "--unused").out


def test_judgements_of_other_releases_are_unused_and_a_dry_run_shows_them(command, cache) -> None:
    now = Judgements(cache / "judgements")
    for folder in (cache / "judgements" / ("f" * 16), cache / "judgements" / release()):
        folder.mkdir(parents=True)
        (folder / f"{'a' * 64}.json").write_text("{}")
    said = command("clean", "--unused", "--dry-run")
    assert re.search(rf"would go +judgements +[48]\.0 KiB +judgements/{'f' * 16}", said.out)
    assert release() not in said.out
    assert command("clean", "--unused").code == 0
    assert not (cache / "judgements" / ("f" * 16)).exists()
    assert list(now) == ["a" * 64]


def test_by_age(command, cache) -> None:
    old, new = (_old(cache / "wheels" / (letter * 64), days) for letter, days in (("a", 3), ("b", 1)))
    assert command("clean", "--older-than", "49h").code == 0
    assert not old.exists()
    assert new.exists()


def test_all_and_by_age_need_no_matrix(command, cache, monkeypatch, tmp_path) -> None:
    gone = _old(cache / "wheels" / ("a" * 64))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert command("clean", "--older-than", "1d").code == 0
    assert not gone.exists()
    assert command("clean", "--unused").code == ExitCode.USAGE


def test_what_the_engine_keeps_and_what_is_foreign_is_told(command, cache, engine) -> None:
    (cache / "logs").mkdir(parents=True)
    (cache / "mine.txt").write_text("precious")
    engine.images = (_image(),)
    engine.reasons = {f"repromatrix/numpy-0.1-cpu:{TAG}": "a container uses it"}
    said = command("clean", "--all")
    assert said.code == 0
    assert said.out.splitlines() == [
        f"skipped    image              3.0 MiB  repromatrix/numpy-0.1-cpu:{TAG}: a container uses it",
        f"left       {cache / 'mine.txt'}: repromatrix did not make it",
        "removed    0 things, 0 bytes",
    ]
    assert (cache / "mine.txt").read_text() == "precious"


def test_the_result_as_json(command, cache, engine) -> None:
    _old(cache / "wheels" / ("a" * 64))
    (cache / "mine.txt").write_text("precious")
    engine.images = (_image(),)
    engine.reasons = {f"repromatrix/numpy-0.1-cpu:{TAG}": "a container uses it"}
    found = json.loads(command("clean", "--all", "--json").out)
    size = found["bytes"]
    assert size >= 4096
    assert found == {
        "dry_run": False,
        "removed": [{"kind": "wheel", "name": f"wheels/{'a' * 64}", "bytes": size}],
        "skipped": [
            {
                "kind": "image",
                "name": f"repromatrix/numpy-0.1-cpu:{TAG}",
                "bytes": 3 << 20,
                "reason": "a container uses it",
            }
        ],
        "foreign": [str(cache / "mine.txt")],
        "bytes": size,
    }


def test_without_an_engine_the_rest_is_cleaned(command, cache, monkeypatch) -> None:
    def absent() -> None:
        raise NoEngineError("no Docker engine answers")

    monkeypatch.setattr(docker_images, "DockerImages", absent)
    gone = _old(cache / "wheels" / ("a" * 64))
    said = command("clean", "--all")
    assert said.code == 0
    assert "not seen   images: no Docker engine answers" in said.err
    assert not gone.exists()


def test_results_are_never_touched(command, tmp_path) -> None:
    command("run")
    before = sorted((tmp_path / "results").rglob("*"))
    assert before
    assert command("clean", "--all").code == 0
    assert sorted((tmp_path / "results").rglob("*")) == before


def test_what_a_run_at_work_uses_stays(command, cache) -> None:
    there = _old(cache / "environments" / f"numpy-2.0-cpu-{TAG}")
    gone = _old(cache / "environments" / f"numpy-0.1-cpu-{TAG}")
    with uses.using(["numpy-2.0-cpu"]):
        said = command("clean", "--all")
    assert "a runner is at work on numpy-2.0-cpu" in said.out
    assert there.exists()
    assert not gone.exists()


def test_a_run_holds_what_it_uses(command) -> None:
    seen: list[frozenset[str]] = []
    find = command.engine.find

    def looked(spec):
        with uses.cleaning() as in_use:
            seen.append(in_use)
        return find(spec)

    command.engine.find = looked
    command("run", "--select", "numpy-2.0-cpu")
    command("build", "--select", "numpy-2.0-cpu")
    assert set(seen) == {frozenset({"numpy-2.0-cpu"})}


def test_a_run_that_starts_waits_until_the_cleaning_is_done() -> None:
    begun, entered = threading.Event(), threading.Event()

    def use() -> None:
        begun.set()
        with uses.using(["numpy-2.0-cpu"]):
            entered.set()

    with uses.cleaning():
        runner = threading.Thread(target=use)
        runner.start()
        assert begun.wait(60)
        assert not entered.wait(0.2)
    runner.join(60)
    assert entered.is_set()
