"""A virtual environment is what its wheels say, or it is made again."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from installer.exceptions import InstallerError

from repromatrix import resources
from repromatrix.engines import unpack
from repromatrix.engines.base import BuildSpec
from repromatrix.engines.process import ProcessEngine
from repromatrix.errors import EnvironmentFailedError
from tests.engines.conftest import LIMITS, Bench, make_spec

MARKER = "complete.json"
SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


@pytest.fixture
def made(process_bench: Bench, tmp_path: Path) -> tuple[BuildSpec, Path]:
    """An environment of its own."""
    spec = make_spec(tmp_path, process_bench.base, content=f"tiny = {str(tmp_path)!r}\n")
    return spec, Path(ProcessEngine().build(spec, tmp_path / "build.log").reference)


def _append(path: Path) -> None:
    path.chmod(0o644)
    with path.open("a") as stream:
        stream.write("# more\n")


def _replace_without_a_trace(path: Path) -> None:
    """Put as many other bytes in its place and set the times back, as far as one can."""
    seen, data = path.stat(), path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data.replace(b"tiny", b"TINY"))
    path.chmod(seen.st_mode)
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def _bytecode(folder: Path) -> Path:
    return next((folder / SITE / "__pycache__").glob("tiny.*.pyc"))


def _more(folder: Path, name: str) -> None:
    (folder / SITE).chmod(0o755)
    (folder / SITE / name).write_text("import os\n")


TAMPERED: dict[str, Callable[[Path], None]] = {
    "a line more": lambda folder: _append(folder / SITE / "tiny.py"),
    "other bytes, the same times": lambda folder: _replace_without_a_trace(folder / SITE / "tiny.py"),
    "other bytecode": lambda folder: _append(_bytecode(folder)),
    "a module that every start imports": lambda folder: _more(folder, "sitecustomize.py"),
    "a path that every start reads": lambda folder: _more(folder, "more.pth"),
    "another entrypoint": lambda folder: _append(folder / "repromatrix" / "entrypoint.py"),
    "a file that is gone": lambda folder: ((folder / SITE).chmod(0o755), (folder / SITE / "tiny.py").unlink()),
    "a marker that is no JSON": lambda folder: (folder / MARKER).write_text("{"),
    "a marker of an older release": lambda folder: (folder / MARKER).write_text('{"variables": {}}'),
    "a marker with a number": lambda folder: (folder / MARKER).write_text(
        json.dumps(json.loads((folder / MARKER).read_text()) | {"variables": {"A": 1}})
    ),
    "a marker with a list": lambda folder: (folder / MARKER).write_text("[]"),
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_an_environment_that_was_changed_is_not_found_and_is_made_again(made, tmp_path: Path, tamper) -> None:
    spec, folder = made
    before = {str(path): path.read_bytes() for path in folder.rglob("*.py")}
    assert ProcessEngine().find(spec)
    tamper(folder)
    engine = ProcessEngine()
    assert engine.find(spec) is None
    engine.build(spec, tmp_path / "again.log")
    assert {str(path): path.read_bytes() for path in folder.rglob("*.py")} == before
    assert f"{folder} is not as it was made: it is made again" in (tmp_path / "again.log").read_text()
    assert ProcessEngine().find(spec)


def test_bytecode_that_comes_later_is_no_change(made) -> None:
    spec, folder = made
    (folder / SITE / "__pycache__" / "later.cpython-311.pyc").write_bytes(b"")
    assert ProcessEngine().find(spec)


def test_no_file_has_a_second_name(made) -> None:
    _, folder = made
    names = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(names) > 5
    assert {path.stat().st_nlink for path in names} == {1}


def test_nothing_of_it_may_be_written_but_bytecode(made) -> None:
    _, folder = made
    may = {path for path in folder.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o222}
    assert {path for path in may if path.name not in {"__pycache__", MARKER}} == set()


def _as_nobody(folder: Path, act: Callable[[], bool]) -> bool:
    """Return what an ordinary user who owns the folder, and is in it, gets."""
    for path in (folder, *folder.rglob("*")):
        os.lchown(path, 65534, 65534)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(folder)
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            code = 0 if act() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _cannot_write() -> bool:
    assert Path(SITE, "tiny.py").read_text()
    for act in (lambda: Path(SITE, "tiny.py").write_text(""), Path(SITE, "x.py").touch, Path(SITE, "tiny.py").unlink):
        try:
            act()
        except PermissionError:
            continue
        return False
    return True


def _can_remove() -> bool:
    resources.remove_tree(Path("lib"))
    return not Path("lib").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user beside this one")
def test_a_cell_of_an_ordinary_user_cannot_write_to_its_environment_and_the_user_can_remove_it(made) -> None:
    _, folder = made
    assert _as_nobody(folder, _cannot_write)
    assert _as_nobody(folder, _can_remove)


def test_a_marker_that_went_after_the_environment_was_found_is_a_named_error(made, tmp_path: Path) -> None:
    spec, folder = made
    engine = ProcessEngine()
    built = engine.find(spec)
    (folder / MARKER).unlink()
    run = engine.run(built, stdin=b"", limits=LIMITS, variables={}, gpu=False, log=tmp_path / "run.log")
    with pytest.raises(EnvironmentFailedError, match="no longer whole"), run:
        pass


# What is installed against the wheel.


def _wheel(folder: Path, files: dict[str, bytes], told: dict[str, str] | None = None, name: str = "x") -> Path:
    """Write a wheel; `told`: what RECORD says in place of the truth, or of what is not there."""
    folder.mkdir(exist_ok=True)
    path, record = folder / f"{name}-1-py3-none-any.whl", f"{name}-1.dist-info/RECORD"
    rows = {each: _digest(data) for each, data in files.items()} | (told or {})
    text = "\n".join([*(f"{each},{digest},{len(files[each])}" for each, digest in rows.items()), f"{record},,"])
    with zipfile.ZipFile(path, "w") as archive:
        for each, data in {**files, record: text.encode()}.items():
            archive.writestr(each, data)
    return path


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


WHEEL = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
FILES = {
    "x/__init__.py": b"a = 1\n",
    "x/data.bin": b"\0" * 100,
    "x-1.data/scripts/x": b"#!python\nimport x\n",
    "x-1.data/data/share/x.txt": b"text",
    "x-1.data/headers/x.h": b"int x;",
    "x-1.data/purelib/pure.py": b"b = 2\n",
    "x-1.dist-info/METADATA": b"Name: x\n",
    "x-1.dist-info/WHEEL": WHEEL,
    "x-1.dist-info/entry_points.txt": b"[console_scripts]\nrun-x = x:main\n",
}
PLACES = {
    "x-1.data/scripts/x": "bin/x",
    "x-1.data/data/share/x.txt": "share/x.txt",
    "x-1.data/headers/x.h": "include/site/python3.11/x/x.h",
    "x-1.data/purelib/pure.py": "lib/python3.11/site-packages/pure.py",
}


def _unpack(folder: Path, *wheels: Path, lock: str | None = None) -> Path:
    """Unpack wheels into a new environment."""
    site = folder / "lib/python3.11/site-packages"
    site.mkdir(parents=True)
    (site / "_virtualenv.py").write_text("")
    told = "".join(
        f"{wheel.name.partition('-')[0]}==1 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
        for wheel in wheels
    )
    unpack.unpack(folder, told if lock is None else lock, wheels)
    return folder


def test_each_file_of_a_wheel_has_its_bytes_its_place_and_no_right_to_write(tmp_path: Path) -> None:
    folder = _unpack(tmp_path / "env", _wheel(tmp_path, FILES))
    for name, data in FILES.items():
        path = folder / PLACES.get(name, f"lib/python3.11/site-packages/{name}")
        due = data.replace(b"#!python", f"#!{folder}/bin/python".encode()) if "scripts" in name else data
        assert path.read_bytes() == due
        assert path.stat().st_mode & 0o222 == 0
    script = folder / "bin" / "run-x"
    assert script.read_text().startswith(f"#!{folder}/bin/python\n")
    assert os.access(script, os.X_OK)
    record = (folder / "lib/python3.11/site-packages/x-1.dist-info/RECORD").read_text()
    assert f"x/data.bin,{_digest(bytes(100))},100\n" in record
    assert "../../../bin/run-x," in record


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_another_than_record_tells_is_named(tmp_path: Path, name: str) -> None:
    wheel = _wheel(tmp_path, FILES, {name: _digest(b"other")})
    with pytest.raises(unpack.UnlikeError) as caught:
        _unpack(tmp_path / "env", wheel)
    assert str(caught.value) == f"{name} is another file than the RECORD of {wheel.name} tells"


def test_a_file_of_which_record_tells_no_digest_is_vouched_for_by_the_hash_of_the_wheel(tmp_path: Path) -> None:
    wheel = _wheel(tmp_path, FILES, {"x/data.bin": ""})
    assert (_unpack(tmp_path / "env", wheel) / "lib/python3.11/site-packages/x/data.bin").read_bytes() == bytes(100)
    with pytest.raises(unpack.UnlikeError, match=rf"{wheel.name} has another sha256 than its lock tells"):
        _unpack(tmp_path / "other", wheel, lock=f"x==1 --hash=sha256:{'0' * 64}")


@pytest.mark.parametrize(
    ("lock", "told"),
    [
        ("x==1\n", "must have a hash"),
        ("x>=1 --hash=sha256:{digest}\n", "one version"),
        ("x===.1 --hash=sha256:{digest}\n", "one version"),
        ("./x --hash=sha256:{digest}\n", "one version"),
        ("y==1 --hash=sha256:{digest}\n", "not in the lock"),
        ("x==2 --hash=sha256:{digest}\n", "not in the lock"),
        ("x==1 --hash=sha256:{digest}\ny==1 --hash=sha256:{digest}\n", "no wheel of y 1"),
    ],
)
def test_the_wheels_are_those_that_the_lock_names(lock: str, told: str, tmp_path: Path) -> None:
    wheel = _wheel(tmp_path, FILES)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with pytest.raises(unpack.UnlikeError, match=told):
        _unpack(tmp_path / "env", wheel, lock=lock.format(digest=digest))


def test_bytecode_of_a_wheel_is_not_installed(tmp_path: Path) -> None:
    wheel = _wheel(tmp_path, {**FILES, "x/__pycache__/x.cpython-311.pyc": b"evil"})
    with pytest.warns(RuntimeWarning, match="security risk"):
        folder = _unpack(tmp_path / "env", wheel)
    assert not list(folder.rglob("*.pyc"))


def test_no_wheel_replaces_a_file_of_another_and_none_writes_outside(tmp_path: Path) -> None:
    info = {"y-1.dist-info/METADATA": b"Name: y\n", "y-1.dist-info/WHEEL": WHEEL}
    first, second = _wheel(tmp_path, FILES), _wheel(tmp_path, {**info, "x/data.bin": b"evil"}, name="y")
    with pytest.raises(FileExistsError, match=r"data\.bin"):
        _unpack(tmp_path / "env", first, second)
    for number, name in enumerate(("../../../../evil.py", "/evil.py", "y-1.data/data/../../evil.py")):
        outside = _wheel(tmp_path / str(number), {**info, name: b"evil"}, name="y")
        with pytest.raises((unpack.UnlikeError, ValueError, InstallerError)):
            _unpack(tmp_path / f"env{number}", outside)
    assert not list(tmp_path.rglob("evil.py"))
    assert not Path("/evil.py").exists()


def test_a_file_of_no_wheel_is_named(tmp_path: Path) -> None:
    site = tmp_path / "env" / "lib/python3.11/site-packages"
    site.mkdir(parents=True)
    (site / "evil.pth").write_text("import os\n")
    with pytest.raises(unpack.UnlikeError, match=r"site-packages/evil\.pth is in none of its wheels"):
        unpack.unpack(tmp_path / "env", "", [])


def test_a_wheel_that_is_not_as_it_says_fails_the_build_by_name(process_bench: Bench, tmp_path: Path) -> None:
    spec = make_spec(tmp_path, process_bench.base, content="tiny = 'another'\n")
    (wheel,) = spec.wheels
    files = {name: zipfile.ZipFile(wheel).read(name) for name in ("tiny.py", "tiny-1.0.dist-info/WHEEL")}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr("tiny-1.0.dist-info/RECORD", f"tiny.py,{_digest(b'other')},5\n")
    with pytest.raises(EnvironmentFailedError, match="has another sha256 than its lock tells") as caught:
        ProcessEngine().build(spec, tmp_path / "build.log")
    assert caught.value.where == str(tmp_path / "build.log")
    spec.lock.write_text(f"tiny==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    with pytest.raises(EnvironmentFailedError, match=r"tiny\.py is another file than the RECORD of tiny-1\.0"):
        ProcessEngine().build(spec, tmp_path / "build.log")
    assert ProcessEngine().find(spec) is None


def test_two_wheels_may_have_the_same_file_and_a_command_of_one_name(tmp_path: Path) -> None:
    command = {"y-1.dist-info/entry_points.txt": b"[console_scripts]\nrun-x = y:main\n"}
    info = {"y-1.dist-info/METADATA": b"Name: y\n", "y-1.dist-info/WHEEL": WHEEL, **command}
    same = _wheel(tmp_path, {**info, "x/data.bin": FILES["x/data.bin"]}, name="y")
    folder = _unpack(tmp_path / "env", _wheel(tmp_path, FILES), same)
    assert (folder / "lib/python3.11/site-packages/x/data.bin").read_bytes() == FILES["x/data.bin"]
    assert "from x import main" in (folder / "bin" / "run-x").read_text()  # of the first one


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x05\x06" + bytes(18)], ids=["empty", "text", "no files"])
def test_a_wheel_that_is_none_is_a_line_and_no_traceback(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "env" / "lib/python3.11/site-packages").mkdir(parents=True)
    wheel, lock = tmp_path / "x-1-py3-none-any.whl", tmp_path / "lock"
    wheel.write_bytes(data)
    lock.write_text(f"x==1 --hash=sha256:{hashlib.sha256(data).hexdigest()}")
    command = [sys.executable, "-I", unpack.__file__, str(tmp_path / "env"), str(lock), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
