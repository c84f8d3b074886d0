"""What the pages of the documentation show is typed as it stands there, or `NOT_TYPED` says why not.

That holds for every command in a block, and for every one within a line that has arguments. The blocks of README and of
the tour have tests of their own: test_readme.py.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from repromatrix.cli.main import COMMANDS, parser_of
from repromatrix.execute import host

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BIN = Path(sys.executable).parent
LOG = "step,loss\n1,0.6931\n2,0.5012\n3,0.437{}\n"
CPU_OF_THE_PAGES = "x86-64-v4-96d31c43"  # others may take other kernels, and print other numbers
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED_LINE = re.compile(r"^(?:    |- run: |\$ )*(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?repromatrix (.+)$")
MADE = re.compile(r"^(?:    |\$ )*(make .+?)(?:\s{2,}#.*|\s#.*)?$")
INLINE = re.compile(rf"`(?:\.venv/bin/)?repromatrix ((?:{'|'.join(COMMANDS)})\b[^`\n]*)`")
# Behind a command: what it does, another command, a file, what may be repeated.
BEHIND = re.compile(r"\s{2,}|\s#|\s[>|]\s|;| \.\.\.")


def without(text: str) -> str:
    """Return a command without what stands behind it, and without what may be left out."""
    return BEHIND.split(text.replace("\\|", "|").replace(" [ENV ...]", ""))[0].strip()


def told(page: Path) -> Iterator[str]:
    """Yield the commands of a page, in blocks and within lines, without the word repromatrix."""
    text = page.read_text()
    blocks = [line for block in FENCED.findall(text) for line in block.splitlines()]
    indented = [line for line in FENCED.sub("", text).splitlines() if line.startswith("    ")]
    found = [each[1] for line in (*blocks, *indented) if (each := TYPED_LINE.match(line))]
    inline = [each[1] for each in INLINE.finditer(text) if " " in each[1]]  # a bare name stands for the command
    for each in (*found, *inline):
        yield without(each)


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


# Where a page has placeholders, or would take minutes, what is typed in place of it; "": as it stands there.
SAME = "mazur/numpy-1.26.4-cpu/parallel mazur/numpy-2.4.6-cpu/parallel"
NEW = "numpy-2.4.6-cpu"
FEW = "--only exp --dtype float64"
COMMIT = "0123456789" * 4
TYPED: dict[str, dict[str, str]] = {
    "ci.md": {
        "report --results night/results --output report": "",
        "history add --results results --night 2026-11-29": "",
        "history": "",
        "history --operation exp": "",
        "history --cell mlp/torch --since 2026-10-01": "",
        "history --html history.html": "",
        "plan --profile nightly --format github": "",
        "init --github OWNER/repromatrix@COMMIT": f"init new --github somebody/repromatrix@{COMMIT}",
    },
    "compare.md": {"compare A B": "compare golden.txt train.log", "schema comparison": ""},
    "explain.md": {
        f"explain {SAME}": "",
        "explain A B": f"explain {SAME}",
        "explain mazur/numpy-2.4.6-cpu/parallel mine.json": "",
        "explain A FILE.json": "explain mazur/numpy-2.4.6-cpu/parallel mine.json",
        "explain classes": "",
        "explain": "",
        "schema trace": "",
        "schema explanation": "",
        "schema experiments": "",
    },
    "goldens.md": {
        "check GOLDEN RUN": "check golden.txt train.log",
        'check goldens/loss.txt train.log --junit check.xml --summary "$GITHUB_STEP_SUMMARY"': "",
        "check --update GOLDEN RUN": "check --update goldens/loss.txt train.log",
        "check --repeats 8 golden/*.json new/*.json": "",
        "accept": "accept --allow dirty",  # the code under test need not be committed
        "report --require-accepted": "",
        'accept --because "numpy 2.0.2 changes float64 exp"': "accept --allow dirty --because moved",
        "accept --history": "",
    },
    "here.md": {
        "run --here torch --results results-here": "run --here numpy --select 'mazur/*' --results results-here",
        "run --here FRAMEWORK": "run --here numpy --select 'mazur/*' --results results-here",
        "report --results results-here": "",
        "merge results results-here --results results-all": "",
        "report --results results-all": "",
    },
    "images.md": {
        "lock --check": "",
        "image ENV": "image numpy-2.4.6-cpu",
        "image ENV --sbom FILE": "image numpy-2.4.6-cpu --sbom bill.json",
        "clean --unused": "clean --unused",
        "clean --older-than 30d": "",
        "clean --profile nightly": "",
        "clean --all": "",
    },
    "matrix.md": {"schema matrix": ""},
    "operations.md": {
        "operations": f"operations numpy-2.4.6-cpu {FEW}",
        "operations --tier full": f"operations {NEW} --tier full --only rms_norm --dtype float64",
        "operations --forms": "operations numpy-2.4.6-cpu --forms",
        "operations numpy-1.26.4-cpu numpy-2.4.6-cpu --dtype float64 --only exp": "",
    },
    "reference.md": {"schema record": ""},
    "report.md": {
        "verify report --results results": "report && repromatrix verify report --results results",
        "accept": "accept --allow dirty",
        "report": "",
        "report --require-accepted": "",
        "schema report": "",
        "schema published": "",
    },
    "start.md": {
        "compare monday.csv tuesday.csv": "",
        "impact numpy==1.26.4 numpy==2.4.6": "",
        "init --framework numpy": "",
        "matrix": "",
        "workload check my_job": "",
    },
    "upgrade.md": {
        "impact A B": "impact numpy-1.26.4-cpu numpy-2.4.6-cpu --select 'mazur/*'",
        "exec ENV -- COMMAND": "exec numpy-2.4.6-cpu -- python train.py",
        "exec numpy==2.0.2 -- python train.py --epochs 3": "",
    },
    "workloads.md": {
        "init --framework numpy --framework jax": "",
        "workload check my_job": "",
        "workload check PATH": "workload check my_job",
        "matrix": "matrix --select 'numpy-*'",  # JAX would take a minute
        "compare my_job/numpy-1.26.4-cpu/default my_job/numpy-2.4.6-cpu/default": "",
        "run --trace": "run --trace --select 'numpy-*'",
        "explain A B": "explain my_job/numpy-1.26.4-cpu/default my_job/numpy-2.4.6-cpu/default",
        "init --script train.py": "init own --script train.py --framework numpy",
        "check --repeats 8 OLD NEW": "check --repeats 8 golden/*.json new/*.json",
    },
}  # fmt: skip
_INDEX = "asks the package index what is newest, and resolves anew: "
_PINS = "asks image registries on the network: tests/images/test_pins.py asks one of its own"
_BASE = "makes a base from the distribution's packages, minutes of root's work: tests/images/test_base.py"
_RELEASES = "makes an environment for each of up to seven releases: tests/test_end_to_end.py bisects fewer"
_SEEN = "typed for {}"
_NIGHT = "takes a night: {} does the same in small"
NOT_TYPED: dict[tuple[str, str], str] = {
    ("atlas/*", "impact *"): "minutes of JAX and TensorFlow; one of NumPy is typed for start.md",
    ("ci.md", "lock --upgrade '*'"): _INDEX + "tests/images/test_lock.py",
    ("ci.md", "pins refresh --write"): _PINS,
    ("ci.md", "watch*"): _INDEX + "tests/test_workflows.py rehearses it against an index of its own",
    ("cluster.md", "matrix --cluster *"): "needs a scheduler and workers: tests/execute/test_cluster.py has them",
    ("images.md", "image ENV --content"): "of an image, which Docker makes: tests/cli/test_image.py",
    ("images.md", "lock*"): _INDEX + "tests/images/test_lock.py",
    ("operations.md", "explain A B"): _SEEN.format("explain.md"),
    ("report.md", "explain A B"): _SEEN.format("explain.md"),
    ("matrix.md", "base *"): _BASE,
    ("matrix.md", "pins *"): _PINS,
    ("registry.md", "push *"): "needs a registry that takes images: tests/cli/test_push.py has one",
    ("registry.md", "run --profile *"): "needs a registry that has images: tests/cli/test_push.py has one",
    ("registry.md", "*"): "typed below, without a network",
    ("trust.md", "base --locked"): _BASE,
    ("trust.md", "lock --upgrade NAME"): _INDEX + "tests/images/test_lock.py",
    ("trust.md", "pins verify"): _PINS,
    ("upgrade.md", "bisect *"): _RELEASES,
    ("evaluation.md", "make evaluate*"): _NIGHT.format("tests/evaluate"),
    ("reliability.md", "make torture*"): _NIGHT.format("tests/torture"),
    ("here.md", "make matrix"): "of README: tests/test_readme.py",
    ("start.md", "make matrix"): "of README: tests/test_readme.py",
    ("evaluation.md", "explain CELL FILE"): _SEEN.format("explain.md"),
    ("tour.md", "explain CELL FILE.json"): _SEEN.format("explain.md"),
    ("tour.md", "check golden.txt train.log"): _SEEN.format("goldens.md"),
    ("trust.md", "lock --check"): _SEEN.format("images.md"),
    ("trust.md", "image ENV"): _SEEN.format("images.md"),
    ("trust.md", "report --require-accepted"): _SEEN.format("goldens.md"),
    ("operations.md", "operations ENV --tier full --profile nightly"): "--tier full is typed",
    ("tour.md", "*"): "tests/test_readme.py",
    ("README.md", "*"): "tests/test_readme.py",
}  # fmt: skip
# Commands whose exit code is 1 because they find the difference that they are there to find.
FIND = ("compare golden", "compare monday", "check golden.txt ", "check goldens/", "impact ")
# What these find depends on the CPU: they may exit with 0 or with 1 on another than that of the pages.
OF_THE_CPU = ("compare my_job", "explain", "impact ")


def named(page: Path) -> str:
    """Return how the tables call a page."""
    return page.relative_to(DOCS if DOCS in page.parents else ROOT).as_posix()


def shown() -> Iterator[tuple[str, str]]:
    """Yield each command of each page once: `make ...`, or what follows the word repromatrix."""
    for page in (*DOCS.rglob("*.md"), ROOT / "README.md"):
        made = [each[0].strip() for line in page.read_text().splitlines() if (each := MADE.match(line))]
        for command in dict.fromkeys((*made, *told(page))):
            yield named(page), command


def reason(page: str, command: str) -> str:
    """Return why a command is not typed here, or nothing."""
    rows = NOT_TYPED.items()
    return next((why for (where, what), why in rows if fnmatchcase(page, where) and fnmatchcase(command, what)), "")


def test_each_command_of_each_page_is_typed_or_says_why_not() -> None:
    every = list(shown())
    typed_too = {(page, command) for page, commands in TYPED.items() for command in commands}
    assert [each for each in every if each not in typed_too and not reason(*each)] == []
    assert typed_too <= set(every), "no page shows these any more"
    left = [each for each in every if each not in typed_too]
    stale = [row for row in NOT_TYPED if not any(fnmatchcase(p, row[0]) and fnmatchcase(c, row[1]) for p, c in left)]
    assert stale == [], "reasons for what no page shows"


def test_what_make_is_asked_for_on_a_page_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in (*DOCS.rglob("*.md"), ROOT / "README.md"):
        assert set(re.findall(r"(?:`|^ *)make ([a-z]+)", page.read_text(), re.MULTILINE)) <= targets, page


def variables(**more: str) -> dict[str, str]:
    known = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "REPROMATRIX"))}
    # Plain virtual environments, as on a machine without Docker: the other engine's images take long to make.
    return {**known, "PATH": f"{BIN}:{known['PATH']}", "DOCKER_HOST": "unix:///nowhere", **more}


def typed(command: str, folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Type a command in a folder, in a shell of its own."""
    more = {"REPROMATRIX_CACHE": str(folder / "cache")} if command.startswith("repromatrix clean") else {}
    given = variables(GITHUB_STEP_SUMMARY=str(folder / "summary.md"), **more)
    shell = [*before, "bash", "-c", command]
    return subprocess.run(shell, cwd=folder, env=given, capture_output=True, text=True, check=False)


TRAIN = """\
import sys
import numpy
print("numpy", numpy.__version__, *sys.argv[1:])
for step in range(1, 4):
    print(f"step {step} loss {numpy.exp(-step)}")
"""


def files(folder: Path) -> None:
    """Write what the pages take for granted: logs, goldens, repeats of a noisy score, a script."""
    for name, digit in (("monday", 7), ("tuesday", 8)):
        (folder / f"{name}.csv").write_text(LOG.format(digit))
    (folder / "goldens").mkdir()
    for name in ("golden.txt", "goldens/loss.txt"):
        (folder / name).write_text("step 1 loss 0.6931\nstep 2 loss 0.5012\n")
    (folder / "train.log").write_text("step 1 loss 0.6931\nstep 2 loss 0.5013\n")
    (folder / "train.py").write_text(TRAIN)
    for name in ("golden", "new"):
        (folder / name).mkdir()
        for number in range(8):
            (folder / name / f"{number}.json").write_text(json.dumps({"accuracy": [0.5, 0.7 + (number * 5 % 8) / 100]}))


def product(folder: Path) -> None:
    """Give a folder the product's own matrix."""
    for name in ("matrix.yaml", "workloads", "images"):
        (folder / name).symlink_to(ROOT / name)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the product's matrix, traced results of two releases of NumPy, and their report."""
    folder = tmp_path_factory.mktemp("lab")
    files(folder)
    product(folder)
    for command in (
        "run --select 'mazur/numpy-1.26.4-cpu/*' --select 'mazur/numpy-2.4.6-cpu/*'",
        "run --select mazur/numpy-2.4.6-cpu/sequential --trace --results traced",
        "report",
    ):
        done = typed(f"repromatrix {command}", folder)
        assert done.returncode == 0, done.stderr
    shutil.copytree(folder / "results", folder / "night" / "results")
    (trace,) = (folder / "traced" / "traces").rglob("*.json")
    (folder / "mine.json").write_bytes(trace.read_bytes())
    return folder


@pytest.fixture
def ready(request: pytest.FixtureRequest, tmp_path: Path, page: str) -> Path:
    """The folder of a page: an empty one with the files that it names, or that of the product's own matrix."""
    if page in {"start.md", "workloads.md"}:
        files(tmp_path)
    elif page == "operations.md":  # its cells would make the report of others slow
        product(tmp_path)
    else:
        return request.getfixturevalue("lab")
    return tmp_path


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("page", TYPED)
def test_the_commands_of_a_page_work(page: str, ready: Path) -> None:
    for command in dict.fromkeys(instead or each for each, instead in TYPED[page].items()):
        done = typed(f"repromatrix {command}", ready)
        due = {int(command.startswith(FIND))}
        if command.startswith(OF_THE_CPU) and host.cpu_class() != CPU_OF_THE_PAGES:
            due = {0, 1}
        assert done.returncode in due, (command, done.stdout[-2000:], done.stderr[-2000:])
        if host.cpu_class() == CPU_OF_THE_PAGES:
            assert [each for each in printed(page, command) if each not in one_space(done.stdout)] == [], done.stdout


def printed(page: str, command: str) -> list[str]:
    """Return the lines that a page shows under a command, in the same block."""
    if command == "impact numpy==1.26.4 numpy==2.4.6":
        return re.findall(r"^```text\n(.*)\n```", (DOCS / "upgrade.md").read_text(), re.MULTILINE)
    text = (DOCS / page).read_text()
    blocks = [*FENCED.findall(text), *re.findall(r"(?:^    .*\n|^\n(?=    ))+", FENCED.sub("", text), re.MULTILINE)]
    for lines in (block.splitlines() for block in blocks):
        commands = [bool(TYPED_LINE.match(line)) for line in lines]
        for number, line in enumerate(lines):
            if (each := TYPED_LINE.match(line)) and without(each[1]) == command:
                end = commands.index(True, number + 1) if True in commands[number + 1 :] else len(lines)
                return [one_space(each) for each in lines[number + 1 : end] if each.strip() not in {"", "..."}]
    return []


def one_space(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


@pytest.mark.network
@pytest.mark.slow
def test_the_job_that_a_page_shows_runs_as_it_stands_there(tmp_path: Path) -> None:
    """The module, the workload.yaml beside it and the matrix.yaml of docs/workloads.md and docs/matrix.md."""
    blocks = re.findall(
        r"^```(?:yaml|python)\n(.*?)^```", (DOCS / "workloads.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (module,) = (each for each in blocks if each.startswith("import numpy"))
    (workload,) = (each for each in blocks if "title: linear regression" in each)
    (matrix,) = re.findall(r"^```yaml\n(format: 1.*?)^```", (DOCS / "matrix.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "my-job").mkdir()
    (tmp_path / "my-job" / "numpy.py").write_text(module)
    (tmp_path / "my-job" / "workload.yaml").write_text(workload)
    (tmp_path / "matrix.yaml").write_text(matrix)
    for command in ("workload check my-job", "matrix"):
        done = typed(f"repromatrix {command}", tmp_path)
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])


@pytest.fixture
def offline() -> list[str]:
    """What stands in front of a command that is to have no network; nothing, where that cannot be had."""
    words = ["unshare", "--map-root-user", "--net"]
    can = shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    return words if can else []


@pytest.mark.network
@pytest.mark.slow
def test_what_is_said_of_machines_without_a_network_is_so(tmp_path: Path, offline: list[str]) -> None:
    (block,) = re.findall(
        r"^```sh\n(REPROMATRIX_CACHE.*?)^```", (DOCS / "registry.md").read_text(), re.MULTILINE | re.DOTALL
    )
    (third,) = re.findall(r"^```sh\n(PIP_.*?)^```", (DOCS / "registry.md").read_text(), re.MULTILINE | re.DOTALL)
    first, second = block.splitlines()
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


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = set(re.findall(r"^([\w-]+)$", (DOCS / "index.md").read_text(), re.MULTILINE))
    assert {page.stem for page in DOCS.glob("*.md")} - {"index"} == listed
