"""The wheel store against a real pip and a real index: what was fetched whole stays, whatever broke."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from repromatrix import resources
from repromatrix.engines import owner
from repromatrix.engines.supervised import Commands
from repromatrix.errors import EnvironmentFailedError
from repromatrix.images import lock as locks
from repromatrix.images import store, wheels
from repromatrix.matrix import Environment

FIRST, SECOND = "first-1.0-py3-none-any.whl", "second-1.0-py3-none-any.whl"
PADDING = 3 << 20
GONE = "999999999 1 " + owner.machine()  # a process that there is not


def _wheel(name: str) -> bytes:
    """Return a wheel that does not compress."""
    path = Path(os.environ["REPROMATRIX_CACHE"]).parent / "made.whl"
    with zipfile.ZipFile(path, "w") as archive:
        info = f"{name}-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{name}.bin", bytes(hashlib.shake_256(name.encode()).digest(PADDING)))
    return path.read_bytes()


@dataclass
class Index:
    """A package index of two wheels; `serve` may answer a file in its own way and say so by returning True."""

    files: dict[str, bytes]
    asked: list[tuple[str, str]] = field(default_factory=list)
    serve: Callable[[BaseHTTPRequestHandler, str], bool] = lambda _handler, _name: False
    url: str = ""

    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, index: Index, *arguments) -> None:
        self.index = index
        super().__init__(*arguments)

    def do_GET(self) -> None:
        name = self.path.strip("/").split("/")[-1]
        if self.path.startswith("/simple/"):
            links = "".join(f'<a href="/files/{each}">{each}</a>' for each in self.index.files if each.startswith(name))
            return self.answer(links.encode(), "text/html")
        self.index.asked.append((name, self.headers.get("Range", "")))
        if self.index.serve(self, name):
            return None
        content = self.index.files[name]
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        return self.answer(content[begin:], "application/zip", 206 if begin else 200)

    def answer(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _only_this_index(monkeypatch, tmp_path: Path) -> None:
    for name in [each for each in os.environ if each.startswith("PIP_") or each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def index(monkeypatch) -> Iterator[Index]:
    index = Index({FIRST: _wheel("first"), SECOND: _wheel("second")})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, index))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    yield index
    server.shutdown()
    server.server_close()


@pytest.fixture
def lock(index: Index, environment: Environment, write_lock) -> locks.Lock:
    pins = [f"{name.split('-')[0]}==1.0 --hash=sha256:{_sha(content)}\n" for name, content in index.files.items()]
    return locks.read(environment, write_lock("".join(pins)))


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _place(index: Index, name: str) -> Path:
    return store.root() / _sha(index.files[name]) / name


def _left(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.name.startswith("."))


def test_a_download_that_breaks_off_goes_on_where_it_was(index, lock, environment, tmp_path) -> None:
    cut = []

    def serve(handler: BaseHTTPRequestHandler, name: str) -> bool:
        if name != SECOND or cut:
            return False
        cut.append(name)
        content = index.files[name]
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.send_header("ETag", '"one"')
        handler.end_headers()
        handler.wfile.write(content[: PADDING // 2])
        handler.close_connection = True
        return True

    index.serve = serve
    assert len(wheels.fetch(environment, lock, tmp_path / "log", Commands().run)) == 2
    assert _place(index, SECOND).read_bytes() == index.files[SECOND]
    begun = [int(asked.removeprefix("bytes=").strip("-")) for name, asked in index.asked if name == SECOND and asked]
    assert begun
    assert begun[0] > 0


def _missing(handler: BaseHTTPRequestHandler, name: str) -> bool:
    if name == SECOND:
        handler.send_error(404)
    return name == SECOND


def test_what_a_pip_that_fails_had_fetched_whole_stays(index, lock, environment, tmp_path) -> None:
    index.serve = _missing
    with pytest.raises(EnvironmentFailedError, match="404") as caught:
        wheels.fetch(environment, lock, tmp_path / "log", Commands().run)
    assert "what was fetched whole is kept" in caught.value.hint
    assert _place(index, FIRST).read_bytes() == index.files[FIRST]
    assert _left(store.root()) == []
    index.serve = Index.serve
    wheels.fetch(environment, lock, tmp_path / "log", Commands().run)
    assert index.names().count(FIRST) == 1


RUNNER = """
import sys
from pathlib import Path
from repromatrix.engines.supervised import Commands
from repromatrix.images import lock, wheels
from repromatrix.matrix import load
environment = load(Path(sys.argv[1])).environment("numpy-2.0-cpu")
wheels.fetch(environment, lock.read(environment, Path(sys.argv[2])), Path(sys.argv[3]), Commands().run)
"""


def test_what_a_killed_runner_had_fetched_whole_is_found_again(
    index, lock, environment, small_matrix, tmp_path, checkout
) -> None:
    at_second, never = threading.Event(), threading.Event()

    def serve(handler: BaseHTTPRequestHandler, name: str) -> bool:
        if name == SECOND:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(index.files[name])))
            handler.end_headers()
            handler.wfile.write(index.files[name][:1000])
            at_second.set()
            never.wait(120)
        return name == SECOND

    index.serve = serve
    arguments = [small_matrix().path, lock.path.parents[2], tmp_path / "log"]
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, *map(str, arguments)], cwd=checkout)
    assert at_second.wait(60)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    assert not _place(index, FIRST).exists()
    assert len(_left(store.root())) == 2  # the folder and its mark
    never.set()
    index.serve = Index.serve
    wheels.fetch(environment, lock, tmp_path / "log", Commands().run)
    assert index.names().count(FIRST) == 1
    assert _place(index, FIRST).read_bytes() == index.files[FIRST]
    assert _left(store.root()) == []


def test_a_wheel_that_the_index_replaced_is_refused_by_name_and_hash(index, lock, environment, tmp_path) -> None:
    another = _wheel("another")
    index.files[SECOND] = another
    with pytest.raises(EnvironmentFailedError) as caught:
        wheels.fetch(environment, lock, tmp_path / "log", Commands().run)
    assert "second==1.0" in caught.value.what
    assert _sha(another) in caught.value.what
    assert not _place(index, SECOND).exists()
    assert _left(store.root()) == []


def test_a_damaged_wheel_is_told_by_name_and_hash_and_fetched_again(index, lock, environment, tmp_path) -> None:
    wheels.fetch(environment, lock, tmp_path / "log", Commands().run)
    with _place(index, SECOND).open("r+b") as stream:
        stream.seek(100)
        stream.write(b"bit rot")
    wheels.fetch(environment, lock, tmp_path / "log", Commands().run)
    assert _place(index, SECOND).read_bytes() == index.files[SECOND]
    assert index.names() == [FIRST, SECOND, SECOND]
    said = f"{SECOND} in the store no longer has sha256 {_sha(index.files[SECOND])}: it is fetched again"
    assert said in (tmp_path / "log").read_text()
    assert _left(store.root()) == []


def test_a_package_without_a_wheel_says_so(index, lock, environment, tmp_path) -> None:
    index.files["second-1.0.tar.gz"] = index.files.pop(SECOND)
    with pytest.raises(EnvironmentFailedError, match=r"No matching distribution found for second==1\.0"):
        wheels.fetch(environment, lock, tmp_path / "log", Commands().run)


def _broken_fetch(name: str, owned_by: str, **files: bytes) -> Path:
    folder = store.root() / f".fetch-{name}"
    (folder / "pip-unpack").mkdir(parents=True)
    (store.root() / f".fetch-{name}.owner").write_text(owned_by)
    (folder / "lock.txt").write_text(f"first==1.0 --hash=sha256:{_sha(files.get('asked', b''))}\n")
    for each, content in files.items():
        (folder / "pip-unpack" / f"{each}-1.0-py3-none-any.whl").write_bytes(content)
    return folder


def test_of_a_dead_owner_only_whole_files_that_were_asked_for_are_kept() -> None:
    _broken_fetch("dead", GONE, asked=b"whole", part=b"who")
    store.sweep()
    assert sorted(each.name for each in store.root().iterdir()) == [_sha(b"whole")]


def test_the_fetch_of_a_living_owner_is_left_alone() -> None:
    folder = _broken_fetch("alive", owner.ourselves(), asked=b"whole")
    store.sweep()
    assert (folder / "pip-unpack" / "asked-1.0-py3-none-any.whl").exists()


def test_a_sweep_that_was_killed_is_finished_by_the_next() -> None:
    left = _broken_fetch("swept", GONE, asked=b"whole")
    ours = _broken_fetch("sweeper", GONE)
    left.rename(ours / "left")
    (store.root() / ".fetch-swept.owner").unlink()
    store.sweep()
    assert [each.name for each in store.root().iterdir() if each.name.startswith(".")] == []
    assert (store.root() / _sha(b"whole")).is_dir()


def test_two_that_keep_the_same_content_do_not_disturb_each_other() -> None:
    with store.fetching() as one, store.fetching() as two:
        for folder in (one, two):
            (folder / FIRST).write_bytes(b"same")
            store.keep(folder / FIRST, _sha(b"same"))
    assert store.find([_sha(b"same")], "3.11").read_bytes() == b"same"
    assert resources.file_sha256(store.find([_sha(b"same")], "3.11")) == _sha(b"same")
