"""Cleaning: only what repromatrix made, only what was asked for, nothing that is in use, and never half of it."""

import fcntl
import hashlib
import os
import re
import tarfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from repromatrix import resources
from repromatrix.engines import owner
from repromatrix.engines.base import Base
from repromatrix.engines.connection import connect
from repromatrix.engines.docker_images import DockerImages, Held
from repromatrix.images import base as bases
from repromatrix.images import clean, interpreters, inventory, uses
from repromatrix.images import lock as locks
from repromatrix.images.base import BaseEntry
from repromatrix.images.inventory import Kind, Thing
from repromatrix.images.spec import build_spec
from repromatrix.matrix import Environment, Matrix

DEAD = "999999999 1 " + owner.machine()
TAG = "0123456789abcdef01234567"
RELEASE = "0123456789abcdef"
DAY = 86400
INTERPRETER = Base(kind="interpreter", reference="python", digest="3.11.0")


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _write(path: Path, content: str | bytes = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _wheel(cache: Path, name: str) -> Path:
    return _write(cache / "wheels" / _sha(name) / f"{name}-1.0-py3-none-any.whl").parent


def _environment(cache: Path, name: str, tag: str = TAG) -> Path:
    folder = cache / "environments" / f"{name}-{tag}"
    _write(folder / "complete.json")
    _write(folder / "bin" / "python")
    _write(cache / "environments" / f".{folder.name}.lock", "")
    return folder


def _found(kind: Kind | None = None) -> list[str]:
    return [each.name for each in inventory.in_cache().things if kind in (None, each.kind)]


# What is ours.

OURS = {
    Kind.WHEEL: f"wheels/{'a' * 64}/some-1.0-py3-none-any.whl",
    Kind.ENVIRONMENT: f"environments/numpy-2.0-cpu-{TAG}/complete.json",
    Kind.STAGED: f"here/numpy-2.0-here-{TAG}/complete",
    Kind.LOG: "logs/numpy-2.0-cpu.log",
    Kind.LOCK: "locks/numpy/locks/numpy-1.5-cpu.txt",
    Kind.BASE: "bases/bookworm-py3.11.json",
    Kind.UNPACKED: "uv/archive-v0/something",
    Kind.LEFT: "contexts/slot-0/uv",
    Kind.JUDGEMENTS: f"judgements/{RELEASE}/{'a' * 64}.json",
    Kind.FRESH: f"fresh/{RELEASE}/sigmoid_gradient-bfloat16-0",
    Kind.EXACT: f"exact/{RELEASE}/{'a' * 64}",
    Kind.CHECKED: f"checked/{RELEASE}/{'a' * 64}",
    Kind.STAMP: f"stamps/report-{TAG}.json",
}


@pytest.mark.parametrize(("kind", "path"), OURS.items(), ids=list(OURS))
def test_what_repromatrix_writes_is_its_own(cache: Path, kind: Kind, path: str) -> None:
    _write(cache / path)
    found = inventory.in_cache()
    assert [each.kind for each in found.things] == [kind]
    assert found.foreign == ()


STAYS = [f"claims/{'a' * 64}", "cluster/numpy-2.0-cpu.lock", f"environments/.numpy-2.0-cpu-{TAG}.lock"]


@pytest.mark.parametrize("path", STAYS)
def test_a_lock_stays_and_nobody_is_told_of_it(cache: Path, path: str) -> None:
    _write(cache / path, "")
    found = inventory.in_cache()
    assert (found.things, found.foreign) == ((), ())


def test_every_folder_that_the_product_makes_in_the_cache_is_known(checkout: Path) -> None:
    source = "".join(path.read_text() for path in (checkout / "runner").rglob("*.py"))
    made = set(re.findall(r'\(?resources\.cache\(\)\)? / "([^"]+)"', source))
    assert {"wheels", "claims", "cluster", "exact"} < made
    assert made - {uses.root().name} <= inventory.FOLDERS


FOREIGN = [
    "notes.txt",
    "wheels/mine.whl",
    f"wheels/{'A' * 64}/a.whl",
    f"wheels/{'a' * 63}/a.whl",
    "wheels/.fetch-0123456789ab/a.whl",  # nobody says whose it is
    "environments/mine/bin/python",
    f"environments/numpy-2.0-cpu-{TAG}0/x",
    "contexts/slot-one/x",
    "logs/notes.md",
    "logs/folder.log/x",
    "bases/notes.txt",
    "locks/numpy/requirements.txt",
    "runs/0123456789ab-home/x",
    f"judgements/{'a' * 64}.json",
    f"judgements/{RELEASE}/notes.txt",
    f"judgements/{RELEASE}/{'a' * 64}.json/x",
    "judgements/mine/x",
    f"fresh/{RELEASE}/notes.txt",
    f"exact/{RELEASE}/notes.txt",
    f"fresh/{RELEASE}",
    "stamps/notes.json",
]


@pytest.mark.parametrize("path", FOREIGN)
def test_whatever_else_lies_there_is_told_and_left(cache: Path, path: str) -> None:
    _write(cache / path)
    found = inventory.in_cache()
    assert found.things == ()
    assert len(found.foreign) == 1


@pytest.mark.parametrize("name", [f"wheels/{'a' * 64}", f"environments/numpy-2.0-cpu-{TAG}", "uv", "wheels"])
def test_a_link_is_never_followed(cache: Path, tmp_path: Path, name: str) -> None:
    elsewhere = _write(tmp_path / "elsewhere" / "precious.whl").parent
    (cache / name).parent.mkdir(parents=True, exist_ok=True)
    (cache / name).symlink_to(elsewhere)
    found = inventory.in_cache()
    assert found.things == ()
    assert found.foreign == (cache / name,)


def test_the_users_own_cache_of_uv_is_not_ours(cache: Path, monkeypatch) -> None:
    _write(cache / "uv" / "archive-v0" / "x")
    monkeypatch.setenv("UV_CACHE_DIR", str(cache / "uv"))
    assert inventory.in_cache().foreign == (cache / "uv",)


def test_there_may_be_no_cache() -> None:
    assert inventory.in_cache() == inventory.Inventory(things=(), foreign=())


def test_of_unfinished_work_only_that_of_the_dead_may_go(cache: Path) -> None:
    for name, owned_by in (("0" * 12, DEAD), ("1" * 12, owner.ourselves())):
        _write(cache / "runs" / f"{name}.owner", owned_by)
        _write(cache / "runs" / f"{name}-home" / "x")
        _write(cache / "wheels" / f".fetch-{name}.owner", owned_by)
        _write(cache / "wheels" / f".fetch-{name}" / "x")
    found = inventory.in_cache()
    assert {each.name: each.busy for each in found.things} == {
        f"runs/{'0' * 12}-home": "",
        f"runs/{'1' * 12}-home": "its owner is at work",
        f"wheels/.fetch-{'0' * 12}": "",
        f"wheels/.fetch-{'1' * 12}": "its owner is at work",
    }
    assert found.foreign == ()


@pytest.mark.parametrize(
    ("thing", "lock"),
    [
        (f"environments/numpy-2.0-cpu-{TAG}/x", f"environments/.numpy-2.0-cpu-{TAG}.lock"),
        ("contexts/slot-0/x", "contexts/slot-0.lock"),
    ],
)
def test_what_a_build_holds_is_busy(cache: Path, thing: str, lock: str) -> None:
    _write(cache / thing)
    with _write(cache / lock, "").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert [bool(each.busy) for each in inventory.in_cache().things] == [True]
    assert [bool(each.busy) for each in inventory.in_cache().things] == [False]


# What goes.


@pytest.fixture
def matrix(small_matrix, monkeypatch, tmp_path: Path) -> Matrix:
    """numpy 1.0 uses the wheels `one` and `both`, numpy 2.0 `two` and `both`; torch 3.0 `three`."""
    matrix = small_matrix()
    for name, wheels in (("numpy-1.0-cpu", "one both"), ("numpy-2.0-cpu", "two both"), ("torch-3.0-cuda", "three")):
        environment = matrix.environment(name)
        pins = "".join(f"{each}==1.0 --hash=sha256:{_sha(each)}\n" for each in wheels.split())
        request = f"# request: {' '.join(locks._request(environment))}\n"
        _write(locks.path_of(environment, tmp_path / "images"), request + pins)
    real = locks.read
    monkeypatch.setattr(locks, "read", lambda each: real(each, tmp_path / "images"))
    monkeypatch.setattr(interpreters, "find", lambda _: INTERPRETER)
    return matrix


def _tag(environment: Environment, base: Base = INTERPRETER) -> str:
    return build_spec(environment, base, locks.read(environment), ()).tag


Chosen = Callable[..., list[str]]


@pytest.fixture
def chosen(matrix: Matrix) -> Chosen:
    def choose(things: tuple[Thing, ...] = (), in_use: frozenset[str] = frozenset(), held=(), **wish) -> list[str]:
        found = things or inventory.in_cache().things
        choice = clean.choose(found, clean.Wish(**wish), clean.used(matrix.environments, held, RELEASE), in_use)
        return [each.name for each in choice.going]

    return choose


def test_all_is_all(cache: Path, chosen: Chosen) -> None:
    for path in OURS.values():
        _write(cache / path)
    ours = sorted(_found())  # before the default jobs are made, which the tags of environments ask for
    assert sorted(chosen(everything=True)) == ours


def test_bases_and_unpacked_wheels_go_only_with_all(cache: Path, chosen: Chosen) -> None:
    for path in OURS.values():
        _write(cache / path)
    kept = {"bases/bookworm-py3.11.json", "uv"}
    (cache / OURS[Kind.ENVIRONMENT]).parent.rename(cache / "elsewhere")
    assert set(_found()) - set(chosen(before=time.time() + DAY)) == kept


def test_by_age_goes_what_was_made_longer_ago(cache: Path, chosen: Chosen) -> None:
    old, new = _wheel(cache, "old"), _wheel(cache, "new")
    os.utime(old, (time.time() - 31 * DAY,) * 2)
    assert new.is_dir()
    assert chosen(before=time.time() - 30 * DAY) == ["wheels/old-1.0-py3-none-any.whl"]


def test_an_environments_wheels_go_if_no_other_one_uses_them(cache: Path, chosen: Chosen) -> None:
    for name in ("one", "two", "both", "none"):
        _wheel(cache, name)
    for name in ("numpy-1.0-cpu", "numpy-2.0-cpu"):
        _environment(cache, name)
        _write(cache / "logs" / f"{name}.log")
    _write(cache / "contexts" / "slot-0" / "x")
    assert sorted(chosen(environments=frozenset({"numpy-1.0-cpu"}))) == [
        f"environments/numpy-1.0-cpu-{TAG}",
        "logs/numpy-1.0-cpu.log",
        "wheels/one-1.0-py3-none-any.whl",
    ]
    both = chosen(environments=frozenset({"numpy-1.0-cpu", "numpy-2.0-cpu"}))
    assert "wheels/both-1.0-py3-none-any.whl" in both
    assert "wheels/none-1.0-py3-none-any.whl" not in both


def test_unused_is_what_the_matrix_as_it_stands_would_not_make(cache: Path, matrix: Matrix, chosen: Chosen) -> None:
    one = matrix.environment("numpy-1.0-cpu")
    _environment(cache, one.name, _tag(one))
    _environment(cache, one.name, TAG)
    _environment(cache, "numpy-0.9-cpu", TAG)
    for name in ("numpy-1.0-cpu", "numpy-0.9-cpu", "base-bookworm-py3.11"):
        _write(cache / "logs" / f"{name}.log")
    for name in ("one", "two", "none"):
        _wheel(cache, name)
    _write(cache / "contexts" / "slot-0" / "x")
    assert sorted(chosen(unused=True)) == [
        "contexts/slot-0",
        f"environments/numpy-0.9-cpu-{TAG}",
        f"environments/numpy-1.0-cpu-{TAG}",
        "logs/numpy-0.9-cpu.log",
        "wheels/none-1.0-py3-none-any.whl",
    ]


def test_wheels_of_locks_made_on_the_fly_are_used(cache: Path, chosen: Chosen) -> None:
    _wheel(cache, "fly")
    assert chosen(unused=True) == ["wheels/fly-1.0-py3-none-any.whl"]
    _write(cache / "locks" / "numpy" / "locks" / "numpy-1.5-cpu.txt", f"fly==1.0 --hash=sha256:{_sha('fly')}\n")
    assert chosen(unused=True) == []


def test_without_one_of_the_locks_no_wheel_is_called_unused(cache: Path, tmp_path: Path, chosen: Chosen) -> None:
    _wheel(cache, "none")
    (tmp_path / "images" / "torch" / "locks" / "torch-3.0-cuda.txt").unlink()
    assert chosen(unused=True) == []


def test_an_environment_whose_interpreter_went_away_is_not_called_unused(cache: Path, chosen, monkeypatch) -> None:
    _environment(cache, "numpy-1.0-cpu")
    monkeypatch.setattr(clean, "_interpreters", lambda _: ())
    assert chosen(unused=True) == []


def test_judgements_and_fresh_inputs_of_another_release_are_unused(cache: Path, chosen: Chosen) -> None:
    for release in (RELEASE, "f" * 16):
        _write(cache / "judgements" / release / f"{_sha('one')}.json", "{}")
        _write(cache / "judgements" / release / ".abcd1234.part", "{")
        _write(cache / "fresh" / release / "bias-float32-0", _sha("two"))
    assert sorted(chosen(unused=True)) == [f"fresh/{'f' * 16}", f"judgements/{'f' * 16}"]


def test_judgements_go_by_age_and_not_with_environments(cache: Path, chosen: Chosen) -> None:
    for release, days in (("a" * 16, 31), ("b" * 16, 1)):
        folder = _write(cache / "judgements" / release / f"{_sha('one')}.json", "{}").parent
        os.utime(folder, (time.time() - days * DAY,) * 2)
    assert chosen(before=time.time() - 30 * DAY) == [f"judgements/{'a' * 16}"]
    assert chosen(environments=frozenset({"numpy-1.0-cpu"})) == []
    going = chosen(in_use=frozenset({"numpy-1.0-cpu"}), everything=True)
    assert [each for each in going if not each.startswith("default-jobs/")] == []


def test_the_unpacked_wheels_go_with_an_environment_that_goes(cache: Path, chosen: Chosen) -> None:
    _environment(cache, "numpy-0.9-cpu")
    _write(cache / "uv" / "archive-v0" / "x")
    assert "uv" in chosen(unused=True)


# Images.


def _image(name: str, tag: str, *more: str, base: str = "sha256:b") -> Held:
    labels = {"repromatrix.tag": tag, inventory.TITLE_LABEL: name, inventory.STANDS_ON_LABEL: base}
    references = (f"repromatrix/{name}:{tag}", *more)
    return Held(id=f"sha256:{tag}", references=references, labels=labels, size=7, made=100)


def test_an_image_goes_by_all_names_that_it_has_from_us_and_keeps_others() -> None:
    image = _image("numpy-1.0-cpu", TAG, f"host:5000/team/numpy-1.0-cpu:{TAG}", "mine/alias:latest")
    (thing,) = inventory.of_engine([image])
    assert thing.references == (f"repromatrix/numpy-1.0-cpu:{TAG}", f"host:5000/team/numpy-1.0-cpu:{TAG}")
    assert (thing.kind, thing.environment, thing.identity) == (Kind.IMAGE, "numpy-1.0-cpu", TAG)


def test_an_image_of_ours_that_only_has_another_name_is_left() -> None:
    labels = {"repromatrix.tag": TAG}
    assert inventory.of_engine([Held(id="i", references=("mine:1",), labels=labels, size=1, made=1)]) == ()


def test_an_image_that_lost_its_name_goes_by_its_digest() -> None:
    labels = {"repromatrix.tag": TAG}
    (thing,) = inventory.of_engine([Held(id="sha256:abc", references=(), labels=labels, size=1, made=1)])
    assert thing.references == ("sha256:abc",)


@pytest.fixture
def wanted_base(monkeypatch) -> BaseEntry:
    entry = BaseEntry(
        name="bookworm", python="3.11", suite="bookworm", registry="python:3.11", digest="sha256:pin", packages=()
    )
    monkeypatch.setattr(bases, "entry", lambda _: entry)
    return entry


def _local_base(wanted: BaseEntry, digest: str) -> Held:
    return Held(id="sha256:0", references=(wanted.local,), labels={inventory.BASE_LABEL: digest}, size=5, made=1)


def test_an_unused_image_is_one_of_another_tag_or_on_another_base(matrix: Matrix, chosen, wanted_base) -> None:
    one = matrix.environment("numpy-1.0-cpu")
    tags = [
        _tag(one, Base(kind="", reference="", digest=each)) for each in ("sha256:local", "sha256:pin", "sha256:old")
    ]
    held = [_local_base(wanted_base, "sha256:local"), *(_image(one.name, tag) for tag in tags), _image(one.name, TAG)]
    going = chosen(inventory.of_engine(held), held=held, unused=True)
    assert going == [f"repromatrix/{one.name}:{tags[2]}", f"repromatrix/{one.name}:{TAG}"]


@pytest.mark.usefixtures("wanted_base")
def test_without_a_base_here_an_image_is_taken_at_its_word(matrix: Matrix, chosen: Chosen) -> None:
    one = matrix.environment("numpy-1.0-cpu")
    tag = _tag(one, Base(kind="", reference="", digest="sha256:elsewhere"))
    held = [_image(one.name, tag, base="sha256:elsewhere"), _image(one.name, TAG, base="sha256:elsewhere")]
    assert chosen(inventory.of_engine(held), held=held, unused=True) == [f"repromatrix/{one.name}:{TAG}"]


def test_a_base_image_goes_only_with_all(chosen, wanted_base) -> None:
    held = [_local_base(wanted_base, "sha256:local")]
    things = inventory.of_engine(held)
    assert chosen(things, held=held, unused=True) == []
    assert chosen(things, held=held, before=time.time()) == []
    assert chosen(things, held=held, everything=True) == [wanted_base.local]


# Nobody is hurt.


def test_what_a_runner_uses_stays_and_the_rest_goes(cache: Path, chosen: Chosen) -> None:
    for name in ("one", "two", "both", "none"):
        _wheel(cache, name)
    _environment(cache, "numpy-1.0-cpu")
    _environment(cache, "numpy-2.0-cpu")
    _write(cache / "uv" / "archive-v0" / "x")
    with uses.using(["numpy-1.0-cpu"]), uses.cleaning() as in_use:
        assert sorted(chosen(in_use=in_use, everything=True)) == [
            f"environments/numpy-2.0-cpu-{TAG}",
            "wheels/none-1.0-py3-none-any.whl",
            "wheels/two-1.0-py3-none-any.whl",
        ]
    with uses.cleaning() as in_use:
        assert in_use == frozenset()


def test_all_wheels_stay_while_an_environment_that_nobody_here_knows_is_in_use(cache: Path, chosen: Chosen) -> None:
    _wheel(cache, "none")
    assert chosen(in_use=frozenset({"torch-9.9-cpu"}), everything=True) == []


def test_two_runners_may_use_one_environment() -> None:
    with uses.using(["a", "b"]), uses.using(["b", "c"]), uses.cleaning() as in_use:
        assert in_use == {"a", "b", "c"}


def test_a_folder_is_set_aside_before_it_is_emptied(cache: Path, monkeypatch) -> None:
    folder = _environment(cache, "numpy-1.0-cpu")

    def interrupted(_path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(resources, "_folders_alone", interrupted)
    (thing,) = inventory.in_cache().things
    with pytest.raises(KeyboardInterrupt):
        clean.remove(thing, str)
    assert not folder.exists()
    monkeypatch.undo()
    monkeypatch.setenv("REPROMATRIX_CACHE", str(cache))
    (left,) = inventory.in_cache().things
    assert left.kind is Kind.LEFT
    assert clean.remove(left, str) == ""
    assert inventory.in_cache() == inventory.Inventory(things=(), foreign=())


def test_what_cannot_be_removed_tells_why(cache: Path, monkeypatch) -> None:
    _wheel(cache, "one")
    (thing,) = inventory.in_cache().things

    def refuse(_path: Path, _target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    assert clean.remove(thing, str) == "Permission denied"


def test_what_is_freed_does_not_count_a_file_that_has_another_name(cache: Path) -> None:
    content = bytes(1 << 20)
    _write(cache / "uv" / "archive-v0" / "file", content)
    folder = _environment(cache, "numpy-1.0-cpu")
    os.link(cache / "uv" / "archive-v0" / "file", folder / "file")
    unpacked = [each for each in inventory.in_cache().things if each.kind is Kind.UNPACKED]
    assert clean.freed(unpacked) < 1 << 20
    everything = inventory.in_cache().things
    assert 1 << 20 <= clean.freed(everything) < sum(each.size for each in everything)


# The engine itself.


@pytest.mark.docker
def test_a_real_engine_tells_its_folder_and_removes_our_name_and_no_other(tmp_path: Path) -> None:
    client = connect()
    name, tag = f"repromatrix/clean-test-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex[:24]
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(_write(tmp_path / "file", os.urandom(100_000)), "file")
    changes = [f'LABEL "repromatrix.tag"="{tag}"', f'LABEL "{inventory.TITLE_LABEL}"="clean-test"']
    with (tmp_path / "root.tar").open("rb") as stream:
        client.import_image_from_data(stream, repository=name, tag=tag, changes=changes)
    alias = f"{name}-of-somebody"
    client.tag(f"{name}:{tag}", alias, "latest")
    try:
        images = DockerImages()
        held = [each for each in images.held("repromatrix.tag") if each.labels["repromatrix.tag"] == tag]
        (thing,) = inventory.of_engine(held)
        assert (thing.environment, thing.identity, thing.references) == ("clean-test", tag, (f"{name}:{tag}",))
        assert thing.size >= 100_000
        container = client.create_container(f"{name}:{tag}", command="/file")
        client.remove_image(f"{alias}:latest")
        assert "container" in clean.remove(thing, images.remove)  # somebody's, which may be started again
        client.remove_container(container)
        client.tag(f"{name}:{tag}", alias, "latest")
        assert clean.remove(thing, images.remove) == ""
        assert clean.remove(thing, images.remove) == ""  # gone is gone, whoever did it
        assert [each["RepoTags"] for each in client.images(alias)] == [[f"{alias}:latest"]]
        root = Path(client.info()["DockerRootDir"])
        assert images.data_root() == (root if root.is_dir() else None)
    finally:
        for each in client.images(alias, quiet=True) + client.images(name, quiet=True):
            client.remove_image(each, force=True)
