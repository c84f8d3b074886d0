"""Files that a command line or somebody else's folder names: nothing but a regular one of a bounded size is read."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.errors import EnvironmentFailedError, UsageError
from repromatrix.images import given
from repromatrix.images import lock as locks
from repromatrix.images.digests import Digests
from repromatrix.images.lockable import Spare
from repromatrix.matrix import Matrix
from tests.cli.test_special_files import SECONDS, SPECIAL


@pytest.fixture(autouse=True)
def _limited() -> Iterator[None]:
    """End a test that hangs."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("special", SPECIAL.values(), ids=SPECIAL)
def test_special_files_are_refused(small_matrix: Callable[..., Matrix], tmp_path: Path, special) -> None:
    matrix = small_matrix()
    environment = replace(matrix.environments[0], locks=tmp_path / "locks")
    path = tmp_path / "locks" / f"{environment.name}.txt"
    path.parent.mkdir()
    special(path)
    with pytest.raises(OSError, match=r"not a regular file|larger than"):
        Digests(path).of(environment.name)
    with pytest.raises(OSError, match=r"not a regular file|larger than"):
        given.read(matrix, path)
    with pytest.raises((OSError, EnvironmentFailedError)):
        locks.read(environment)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{", '{"images": []}', "\ud800"], ids=["deep", "cut", "list", "no text"]
)
def test_a_damaged_digests_file_is_a_named_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pushed-images.json"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(UsageError, match="not a digests file"):
        Digests(path).of("numpy-2.0-cpu")


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[]", b"[" * 100_000, json.dumps({"requirements": 1}).encode()])
def test_a_damaged_note_of_an_environment_is_as_none(tmp_path: Path, monkeypatch, data: bytes) -> None:
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path))
    path = tmp_path / "locks" / "numpy" / "locks" / "numpy-9.9-cpu.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    assert Spare().recall("numpy-9.9-cpu") is None
