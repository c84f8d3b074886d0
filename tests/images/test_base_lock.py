"""The lock of a locally built base: one text for one set of packages, and every difference by name."""

from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import base_lock
from repromatrix.images.base_lock import Package

NAME = "bookworm-py3.11"


def package(name: str, version: str = "1.0-1", architecture: str = "amd64", sha256: str = "a" * 64) -> Package:
    return Package(name=name, version=version, architecture=architecture, sha256=sha256)


BOTH = (package("zlib1g", "1:1.2.13.dfsg-1"), package("adduser", "3.134~x+y", "all"))


def test_a_lock_is_sorted_and_names_its_command_and_holds_no_time() -> None:
    assert base_lock.text(NAME, BOTH).splitlines() == [
        "# The packages of the base bookworm-py3.11; made by: repromatrix base --write-lock",
        f"adduser=3.134~x+y all sha256:{'a' * 64}",
        f"zlib1g=1:1.2.13.dfsg-1 amd64 sha256:{'a' * 64}",
    ]


def test_a_lock_reads_back_as_what_was_written(tmp_path: Path) -> None:
    assert base_lock.write(NAME, BOTH, tmp_path)
    assert set(base_lock.read(NAME, tmp_path) or ()) == set(BOTH)


def test_the_same_packages_in_another_order_change_nothing(tmp_path: Path) -> None:
    assert base_lock.write(NAME, BOTH, tmp_path)
    assert not base_lock.write(NAME, BOTH[::-1], tmp_path)
    assert base_lock.digest(NAME, BOTH) == base_lock.digest(NAME, BOTH[::-1])


def test_another_file_of_the_same_version_is_another_lock() -> None:
    other = (BOTH[0], replace(BOTH[1], sha256="b" * 64))
    assert base_lock.digest(NAME, other) != base_lock.digest(NAME, BOTH)
    assert base_lock.difference(BOTH, other) == ("adduser 3.134~x+y (another file)",)


DIFFERENCES = {
    "nothing": (BOTH, ()),
    "a newer version": ((BOTH[0], replace(BOTH[1], version="3.135")), ("adduser 3.134~x+y -> 3.135",)),
    "one that is gone": (BOTH[:1], ("adduser 3.134~x+y (gone)",)),
    "one that is new": ((*BOTH, package("tar")), ("tar 1.0-1 (not locked)",)),
    "another architecture": (
        (BOTH[0], replace(BOTH[1], architecture="i386")),
        ("adduser 3.134~x+y (gone)", "adduser 3.134~x+y (not locked)"),
    ),
}


@pytest.mark.parametrize(("built", "expected"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_every_difference_is_named(built: tuple[Package, ...], expected: tuple[str, ...]) -> None:
    assert base_lock.difference(BOTH, built) == expected


def test_a_base_without_a_lock_is_told_how_to_get_one(tmp_path: Path) -> None:
    assert base_lock.read(NAME, tmp_path) is None
    assert base_lock.summary(NAME, BOTH, tmp_path) == "no lock: repromatrix base --write-lock"


def test_a_base_as_locked_has_nothing_to_tell(tmp_path: Path) -> None:
    base_lock.write(NAME, BOTH, tmp_path)
    assert base_lock.summary(NAME, BOTH[::-1], tmp_path) == ""


def test_many_differences_are_counted_and_the_first_ones_named(tmp_path: Path) -> None:
    locked = [package(f"p{number:03}") for number in range(100)]
    base_lock.write(NAME, locked, tmp_path)
    said = base_lock.summary(NAME, [replace(each, version="2") for each in locked], tmp_path)
    assert said.startswith("100 of 100 packages differ from the lock: p000 1.0-1 -> 2; p001")
    assert said.endswith("p004 1.0-1 -> 2 and 95 more")


DAMAGED = ["python3=3.11", f"python3 amd64 sha256:{'a' * 64}", "python3=3.11 amd64 sha256:abc", "", "\x00"]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_lock_is_told_with_file_and_line(tmp_path: Path, line: str) -> None:
    base_lock.write(NAME, BOTH, tmp_path)
    path = base_lock.path_of(NAME, tmp_path)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(EnvironmentFailedError, match="not a line of a base's lock") as caught:
        base_lock.read(NAME, tmp_path)
    assert caught.value.where == f"{path}:4"
    assert "--write-lock" in caught.value.hint
