"""The command line as a process: what it imports, how it is started, what a signal and a terminal do."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from repromatrix import __version__
from repromatrix.cli.story import Story
from repromatrix.results.record import Outcome

CHECKOUT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("repromatrix")
HEAVY = (
    "docker",
    "yaml",
    "jinja2",
    "jsonschema",
    "rich",
    "requests",
    "packaging",
    "repromatrix.execute",
    "repromatrix.report",
)


def _python(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False, **options
    )


@pytest.mark.parametrize("arguments", [["--help"], ["matrix", "--help"], ["--version"]], ids=" ".join)
def test_help_imports_nothing_that_it_does_not_need(arguments: list[str]) -> None:
    source = f"""
import sys
from repromatrix.__main__ import main
assert main({arguments!r}) == 0
print("IMPORTED", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = _python("-c", source)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "IMPORTED []"


def test_plan_needs_neither_docker_nor_templates() -> None:
    source = f"""
import sys
from repromatrix.__main__ import main
main(["plan", "--format", "github"])
print([name for name in {("docker", "jinja2", "rich", "requests")!r} if name in sys.modules])
"""
    assert _python("-c", source).stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(not COMMAND.exists(), reason="the package is not installed in this environment")
@pytest.mark.parametrize("arguments", [["--version"], ["plan", "--json"], ["plan", "--select", "nobody"]], ids=" ".join)
def test_the_module_and_the_command_are_the_same(arguments: list[str]) -> None:
    one = _python("-m", "repromatrix", *arguments)
    two = subprocess.run([COMMAND, *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (one.returncode, one.stdout, one.stderr) == (two.returncode, two.stdout, two.stderr)
    assert one.returncode == (3 if "nobody" in arguments else 0)


def test_version() -> None:
    assert _python("-m", "repromatrix", "--version").stdout == f"repromatrix {__version__}\n"


def test_help_names_the_exit_codes() -> None:
    text = " ".join(_python("-m", "repromatrix", "--help").stdout.split())
    for meaning in (
        "0 as expected",
        "1 an unexpected difference",
        "3 nothing selected",
        "6 no engine",
        "74 the result",
        "141 the reader",
    ):
        assert meaning in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda each: each.name)
def test_what_asks_the_process_to_end_is_answered_as_ctrl_c(number: signal.Signals) -> None:
    source = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup, or a shell in the background, has them ignored
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from repromatrix.__main__ import main
from repromatrix.cli import schema

def run(_):
    try:
        print("begun", flush=True)
        time.sleep(600)
    finally:
        print("cleaned", flush=True)

schema.run = run
sys.argv = ["repromatrix", "schema", "matrix"]
sys.exit(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", source], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "cleaned\n")
    assert err == "repromatrix: interrupted; what had finished is kept\n"


def test_an_engine_that_does_not_answer_is_exit_6(tmp_path: Path) -> None:
    variables = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/no.sock"}
    select = ["--select", "numpy-2.4.6-cpu", "--results", str(tmp_path / "results")]
    done = _python("-m", "repromatrix", "run", "--engine", "docker", *select, env=variables)
    assert done.returncode == 6
    assert done.stdout == ""
    assert "no Docker engine answers" in done.stderr
    assert "next: " in done.stderr


def test_plan_is_the_same_whatever_the_locale_the_time_zone_and_the_hash_seed(tmp_path: Path) -> None:
    outputs = set()
    for seed, locale in (("0", "C"), ("1", "C.UTF-8"), ("2", "POSIX")):
        variables = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "TZ": f"UTC-{seed}", "HOME": str(tmp_path)}
        outputs.add(_python("-m", "repromatrix", "plan", "--json", env=variables).stdout)
    assert len(outputs) == 1
    assert json.loads(outputs.pop())["cells"]


# Bars on a terminal, plain lines elsewhere.


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _story_on(monkeypatch, stream: io.StringIO, *, quiet: bool = False) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    story = Story.of(Namespace(quiet=quiet, verbose=False))
    with story.progress(4):
        for _ in range(4):
            story.repeat("tiny/[red]odd/name", Outcome.OK)
        story.say("a line")
    return stream.getvalue()


COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-7]|38;)[0-9;]*m")


@pytest.fixture
def _terminal(monkeypatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.usefixtures("_terminal")
def test_a_terminal_gets_a_bar(monkeypatch) -> None:
    text = _story_on(monkeypatch, Terminal())
    assert "4/4" in text
    assert "a line" in text
    assert COLOUR.search(text)


@pytest.mark.usefixtures("_terminal")
def test_no_color_is_honoured(monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = _story_on(monkeypatch, Terminal())
    assert "4/4" in text
    assert not COLOUR.search(text)


@pytest.mark.usefixtures("_terminal")
@pytest.mark.parametrize(("stream", "quiet", "expected"), [(io.StringIO, False, "a line\n"), (Terminal, True, "")])
def test_elsewhere_lines_are_plain_and_quiet_is_quiet(monkeypatch, stream, quiet: bool, expected: str) -> None:
    assert _story_on(monkeypatch, stream(), quiet=quiet) == expected
