"""What the pages of the documentation show is typed as it stands there, in an empty folder; all of it can be typed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repromatrix.cli.main import COMMANDS, parser_of
from repromatrix.results.store import Store
from tests.compare.builder import manifest, record

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
LOG = "step,loss\n1,0.6931\n2,0.5012\n3,0.437{}\n"
# Of this checkout, and of a machine without repromatrix: tests of their own run these.
ELSEWHERE = {"make matrix", "pip install repromatrix"}
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"^(?:    |- run: |\$ )*(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?repromatrix (.+)$")
INLINE = re.compile(rf"`(?:\.venv/bin/)?repromatrix ((?:{'|'.join(COMMANDS)})\b[^`\n]*)`")
# Behind a command: what it does, another command, a file, what may be repeated.
BEHIND = re.compile(r"\s{2,}|\s#|\s[>|]\s|;| \[ENV \.\.\.\]| \.\.\.")


def commands(page: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip() and line not in ELSEWHERE]


def told(page: Path) -> Iterator[str]:
    """Yield the commands of a page, in blocks and within lines, without the word repromatrix."""
    text = page.read_text()
    blocks = [line for block in FENCED.findall(text) for line in block.splitlines()]
    indented = [line for line in FENCED.sub("", text).splitlines() if line.startswith("    ")]
    found = [each[1] for line in (*blocks, *indented) if (each := TYPED.match(line))]
    inline = [each[1] for each in INLINE.finditer(text) if " " in each[1]]  # a bare name stands for the command
    for each in (*found, *inline):
        yield BEHIND.split(each.replace("\\|", "|"))[0].strip()


EVERY = sorted(
    {
        (page.relative_to(ROOT).as_posix(), each)
        for page in (*DOCS.rglob("*.md"), ROOT / "README.md")
        for each in told(page)
    }
)


@pytest.mark.parametrize(("page", "line"), EVERY, ids=lambda each: each)
def test_a_command_of_a_page_is_one_that_the_parser_takes(page: str, line: str) -> None:
    name, *words = shlex.split(line)
    assert name in COMMANDS, page
    parser_of(name).parse_args(words)


def variables(**more: str) -> dict[str, str]:
    known = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "REPROMATRIX"))}
    return {**known, "PATH": f"{Path(sys.executable).parent}:{known['PATH']}", **more}


def typed(command: str, folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Type a command in a folder, in a shell of its own."""
    shell = [*before, "bash", "-c", command]
    return subprocess.run(shell, cwd=folder, env=variables(), capture_output=True, text=True, check=False)


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
    done = typed(command, folder)
    finds_a_difference = command.startswith(("repromatrix compare", "repromatrix impact"))
    assert done.returncode == int(finds_a_difference), done.stdout[-2000:] + done.stderr[-2000:]
    if "init" in command:
        assert (folder / "matrix.yaml").is_file()


@pytest.fixture
def offline() -> list[str]:
    """What stands in front of a command that is to have no network; nothing, where that cannot be had."""
    words = ["unshare", "--map-root-user", "--net"]
    can = shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    return words if can else []


@pytest.mark.network
@pytest.mark.slow
def test_what_is_said_of_machines_without_a_network_is_so(tmp_path: Path, offline: list[str]) -> None:
    first, second, third = (line for line in commands("registry.md") if "REPROMATRIX_CACHE" in line or "PIP_" in line)
    assert typed(first, tmp_path).returncode == 0
    done = typed(second, tmp_path, *offline)
    assert done.returncode == 0, done.stderr
    assert "0 environments built" in done.stderr
    (tmp_path / "wheels").mkdir()
    for wheel in (tmp_path / "cache" / "wheels").rglob("*.whl"):
        shutil.copy2(wheel, tmp_path / "wheels")
    shutil.rmtree(tmp_path / "cache")
    done = typed(f"REPROMATRIX_CACHE=cache {third}", tmp_path, *offline)
    assert done.returncode == 0, done.stderr
    assert "1 built now" in done.stderr


def test_what_is_said_of_goldens_and_of_history_is_so(tmp_path: Path) -> None:
    (tmp_path / "golden.txt").write_text("step 1 loss 0.6931\nstep 2 loss 0.5012\n")
    (tmp_path / "train.log").write_text("step 1 loss 0.6931\nstep 2 loss 0.5013\n")
    lines = {"check golden.txt train.log": 1, "check --update golden.txt train.log": 0}
    for line, code in {**lines, "check golden.txt train.log --junit check.xml": 0}.items():
        assert typed(f"repromatrix {line}", tmp_path).returncode == code, line
    store, ran = Store(tmp_path / "results"), [record()]
    store.write(ran[0])
    store.write_manifest(manifest(ran))
    shown = [each for each in told(DOCS / "ci.md") if each.startswith("history")]
    assert len(shown) > 3
    for line in sorted(shown, key=lambda each: not each.startswith("history add")):  # nothing can be shown before
        done = typed(f"repromatrix {line}", tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "history.html").is_file()


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = set(re.findall(r"^([\w-]+)$", (DOCS / "index.md").read_text(), re.MULTILINE))
    assert {page.stem for page in DOCS.glob("*.md")} - {"index"} == listed
