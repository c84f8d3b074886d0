"""`repromatrix impact A B`: what changes numerically between two versions of a framework.

Makes both environments, locking on the fly what the matrix does not hold, runs every variant on both,
and prints a verdict per variant. Exit 0: the metrics of all are identical; 1: something changed, or is not
deterministic. --state asks for the same weights after the last update too.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from repromatrix.cli import options as shared
from repromatrix.cli.select import execution_of
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from repromatrix.compare.difference import Difference
    from repromatrix.explain.upgrade import Change, Upgrade


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("before", metavar="A", help="the version before: FRAMEWORK==VERSION or an environment")
    parser.add_argument("after", metavar="B", help="the version after")
    shared.matrix(parser)
    parser.add_argument("--select", action="append", default=[], metavar="PATTERN", help="only these variants")
    shared.state(parser)
    shared.engine(parser)
    shared.results(parser)
    shared.json_output(parser)
    shared.examples(parser, "impact numpy==1.26.4 numpy==2.4.6", "impact torch==2.8.0 torch==2.13.0 --state")


def run(options: Namespace) -> int:
    """Compare two versions over every variant that they share."""
    from repromatrix.explain.upgrade import caveats, comparable, runs, upgrade
    from repromatrix.images.lockable import Spare
    from repromatrix.matrix import load
    from repromatrix.matrix.candidates import candidates, pairs

    story, spare = Story.of(options), Spare()
    if not (options.before.strip() and options.after.strip()):
        raise UsageError("name two versions", hint="for example make impact FROM=numpy==1.26.4 TO=numpy==2.4.6")
    matrix = load(options.matrix)
    named = pairs(matrix, candidates(matrix, options.before), candidates(matrix, options.after))
    cells = comparable(matrix, named, options.select)
    sides = spare.choose(tuple(cells))
    for name in spare.places(sides):
        story.say(f"{'locked':<10} {name} on the fly")
    for caveat in caveats(*sides):
        print(f"{'caveat':<10} {caveat}", file=sys.stderr, flush=True)
    execution = execution_of(matrix, cells[sides], options, story, lock_folders=spare.places(sides))
    with story.progress(runs(matrix, cells[sides])):
        done = upgrade(execution, matrix, sides, cells[sides])
    if options.json:
        print(json.dumps(done.document(), indent=1))
    else:
        _print(done, state=options.state)
    if done.failed:
        return int(ExitCode.CELL_FAILED)
    return int(ExitCode.OK if done.unchanged(state=options.state) else ExitCode.DIFFERENCE)


def _print(done: "Upgrade", *, state: bool) -> None:
    print(f"{done.before.name} -> {done.after.name}\n")
    width = max(len(change.variant) for change in done.changes)
    wide = max(12, *(len(_verdict(change)) for change in done.changes))
    heads = f"{'state':<7}  {'first step':>10}  {'largest ULP':>11}  largest difference"
    print(f"{'variant':<{width}}  {'verdict':<{wide}}  {heads}")
    for change in done.changes:
        figures = f"{_state(change):<7}  {_numbers(change.difference)}"
        print(f"{change.variant:<{width}}  {_verdict(change):<{wide}}  {figures}")
    same, total = sum(change.identical for change in done.changes), len(done.changes)
    kept = sum(change.difference.same_state is True for change in done.changes)
    more = "" if state else "; the exit code does not go by these, unless with --state"
    print(f"\n{same} of {total} variants have the same metrics, to the bit")
    print(f"{kept} of {total} have the same weights after the last update (state){more}")
    for caveat in dict.fromkeys(caveat for change in done.changes for caveat in change.difference.caveats):
        print(f"caveat: {caveat}")


def _verdict(change: "Change") -> str:
    verdict = change.difference.verdict.value
    if not change.unstable:
        return verdict
    return "not deterministic" if verdict == "identical" else f"{verdict}, not deterministic"


def _state(change: "Change") -> str:
    same = change.difference.same_state
    return "\N{EN DASH}" if same is None else "same" if same else "differs"


def _numbers(difference: "Difference") -> str:
    if difference.verdict.value == "identical":
        return f"{'-':>10}  {0:>11}  0"
    found = difference.measure
    if found is None or found.max_abs is None or found.first_difference is None:
        return f"{'-':>10}  {'-':>11}  {(difference.reason or '').splitlines()[0][:100]}"
    return f"{found.first_difference:>10}  {found.max_ulp:>11}  {found.max_abs:.3g} ({difference.ulp_dtype})"
