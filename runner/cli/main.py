"""The command line's grammar, and errors -> exit codes. Each command is a function in a module of its own."""

import argparse
import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from runner import __version__
from runner.errors import ExitCode, RepromatrixError

# command -> (module in runner.cli, one line of help)
_COMMANDS = {
    "plan": ("plan", "print every cell, and those left out with their reasons"),
    "lock": ("lock", "resolve environments and write their locks"),
    "build": ("build", "make the environments"),
    "run": ("run", "run the cells and write their records"),
    "report": ("report", "write the report from the records"),
    "matrix": ("matrix", "all in order: plan, build, run, report"),
    "cell": ("cell", "run one cell and print its record"),
    "impact": ("impact", "what changes numerically between two versions"),
    "merge": ("merge", "bring several results folders together"),
    "base": ("base", "build the base image from the distribution's packages"),
    "doctor": ("doctor", "what works on this machine, what does not, what to type"),
    "schema": ("schema", "print a JSON Schema"),
}


# What asks a process to end: a job's time limit or its cancelling, a closed terminal.
_ENDINGS = ("SIGTERM", "SIGHUP")


def run(arguments: Sequence[str], *, own_process: bool = False) -> int:
    """Run one command; every error that a person can meet becomes a message and an exit code.

    With `own_process`, what asks the process to end is answered as Ctrl-C is: nothing is left behind.
    """
    options = _parser().parse_args(arguments)
    try:
        if own_process:
            _end_as_by_ctrl_c()
        command: Callable[[argparse.Namespace], int] = import_module(f"runner.cli.{_COMMANDS[options.command][0]}").run
        code = int(command(options))
        sys.stdout.flush()  # here, where a reader that has gone is expected
    except RepromatrixError as error:
        print(f"repromatrix: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # the terminal may be what went away
            print("repromatrix: interrupted; what had finished is kept", file=sys.stderr, flush=True)
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.OK)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"repromatrix: {what}\n  next: check that place and the disk: repromatrix doctor", file=sys.stderr)
        return int(ExitCode.USAGE)
    except Exception:  # noqa: BLE001 - the last border: a defect must not look like "a difference" (exit 1)
        traceback.print_exc()
        print("repromatrix: a defect of repromatrix itself; please report it with the lines above", file=sys.stderr)
        return int(ExitCode.INTERNAL)
    else:
        return code


def _end_as_by_ctrl_c() -> None:
    for name in _ENDINGS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup has SIGHUP ignored
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="repromatrix",
        description="Run the same training job in many pinned environments "
        "and check every difference between the numbers.",
        epilog="exit codes: 0 as expected, 1 an unexpected difference, 2 matrix or usage error, 3 nothing selected, "
        "4 an environment could not be made, 5 a cell failed or is missing, 6 no engine, 70 a defect, 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"repromatrix {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, text) in _COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        _OPTIONS[name](sub)
        volume = sub.add_mutually_exclusive_group()
        volume.add_argument("-q", "--quiet", action="store_true", help="only errors and results")
        volume.add_argument("-v", "--verbose", action="store_true", help="a line for every cell")
    return parser


def _selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--matrix", type=Path, default=Path("matrix.yaml"), metavar="FILE", help="default: matrix.yaml")
    parser.add_argument("--profile", default="default", metavar="NAME", help="default: default")
    parser.add_argument(
        "--select",
        action="append",
        default=[],
        metavar="PATTERN",
        help="cells, environments, frameworks or variants, as a shell pattern; ! in front leaves out; may be repeated",
    )


def _engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", choices=("auto", "docker", "process"), default="auto", help="default: auto")
    _jobs(parser)


def _jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs", type=_positive, default=os.cpu_count() or 1, metavar="N", help="default: one per core"
    )


def _results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="default: results")


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, default=Path("report"), metavar="DIR", help="default: report")
    parser.add_argument(
        "--require-published",
        action="store_true",
        help="exit 1 unless every published loss and prediction is reproduced by the newest version of each framework",
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the result as JSON on standard output")


def _plan_options(parser: argparse.ArgumentParser) -> None:
    _selection(parser)
    parser.add_argument("--format", choices=("table", "json", "github"), default="table", help="default: table")
    _json(parser)


def _lock_options(parser: argparse.ArgumentParser) -> None:
    _selection(parser)
    parser.set_defaults(profile=None)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 4 if a lock is missing or outdated")
    _jobs(parser)
    _json(parser)


def _build_options(parser: argparse.ArgumentParser) -> None:
    _selection(parser)
    _engine(parser)
    _json(parser)


def _run_options(parser: argparse.ArgumentParser) -> None:
    _build_options(parser)
    _results(parser)


def _report_options(parser: argparse.ArgumentParser) -> None:
    _results(parser)
    _output(parser)
    _json(parser)


def _matrix_options(parser: argparse.ArgumentParser) -> None:
    _run_options(parser)
    _output(parser)


def _cell_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="for example mazur/numpy-2.4.6-cpu/sequential")
    parser.add_argument("--matrix", type=Path, default=Path("matrix.yaml"), metavar="FILE")
    _engine(parser)
    _results(parser)


def _impact_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="A", help="for example torch==2.8.0")
    parser.add_argument("after", metavar="B", help="for example torch==2.13.0")
    parser.add_argument("--matrix", type=Path, default=Path("matrix.yaml"), metavar="FILE")
    parser.add_argument("--select", action="append", default=[], metavar="PATTERN", help="only these variants")
    _engine(parser)
    _results(parser)
    _json(parser)


def _merge_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="+", type=Path, metavar="DIR", help="results folders")
    parser.add_argument(
        "--expect", type=Path, metavar="FILE", help="output of `plan --format json`: cells that must be there"
    )
    _json(parser)
    _results(parser)


def _base_options(parser: argparse.ArgumentParser) -> None:
    _selection(parser)


def _doctor_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--matrix", type=Path, default=Path("matrix.yaml"), metavar="FILE")
    _json(parser)


def _schema_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=("matrix", "record", "report"))


_OPTIONS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "plan": _plan_options,
    "lock": _lock_options,
    "build": _build_options,
    "run": _run_options,
    "report": _report_options,
    "matrix": _matrix_options,
    "cell": _cell_options,
    "impact": _impact_options,
    "merge": _merge_options,
    "base": _base_options,
    "doctor": _doctor_options,
    "schema": _schema_options,
}


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, not {text!r}")
    return int(text)
