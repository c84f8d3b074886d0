"""Every package of an environment has a reason, a licence and a size, all of them told by its wheel."""

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import contents
from repromatrix.images.contents import Package
from repromatrix.images.lock import Lock, Pin
from repromatrix.matrix import Environment

Look = Callable[..., dict[str, Package]]


def make_wheel(folder: Path, name: str, *headers: str, version: str = "1.0") -> Path:
    """Put a wheel with these lines in its METADATA into the store in `folder`."""
    stem = name.replace("-", "_")
    made = folder / f"{stem}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *headers]
        archive.writestr(f"{stem}-{version}.dist-info/METADATA", "\n".join(lines) + "\n\nA text.\n")
        archive.writestr(f"{stem}.py", "x" * 1000)
        archive.writestr(f"{stem}/vendor.dist-info/METADATA", "License: of another\n")
    place = folder / "wheels" / hashlib.sha256(made.read_bytes()).hexdigest()
    place.mkdir(parents=True)
    return made.rename(place / made.name)


def lock_of(wheels: Iterable[Path], *missing: str) -> Lock:
    pins = [(path.name.split("-")[0].replace("_", "-"), path.parent.name) for path in wheels]
    pins += [(name, "f" * 64) for name in missing]
    return Lock(
        path=Path("lock.txt"),
        request=(),
        pins=tuple(
            Pin(name=name, version="1.0", hashes=frozenset({digest}), text="", size=None)
            for name, digest in sorted(pins)
        ),
        digest="a" * 64,
    )


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Environment) -> Look:
    """Return the packages of an environment with these wheels (name -> lines of METADATA)."""
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path))

    def look(wheels: dict[str, list[str]], *missing: str, asked: str = "numpy==1.0", python: str = "3.11"):
        paths = [make_wheel(tmp_path, name, *lines) for name, lines in wheels.items()]
        wanted = replace(environment, requirements=tuple(asked.split()), python=python)
        return {each.name: each for each in contents.packages(wanted, lock_of(paths, *missing))}

    return look


def needs(*requirements: str) -> list[str]:
    return [f"Requires-Dist: {each}" for each in requirements]


def test_a_package_is_there_since_it_was_asked_for_or_since_others_need_it(look: Look) -> None:
    found = look({"numpy": needs("dep-b>=1", "dep-a"), "dep-a": needs("dep-b"), "dep-b": []})
    assert found["numpy"].why("matrix.yaml:7") == "asked for by matrix.yaml:7"
    assert found["dep-a"].why("matrix.yaml:7") == "needed by numpy"
    assert found["dep-b"].why("matrix.yaml:7") == "needed by dep-a, numpy"
    assert found["numpy"].requires == ("dep-a", "dep-b")


def test_what_was_asked_for_may_be_needed_as_well(look: Look) -> None:
    found = look({"numpy": needs("dep"), "dep": []}, asked="numpy==1.0 dep==1.0")
    assert found["dep"].why("matrix.yaml:7") == "asked for by matrix.yaml:7; needed by numpy"


@pytest.mark.parametrize(
    ("marker", "python", "applies"),
    [
        ('python_version < "3.11"', "3.11", False),
        ('python_version < "3.11"', "3.9", True),
        ('python_full_version >= "3.13"', "3.13", True),
        ('sys_platform == "win32"', "3.11", False),
        ('platform_machine == "x86_64" and platform_system == "Linux"', "3.11", True),
        ('implementation_name == "pypy"', "3.11", False),
    ],
)
def test_markers_hold_for_the_environments_python_not_for_ours(
    look: Look, marker: str, python: str, applies: bool
) -> None:
    found = look({"numpy": needs(f"dep ; {marker}"), "dep": []}, python=python)
    assert (found["dep"].needed_by == ("numpy",)) is applies


def test_an_extra_counts_only_where_it_is_asked_for(look: Look) -> None:
    optional = needs('dep ; extra == "cuda12"')
    assert look({"numpy": optional, "dep": []})["dep"].needed_by == ()
    with_it = {"numpy": [*optional, "Summary: another file"], "dep": ["Summary: another file"]}
    assert look(with_it, asked="numpy[cuda12]==1.0")["dep"].needed_by == ("numpy",)


def test_an_extra_may_be_asked_for_by_another_package(look: Look) -> None:
    found = look(
        {
            "numpy": needs('plugin[with-deep] ; extra == "gpu"'),
            "plugin": needs('deep ; extra == "with-deep"'),
            "deep": [],
        },
        asked="numpy[gpu]==1.0",
    )
    assert found["deep"].needed_by == ("plugin",)


def test_names_are_compared_as_pip_does(look: Look) -> None:
    assert look({"numpy": needs("Dep_A"), "dep-a": []})["dep-a"].needed_by == ("numpy",)


def test_a_circle_of_needs_ends(look: Look) -> None:
    found = look({"numpy": needs("dep[x]"), "dep": needs('numpy[y] ; extra == "x"')}, asked="numpy[y]==1.0")
    assert found["dep"].needed_by == ("numpy",)
    assert found["numpy"].needed_by == ("dep",)


def test_a_wheel_that_is_not_here_is_said_to_be_missing_not_guessed(look: Look) -> None:
    found = look({"numpy": needs("there"), "there": []}, "absent")
    assert (found["absent"].sha256, found["absent"].unpacked, found["absent"].licences) == (None, None, ())
    assert found["absent"].why("matrix.yaml:7") == "no wheel on this machine asks for it"
    assert found["there"].why("matrix.yaml:7") == "needed by numpy"


def test_a_wheel_is_told_by_its_hash_and_the_bytes_of_its_files(look: Look) -> None:
    found = look({"numpy": []})["numpy"]
    assert found.wheel is not None
    assert found.sha256 == hashlib.sha256(found.wheel.read_bytes()).hexdigest()
    with zipfile.ZipFile(found.wheel) as archive:
        assert found.unpacked == sum(len(archive.read(name)) for name in archive.namelist())


@pytest.mark.parametrize(
    ("headers", "licences"),
    [
        (["License-Expression: MIT OR Apache-2.0", "License: other"], ("MIT OR Apache-2.0",)),
        (["License: BSD-3-Clause", "Classifier: License :: OSI Approved :: BSD License"], ("BSD-3-Clause",)),
        (["License: Copyright (c)", "  all rights reserved", "Classifier: License :: BSD License"], ("BSD License",)),
        (["License: UNKNOWN", "Classifier: License :: OSI Approved :: MIT License"], ("MIT License",)),
        (["Classifier: License :: B", "Classifier: License :: A", "Classifier: Topic :: C"], ("A", "B")),
        ([], ()),
    ],
)  # fmt: skip
def test_a_licence_is_the_shortest_that_the_wheel_names(look: Look, headers: list[str], licences: tuple) -> None:
    assert look({"numpy": headers})["numpy"].licences == licences


def test_a_requirement_that_nobody_can_read_is_passed_over(look: Look) -> None:
    assert look({"numpy": needs("dep (>=1", "dep"), "dep": []})["dep"].needed_by == ("numpy",)


def test_a_damaged_wheel_is_named_with_what_to_do(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path))
    path = make_wheel(tmp_path, "numpy")
    path.write_bytes(b"no zip")
    with pytest.raises(EnvironmentFailedError) as caught:
        contents.packages(environment, lock_of([path]))
    assert path.name in caught.value.what
    assert caught.value.where == str(path)
    assert "repromatrix build" in caught.value.hint
