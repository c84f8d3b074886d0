"""The options of commands that read logs of other programs, and what they mean."""

import argparse
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix.floats import FORMS

if TYPE_CHECKING:
    from repromatrix.compare.allowance import Stated
    from repromatrix.compare.metrics import Wish
    from repromatrix.results.logs.columns import Asked


def arguments(parser: ArgumentParser, *, common: bool = True) -> None:
    """How logs of others are read; `common`: whether those of other steps may be compared at their common ones."""
    from repromatrix.results.logs.columns import Repeated
    from repromatrix.results.logs.figures import Comma

    parser.add_argument(
        "--dtype",
        choices=tuple(FORMS),
        help="what a log's numbers are; default: float32 where they are printed as Python prints one, else the other "
        "side's dtype if they can be that, else float64",
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="the column, key or array of every log that is compared; may be repeated",
    )
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME[=RULE]",
        type=wish,
        help="how a metric of logs counts beside the losses: judged (the default), exact, rounding, shown or ignore; "
        "NAME may be a shell pattern or a word of its name; may be repeated",
    )
    steps = parser.add_mutually_exclusive_group()
    if common:
        steps.add_argument(
            "--common-steps", action="store_true", help="compare logs of other steps at those that both have"
        )
    steps.add_argument(
        "--by-place", action="store_true", help="leave the steps of logs unread: compare the n-th number with the n-th"
    )
    parser.add_argument(
        "--repeated",
        choices=[each.value for each in Repeated],
        help="which number counts where a log has a step twice with two numbers, as after a restart; default: none, an "
        "error",
    )
    parser.add_argument(
        "--comma",
        choices=[each.value for each in Comma],
        help="what a comma in a number stands for; default: what the file's numbers show, else they are refused",
    )


def asked(options: argparse.Namespace) -> "Asked":
    """Return how logs are read."""
    from repromatrix.results.logs.columns import Asked, Repeated
    from repromatrix.results.logs.figures import Comma

    return Asked(
        columns=tuple(dict.fromkeys(options.column)),
        repeated=Repeated(options.repeated) if options.repeated else None,
        comma=Comma(options.comma) if options.comma else None,
        by_place=options.by_place,
    )


def wish(text: str) -> "Wish":
    """Return which metric counts, and how."""
    from repromatrix.compare.metrics import Wish
    from repromatrix.compare.series import Rule

    name, equals, rule = text.rpartition("=")
    name, rule = (name, rule) if equals else (text, Rule.JUDGED.value)
    known = [each.value for each in Rule]
    if not name or rule not in known:
        raise argparse.ArgumentTypeError(
            f"{rule!r} is no rule: write NAME or NAME=RULE, RULE one of {', '.join(known)}"
        )
    return Wish(name=name, rule=Rule(rule))


def stated() -> "Iterable[Stated]":
    """Return the tolerances of the matrix, if there is one here."""
    path = Path("matrix.yaml")
    if not path.is_file():
        return ()
    from repromatrix.matrix import load

    return load(path).stated
