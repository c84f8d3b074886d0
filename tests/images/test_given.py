"""A lock, a requirements.txt or a wheel as a side of `impact`: which environments they describe."""

from pathlib import Path

import pytest

from repromatrix.errors import UsageError
from repromatrix.images import given
from repromatrix.images import lock as locks
from repromatrix.images.resolve import Resolved

HASH = "--hash=sha256:" + "a" * 64


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str, name: str = "requirements.txt") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_a_requirements_file_gives_the_framework_with_its_companions_and_nothing_else(small_matrix, file) -> None:
    matrix = small_matrix()
    path = file("# mine\npandas==2.0\nnumpy==1.5  # pinned\nscipy>=1.10\n-i somewhere\nrequests\n")
    (found,) = given.read(matrix, path)
    assert found.environment.packages == ("numpy==1.5", "scipy>=1.10")
    assert found.environment.name.startswith("numpy-1.5-cpu-")
    assert not found.pinned


def test_the_framework_comes_before_its_numpy(small_matrix, file) -> None:
    found = given.read(small_matrix(), file("numpy==2.0\ntorch==3.0\n"))
    assert [each.environment.framework for each in found] == ["torch", "numpy"]
    assert found[0].environment.packages == ("torch==3.0", "numpy==2.0")


def test_a_lock_is_taken_as_it_is_on_its_own_python(small_matrix, file) -> None:
    path = file(f"# request: numpy==1.5 python==3.9 x86\nnumpy==1.5 \\\n    {HASH}\nother==3 {HASH}\n")
    (found,) = given.read(small_matrix(), path)
    assert found.environment.packages == ("numpy==1.5", "other==3")
    assert found.environment.python == "3.9"
    folder = path.parent / "locks"
    found.lock(folder)
    assert [pin.name for pin in locks.read(found.environment, folder).pins] == ["numpy", "other"]


def test_two_files_never_share_an_environment_and_one_has_always_the_same(small_matrix, file) -> None:
    matrix = small_matrix()
    names = [given.read(matrix, file(text))[0].environment.name for text in ("numpy==1.5\n", "numpy==1.5\nscipy==1\n")]
    assert len(set(names)) == 2
    assert given.read(matrix, file("numpy==1.5\n"))[0].environment.name == names[0]


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("requirements.txt", "pandas==2.0\n", "pins no version of a framework"),
        ("requirements.txt", "numpy>=1.0\n", "pins no version of a framework"),
        ("requirements.txt", "numpy===.4.30\n", "no version: numpy===.4.30"),
        ("requirements.txt", "numpy==1.5; sys_platform ~= 'linux'\n", "a condition that cannot be decided"),
        ("requirements.txt", "numpy==1.5; 'a' in dependency_groups\n", "a condition that cannot be decided"),
        ("numpy.whl", "", "not the name of a wheel"),
        ("pandas-2.0-py3-none-any.whl", "", "pandas is no framework"),
    ],
)
def test_what_describes_no_environment_is_told(small_matrix, file, name: str, text: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        given.read(small_matrix(), file(text, name))


def test_a_wheel_of_ones_own_stands_in_the_lock_by_its_hash(small_matrix, file, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path / "cache"))
    asked = []

    def resolve(environment, _before):
        asked.append(environment.packages)
        return Resolved(text=f"numpy @ file:///somewhere \\\n    {HASH}\nother==3 {HASH}\n")

    monkeypatch.setattr(given, "resolve", resolve)
    wheel = file("built here", "numpy-2.5.0.dev0+git-cp312-cp312-linux_x86_64.whl")
    (found,) = given.read(small_matrix(), wheel)
    assert (found.environment.version, found.environment.python) == ("2.5.0.dev0", "3.12")
    folder = tmp_path / "locks"
    found.lock(folder)
    pins = {pin.name: pin for pin in locks.read(found.environment, folder).pins}
    assert asked == [(f"numpy @ {wheel.resolve().as_uri()}",)]
    assert pins["numpy"].version == "2.5.0.dev0+git"
    (stored,) = (tmp_path / "cache" / "wheels").glob("*/*.whl")
    assert {stored.parent.name} == pins["numpy"].hashes
    wheel.write_text("built again")
    assert given.read(small_matrix(), wheel)[0].environment.name != found.environment.name
