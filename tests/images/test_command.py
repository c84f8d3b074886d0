"""What the harness takes from a command that it runs: all that it printed, and no more than that."""

import base64
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

PRINTED = b"step 1 loss 0.5\n" * 6_000  # more than one pipe holds, less than two


@pytest.fixture
def running(harness, tmp_path, monkeypatch):
    """Run a command; `told` is what was sent of its output."""
    command = harness.command
    monkeypatch.setattr(command, "PATIENCE", 0.2)

    def run(source: str, emit: Any = None) -> tuple[int, bytes]:
        (tmp_path / "it.py").write_text(source)
        told: list[bytes] = []

        def keep(line: dict[str, Any]) -> None:
            if emit is not None:
                emit()
            told.append(base64.b64decode(line["data"]))

        cell = SimpleNamespace(id="c", words=(sys.executable, "it.py"), output="stdout")
        code = command.Running(cell, keep).run(tmp_path)
        return code, b"".join(told)

    return run


def test_all_is_taken_that_it_printed_however_long_nobody_takes_it(running) -> None:
    source = f"import sys\nsys.stdout.write('step 1 loss 0.5\\n' * {len(PRINTED) // 16})"
    assert running(source, lambda: time.sleep(0.5)) == (0, PRINTED)


@pytest.mark.parametrize("says", ["", "while True:\n  print('step 9 loss 9', flush=True)", "print(1)"])
def test_what_it_left_behind_keeps_nobody_waiting_and_is_told_to_nobody(running, says: str) -> None:
    child = f"import time\n{says or 'pass'}\ntime.sleep(60)"
    source = "import subprocess, sys\nprint('loss 0.5', flush=True)\n"
    source += f"subprocess.Popen([sys.executable, '-c', {child!r}])"
    code, told = running(source)
    assert code == 0
    assert told.startswith(b"loss 0.5\n")
