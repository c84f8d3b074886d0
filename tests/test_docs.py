"""What the pages of the documentation show is typed as it stands there, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
LOG = "step,loss\n1,0.6931\n2,0.5012\n3,0.437{}\n"
# Of this checkout, and of a machine without repromatrix: tests of their own run these.
ELSEWHERE = {"make matrix", "pip install repromatrix"}


def commands(page: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip() and line not in ELSEWHERE]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    for name, digit in (("monday", 7), ("tuesday", 8)):
        (folder / f"{name}.csv").write_text(LOG.format(digit))
    return folder


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("command", commands("start.md"))
def test_a_command_of_the_first_page_works(command: str, folder: Path) -> None:
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "REPROMATRIX"))}
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    finds_a_difference = command.startswith(("repromatrix compare", "repromatrix impact"))
    assert done.returncode == int(finds_a_difference), done.stdout[-2000:] + done.stderr[-2000:]
    if "init" in command:
        assert (folder / "matrix.yaml").is_file()


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = set(re.findall(r"^([\w-]+)$", (DOCS / "index.md").read_text(), re.MULTILINE))
    assert {page.stem for page in DOCS.glob("*.md")} - {"index"} == listed
