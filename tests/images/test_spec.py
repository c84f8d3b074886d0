"""An environment's tag changes with each of its ingredients, and only then."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from runner import resources
from runner.engines.base import Base
from runner.images import spec
from runner.images.lock import Lock
from runner.matrix import Environment

BASE = Base(kind="interpreter", reference="/usr/bin/python3.11", digest="3.11.2")
LOCK = Lock(path=Path("numpy.txt"), request=(), pins=(), digest="a" * 64)


@pytest.fixture
def images(monkeypatch, tmp_path: Path) -> Path:
    """Return a copy of the product's images/ that a test may change."""
    folder = tmp_path / "product"
    shutil.copytree(resources.folder("images"), folder, ignore=shutil.ignore_patterns("locks", "__pycache__"))
    monkeypatch.setattr(resources, "folder", lambda _: folder)
    return folder


def _tag(environment: Environment, base: Base = BASE, lock: Lock = LOCK) -> str:
    return spec.build_spec(environment, base, lock, ()).tag


INGREDIENTS = {
    "base": lambda e, _: _tag(e, base=replace(BASE, digest="3.11.3")),
    "lock": lambda e, _: _tag(e, lock=replace(LOCK, digest="b" * 64)),
    "variables": lambda e, _: _tag(replace(e, variables=(("A", "b"),))),
    "harness": lambda e, images: _changed(e, images / "cell.py"),
    "entrypoint": lambda e, images: _changed(e, images / "numpy" / "entrypoint.py"),
    "default job": lambda e, images: _changed(e, images / "numpy" / "default-job.json"),
    "recipe": lambda e, images: _changed(e, images / "Dockerfile"),
}
NOT_INGREDIENTS = {
    "another framework's entrypoint": lambda e, images: _changed(e, images / "jax" / "entrypoint.py"),
    "where the interpreter lies": lambda e, _: _tag(e, base=replace(BASE, reference="/opt/python")),
    "where the lock lies": lambda e, _: _tag(e, lock=replace(LOCK, path=Path("/elsewhere.txt"))),
    "devices": lambda e, _: _tag(replace(e, devices=("cuda:0",))),
    "line": lambda e, _: _tag(replace(e, line=99)),
    "wheels in hand": lambda e, _: spec.build_spec(e, BASE, LOCK, (Path("a.whl"),)).tag,
}


def _changed(environment: Environment, path: Path) -> str:
    path.write_text(path.read_text() + "\n")
    return _tag(environment)


@pytest.mark.parametrize("change", INGREDIENTS.values(), ids=INGREDIENTS)
def test_an_ingredient_changes_the_tag(environment: Environment, images: Path, change) -> None:
    assert _tag(environment) != change(environment, images)


@pytest.mark.parametrize("change", NOT_INGREDIENTS.values(), ids=NOT_INGREDIENTS)
def test_nothing_else_does(environment: Environment, images: Path, change) -> None:
    assert _tag(environment) == change(environment, images)


def test_a_tag_is_plain_hexadecimal_for_file_names_and_image_tags_alike(environment: Environment) -> None:
    assert len(_tag(environment)) == 24
    assert set(_tag(environment)) <= set("0123456789abcdef")


def test_a_spec_carries_what_the_engines_need(environment: Environment) -> None:
    wheels = (Path("a.whl"),)
    built = spec.build_spec(environment, BASE, LOCK, wheels)
    assert (built.name, built.module, built.wheels, built.base) == ("numpy-2.0-cpu", "numpy", wheels, BASE)
    assert {path.name for path in built.sources} >= {"cell.py", "entrypoint.py", "default-job.json"}
    assert built.dockerfile.name == "Dockerfile"
    assert dict(built.labels)["repromatrix.lock"] == LOCK.digest


@pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow", "jax", "keras"])
def test_every_framework_has_a_folder_with_the_same_few_files(framework: str) -> None:
    names = [path.name for path in spec.sources(framework)]
    assert {"cell.py", "entrypoint.py", "default-job.json"} <= set(names)
    assert len(names) == len(set(names))
