"""The options that several commands share, each written once; what one command alone has stands in its own module."""

import argparse
import os
import re
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

from repromatrix import resources
from repromatrix.errors import UsageError

BUILTIN = "builtin"
_MATRIX = Path("matrix.yaml")


class Once(argparse.Action):
    """Takes one value, and refuses a second one: neither of two is silently the one that counts."""

    def __call__(
        self, parser: ArgumentParser, namespace: argparse.Namespace, values: object, option_string: str | None = None
    ) -> None:
        """Keep the value.

        Raises:
            SystemExit: there is one already.
        """
        given: frozenset[str] = getattr(namespace, "given_once", frozenset())
        if self.dest in given:
            parser.error(f"{option_string} is given twice")
        namespace.given_once = given | {self.dest}
        setattr(namespace, self.dest, values)


def once(parser: ArgumentParser) -> None:
    """Make every option of a parser that takes one value refuse a second one."""
    parser.register("action", None, Once)
    parser.register("action", "store", Once)


_MORE: WeakKeyDictionary[ArgumentParser, tuple[str, ...]] = WeakKeyDictionary()
_LIKE: WeakKeyDictionary[argparse.Action, str] = WeakKeyDictionary()


def examples(parser: ArgumentParser, *commands: str, more: Sequence[str] = ()) -> None:
    """Show, below a command's help, what one types; `more`: only in the reference, so that every option has its own."""
    _MORE[parser] = (*commands, *more)
    lines = (f"  repromatrix {each}" for each in commands)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(("examples:" if len(commands) > 1 else "example:", *lines))


def like(action: argparse.Action, value: str) -> None:
    """Say what one types behind an option, for the reference; what takes no value, or one of a few, needs no word."""
    _LIKE[action] = value


def typed(parser: ArgumentParser) -> tuple[str, ...]:
    """Return all examples of a command."""
    return _MORE.get(parser, ())


def typical(action: argparse.Action) -> str | None:
    """Return an option with what one types behind it; None: nobody said."""
    option = action.option_strings[-1]
    if action.nargs == 0:
        return option
    if action.choices and action not in _LIKE:
        return f"{option} {next(str(each) for each in action.choices if each != action.default)}"
    return f"{option} {_LIKE[action]}" if action in _LIKE else None


def volume(parser: ArgumentParser) -> None:
    """How much is told; these may also stand in front of the command."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-q", "--quiet", action="store_true", help="print only errors and the result")
    group.add_argument("-v", "--verbose", action="store_true", help="print a line for every cell")


def matrix(parser: ArgumentParser, *, own: bool = False) -> None:
    """Which matrix; with `own`, none but one's own unless it is asked for."""
    absent = "" if own else f", or where there is none {BUILTIN}"
    like(
        parser.add_argument(
            "--matrix",
            type=_matrix,
            default=_MATRIX if own or _MATRIX.exists() else resources.matrix(),
            metavar="FILE",
            help=f"default: matrix.yaml{absent}; {BUILTIN} is the one that comes with repromatrix",
        ),
        "other/matrix.yaml",
    )


def _matrix(text: str) -> Path:
    return resources.matrix() if text == BUILTIN else Path(text)


def profile(parser: ArgumentParser) -> None:
    """Which profile of the matrix."""
    like(parser.add_argument("--profile", default="default", metavar="NAME", help="default: default"), "nightly")


def selection(parser: ArgumentParser, *, own: bool = False) -> None:
    """Which cells of the matrix."""
    matrix(parser, own=own)
    profile(parser)
    like(
        parser.add_argument(
            "--select",
            action="append",
            default=[],
            metavar="PATTERN",
            help="cells, environments, frameworks or variants, as a shell pattern; ! in front leaves out; may be "
            "repeated",
        ),
        "'numpy-*'",
    )


def engine(parser: ArgumentParser) -> None:
    """Where processes run, and how many at a time."""
    engine_name(parser)
    jobs(parser)
    registry(parser)


def engine_name(parser: ArgumentParser) -> None:
    """Where processes run."""
    parser.add_argument(
        "--engine",
        choices=("auto", "docker", "process"),
        default="auto",
        help="containers or plain processes; default: auto, containers where their base images can be had",
    )


def jobs(parser: ArgumentParser) -> None:
    """How many at a time."""
    like(
        parser.add_argument(
            "--jobs",
            type=positive,
            default=os.cpu_count() or 1,
            metavar="N",
            help="how many at a time; default: one per core",
        ),
        "1",
    )


def registry(parser: ArgumentParser) -> None:
    """Where images are shared."""
    like(
        parser.add_argument(
            "--registry",
            metavar="HOST[:PORT]/PATH",
            help="pull images from there rather than build them; default: the variable REPROMATRIX_REGISTRY",
        ),
        "ghcr.io/OWNER/repromatrix",
    )
    like(
        parser.add_argument(
            "--digests",
            type=Path,
            metavar="FILE",
            help="the list of pushed images; default: pushed-images.json beside the matrix",
        ),
        "pushed-images.json",
    )


def cluster(parser: ArgumentParser) -> None:
    """Whether other machines do the work."""
    address = parser.add_argument(
        "--cluster", metavar="ADDRESS", help="run on the workers of a Dask scheduler: tcp://HOST:8786 (docs/cluster.md)"
    )
    like(address, "tcp://scheduler:8786")
    one = parser.add_argument(
        "--cpu-class",
        metavar="CLASS",
        help="with --cluster: on workers of this CPU class, or any; default: all in one, this machine's if it is there",
    )
    like(one, "any --cluster tcp://scheduler:8786")


def results(parser: ArgumentParser) -> None:
    """Which results folder."""
    like(
        parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="default: results"),
        "night/results",
    )


def report(parser: ArgumentParser) -> None:
    """Where a report is written, and what it must show."""
    like(
        parser.add_argument("--output", type=Path, default=Path("report"), metavar="DIR", help="default: report"),
        "night/report",
    )
    parser.add_argument(
        "--require-published",
        action="store_true",
        help="exit 1 unless every published loss and prediction is reproduced by the newest version of each framework",
    )
    accepted(parser)
    parser.add_argument(
        "--require-accepted",
        action="store_true",
        help="exit 1 if bits or outcomes changed since the accepted run, or cells of it are gone",
    )
    like(
        parser.add_argument("--junit", type=Path, metavar="FILE", help="write the report for a CI's test view as well"),
        "report.xml",
    )


def accepted(parser: ArgumentParser) -> None:
    """Which accepted run."""
    like(
        parser.add_argument(
            "--accepted", type=Path, metavar="FILE", help="the accepted run; default: accepted.json if it is there"
        ),
        "accepted.json",
    )


def state(parser: ArgumentParser) -> None:
    """Whether what the last step leaves counts."""
    parser.add_argument(
        "--state", action="store_true", help="exit 1 too if the weights after the last update are known to differ"
    )


def json_output(parser: "argparse._ActionsContainer") -> None:
    """Whether a program reads the result."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def device(text: str) -> str:
    """Return the name of a device."""
    if not re.fullmatch(r"cpu|cuda:[0-9]+", text):
        raise argparse.ArgumentTypeError(f"must be cpu or cuda:N, not {text!r}")
    return text


def positive(text: str) -> int:
    """Return a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, not {text!r}")
    return int(text)


def require_apart(written: Iterable[Path | None], read: Iterable[str]) -> None:
    """Refuse to write over what was asked for.

    Args:
        written: files to write; None: none.
        read: arguments that may name files, as FILE or FILE::COLUMN.

    Raises:
        UsageError: one is the other.
    """
    named = [name for each in read for name in (each, each.partition("::")[0])]
    files = [name for name in named if os.path.isfile(name)]  # noqa: PTH113 - a pattern may be longer than any path
    for each in written:
        if each is not None and each.is_file() and any(each.samefile(name) for name in files):
            raise UsageError(
                "it is read, and the answer would be written over it", where=str(each), hint="name another file"
            )
