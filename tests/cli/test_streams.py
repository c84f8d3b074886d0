"""A message that cannot be written changes neither the work nor the exit code; a lost result has a code of its own."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from repromatrix.cli import main
from repromatrix.errors import ExitCode
from tests import fakes as say

CHECKOUT = Path(__file__).parents[2]
PARALLEL, OLD = "tiny/numpy-2.0-cpu/parallel", "tiny/numpy-1.0-cpu/parallel"
LOST = """\
repromatrix: the result could not be written to standard output: No space left on device
  next: the work is done; send the result to a file on a disk with room: > FILE
"""
ONE = ("--jobs", "1")
ALONE = ("-m", "tests.cli.alone")
# An error, or a line of the story, is all that they have to say here.
SILENT = {"push", "base", "bisect", "exec", "watch", "post", "post summary", "check --update"}

# Of every command, and of forms of it that do something else: what it is asked, and its exit code.
ASKED = {
    "init": (("begun",), 0),
    "workload": (("check", "tiny", "--python", sys.executable), 5),
    "plan": (("--select", "numpy-2.0-cpu"), 0),
    "lock": (("--check", "--json"), 0),
    "build": (("--json",), 0),
    "push": ((), 2),
    "run": (("--json", "--results", "new", *ONE), 0),
    "report": (("--json", "--output", "new"), 0),
    "matrix": (("--json", "--no-explain", "--results", "new", "--output", "new-report", *ONE), 0),
    "cell": ((PARALLEL, "--results", "new"), 0),
    "impact": (("numpy==1.0", "numpy==2.0", "--results", "new", *ONE), 1),
    "bisect": (("numpy", "1.0", "two", "--on", "tiny"), 2),
    "exec": (("numpy-2.0-cpu",), 2),
    "watch": (("--framework", "none"), 2),
    "check": (("golden.csv", "run.csv"), 1),
    "check --update": (("golden.csv", "run.csv", "--update"), 0),
    "history": ((), 0),
    "history add": (("add", "--night", "2026-11-30", "--markdown"), 0),
    "post": (("comment", "--on", "17", "--marker", "here", "text.md"), 2),
    "post summary": (("summary", "text.md"), 0),
    "completion": (("bash",), 0),
    "accept": (("--json",), 0),
    "verify": (("report", "--json"), 1),
    "trace": ((OLD, PARALLEL), 1),
    "explain": ((OLD, PARALLEL, "--no-operations", *ONE), 0),
    "operations": (("numpy-2.0-cpu", *ONE), 0),
    "compare": (("tiny/*/parallel",), 1),
    "merge": (("results", "--results", "new", "--json"), 0),
    "image": (("numpy-2.0-cpu",), 0),
    "base": ((), 6),
    "pins": (("verify",), 4),
    "clean": (("--all", "--dry-run"), 0),
    "doctor": ((), 0),
    "schema": (("record",), 0),
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, and what it left in its folder."""

    code: int
    out: str
    err: str
    files: dict[str, bytes]


def _files(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder, but for stamps, which are called by the place that they tell of."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    kept = {name: path.read_bytes() for name, path in found.items() if not name.startswith("cache/stamps/")}
    # An accepted run tells when it was accepted, and its digest covers that.
    told = re.compile(rb'"(when|sha256)": "[^"]*"')
    return {
        name: told.sub(b"", data) if name == "accepted.json" else data.replace(os.fsencode(folder), b"HERE")
        for name, data in kept.items()
    }


@pytest.fixture
def gone() -> Iterator[int]:
    """A pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.fixture
def ended(tmp_path_factory, tmp_path: Path, gone: int) -> Callable[..., Ended]:
    """Run a command as a process in a copy of the test's folder, its output redirected; `>&0` is to nobody."""

    def run(arguments: Sequence[str], redirected: str = "", *, program: Sequence[str] = ALONE) -> Ended:
        folder = tmp_path_factory.mktemp("copy")
        shutil.copytree(tmp_path, folder, dirs_exist_ok=True)
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {redirected} <&-', "sh", sys.executable, *program, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'runner'}", **_surroundings(folder)},
            stdin=gone,
            capture_output=True,
            text=True,
            check=False,
        )
        out, err = (text.replace(str(folder), "HERE") for text in (done.stdout, done.stderr))
        return Ended(done.returncode, out, err, _files(folder))

    return run


def _surroundings(folder: Path) -> dict[str, str]:
    return {
        "REPROMATRIX_CACHE": str(folder / "cache"),
        "DOCKER_HOST": f"unix://{folder}/no.sock",
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "GITHUB_TOKEN": "",
    }


def _as_alone(cells: list[say.Asked], _number: int) -> say.Answer:
    """As the commands that run alone answer; importing them here would replace what other tests need."""
    return say.everything_ok(cells, 0.75 if "numpy-2.0" in cells[0]["id"] else 0.5)


@pytest.fixture
def _results(command) -> None:
    command.engine.answer = _as_alone
    command("run", "--trace", *ONE)
    command("report")
    command("history", "add", "--night", "2026-11-29")
    for name, text in {
        "golden.csv": "step,loss\n1,0.5\n",
        "run.csv": "step,loss\n1,0.75\n",
        "text.md": "words\n",
    }.items():
        (command.folder / name).write_text(text)
    with (command.folder / "report" / "report.md").open("a") as page:
        page.write("changed")


@pytest.mark.usefixtures("_results")
@pytest.mark.parametrize("name", ASKED)
def test_what_cannot_be_written_changes_no_work_and_only_a_lost_result_changes_the_code(ended, name: str) -> None:
    words, code = ASKED[name]
    asked = (name.partition(" ")[0], *words)
    with ThreadPoolExecutor(2) as pool:
        mute, full, left = pool.map(lambda how: ended(asked, how), ("2>/dev/full", ">/dev/full", ">&0 2>&-"))
    assert (mute.code, bool(mute.out)) == (code, name not in SILENT), full.err
    assert (full.code, LOST in full.err) == ((ExitCode.RESULT_LOST, True) if mute.out else (code, False))
    assert left.code == (ExitCode.READER_GONE if mute.out else code)
    assert mute.files == full.files == left.files


def test_every_command_that_there_is_is_asked() -> None:
    assert {each.partition(" ")[0] for each in ASKED} == {*main.COMMANDS}


MISTAKES = {
    "nothing selected": (("plan", "--select", "nonsense"), 3),
    "an unknown option": (("plan", "--selct", "x"), 2),
    "no such file": (("plan", "--matrix", "absent.yaml"), 2),
}


@pytest.mark.usefixtures("command")
@pytest.mark.parametrize("redirected", ["2>/dev/full", "2>&-", "2>&0", ">&- 2>&-"])
@pytest.mark.parametrize(("arguments", "code"), MISTAKES.values(), ids=MISTAKES)
def test_an_error_that_cannot_be_told_keeps_its_code(ended, arguments, code: int, redirected: str) -> None:
    done = ended(arguments, redirected)
    assert (done.code, done.out, done.err) == (code, "", "")


@pytest.mark.usefixtures("command")
@pytest.mark.parametrize("how", ["--help", "--version"])
def test_what_argparse_prints_is_a_result_too(ended, how: str) -> None:
    assert ended([how], ">/dev/full").code == ExitCode.RESULT_LOST
    gone = ended([how], ">&0")
    assert (gone.code, gone.err) == (ExitCode.READER_GONE, "")


@pytest.mark.usefixtures("command")
def test_a_closed_standard_output_is_told(ended) -> None:
    done = ended(["plan"], ">&-")
    assert done.code == ExitCode.RESULT_LOST
    assert "could not be written to standard output: it is closed\n  next: " in done.err


@pytest.mark.usefixtures("command")
@pytest.mark.parametrize("redirected", [">&-", ">&- 2>&-", ">/dev/full 2>/dev/full", ">&0 2>&0"])
def test_where_there_is_no_result_nothing_is_lost(ended, redirected: str) -> None:
    done = ended(["run", "-v", *ONE], redirected)
    assert done.code == 0
    assert done.files["results/manifest.json"]


ENDS = """
import os, signal, sys
from repromatrix.__main__ import main
from repromatrix.cli import schema

def run(_):
    print("something")
    {what}

schema.run = run
sys.argv = ["repromatrix", "schema", "matrix"]
sys.exit(main())
"""


@pytest.mark.parametrize("redirected", ["2>/dev/full", "2>&-", ">&0 2>&0", ">&- 2>&-"])
@pytest.mark.parametrize(
    ("what", "code"),
    [("raise KeyError", 70), ("os.kill(os.getpid(), signal.SIGINT)", 130), ("raise BrokenPipeError", 2)],
    ids=["a defect", "an interrupt", "another pipe that breaks"],
)
def test_how_a_command_broke_off_is_the_code_whatever_cannot_be_written(
    ended, what: str, code: int, redirected
) -> None:
    assert ended((), redirected, program=("-c", ENDS.format(what=what))).code == code


@pytest.mark.usefixtures("command")
def test_a_reader_that_leaves_in_the_middle_of_the_story_stops_no_work(tmp_path: Path) -> None:
    variables = {**os.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'runner'}", **_surroundings(tmp_path)}
    words = [sys.executable, *ALONE, "run", "-v", *ONE]
    with subprocess.Popen(words, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        assert run.stdout
        assert run.stdout.readline() == b"engine     an engine in memory (a test wants it)\n"
        run.stdout.close()
    assert run.returncode == 0
    assert len(list((tmp_path / "results" / "records").rglob("*.json"))) > 1


@pytest.mark.parametrize(
    "surroundings",
    [{"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}],
    ids=["asked for", "by the locale"],
)
def test_what_an_encoding_does_not_have_is_shown_by_its_escape(ended, monkeypatch, surroundings) -> None:
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    what = "print('1 \\u2013 2'); print('\\xe9', file=sys.stderr); return 0"
    done = ended((), program=("-c", ENDS.format(what=what)))
    assert (done.code, done.out, done.err) == (0, "something\n1 \\u2013 2\n", "\\xe9\n")


# Ctrl-C.

INTERRUPTED_IMPORT = """
import os, sys

class Interrupting:
    def find_spec(self, name, *_):
        if name == "{module}":
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Interrupting())
sys.argv = ["repromatrix", "schema", "matrix"]
from repromatrix.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["signal", "repromatrix.cli.main", "argparse", "repromatrix.cli.schema"])
def test_ctrl_c_while_the_program_is_being_loaded_ends_it_with_a_message_and_no_traceback(module: str) -> None:
    source = INTERRUPTED_IMPORT.format(module=module, number=int(signal.SIGINT))
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "repromatrix: interrupted; nothing had begun\n"


def test_python_loads_nothing_else_before_ctrl_c_is_answered() -> None:
    source = "import sys; before = {*sys.modules}; import repromatrix.__main__; print({*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == {"repromatrix", "repromatrix.__main__"}


def test_what_a_shell_has_ignored_stays_ignored() -> None:
    source = ENDS.format(what="os.kill(os.getpid(), signal.SIGINT); return 5")
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", source]
    assert subprocess.run(ignoring, capture_output=True, check=False).returncode == 5
