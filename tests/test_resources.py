"""Files of the product are found, and a write is whole or did not happen."""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from repromatrix import resources
from repromatrix.errors import UsageError

WRITER = """
import sys
from pathlib import Path
from repromatrix.resources import write_atomically
path = Path(sys.argv[1])
write_atomically(path, b"a" * 300_000)
print("begun", flush=True)
while True:
    for letter in (b"b", b"a"):
        write_atomically(path, letter * 300_000)
"""


def test_folders_and_schemas_are_found() -> None:
    assert (resources.folder("images") / "bases.yaml").is_file()
    assert resources.schema("matrix").is_file()


def test_a_folder_that_is_missing_says_how_to_get_it_back() -> None:
    with pytest.raises(Exception, match="the folder nothing/ of repromatrix is missing") as caught:
        resources.folder("nothing")
    assert "pip install" in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"REPROMATRIX_CACHE": "/a/b", "XDG_CACHE_HOME": "/c"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/repromatrix"),
        ({"HOME": "/home/somebody"}, "/home/somebody/.cache/repromatrix"),
    ],
)
def test_the_cache_is_where_the_user_wants_it(monkeypatch, variables: dict[str, str], expected: str) -> None:
    for name in ("REPROMATRIX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert resources.cache() == Path(expected)


def test_a_write_makes_the_folders_and_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    resources.write_atomically(path, b"one")
    resources.write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [each.name for each in path.parent.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file"
    resources.write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        resources.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_of_several_files_all_are_written_or_none_and_the_error_names_the_one(tmp_path: Path, monkeypatch) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    resources.write_together(dict.fromkeys(paths, b"old"))
    left = [2]

    def full(_: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        resources.write_together(dict.fromkeys(paths, b"new"))
    assert caught.value.filename == str(paths[2])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys("abc", b"old")


KILLED = """
import os, sys
from pathlib import Path
from repromatrix import resources
from repromatrix.errors import UsageError
resources._fill = lambda *_: os.kill(os.getpid(), 9)
resources.write_atomically(Path(sys.argv[1]), b"data")
"""


def _kill_writer(path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == -signal.SIGKILL


def test_what_a_killed_writer_left_goes_with_the_next_write_and_what_others_write_stays(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(resources, "_swept", set())
    _kill_writer(tmp_path / "file")
    (left,) = tmp_path.iterdir()
    assert left.suffix == ".part"
    (tmp_path / ".x.part").touch()  # not of our kind
    (tmp_path / ".aaaaaaaa.part").symlink_to("/etc/hostname")
    with (tmp_path / ".bbbbbbbb.part").open("wb") as others:
        fcntl.flock(others, fcntl.LOCK_EX)
        resources.write_atomically(tmp_path / "file", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".aaaaaaaa.part", ".bbbbbbbb.part", ".x.part", "file"]


def test_a_part_that_is_swept_before_it_is_locked_is_made_again(tmp_path: Path, monkeypatch) -> None:
    lock, first = fcntl.flock, [True]

    def slow(handle: int, how: int) -> None:
        if first.pop() if first else False:
            resources.sweep_parts(tmp_path.iterdir())
        lock(handle, how)

    monkeypatch.setattr(resources.fcntl, "flock", slow)
    resources.write_atomically(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for reads in range(1, 13):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"begun\n"
        for _ in range(reads * 7):  # the moment of the kill moves, without a clock
            _whole(path)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        _whole(path)


def _whole(path: Path) -> None:
    data = path.read_bytes()
    assert len(data) == 300_000
    assert len(set(data)) == 1


def test_a_folder_goes_however_deep_and_locked_it_is_and_what_its_links_name_stays(tmp_path: Path) -> None:
    kept, folder = tmp_path / "kept", tmp_path / "folder"
    kept.mkdir()
    (kept / "file").write_text("")
    here = folder
    for _ in range(6):  # 2,400 folders within one another, more than a path may have
        below = here / "/".join(["d"] * 400)
        below.mkdir(parents=True)
        (below / "file").write_text("")
        (below / "link").symlink_to(kept)
        top = folder / "next"
        (below / "inner").mkdir()
        if top.exists():
            top.rename(below / "inner" / "next")
        (folder / "d").rename(top)
    (folder / "locked").mkdir()
    (folder / "locked" / "file").write_text("")
    (folder / "locked").chmod(0)
    resources.remove_tree(folder)
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").exists()
    resources.remove_tree(folder)  # absent
    folder.symlink_to(kept)
    with pytest.raises(OSError, match="a link, not a folder"):
        resources.remove_tree(folder)
    assert (kept / "file").exists()


def test_a_digest_is_that_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert resources.file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def tree(folder: Path) -> str:
    return resources.tree_sha256(folder, without=("logs",))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for name in ("a", "b/c", "b/d", "logs/e"):
        resources.write_atomically(tmp_path / "tree" / name, name.encode())
    return tmp_path / "tree"


def test_a_folder_has_the_digest_of_what_its_files_hold_wherever_it_lies(written: Path, tmp_path: Path) -> None:
    before = tree(written)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(written, elsewhere)
    assert tree(elsewhere) == before
    for name in ("logs/e", "logs/f", "b/logs/g"):
        resources.write_atomically(elsewhere / name, b"anything")
    assert tree(elsewhere) == before


def change(path: Path) -> None:
    stamp = path.stat()
    path.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # neither size nor time tell


CHANGES = {
    "changed": lambda folder: change(folder / "b" / "c"),
    "added": lambda folder: (folder / "b" / "x").write_bytes(b""),
    "removed": lambda folder: (folder / "a").unlink(),
    "renamed": lambda folder: (folder / "b" / "c").rename(folder / "b" / "x"),
    "moved": lambda folder: (folder / "b" / "c").rename(folder / "c"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_folder_with_other_files_has_another_digest(written: Path, change) -> None:
    before = tree(written)
    change(written)
    assert tree(written) != before


def test_a_linked_folder_counts_with_its_files(written: Path, tmp_path: Path) -> None:
    (written / "b").rename(tmp_path / "elsewhere")
    (written / "b").symlink_to(tmp_path / "elsewhere")
    before = tree(written)
    (tmp_path / "elsewhere" / "c").write_bytes(b"other")
    assert tree(written) != before


def test_what_cannot_be_read_has_no_digest(written: Path, tmp_path: Path) -> None:
    (written / "b" / "gone").symlink_to(tmp_path / "nowhere")
    for folder in (written, tmp_path / "nowhere"):
        with pytest.raises(OSError, match=r"nowhere|gone"):
            tree(folder)


def test_the_product_is_its_code_its_folders_and_what_it_stands_on(monkeypatch, tmp_path: Path) -> None:
    before = resources.product_sha256()
    assert resources.product_sha256() == before
    with monkeypatch.context() as patched:
        patched.setattr(sys, "version", "4.0")
        assert resources.product_sha256() != before
    (tmp_path / "site" / "numpy-9.9.dist-info").mkdir(parents=True)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "path", [*sys.path, str(tmp_path / "site")])
        assert resources.product_sha256() != before
    templates = tmp_path / "templates"
    shutil.copytree(resources.folder("templates"), templates)
    real = resources.folder
    monkeypatch.setattr(resources, "folder", lambda name: templates if name == "templates" else real(name))
    assert resources.product_sha256() == before
    (templates / "vendor" / "d3.min.js").write_text("// other code")
    assert resources.product_sha256() != before


def test_a_pipe_among_the_files_is_told_and_not_waited_for(written: Path) -> None:
    os.mkfifo(written / "b" / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        tree(written)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)], ids=oct)
def test_who_may_read_what_is_written_is_the_user_s_to_say(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        resources.write_atomically(tmp_path / "new", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode


def test_folders_of_any_depth_are_made_or_refused_by_the_system(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    resources.write_atomically(Path(*"d" * 1500, "file"), b"x")
    assert Path(*"d" * 1500, "file").read_bytes() == b"x"
    with pytest.raises(OSError, match="File name too long"):
        resources.write_atomically(Path(*"d" * 2500, "file"), b"x")
    resources.remove_tree(tmp_path / "d")


def test_an_account_without_a_home_is_told_to_name_a_folder(monkeypatch) -> None:
    def nobody() -> Path:
        raise RuntimeError

    monkeypatch.delenv("REPROMATRIX_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setenv("XDG_CACHE_HOME", "a/relative/one")
    with pytest.raises(UsageError, match="set REPROMATRIX_CACHE"):
        resources.cache()
    monkeypatch.setenv("XDG_CACHE_HOME", "/an/absolute/one")
    assert resources.cache() == Path("/an/absolute/one/repromatrix")


def test_what_only_saves_time_is_not_missed_where_it_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    resources.keep(tmp_path / "file" / "below", b"x")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        resources.write_atomically(tmp_path / "file" / "below", b"x")
    resources.keep(tmp_path / "kept", b"x")
    assert (tmp_path / "kept").read_bytes() == b"x"
