"""An environment's tag changes with each of its ingredients, and only then."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix import resources
from repromatrix.engines.base import Base
from repromatrix.images import labels, spec
from repromatrix.images.default_job import default_job
from repromatrix.images.lock import Lock
from repromatrix.matrix import Environment

BASE = Base(kind="interpreter", reference="/usr/bin/python3.11", digest="3.11.2")
LOCK = Lock(path=Path("numpy.txt"), request=(), pins=(), digest="a" * 64)


@pytest.fixture
def images(monkeypatch, tmp_path: Path) -> Path:
    """Return a copy of the product's images/, its workloads/ beside it, that a test may change."""
    for name in ("images", "workloads"):
        ignored = shutil.ignore_patterns("locks", "__pycache__")
        shutil.copytree(resources.folder(name), tmp_path / "product" / name, ignore=ignored)
    monkeypatch.setattr(resources, "folder", lambda name: tmp_path / "product" / name)
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "product" / "images"


def _tag(environment: Environment, base: Base = BASE, lock: Lock = LOCK) -> str:
    return spec.build_spec(environment, base, lock, ()).tag


INGREDIENTS = {
    "base": lambda e, _: _tag(e, base=replace(BASE, digest="3.11.3")),
    "lock": lambda e, _: _tag(e, lock=replace(LOCK, digest="b" * 64)),
    "variables": lambda e, _: _tag(replace(e, variables=(("A", "b"),))),
    "harness": lambda e, images: _changed(e, images / "cell.py"),
    "entrypoint": lambda e, images: _changed(e, images / "numpy" / "entrypoint.py"),
    "recipe": lambda e, images: _changed(e, images / "Dockerfile"),
}
NOT_INGREDIENTS = {
    "a workload, and with it the default job": lambda e, images: _changed(
        e, images.parent / "workloads" / "mazur" / "numpy.py"
    ),
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
    assert {"cell.py", "task.py", "entrypoint.py"} <= set(names)
    assert len(names) == len(set(names))


def test_the_default_job_is_the_published_one_and_follows_the_workload(environment: Environment, images: Path) -> None:
    (before,) = (path for path in spec.build_spec(environment, BASE, LOCK, ()).sources if path.suffix == ".json")
    asked = json.loads(before.read_text())
    assert [each["id"].rsplit("/")[-1] for each in asked["cells"]] == ["sequential", "parallel", "unrolled"]
    assert {(each["dtype"], each["device"], each["trace"]) for each in asked["cells"]} == {("float64", "cpu", False)}
    assert asked["settings"]["threads"] == 1
    assert default_job(environment) == before, "an unchanged job is the same file"
    _changed(environment, images.parent / "workloads" / "mazur" / "numpy.py")
    after = default_job(environment)
    assert after != before
    assert json.loads(after.read_text())["cells"][0]["workload"] != asked["cells"][0]["workload"]


def test_the_tag_is_over_what_is_told_of_it(environment: Environment) -> None:
    told = spec.ingredients(environment, BASE, LOCK)
    assert (told["base"], told["lock"], told["sources"]) == (BASE.digest, LOCK.digest, spec.sources_digest("numpy"))
    assert set(told) == {"base", "lock", "sources", "recipe", "epoch", "variables"}


# Labels: what an image says of itself.


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=A Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a checkout of a small project with one commit."""
    if not shutil.which("git"):
        pytest.skip("no git on PATH")
    folder = tmp_path / "checkout"
    for name in ("images/cell.py", "runner/repromatrix/plan.py", "docs/page.md"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("first\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "First")
    labels.revision.cache_clear()
    return folder


def revision(folder: Path) -> str:
    labels.revision.cache_clear()
    return labels.revision(folder)


def test_the_revision_is_the_commit_of_the_checkout(repository: Path) -> None:
    assert revision(repository) == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    "name", ["images/cell.py", "images/new.py", "runner/repromatrix/plan.py", "runner/repromatrix/new.py"]
)
def test_a_change_of_what_makes_images_makes_the_revision_dirty(repository: Path, name: str) -> None:
    (repository / name).write_text("second\n")
    assert revision(repository) == git(repository, "rev-parse", "HEAD") + "-dirty"


def test_a_change_of_anything_else_does_not(repository: Path) -> None:
    (repository / "docs/page.md").write_text("second\n")
    assert revision(repository) == git(repository, "rev-parse", "HEAD")


def test_a_folder_in_somebody_elses_repository_has_no_revision(repository: Path) -> None:
    assert revision(repository / "docs") == ""


def test_no_checkout_no_git_and_no_commit_have_no_revision(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert revision(tmp_path) == ""
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet")
    assert revision(empty) == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision(repository) == ""


def test_variables_of_a_git_under_way_lead_nowhere_else(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(repository / "elsewhere"))
    assert revision(repository) == head


@pytest.mark.parametrize(
    ("urls", "page"),
    [
        (["Homepage, https://example.org", "Source, https://example.org/code"], "https://example.org/code"),
        (["Changelog, https://example.org/news", "Homepage, https://example.org"], "https://example.org"),
        (["Changelog, https://example.org/news"], ""),
        ([], ""),
    ],
)
def test_the_source_is_the_page_that_the_project_names(urls: list[str], page: str) -> None:
    assert labels.project_page(urls) == page


def test_an_image_says_what_it_is_and_where_it_comes_from(environment: Environment, monkeypatch) -> None:
    monkeypatch.setattr(labels, "source", lambda: "https://example.org/code")
    monkeypatch.setattr(labels, "revision", lambda _: "c0ffee")
    pulled = Base(kind="registry", reference="python@sha256:1", digest="sha256:1")
    told = dict(spec.build_spec(environment, pulled, LOCK, ()).labels)
    oci = {name.removeprefix("org.opencontainers.image."): told[name] for name in told if name.startswith("org.")}
    assert oci.pop("base.name").startswith("python:3.11.")
    assert oci == {
        "title": "numpy-2.0-cpu",
        "version": "2.0",
        "source": "https://example.org/code",
        "revision": "c0ffee",
        "base.digest": "sha256:1",
    }
    assert {"repromatrix.version", "repromatrix.lock", "repromatrix.sources"} <= set(told)


def test_what_is_not_known_is_no_label(environment: Environment, monkeypatch) -> None:
    monkeypatch.setattr(labels, "source", lambda: "")
    monkeypatch.setattr(labels, "revision", lambda _: "")
    told = dict(spec.build_spec(environment, BASE, LOCK, ()).labels)
    assert not {name for name in told if name.endswith((".source", ".revision"))}


def test_labels_do_not_change_the_tag(environment: Environment, monkeypatch) -> None:
    before = _tag(environment)
    monkeypatch.setattr(labels, "source", lambda: "https://example.org/elsewhere")
    monkeypatch.setattr(labels, "revision", lambda _: "another commit")
    assert _tag(environment) == before
