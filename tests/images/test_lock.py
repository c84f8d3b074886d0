"""Locks: read whole or refused, current or not, and stable when made again."""

import hashlib
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.errors import EnvironmentFailedError, ExitCode
from repromatrix.images import lock as locks
from repromatrix.images import resolve
from repromatrix.images.sources import PackageSources
from repromatrix.matrix import Environment, load

A, B = "a" * 64, "b" * 64
BODY = f"""\
numpy==2.0 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}
Some_Thing===1.0+cpu ; python_version < "4" --hash=sha256:{B}
"""


def test_a_lock_that_is_read(environment: Environment, write_lock) -> None:
    lock = locks.read(environment, write_lock(BODY))
    assert [(pin.name, pin.version, pin.hashes) for pin in lock.pins] == [
        ("numpy", "2.0", frozenset({A, B})),
        ("some_thing", "1.0+cpu", frozenset({B})),
    ]
    assert lock.request == ("numpy==2.0", "python==3.11", "x86_64-manylinux_2_28")
    assert lock.digest == hashlib.sha256(lock.path.read_bytes()).hexdigest()
    lock.path.write_text(locks.sealed(lock.path.read_text()))
    assert locks.read(environment, lock.path.parents[2]).digest == lock.digest
    assert [pin.size for pin in lock.pins] == [None, None]


def test_a_missing_lock_says_how_to_make_it(environment: Environment, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailedError, match=r"numpy-2\.0-cpu \(matrix.yaml:10\) has no lock") as caught:
        locks.read(environment, tmp_path)
    assert caught.value.hint == "make it: repromatrix lock --select numpy-2.0-cpu"
    assert caught.value.exit_code is ExitCode.ENVIRONMENT


DAMAGE = {
    "no hash": ("numpy==2.0\n", "numpy has no exact version or no hash"),
    "no exact version": (f"numpy>=2.0 --hash=sha256:{A}\n", "numpy has no exact version"),
    "two versions": (f"numpy==2.0,==2.1 --hash=sha256:{A}\n", "numpy has no exact version"),
    "a file from elsewhere": (f"numpy @ https://host/numpy.whl --hash=sha256:{A}\n", "numpy has no exact version"),
    "another hash": ("numpy==2.0 --hash=md5:d41d8cd98f00b204e9800998ecf8427e\n", "no hash"),
    "not a requirement": ("numpy is the best\n", "not a line of a lock: 'numpy is the best'"),
}


@pytest.mark.parametrize(("body", "what"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_lock_is_refused_with_its_path(environment: Environment, write_lock, body: str, what: str) -> None:
    folder = write_lock(BODY + body)
    with pytest.raises(EnvironmentFailedError, match=what) as caught:
        locks.read(environment, folder)
    assert caught.value.where == str(locks.path_of(environment, folder))
    assert "repromatrix lock" in caught.value.hint


def test_a_lock_that_is_no_text_is_refused(environment: Environment, write_lock) -> None:
    folder = write_lock(BODY)
    locks.path_of(environment, folder).write_bytes(b"\xff\xfe\x00")
    assert not locks.is_current(environment, folder)
    with pytest.raises(EnvironmentFailedError):
        locks.read(environment, folder)


# What makes a lock outdated is what the resolver would be asked, and nothing else.
OUTDATED = {
    "another version": {"version": "2.1"},
    "another package": {"requirements": ("numpy=={version}", "scipy==1.0")},
    "another Python": {"python": "3.12"},
}
STILL_CURRENT = {
    "another line": {"line": 99},
    "other devices": {"devices": ("cuda:0",)},
    "other variables": {"variables": (("A", "b"),)},
    "another base": {"base": "trixie"},
}


@pytest.mark.parametrize("change", OUTDATED.values(), ids=OUTDATED)
def test_a_changed_request_makes_the_lock_outdated(environment: Environment, write_lock, change: dict) -> None:
    folder = write_lock(BODY)
    changed = replace(environment, **change)
    path = locks.path_of(changed, folder)
    if not path.is_file():
        locks.path_of(environment, folder).rename(path)
    assert not locks.is_current(changed, folder)
    with pytest.raises(EnvironmentFailedError, match=r"answers another request than matrix\.yaml:10 makes"):
        locks.read(changed, folder)


@pytest.mark.parametrize("change", STILL_CURRENT.values(), ids=STILL_CURRENT)
def test_other_changes_leave_it_current(environment: Environment, write_lock, change: dict) -> None:
    assert locks.is_current(replace(environment, **change), write_lock(BODY))


def test_a_lock_that_is_not_there_is_not_current(environment: Environment, tmp_path: Path) -> None:
    assert not locks.is_current(environment, tmp_path)


def test_every_environment_of_the_real_default_and_nightly_profile_has_a_lock_that_reads(checkout: Path) -> None:
    from repromatrix.plan import plan  # noqa: PLC0415 - this one test is about the real matrix

    matrix = load(checkout / "matrix.yaml")
    for profile in ("default", "nightly"):
        for each in plan(matrix, profile=profile).environments:
            assert locks.read(each).pins


# Making: with the real resolver, over a folder of wheels, no network.


def _wheel(folder: Path, name: str, version: str, *requires: str) -> None:
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(
        f"Requires-Dist: {each}\n" for each in requires
    )
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheels_only(tmp_path: Path, monkeypatch) -> Path:
    folder = tmp_path / "wheelhouse"
    only = PackageSources(
        index=None, no_index=True, extra_indexes=(), find_links=(str(folder),), trusted_hosts=(), certificates=None
    )
    monkeypatch.setattr(resolve, "configured", lambda: only)
    return folder


def test_a_lock_is_made_with_everything_that_is_needed_and_reads_back(environment, wheels_only, tmp_path) -> None:
    _wheel(wheels_only, "numpy", "2.0", "helper>=1")
    _wheel(wheels_only, "helper", "1.5")
    assert locks.make(environment, tmp_path).changed
    lock = locks.read(environment, tmp_path)
    assert [(pin.name, pin.version) for pin in lock.pins] == [("helper", "1.5"), ("numpy", "2.0")]
    wheel = wheels_only / "helper-1.5-py3-none-any.whl"
    assert lock.pins[0].hashes == {hashlib.sha256(wheel.read_bytes()).hexdigest()}


def test_a_lock_made_again_stays_as_it_is_although_newer_releases_came(environment, wheels_only, tmp_path) -> None:
    _wheel(wheels_only, "numpy", "2.0", "helper>=1")
    _wheel(wheels_only, "helper", "1.5")
    locks.make(environment, tmp_path)
    before = locks.path_of(environment, tmp_path).read_bytes()
    _wheel(wheels_only, "helper", "1.6")
    assert not locks.make(environment, tmp_path).changed
    assert locks.path_of(environment, tmp_path).read_bytes() == before


def test_what_cannot_be_resolved_is_told_with_the_reason_and_nothing_is_written(
    environment, wheels_only, tmp_path
) -> None:
    _wheel(wheels_only, "numpy", "1.0")
    with pytest.raises(EnvironmentFailedError, match=r"numpy-2\.0-cpu cannot be resolved: .*numpy==2\.0") as caught:
        locks.make(environment, tmp_path)
    assert caught.value.where == "matrix.yaml:10"
    assert not locks.path_of(environment, tmp_path).exists()


def test_the_frameworks_own_index_is_asked_only_after_the_users(environment, monkeypatch, tmp_path) -> None:
    asked = []

    def compiled(_environment, _question, index):
        asked.append(index)
        return resolve.Resolved(text=BODY if index else "", reason="not found")

    monkeypatch.setattr(resolve, "_compile", compiled)
    monkeypatch.setattr(locks, "measure", lambda *_: {})
    assert locks.make(replace(environment, index="https://framework/simple"), tmp_path).changed
    assert [*dict.fromkeys(asked)] == [None, "https://framework/simple"]


# Sizes: for the estimate of room on disk, and no part of what the lock is.


def test_the_sizes_of_wheels_stand_in_the_lock_and_not_in_its_digest(environment, write_lock) -> None:
    digest = locks.read(environment, write_lock(BODY)).digest
    lock = locks.read(environment, write_lock("# wheel bytes: numpy=123 some-thing=45\n" + BODY))
    assert [pin.size for pin in lock.pins] == [123, 45]
    assert lock.digest == digest


def test_a_size_that_is_no_number_is_unknown(environment, write_lock) -> None:
    lock = locks.read(environment, write_lock("# wheel bytes: numpy=1e9 some-thing=\n" + BODY))
    assert [pin.size for pin in lock.pins] == [None, None]


def test_a_lock_is_made_with_the_sizes_of_its_wheels(environment, wheels_only, tmp_path) -> None:
    _wheel(wheels_only, "numpy", "2.0", "helper>=1")
    _wheel(wheels_only, "helper", "1.5")
    locks.make(environment, tmp_path)
    sizes = {pin.name: pin.size for pin in locks.read(environment, tmp_path).pins}
    assert sizes == {path.name.split("-")[0]: path.stat().st_size for path in wheels_only.iterdir()}


def test_a_lock_without_sizes_gets_them_and_keeps_its_pins_and_its_digest(environment, wheels_only, tmp_path) -> None:
    _wheel(wheels_only, "numpy", "2.0")
    locks.make(environment, tmp_path)
    path = locks.path_of(environment, tmp_path)
    whole, digest = path.read_text(), locks.read(environment, tmp_path).digest
    path.write_text("".join(line for line in whole.splitlines(keepends=True) if "wheel bytes" not in line))
    assert locks.make(environment, tmp_path).changed
    assert path.read_text() == whole
    assert locks.read(environment, tmp_path).digest == digest


def test_a_size_that_nobody_tells_is_left_out_and_one_that_was_told_before_stays(
    environment, wheels_only, tmp_path, monkeypatch
) -> None:
    _wheel(wheels_only, "numpy", "2.0", "helper>=1")
    _wheel(wheels_only, "helper", "1.5")
    told = [{"numpy": 7}, {}]
    monkeypatch.setattr(locks, "measure", lambda *_: told.pop(0))
    locks.make(environment, tmp_path)
    assert {pin.name: pin.size for pin in locks.read(environment, tmp_path).pins} == {"helper": None, "numpy": 7}
    assert not locks.make(environment, tmp_path).changed
    assert not told


WHEELS = [  # the one of a package that this platform takes, whatever else is there
    {"url": "https://host/a-1.0-py3-none-any.whl", "size": 1},
    {"url": "https://host/a-1.0-cp311-cp311-manylinux_2_28_x86_64.whl", "size": 2},
    {"url": "https://host/a-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", "size": 3},
    {"url": "https://host/a-1.0-cp311-cp311-macosx_11_0_arm64.whl", "size": 4},
    {"url": "https://host/not-a-wheel.whl", "size": 5},
]
WHEELS = [each | {"hashes": {"sha256": A}} for each in WHEELS]
FOREIGN = {"url": "https://host/a-1.0-cp311-cp311-linux_x86_64.whl", "size": 6, "hashes": {"sha256": B}}
UNTOLD = {"url": WHEELS[0]["url"], "hashes": {"sha256": A}}


@pytest.mark.parametrize(
    ("offered", "size"),
    [
        (WHEELS, 2),
        (WHEELS[:1], 1),
        ([*WHEELS[:1], FOREIGN], 1),
        (WHEELS[2:], None),
        ([UNTOLD], None),
        ([FOREIGN], None),
    ],
)
def test_the_size_is_that_of_the_best_wheel_for_this_platform(environment, offered, size) -> None:
    assert resolve._size({"wheels": offered}, environment, frozenset({A})) == size


def test_the_size_is_not_that_of_the_same_version_for_something_else(environment, wheels_only, tmp_path) -> None:
    _wheel(wheels_only, "numpy", "2.0", "helper===1.5")
    _wheel(wheels_only, "helper", "1.5")
    _wheel(wheels_only, "helper", "1.5+cpu", "needs-something")
    locks.make(environment, tmp_path)
    sizes = {pin.name: pin.size for pin in locks.read(environment, tmp_path).pins}
    assert sizes["helper"] == (wheels_only / "helper-1.5-py3-none-any.whl").stat().st_size


# What somebody else offers under the same name.


def test_another_hash_of_a_version_that_stays_is_an_error_unless_it_is_asked_for(
    environment, wheels_only, tmp_path
) -> None:
    _wheel(wheels_only, "numpy", "2.0", "helper>=1")
    _wheel(wheels_only, "helper", "1.5")
    locks.make(environment, tmp_path)
    before = locks.path_of(environment, tmp_path).read_bytes()
    _wheel(wheels_only, "helper", "1.5", "numpy")
    poison = hashlib.sha256((wheels_only / "helper-1.5-py3-none-any.whl").read_bytes()).hexdigest()
    with pytest.raises(EnvironmentFailedError, match=rf"helper 1\.5 has another hash .*sha256:{poison}") as caught:
        locks.make(environment, tmp_path)
    with pytest.raises(EnvironmentFailedError, match=r"helper 1\.5 has another hash"):
        locks.make(environment, tmp_path, rehash=["numpy"])
    assert locks.path_of(environment, tmp_path).read_bytes() == before
    assert "repromatrix lock --all --rehash helper --select numpy-2.0-cpu" in caught.value.hint
    assert locks.make(environment, tmp_path, rehash=["Helper"]).changed
    assert locks.read(environment, tmp_path).pins[0].hashes == {poison}


def test_a_file_in_place_of_another_of_a_version_that_stays_is_another_hash_too(
    environment, wheels_only, tmp_path
) -> None:
    _wheel(wheels_only, "numpy", "2.0")
    locks.make(environment, tmp_path)
    other = wheels_only / "numpy-2.0-1-py3-none-any.whl"  # of a later build, which wins
    shutil.copy(wheels_only / "numpy-2.0-py3-none-any.whl", other)
    with zipfile.ZipFile(other, "a") as archive:
        archive.writestr("numpy.py", "")
    with pytest.raises(EnvironmentFailedError, match=r"numpy 2\.0 has another hash"):
        locks.make(environment, tmp_path)


def test_an_upgrade_of_one_package_takes_no_other_hash_of_another(environment, wheels_only, locked) -> None:
    _wheel(wheels_only, "helper", "1.6", "deep==1.0")
    _wheel(wheels_only, "deep", "1.0", "numpy")
    with pytest.raises(EnvironmentFailedError, match=r"deep 1\.0 has another hash"):
        locks.upgrade(environment, ("helper",), locked)


def test_the_source_of_what_is_not_of_the_first_index_is_told(environment, wheels_only, locked) -> None:
    _wheel(wheels_only, "helper", "1.6", "deep==1.0")
    source = wheels_only.as_uri()
    assert [each.source for each in locks.upgrade(environment, ("helper",), locked)] == [source]


def test_what_a_new_lock_has_from_elsewhere_is_told(environment, wheels_only, tmp_path) -> None:
    _wheel(wheels_only, "numpy", "2.0")
    assert locks.make(environment, tmp_path).elsewhere == (("numpy", "2.0", wheels_only.as_uri()),)
    assert locks.make(environment, tmp_path).elsewhere == ()


def test_a_source_is_told_without_its_password() -> None:
    text = "Some_Thing==1.0 \\\n    --hash=sha256:a\n    # from https://me:secret@host:8/simple?token=x\n"
    assert resolve._sources(text) == {"some-thing": "https://host:8/simple"}


@pytest.mark.parametrize(
    ("index", "source", "first"),
    [
        (None, "https://pypi.org/simple", True),
        (None, "https://elsewhere/simple", False),
        ("https://me:secret@mirror/simple/", "https://mirror/simple", True),
        ("https://mirror/simple", "https://mirror/other", False),
        ("https://mirror/simple", "file:///wheels", False),
    ],
)
def test_which_source_is_the_first_index(index: str | None, source: str, first) -> None:
    of_user = PackageSources(
        index=index, no_index=False, extra_indexes=(), find_links=(), trusted_hosts=(), certificates=None
    )
    assert of_user.is_first(source) is first


def test_a_change_of_any_one_character_of_a_lock_is_noticed(environment, wheels_only, tmp_path) -> None:
    _wheel(wheels_only, "numpy", "2.0", "helper>=1")
    _wheel(wheels_only, "helper", "1.5")
    locks.make(environment, tmp_path)
    path = locks.path_of(environment, tmp_path)
    text = path.read_text()
    for place, character in enumerate(text):
        path.write_text(text[:place] + chr(ord(character) ^ 1) + text[place + 1 :])
        with pytest.raises(EnvironmentFailedError):
            locks.read(environment, tmp_path)


RUBBISH = [b"\xff\xfe\x00\x01", b"\x1b[31m", b"-r other.txt\n", b"%%%\n", b"--hash=sha256:ab\n"]


@pytest.mark.parametrize("rubbish", RUBBISH)
@pytest.mark.parametrize("where", ["before", "after"])
def test_rubbish_in_a_lock_is_refused_though_it_tells_no_digest(
    environment, write_lock, rubbish: bytes, where: str
) -> None:
    folder = write_lock(BODY)
    path = locks.path_of(environment, folder)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:1], rubbish, *lines[1:]] if where == "before" else [*lines, rubbish]))
    with pytest.raises(EnvironmentFailedError):
        locks.read(environment, folder)


# Upgrading one package.


@pytest.fixture
def locked(environment, wheels_only, tmp_path) -> Path:
    """A lock of numpy 2.0, helper 1.5 and what it needs, other 1.0; newer releases of all came out since."""
    _wheel(wheels_only, "numpy", "2.0", "helper>=1", "other")
    _wheel(wheels_only, "helper", "1.5", "deep==1.0")
    _wheel(wheels_only, "deep", "1.0")
    _wheel(wheels_only, "other", "1.0")
    locks.make(environment, tmp_path)
    _wheel(wheels_only, "other", "2.0")
    return tmp_path


# Several sources: which of them counts. Indexes as folders, which uv reads as it reads those of the network.


def _index(folder: Path, *releases: tuple[str, str, str]) -> str:
    """Make an index of releases (name, version, requirement); return its address."""
    for name, version, requires in releases:
        _wheel(folder / name, name, version, *([requires] if requires else []))
    for place in folder.iterdir():
        wheels = sorted(place.glob("*.whl"))
        links = [
            f'<a href="{each.name}#sha256={hashlib.sha256(each.read_bytes()).hexdigest()}">{each.name}</a>'
            for each in wheels
        ]
        (place / "index.html").write_text("\n".join(links))
    return folder.as_uri()


@pytest.fixture
def of_user(tmp_path: Path, monkeypatch) -> Callable[..., None]:
    """Say which sources pip is configured to use."""

    def configure(index: str, *extra: str, folders: tuple[str, ...] = ()) -> None:
        found = PackageSources(
            index=index, no_index=False, extra_indexes=extra, find_links=folders, trusted_hosts=(), certificates=None
        )
        monkeypatch.setattr(resolve, "configured", lambda: found)
        monkeypatch.setattr(locks, "configured", lambda: found)

    (tmp_path / "indexes").mkdir()
    return configure


@pytest.fixture
def indexes(tmp_path: Path) -> tuple[str, str]:
    """The user's first index, and an extra one with newer releases, one of a package that the first has none of."""
    places = [tmp_path / "indexes" / name for name in ("first", "extra")]
    for place in places:
        place.mkdir(parents=True)
    first = _index(places[0], ("numpy", "2.0", "helper"), ("helper", "1.5", "lonely"))
    return first, _index(places[1], ("helper", "99.0", "lonely"), ("lonely", "3.0", ""))


def _pinned(environment, folder: Path) -> dict[str, str]:
    return {pin.name: pin.version for pin in locks.read(environment, folder).pins}


def test_the_first_index_wins_and_what_only_another_has_is_named(environment, of_user, indexes, tmp_path) -> None:
    of_user(*indexes)
    made = locks.make(environment, tmp_path)
    assert _pinned(environment, tmp_path) == {"helper": "1.5", "numpy": "2.0", "lonely": "3.0"}
    assert made.elsewhere == (("lonely", "3.0", indexes[1]),)


def test_a_newer_release_of_an_extra_index_is_no_upgrade_unless_any_source_counts(
    environment, of_user, indexes, tmp_path
) -> None:
    of_user(*indexes)
    locks.make(environment, tmp_path)
    assert locks.upgrade(environment, ("helper",), tmp_path) == ()
    (move,) = locks.upgrade(environment, ("helper",), tmp_path, any_source=True)
    assert (move.name, move.before, move.after, move.source) == ("helper", "1.5", "99.0", indexes[1])


def test_any_source_can_be_asked_for(environment, of_user, indexes, tmp_path) -> None:
    of_user(*indexes)
    made = locks.make(environment, tmp_path, any_source=True)
    assert _pinned(environment, tmp_path)["helper"] == "99.0"
    assert ("helper", "99.0", indexes[1]) in made.elsewhere


def test_what_is_of_a_folder_of_wheels_is_named(environment, of_user, indexes, tmp_path) -> None:
    folder = tmp_path / "folder"
    _wheel(folder, "helper", "55.0")
    of_user(*indexes, folders=(str(folder),))
    assert locks.make(environment, tmp_path).elsewhere == (("helper", "55.0", folder.as_uri()),)


def test_the_index_of_an_environment_gives_the_build_that_is_asked_for_and_nothing_else(
    environment, of_user, indexes, tmp_path
) -> None:
    place = tmp_path / "indexes" / "own"
    place.mkdir()
    own = _index(place, ("numpy", "2.0+cpu", "helper"), ("helper", "77.0", ""), ("lonely", "78.0", ""))
    of_user(*indexes)
    build = replace(environment, requirements=("numpy=={version}+cpu",), index=own)
    made = locks.make(build, tmp_path)
    assert _pinned(build, tmp_path) == {"helper": "1.5", "numpy": "2.0+cpu", "lonely": "3.0"}
    assert {(name, source) for name, _, source in made.elsewhere} == {("numpy", own), ("lonely", indexes[1])}


def test_the_index_of_an_environment_that_asks_for_no_build_is_the_last(
    environment, of_user, indexes, tmp_path
) -> None:
    place = tmp_path / "indexes" / "own"
    place.mkdir()
    own = _index(place, ("numpy", "2.0", "deep"), ("helper", "77.0", ""), ("deep", "1.0", "helper"))
    of_user(*indexes)
    asked = replace(environment, requirements=("numpy=={version}", "deep"), index=own)
    locks.make(asked, tmp_path)
    assert _pinned(asked, tmp_path) == {"deep": "1.0", "helper": "1.5", "numpy": "2.0", "lonely": "3.0"}


def test_a_file_that_comes_to_a_version_that_stays_is_not_taken_unless_it_is_asked_for(
    environment, of_user, indexes, tmp_path
) -> None:
    of_user(*indexes)
    locks.make(environment, tmp_path)
    before = locks.path_of(environment, tmp_path).read_bytes()
    place = tmp_path / "indexes" / "first"
    other = place / "helper" / "helper-1.5-cp311-cp311-macosx_11_0_arm64.whl"
    other.write_bytes(b"for another platform")
    assert locks.make(environment, tmp_path).left == ()
    _index(place)
    again = locks.make(environment, tmp_path)
    assert (again.changed, again.left) == (False, (("helper", "1.5"),))
    assert locks.path_of(environment, tmp_path).read_bytes() == before
    taken = locks.make(environment, tmp_path, rehash=["helper"])
    assert (taken.changed, taken.left) == (True, ())
    assert hashlib.sha256(other.read_bytes()).hexdigest() in locks.hashes_in(locks.path_of(environment, tmp_path))


def _moved(environment, folder: Path, *names: str) -> list[tuple[str, str | None, str | None]]:
    return [(each.name, each.before, each.after) for each in locks.upgrade(environment, names, folder)]


def test_an_upgrade_moves_one_package_and_nothing_else(environment, wheels_only, locked) -> None:
    _wheel(wheels_only, "helper", "1.6", "deep")
    _wheel(wheels_only, "deep", "1.1")
    assert _moved(environment, locked, "helper") == [("helper", "1.5", "1.6")]
    versions = {pin.name: pin.version for pin in locks.read(environment, locked).pins}
    assert versions == {"deep": "1.0", "helper": "1.6", "numpy": "2.0", "other": "1.0"}


def test_an_upgrade_moves_with_it_what_must_move(environment, wheels_only, locked) -> None:
    _wheel(wheels_only, "helper", "1.6", "deep==1.0")  # what holding everything else would give
    _wheel(wheels_only, "helper", "2.0", "deep>=1.1", "new")
    _wheel(wheels_only, "deep", "1.1")
    _wheel(wheels_only, "new", "3.0")
    assert _moved(environment, locked, "helper") == [
        ("deep", "1.0", "1.1"),
        ("helper", "1.5", "2.0"),
        ("new", None, "3.0"),
    ]


def test_an_upgrade_tells_what_is_no_longer_needed(environment, wheels_only, locked) -> None:
    _wheel(wheels_only, "helper", "1.6")
    assert _moved(environment, locked, "helper") == [("deep", "1.0", None), ("helper", "1.5", "1.6")]


def test_an_upgrade_stays_within_what_others_allow(environment, wheels_only, locked) -> None:
    _wheel(wheels_only, "deep", "1.1")
    before = locks.path_of(environment, locked).read_bytes()
    assert _moved(environment, locked, "deep") == []
    assert locks.path_of(environment, locked).read_bytes() == before


def test_several_packages_are_upgraded_together(environment, wheels_only, locked) -> None:
    _wheel(wheels_only, "helper", "1.6", "deep==1.0")
    assert _moved(environment, locked, "helper", "other") == [("helper", "1.5", "1.6"), ("other", "1.0", "2.0")]


def test_a_lock_file_of_no_environment_is_orphaned(environment, write_lock) -> None:
    folder = write_lock(BODY)
    assert locks.orphans([environment], folder) == ()
    other = folder / "numpy" / "locks" / "numpy-0.9-cpu.txt"
    other.write_text(BODY)
    assert locks.orphans([environment], folder) == (other,)


def test_no_lock_of_the_checkout_is_orphaned_and_all_tell_their_sizes(checkout: Path) -> None:
    environments = load(checkout / "matrix.yaml").environments
    assert locks.orphans(environments) == ()
    for each in environments:
        assert [pin.name for pin in locks.read(each).pins if pin.size is None] == []


@pytest.mark.network
@pytest.mark.parametrize("name", ["numpy-2.4.6-cpu", "torch-2.13.0-cpu", "tensorflow-2.15.1-cpu", "jax-0.4.30-cpu"])
def test_a_lock_made_again_keeps_every_byte(name: str, tmp_path) -> None:
    environment = load(Path(__file__).parents[2] / "matrix.yaml").environment(name)
    kept = locks.path_of(environment)
    copy = locks.path_of(environment, tmp_path)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(kept.read_bytes())
    assert not locks.make(environment, tmp_path).changed
    assert copy.read_bytes() == kept.read_bytes()
