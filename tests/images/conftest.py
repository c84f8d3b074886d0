"""An environment of the small matrix, locks and wheels for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.matrix import Environment


@pytest.fixture
def environment(small_matrix) -> Environment:
    return small_matrix().environment("numpy-2.0-cpu")


REQUEST = "# request: numpy==2.0 python==3.11 x86_64-manylinux_2_28\n"
WriteLock = Callable[[str], Path]


@pytest.fixture
def write_lock(tmp_path: Path) -> WriteLock:
    """Write the lock of numpy-2.0-cpu with that body; return the folder that holds it."""

    def write(body: str, request: str = REQUEST) -> Path:
        path = tmp_path / "images" / "numpy" / "locks" / "numpy-2.0-cpu.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(request + body)
        return tmp_path / "images"

    return write
