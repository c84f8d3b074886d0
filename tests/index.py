"""A package index of the tests' own: a simple index over HTTP, with wheels that are made here."""

import base64
import hashlib
import re
import shutil
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from os import devnull
from pathlib import Path

_SIGNS = re.compile(r"[-_.]+")


class Index:
    """A folder `simple/NAME/` a package, each with a page of links that tell the hashes."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.address = folder, ""

    @property
    def variables(self) -> dict[str, str]:
        """What makes pip, and who reads its configuration, ask this index and nothing else."""
        silent = dict.fromkeys(("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"), "")
        return {**silent, "PIP_CONFIG_FILE": devnull, "PIP_INDEX_URL": f"{self.address}/simple"}

    def tiny(self, name: str, version: str) -> None:
        """Offer a release of a package with nothing in it."""
        stem, info = f"{_SIGNS.sub('_', name)}-{version}", f"{_SIGNS.sub('_', name)}-{version}.dist-info"
        files = {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        self._write(name, f"{stem}-py3-none-any.whl", files, info)

    def add(self, wheel: Path) -> None:
        """Offer a wheel as it is."""
        name = wheel.name.partition("-")[0]
        self._place(name).mkdir(parents=True, exist_ok=True)
        shutil.copy2(wheel, self._place(name))
        self._list(name)

    def release(self, wheel: Path, version: str, code: str = "") -> None:
        """Offer a wheel as another release, with code added at the end of the package's module."""
        name, old, tags = wheel.name.split("-", 2)
        before, info = f"{name}-{old}.dist-info", f"{name}-{version}.dist-info"
        with zipfile.ZipFile(wheel) as archive:
            files = {each: archive.read(each) for each in archive.namelist() if not each.endswith(("/", "/RECORD"))}
        files = {each.replace(before, info): data for each, data in files.items()}
        metadata = files[f"{info}/METADATA"]
        files[f"{info}/METADATA"] = re.sub(rb"(?m)^Version: .*$", f"Version: {version}".encode(), metadata, count=1)
        files[f"{name}/version.py"] = files[f"{name}/version.py"].replace(old.encode(), version.encode())
        files[f"{name}/__init__.py"] += code.encode()
        self._write(name, f"{name}-{version}-{tags}", files, info)

    def withdraw(self, name: str, version: str) -> None:
        """Offer a release no longer."""
        (gone,) = self._place(name).glob(f"*-{version}-*.whl")
        gone.unlink()
        self._list(name)

    def _place(self, name: str) -> Path:
        return self._folder / "simple" / _SIGNS.sub("-", name).lower()

    def _write(self, name: str, wheel: str, files: dict[str, bytes], info: str) -> None:
        self._place(name).mkdir(parents=True, exist_ok=True)
        record = [f"{each},sha256={_digest(data)},{len(data)}" for each, data in files.items()]
        with zipfile.ZipFile(self._place(name) / wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for each, data in files.items():
                archive.writestr(each, data)
            archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))
        self._list(name)

    def _list(self, name: str) -> None:
        place = self._place(name)
        digests = {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in sorted(place.glob("*.whl"))}
        links = [f'<a href="{each}#sha256={digest}">{each}</a>' for each, digest in digests.items()]
        (place / "index.html").write_text("<!doctype html>\n" + "\n".join(links))


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


class _Quiet(SimpleHTTPRequestHandler):
    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # what is offered changes under the readers' hands
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def index(folder: Path) -> Iterator[Index]:
    """Serve an index that is empty at first."""
    found = Index(folder)
    folder.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
