"""The list of commands, and errors -> exit codes. Each command is a module of its own with its name."""

import argparse
import difflib
import signal
import textwrap
import traceback
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from repromatrix import __version__
from repromatrix.cli import options, out, streams
from repromatrix.errors import ExitCode, ReaderGoneError, RepromatrixError, UsageError

# The one list of commands: what they are for -> the name of a module in repromatrix.cli -> one line of help. To print
# it, none of them is loaded.
_GROUPS = {
    "begin": {
        "init": "write a small matrix and a training job that runs as it is",
        "workload": "check a training job of your own: what it records, what it lacks",
    },
    "run the matrix": {
        "matrix": "all in order: plan, build, run, report, explain",
        "plan": "print the cells that would run, and those left out with the reason",
        "lock": "resolve the environments that have no lock, or upgrade packages of locks",
        "build": "make the environments",
        "run": "run the cells and write their records",
        "report": "write the report from the records",
        "verify": "recompute every number and every verdict of a report from the records",
    },
    "ask one thing": {
        "cell": "run one cell and print its record",
        "impact": "what changes numerically between two versions of a framework",
        "bisect": "the release of a framework in which a value changed",
        "watch": "whether a release newer than the pinned ones moves the numbers",
        "compare": "compare runs, cells, published figures and loss logs of other programs",
        "trace": "the first step, value and element in which two cells differ",
        "explain": "why two cells differ: change one thing at a time until the difference is gone",
        "operations": "how each environment computes each operation, and how far that is from the exact result",
    },
    "keep results": {
        "check": "hold a run against a golden file: a gate for a pull request",
        "accept": "make this run the expected one, in a small file to commit",
        "history": "what changed over all nights, a line a change",
        "merge": "bring several results folders together",
        "post": "keep a text in one issue, pull request or comment on GitHub, or in a job's summary",
        "schema": "print a JSON Schema of a file that repromatrix reads or writes",
    },
    "environments and this machine": {
        "exec": "run a command of your own in one of the environments",
        "completion": "print what lets bash, zsh or tcsh complete commands and options",
        "doctor": "what works on this machine, what does not, and what to type",
        "image": "what an environment's image is made of, and why",
        "base": "build the base images from the distribution's packages",
        "pins": "ask the registries whether the pinned base images are still there, or pin newer ones",
        "push": "make the environments and push their images to a registry",
        "clean": "remove images, environments and wheels, chosen by age, environment or use",
    },
}
COMMANDS = {name: text for group in _GROUPS.values() for name, text in group.items()}


_EXIT_CODES = (
    "exit codes: 0 as expected, 1 an unexpected difference, 2 a mistake in the command line or in a file, 3 nothing "
    "selected, 4 an environment could not be made, 5 a cell failed or is missing, 6 no engine, 70 a defect of "
    "repromatrix, 74 the result could not be written, 130 interrupted, 141 the reader of the result went away"
)

# What asks a process to end: Ctrl-C, a job's time limit or its cancelling, a closed terminal.
_ENDINGS = ("SIGINT", "SIGTERM", "SIGHUP")


def run(arguments: Sequence[str], *, own_process: bool = False) -> int:
    """Run one command; every error that a person can meet becomes a message and an exit code.

    With `own_process`, what asks the process to end is answered as Ctrl-C is: nothing is left behind. And no message
    that cannot be written changes anything; a result that cannot be written has its own exit code.
    """
    try:
        return _in_own_process(arguments) if own_process else _asked_for(arguments)()
    except ReaderGoneError as error:  # who goes away wants no message
        return int(error.exit_code)
    except RepromatrixError as error:
        out.complain(f"repromatrix: {error}")
        return int(error.exit_code)
    except KeyboardInterrupt:
        out.complain("repromatrix: interrupted; what had finished is kept")
        return int(ExitCode.INTERRUPTED)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        out.complain(f"repromatrix: {what}\n  next: check that place and the disk: repromatrix doctor")
        return int(ExitCode.USAGE)
    except Exception:  # noqa: BLE001 - the last border: a defect must not look like "a difference" (exit 1)
        out.complain(traceback.format_exc().rstrip())
        out.complain("repromatrix: a defect of repromatrix itself; please report it with the lines above")
        return int(ExitCode.INTERNAL)


def _in_own_process(arguments: Sequence[str]) -> int:
    result = streams.take_over()
    command = _asked_for(arguments)
    _end_as_by_ctrl_c()  # from here on there may be something to clean up
    code = command()
    result.require_written()
    return code


def _asked_for(arguments: Sequence[str]) -> Callable[[], int]:
    """Return the command, ready to run; help and mistakes of the command line are told already.

    Raises:
        UsageError: there is no such command.
    """
    place = next((place for place, text in enumerate(arguments) if not text.startswith("-")), len(arguments))
    before, rest = list(arguments[:place]), list(arguments[place:])
    try:
        _parser().parse_args(before)
        name = _name(rest[0] if rest else None)
        given = parser_of(name).parse_args([*before, *rest[1:]])
    except SystemExit as ended:
        code = int(ended.code or 0)
        return lambda: code
    return lambda: int(_module(name).run(given))


def parser_of(name: str) -> ArgumentParser:
    """Return the grammar of a command."""
    text = COMMANDS[name]
    parser = ArgumentParser(prog=f"repromatrix {name}", description=f"{text[0].upper()}{text[1:]}.")
    fill(parser, name)
    return parser


def fill(parser: ArgumentParser, name: str) -> None:
    """Say what a command takes."""
    _module(name).arguments(parser)
    options.volume(parser)


def _module(name: str) -> ModuleType:
    return import_module(f"repromatrix.cli.{name}")


def _name(asked: str | None) -> str:
    """Return the name of a command, as it was typed.

    Raises:
        UsageError: no command has it.
    """
    if asked in COMMANDS:
        return asked
    every = "all commands: repromatrix --help"
    if asked is None:
        raise UsageError("which command?", hint=f"try: repromatrix doctor; {every}")
    near = difflib.get_close_matches(asked, COMMANDS, n=2)
    raise UsageError(
        f"there is no command {asked!r}", hint=f"did you mean {' or '.join(near)}? {every}" if near else every
    )


def _end_as_by_ctrl_c() -> None:
    for name in _ENDINGS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as by nohup, or in the background
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> ArgumentParser:
    """Return the grammar of what stands in front of the command."""
    parser = ArgumentParser(
        prog="repromatrix",
        usage="repromatrix [-h] [--version] [-q | -v] COMMAND ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run the same training job in many pinned environments and explain every difference between the\n"
        "numbers.\n\n" + "\n\n".join(f"{title}:\n{_listed(group)}" for title, group in _GROUPS.items()),
        epilog="the options of a command, and examples: repromatrix COMMAND --help\n\n"
        + "\n".join(textwrap.wrap(_EXIT_CODES, 110)),
    )
    parser.add_argument("--version", action="version", version=f"repromatrix {__version__}")
    options.volume(parser)
    return parser


def _listed(group: Mapping[str, str]) -> str:
    return "\n".join(f"  {name:<11} {text}" for name, text in group.items())
