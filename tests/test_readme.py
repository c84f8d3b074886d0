"""Every command that the README and the tour show is run, as it stands there, in a copy of the checkout."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The two big ones are narrowed by the variables that the Makefile offers for it; three commands may find a difference.
NARROWED = {
    "make matrix": {"ARGS": "--select 'numpy-*-cpu'", "ENGINE": "process"},
    "make test": {"ARGS": "tests/test_resources.py"},
}
MAY_FIND_A_CHANGE = tuple(f".venv/bin/repromatrix {command}" for command in ("impact", "compare", "trace", "explain"))


def commands() -> list[str]:
    text = "".join((ROOT / page).read_text() for page in ("README.md", "docs/tour.md"))
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return list(dict.fromkeys(line for block in blocks for line in block.splitlines() if line.strip()))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for mark in (".installed", ".dev"):
        assert (ROOT / ".venv" / mark).exists(), "run the tests by `make test`"
        os.utime(ROOT / ".venv" / mark)
    return folder


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_the_command_works(command: str, copy: Path) -> None:
    ours = ("MAKE", "MFLAGS", "PYTEST", "ARGS", "ENGINE", "PROFILE", "REPROMATRIX")  # of the run that tests this
    variables = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    environment = {**variables, **NARROWED.get(command, {})}
    shell = ["bash", "-c", command]
    done = subprocess.run(shell, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    allowed = {0, 1} if command.startswith(MAY_FIND_A_CHANGE) else {0}
    assert done.returncode in allowed, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_two_commands_stand_first() -> None:
    assert commands()[:2] == ["make matrix", "make test"]


def test_every_linked_file_is_there() -> None:
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / target).exists(), target
