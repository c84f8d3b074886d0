"""A virtual environment is what its wheels say, or it is made again."""

import base64
import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from repromatrix import resources
from repromatrix.engines import installed
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


# What was installed against the wheel.


def _wheel(path: Path, files: dict[str, bytes], told: dict[str, str]) -> Path:
    """Write a wheel; `told`: what RECORD says in place of the truth."""
    rows = [f"{name},{told.get(name, _digest(data))},{len(data)}" for name, data in files.items()]
    record = "\n".join([*rows, "x-1.dist-info/RECORD,,"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**files, "x-1.dist-info/RECORD": record.encode()}.items():
            archive.writestr(name, data)
    return path


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


FILES = {
    "x/__init__.py": b"a = 1\n",
    "x/data.bin": b"\0" * 100,
    "x-1.data/scripts/x": b"#!python\nimport x\n",
    "x-1.data/data/share/x.txt": b"text",
    "x-1.data/headers/x.h": b"int x;",
    "x-1.data/purelib/pure.py": b"b = 2\n",
    "x-1.dist-info/METADATA": b"Name: x\n",
}
PLACES = {
    "x-1.data/scripts/x": "bin/x",
    "x-1.data/data/share/x.txt": "share/x.txt",
    "x-1.data/headers/x.h": "include/site/python3.11/x/x.h",
    "x-1.data/purelib/pure.py": "lib/python3.11/site-packages/pure.py",
}


def _install(folder: Path) -> dict[str, Path]:
    """Install the wheel by hand."""
    found = {}
    for name, data in FILES.items():
        found[name] = folder / PLACES.get(name, f"lib/python3.11/site-packages/{name}")
        found[name].parent.mkdir(parents=True, exist_ok=True)
        found[name].write_bytes(data.replace(b"#!python", b"#!/env/bin/python"))
    for name in ("_virtualenv.py", "x-1.dist-info/RECORD", "x-1.dist-info/INSTALLER"):
        (folder / "lib/python3.11/site-packages" / name).write_text("")
    return found


def test_what_is_installed_as_the_wheel_has_it_is_like_it(tmp_path: Path) -> None:
    _install(tmp_path / "env")
    told = {"x/data.bin": ""}  # of which RECORD tells no digest
    assert installed.unlike(tmp_path / "env", [_wheel(tmp_path / "x-1-py3-none-any.whl", FILES, told)]) == ""


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("told", [{}, {"x/data.bin": "", "x-1.data/data/share/x.txt": ""}], ids=["digests", "none"])
def test_each_file_that_is_another_is_named(tmp_path: Path, name: str, told: dict[str, str]) -> None:
    wheel = _wheel(tmp_path / "x-1-py3-none-any.whl", FILES, told)
    path = _install(tmp_path / "env")[name]
    path.unlink()
    where = path.relative_to(tmp_path / "env")
    assert installed.unlike(tmp_path / "env", [wheel]) == f"{where} is no file, though it is one in {wheel.name}"
    path.symlink_to("/etc/hostname")
    assert installed.unlike(tmp_path / "env", [wheel]) == f"{where} is no file, though it is one in {wheel.name}"
    path.unlink()
    path.write_bytes(FILES[name] + b" ")
    if "scripts" not in name:
        assert installed.unlike(tmp_path / "env", [wheel]) == f"{where} is another file than in {wheel.name}"


@pytest.mark.parametrize("name", ["evil.pth", "sitecustomize.py", "x/__pycache__/x.pyc", "y.dist-info/METADATA"])
def test_a_file_of_no_wheel_is_named(tmp_path: Path, name: str) -> None:
    _install(tmp_path / "env")
    path = tmp_path / "env" / "lib/python3.11/site-packages" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("import os\n")
    wheel = _wheel(tmp_path / "x-1-py3-none-any.whl", FILES, {})
    assert (
        installed.unlike(tmp_path / "env", [wheel]) == f"lib/python3.11/site-packages/{name} is in none of its wheels"
    )


def test_what_uv_installed_otherwise_than_the_wheel_has_it_fails_the_build(
    process_bench: Bench, tmp_path: Path, monkeypatch
) -> None:
    spec = make_spec(tmp_path, process_bench.base, content="tiny = 'another'\n")
    monkeypatch.setattr(installed, "unlike", lambda *_: "tiny.py is another file than in tiny.whl")
    with pytest.raises(EnvironmentFailedError, match="is another file than in") as caught:
        ProcessEngine().build(spec, tmp_path / "build.log")
    assert ProcessEngine().find(spec) is None
    assert caught.value.where == str(tmp_path / "build.log")
