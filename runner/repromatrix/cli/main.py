"""The command line's grammar, and errors -> exit codes. Each command is a function in a module of its own."""

import argparse
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from repromatrix import __version__
from repromatrix.cli import streams
from repromatrix.cli.printable import printable
from repromatrix.errors import ExitCode, ReaderGoneError, RepromatrixError

# command -> (module in repromatrix.cli, one line of help)
_COMMANDS = {
    "plan": ("plan", "print every cell, and those left out with their reasons"),
    "lock": ("lock", "resolve the environments that have no lock, or ask for something else now"),
    "build": ("build", "make the environments"),
    "push": ("push", "make the environments and push their images to a registry"),
    "run": ("run", "run the cells and write their records"),
    "report": ("report", "write the report from the records"),
    "matrix": ("matrix", "all in order: plan, build, run, report, explain"),
    "cell": ("cell", "run one cell and print its record"),
    "impact": ("impact", "what changes numerically between two versions"),
    "accept": ("accept", "keep what this run gave as what is expected, in a file to commit"),
    "verify": ("verify", "recompute every claim of a report from the records"),
    "trace": ("trace", "where two cells part: the first step, tensor and element whose bits differ"),
    "explain": ("explain", "why two cells differ: what differs between them is flipped, one thing at a time"),
    "operations": ("operations", "which form each operation of each environment is, and how far from the truth"),
    "compare": ("compare", "what separates runs, cells, published figures and loss logs"),
    "merge": ("merge", "bring several results folders together"),
    "image": ("image", "what an environment's image is made of, and why"),
    "base": ("base", "build the base image from the distribution's packages"),
    "pins": ("pins", "ask the registries whether the pinned base images still hold, or pin newer ones"),
    "clean": ("clean", "remove images, environments and wheels, chosen by age, environment or use"),
    "doctor": ("doctor", "what works on this machine, what does not, what to type"),
    "schema": ("schema", "print a JSON Schema"),
}


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
        print(f"repromatrix: {printable(str(error))}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("repromatrix: interrupted; what had finished is kept", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"repromatrix: {what}\n  next: check that place and the disk: repromatrix doctor", file=sys.stderr)
        return int(ExitCode.USAGE)
    except Exception:  # noqa: BLE001 - the last border: a defect must not look like "a difference" (exit 1)
        traceback.print_exc()
        print("repromatrix: a defect of repromatrix itself; please report it with the lines above", file=sys.stderr)
        return int(ExitCode.INTERNAL)


def _in_own_process(arguments: Sequence[str]) -> int:
    result = streams.take_over()
    command = _asked_for(arguments)
    _end_as_by_ctrl_c()  # from here on there may be something to clean up
    code = command()
    result.require_written()
    return code


def _asked_for(arguments: Sequence[str]) -> Callable[[], int]:
    """Return the command, ready to run; help and mistakes of the command line are told already."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
        return lambda: code
    command: Callable[[argparse.Namespace], int] = import_module(f"repromatrix.cli.{_COMMANDS[options.command][0]}").run
    return lambda: int(command(options))


def _end_as_by_ctrl_c() -> None:
    for name in _ENDINGS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as by nohup, or in the background
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="repromatrix",
        description="Run the same training job in many pinned environments "
        "and check every difference between the numbers.",
        epilog="exit codes: 0 as expected, 1 an unexpected difference, 2 matrix or usage error, 3 nothing selected, "
        "4 an environment could not be made, 5 a cell failed or is missing, 6 no engine, 70 a defect, "
        "74 the result could not be written, 130 interrupted, 141 the reader of the result went away",
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
    parser.add_argument(
        "--engine",
        choices=("auto", "docker", "process"),
        default="auto",
        help="default: auto, Docker where its base images can be had",
    )
    _jobs(parser)
    _registry(parser)


def _registry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--registry",
        metavar="HOST[:PORT]/PATH",
        help="where images are shared: pulled from there rather than built; default: the variable REPROMATRIX_REGISTRY",
    )
    parser.add_argument(
        "--digests", type=Path, metavar="FILE", help="what was pushed; default: pushed-images.json beside the matrix"
    )


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
    _accepted(parser)
    parser.add_argument(
        "--require-accepted",
        action="store_true",
        help="exit 1 if bits or outcomes changed since the accepted run, or cells of it are gone",
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the report for a CI's test view as well")


def _accepted(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accepted", type=Path, metavar="FILE", help="the accepted run; default: accepted.json if it is there"
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
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--all", action="store_true", help="resolve also what has a lock that answers; versions stay where they can"
    )
    what.add_argument(
        "--check",
        action="store_true",
        help="change nothing; exit 4 if a lock is missing, outdated or damaged, or belongs to no environment",
    )
    what.add_argument(
        "--upgrade",
        action="append",
        default=[],
        metavar="NAME",
        help="move this package to the newest version that is allowed, the others only with it; may be repeated",
    )
    _jobs(parser)
    _json(parser)


def _making(parser: argparse.ArgumentParser) -> None:
    _selection(parser)
    _engine(parser)
    _json(parser)


def _build_options(parser: argparse.ArgumentParser) -> None:
    _making(parser)
    parser.add_argument("--sbom", type=Path, metavar="DIR", help="write a CycloneDX bill of materials for each")


def _push_options(parser: argparse.ArgumentParser) -> None:
    _selection(parser)
    _registry(parser)
    _jobs(parser)
    _json(parser)
    parser.set_defaults(engine="docker")


def _run_options(parser: argparse.ArgumentParser) -> None:
    _making(parser)
    _results(parser)
    parser.add_argument(
        "--trace",
        action="store_true",
        help="run each cell that is ok once more and keep every tensor of every step: where do two cells part?",
    )
    _here(parser)


def _here(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("in the Python at hand, with nothing installed and no lock")
    group.add_argument(
        "--here", metavar="FRAMEWORK", help="run the cells of this framework in the first Python on PATH"
    )
    group.add_argument("--python", metavar="PATH", help="another Python for --here")
    group.add_argument(
        "--label", metavar="NAME", help="the flavour of its environment, to tell machines apart; default: here"
    )
    group.add_argument(
        "--device",
        action="append",
        default=[],
        type=_device,
        metavar="DEVICE",
        help="cpu, cuda:0, ...; may be repeated; default: cpu, and cuda:0 where there is one",
    )


def _report_options(parser: argparse.ArgumentParser) -> None:
    _results(parser)
    _output(parser)
    _json(parser)


def _accept_options(parser: argparse.ArgumentParser) -> None:
    _results(parser)
    parser.add_argument(
        "--output", type=Path, default=Path("accepted.json"), metavar="FILE", help="default: accepted.json"
    )
    _json(parser)


def _verify_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("report", type=Path, metavar="REPORT", help="a report's folder, or its report.json")
    _results(parser)
    _accepted(parser)
    _json(parser)


def _matrix_options(parser: argparse.ArgumentParser) -> None:
    _run_options(parser)
    _output(parser)
    parser.add_argument("--no-explain", action="store_true", help="do not explain why cells differ")
    parser.add_argument("--no-operations", action="store_true", help="explain without replaying operations")
    parser.set_defaults(budget=None)


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
    _state(parser)
    _engine(parser)
    _results(parser)
    _json(parser)


def _state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state", action="store_true", help="exit 1 too if the weights after the last update are known to differ"
    )


def _trace_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cells", nargs="*", metavar="ID", help="two cells; default: the classes of each dtype")
    parser.add_argument(
        "--no-fetch",
        action="store_true",
        help="of a large value tell only that it differs: do not run the two cells again for its bits",
    )
    parser.add_argument("--matrix", type=Path, default=Path("matrix.yaml"), metavar="FILE", help="default: matrix.yaml")
    _engine(parser)
    _results(parser)
    _json(parser)


def _explain_options(parser: argparse.ArgumentParser) -> None:
    for name in ("a", "b"):
        parser.add_argument(
            name,
            metavar=name.upper(),
            nargs="?",
            help="a cell's id, published:COLUMN or class:NAME; B may be FILE.json, a trace of your own code; without B "
            "`classes`, `published` or nothing for every pair of classes and of published columns of the latest run",
        )
    parser.add_argument("--matrix", type=Path, default=Path("matrix.yaml"), metavar="FILE")
    parser.add_argument(
        "--budget",
        type=_positive,
        metavar="N",
        help="cells to look at for a pair, at most; default: 2, and 2 for each factor and each condition",
    )
    parser.add_argument(
        "--no-operations", action="store_true", help="do not replay the operations of the two cells on equal inputs"
    )
    _engine(parser)
    _results(parser)
    _json(parser)


def _operations_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "environments", nargs="*", metavar="ENV", help="for example numpy-2.4.6-cpu; default: those of the profile"
    )
    parser.add_argument("--matrix", type=Path, default=Path("matrix.yaml"), metavar="FILE", help="default: matrix.yaml")
    parser.add_argument("--profile", default="default", metavar="NAME", help="default: default")
    _engine(parser)
    _results(parser)
    _json(parser)


def _compare_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sides",
        nargs="+",
        metavar="A",
        help="a cell or a pattern of cells, a record, a results folder, published:COLUMN, or a loss log (CSV, JSON, "
        "JSON lines, plain numbers); NAME= in front names it",
    )
    _results(parser)
    parser.add_argument(
        "--pairs",
        choices=("all", "first", "same-id"),
        help="default: same-id for two results folders (what changed between the runs), else all",
    )
    parser.add_argument(
        "--limit", type=_positive, default=200, metavar="N", help="more pairs are given by class; default: 200"
    )
    parser.add_argument(
        "--dtype",
        choices=("float64", "float32", "bfloat16", "float16"),
        help="what a log's numbers are; default: the other side's dtype if they can be that, else float64",
    )
    parser.add_argument("--column", metavar="NAME", help="the column or key with the losses of a log")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        choices=("rounding", "amplified", "divergent", "incomparable", "missing", "printed"),
        help="a verdict that is fine beside identical; printed: numbers that the printed digits do not tell apart; "
        "may be repeated",
    )
    _state(parser)
    parser.add_argument("--format", choices=("text", "md", "json", "junit"), default="text", help="default: text")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there instead of standard output")


def _merge_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="+", type=Path, metavar="DIR", help="results folders")
    parser.add_argument(
        "--expect", type=Path, metavar="FILE", help="output of `plan --format json`: cells that must be there"
    )
    _json(parser)
    _results(parser)


def _image_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment", metavar="ENV", help="for example numpy-2.4.6-cpu")
    parser.add_argument("--matrix", type=Path, default=Path("matrix.yaml"), metavar="FILE")
    parser.add_argument("--engine", choices=("auto", "docker", "process"), default="auto", help="default: auto")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--content", action="store_true", help="only the digest over path, type, mode and content of all its files"
    )
    what.add_argument(
        "--sbom",
        nargs="?",
        const="-",
        metavar="FILE",
        help="only its bill of materials (CycloneDX 1.6 as JSON); default: standard output",
    )
    _json(parser)


def _base_options(parser: argparse.ArgumentParser) -> None:
    _selection(parser)
    parser.add_argument("--rebuild", action="store_true", help="build also what is here")
    lock = parser.add_mutually_exclusive_group()
    lock.add_argument("--locked", action="store_true", help="exit 4 if a base would hold other packages than its lock")
    lock.add_argument("--write-lock", action="store_true", help="build, and lock what the mirror serves now")


def _pins_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser(
        "verify",
        help="ask the registries whether the pins still hold",
        description="A line per base: same, moved (the tag names another digest now), gone (the pinned digest is no "
        "longer there) or unknown. Exit 1 if any moved or is gone, else 4 if a registry could not be asked.",
    )
    verify.add_argument("--matrix", type=Path, metavar="FILE", help="only the bases of that file's environments")
    _json(verify)
    refresh = actions.add_parser(
        "refresh",
        help="propose the newest patch release of every Python",
        description="Print what would change in images/bases.yaml as a unified diff.",
    )
    refresh.add_argument("--write", action="store_true", help="change the file too")


def _clean_options(parser: argparse.ArgumentParser) -> None:
    _selection(parser)
    parser.set_defaults(profile=None)
    parser.add_argument("--older-than", metavar="AGE", help="only what was made longer ago: 30d, 12h")
    parser.add_argument(
        "--unused",
        action="store_true",
        help="what the matrix does not use: older images, other wheels; in the results values of no trace",
    )
    parser.add_argument("--all", action="store_true", help="everything, base images too")
    _results(parser)
    parser.add_argument("--dry-run", action="store_true", help="remove nothing, only print what would go")
    _json(parser)


def _doctor_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--matrix", type=Path, default=Path("matrix.yaml"), metavar="FILE")
    _json(parser)


def _schema_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        choices=(
            "matrix",
            "record",
            "trace",
            "replay",
            "index",
            "report",
            "comparison",
            "explanation",
            "experiments",
            "published",
            "accepted",
        ),
    )


_OPTIONS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "plan": _plan_options,
    "lock": _lock_options,
    "build": _build_options,
    "push": _push_options,
    "run": _run_options,
    "report": _report_options,
    "matrix": _matrix_options,
    "cell": _cell_options,
    "impact": _impact_options,
    "accept": _accept_options,
    "verify": _verify_options,
    "trace": _trace_options,
    "explain": _explain_options,
    "operations": _operations_options,
    "compare": _compare_options,
    "merge": _merge_options,
    "image": _image_options,
    "base": _base_options,
    "pins": _pins_options,
    "clean": _clean_options,
    "doctor": _doctor_options,
    "schema": _schema_options,
}


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|cuda:[0-9]+", text):
        raise argparse.ArgumentTypeError(f"must be cpu or cuda:N, not {text!r}")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, not {text!r}")
    return int(text)
