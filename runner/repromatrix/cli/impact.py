"""`repromatrix impact A B`: what changes numerically between two versions of a framework.

Makes both environments, locking on the fly what the matrix does not hold, runs every variant on both,
and prints a verdict per variant. Exit 0: the metrics of all are identical; 1: something changed, or is not
deterministic. --state asks for the same weights after the last update too.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repromatrix import resources
from repromatrix.cli import options as shared
from repromatrix.cli.registry import share_of
from repromatrix.cli.select import engine as choose_engine
from repromatrix.cli.story import Story
from repromatrix.compare.allowance import Allowances, Tolerance, floor
from repromatrix.compare.difference import Difference, Verdict, compare
from repromatrix.engines.base import Engine
from repromatrix.errors import EnvironmentFailedError, ExitCode, NothingSelectedError, UsageError
from repromatrix.execute.run import Execution, Summary
from repromatrix.images import lock as locks
from repromatrix.matrix import Environment, Matrix, load
from repromatrix.matrix.candidates import candidates, pairs
from repromatrix.plan import Cell, Ensemble, cells_of, ensembles, selected
from repromatrix.results.store import Store

Sides = tuple[Environment, Environment]


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
    story = Story.of(options)
    if not (options.before.strip() and options.after.strip()):
        raise UsageError("name two versions", hint="for example make impact FROM=numpy==1.26.4 TO=numpy==2.4.6")
    matrix = load(options.matrix)
    sides = pairs(matrix, candidates(matrix, options.before), candidates(matrix, options.after))
    cells = _cells(matrix, sides, options.select)
    made = _Locks()
    chosen = _choose(tuple(cells), made, story)
    before, after = chosen
    caveats = _caveats(before, after)
    for caveat in caveats:
        print(f"{'caveat':<10} {caveat}", file=sys.stderr, flush=True)
    engine = choose_engine(options, story, chosen)
    noise = ensembles(cells[chosen], matrix.noise_members)
    every = [*cells[chosen], *(member for each in noise for member in each.members)]
    summary = _execute(every, options=options, matrix=matrix, engine=engine, folders=made.places(chosen), story=story)
    differences = _differences(matrix, before, after, summary, noise)
    unstable = {each.cell.id for each in summary.records if each.deterministic is False}
    lines = [_Line(difference=each, unstable=bool({each.a, each.b} & unstable)) for each in differences]
    if options.json:
        print(json.dumps(_document(before, after, caveats, lines), indent=1))
    else:
        _print(before, after, lines, state=options.state)
    return int(_exit_code(summary, lines, state=options.state))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A pair of cells; `unstable`: the repeats of a side differ, so its first one proves nothing about the pair."""

    difference: Difference
    unstable: bool

    @property
    def identical(self) -> bool:
        return self.difference.verdict is Verdict.IDENTICAL and not self.unstable

    @property
    def verdict(self) -> str:
        verdict = self.difference.verdict
        if not self.unstable:
            return verdict.value
        return "not deterministic" if verdict is Verdict.IDENTICAL else f"{verdict.value}, not deterministic"

    @property
    def state(self) -> str:
        same = self.difference.same_state
        return "\N{EN DASH}" if same is None else "same" if same else "other"


class _Locks:
    """The locks of the matrix, and those made on the fly in the cache; each environment is tried once."""

    def __init__(self) -> None:
        self._folder = resources.cache() / "locks"
        self._tried: dict[str, EnvironmentFailedError | None] = {}

    def problem(self, environment: Environment) -> EnvironmentFailedError | None:
        """Return why the environment cannot be given a lock, or None once it has one."""
        if environment.name not in self._tried:
            self._tried[environment.name] = None
            try:
                if not (locks.is_current(environment) or locks.is_current(environment, self._folder)):
                    locks.make(environment, self._folder)
            except EnvironmentFailedError as error:
                self._tried[environment.name] = error
        return self._tried[environment.name]

    def places(self, environments: Iterable[Environment]) -> dict[str, Path]:
        """Return where the locks lie that are not the matrix's own."""
        return {each.name: self._folder for each in environments if not locks.is_current(each)}


def _choose(sides: Sequence[Sides], made: _Locks, story: Story) -> Sides:
    """Return the pair to compare: locked in one flavour, or lockable in one flavour, or else of two flavours."""
    alike = [pair for pair in sides if pair[0].flavour == pair[1].flavour]
    ready = [pair for pair in alike if all(map(locks.is_current, pair))]
    mixed = sorted((pair for pair in sides if pair not in alike), key=lambda pair: not all(map(locks.is_current, pair)))
    errors: list[EnvironmentFailedError] = []
    for pair in (*ready, *alike, *mixed):
        problem = made.problem(pair[0]) or made.problem(pair[1])
        if not problem:
            for name in made.places(pair):
                story.say(f"{'locked':<10} {name} on the fly")
            return pair
        errors.append(problem)
    raise errors[0]


def _caveats(before: Environment, after: Environment) -> tuple[str, ...]:
    if before.flavour == after.flavour:
        return ()
    return (f"the flavours differ too: {before.flavour} against {after.flavour}",)


def _cells(matrix: Matrix, sides: Sequence[Sides], select: list[str]) -> dict[Sides, list[Cell]]:
    """Return the selected cells of every pair that has a selected variant on both sides.

    Raises:
        NothingSelectedError: no pair has one.
    """
    found = {}
    for pair in sides:
        before, after = ({(c.workload.name, c.variant.name): c for c in _of(matrix, each, select)} for each in pair)
        if before.keys() & after.keys():
            found[pair] = [*before.values(), *after.values()]
    if not found:
        names = " and ".join(each.name for each in sides[0])
        raise NothingSelectedError(
            f"no variant that {names} share is selected by {', '.join(select)}"
            if select
            else f"no variant is written for both {names}",
            hint="see: repromatrix plan",
        )
    return found


def _of(matrix: Matrix, environment: Environment, select: list[str]) -> list[Cell]:
    return [
        cell
        for workload in matrix.workloads
        for cell in cells_of(matrix, workload, environment)
        if cell.device == "cpu" and selected(cell, select)
    ]


def _execute(
    cells: list[Cell], *, options: Namespace, matrix: Matrix, engine: Engine, folders: dict[str, Path], story: Story
) -> Summary:
    execution = Execution(
        matrix=matrix,
        engine=engine,
        store=Store(options.results),
        listener=story,
        jobs=options.jobs,
        lock_folders=folders,
        share=share_of(options, engine, story),
    )
    with story.progress(len(cells) * matrix.repeats):
        summary = execution.run(cells)
    if summary.broken:
        raise summary.broken[0][1]
    return summary


def _differences(
    matrix: Matrix, before: Environment, after: Environment, summary: Summary, noise: Sequence[Ensemble]
) -> list[Difference]:
    by_id = {record.cell.id: record for record in summary.records}
    floors = (
        floor(
            each.reference.workload.name,
            each.reference.variant.dtype,
            by_id[each.reference.id],
            [by_id[member.id] for member in each.members],
        )
        for each in noise
    )
    allowed = Allowances(
        floors={(each.workload, each.dtype): each for each in floors if each},
        tolerances={
            dtype: Tolerance(relative=each.relative, absolute=each.absolute, source=each.source)
            for dtype, each in matrix.tolerances.items()
        },
    )
    sides: dict[str, dict[tuple[str, str], Any]] = {before.name: {}, after.name: {}}
    cells = {member.id for each in noise for member in each.members}
    for record in summary.records:
        if record.cell.id in cells:
            continue
        sides[record.cell.environment][(record.cell.workload, record.cell.variant)] = record
    shared = [key for key in sides[before.name] if key in sides[after.name]]
    return [compare(sides[before.name][key], sides[after.name][key], allowed) for key in shared]


def _document(before: Environment, after: Environment, caveats: tuple[str, ...], lines: list[_Line]) -> dict[str, Any]:
    pairs_found = [each.difference.flat() | {"not_deterministic": each.unstable} for each in lines]
    return {"before": before.name, "after": after.name, "caveats": list(caveats), "pairs": pairs_found}


def _print(before: Environment, after: Environment, lines: list[_Line], *, state: bool) -> None:
    print(f"{before.name} -> {after.name}\n")
    width = max(len(_variant(each.difference)) for each in lines)
    wide = max(12, *(len(each.verdict) for each in lines))
    heads = f"{'state':<5}  {'first step':>10}  {'largest ULP':>11}  largest difference"
    print(f"{'variant':<{width}}  {'verdict':<{wide}}  {heads}")
    for each in lines:
        figures = f"{each.state:<5}  {_numbers(each.difference)}"
        print(f"{_variant(each.difference):<{width}}  {each.verdict:<{wide}}  {figures}")
    kept = sum(each.state == "same" for each in lines)
    print(f"\n{sum(each.identical for each in lines)} of {len(lines)} variants keep every bit of their metrics")
    more = "" if state else "; the exit code does not go by these, unless with --state"
    print(f"{kept} of {len(lines)} keep every bit of their weights after the last update (state){more}")
    for caveat in dict.fromkeys(caveat for each in lines for caveat in each.difference.caveats):
        print(f"caveat: {caveat}")


def _variant(difference: Difference) -> str:
    return difference.a.split("/", 2)[2]


def _numbers(difference: Difference) -> str:
    if difference.verdict is Verdict.IDENTICAL:
        return f"{'-':>10}  {0:>11}  0"
    found = difference.measure
    if found is None or found.max_abs is None or found.first_difference is None:
        return f"{'-':>10}  {'-':>11}  {(difference.reason or '').splitlines()[0][:100]}"
    return f"{found.first_difference:>10}  {found.max_ulp:>11}  {found.max_abs:.3g} ({difference.ulp_dtype})"


def _exit_code(summary: Summary, lines: list[_Line], *, state: bool) -> ExitCode:
    if any(record.outcome.value in ("failed", "timed_out") for record in summary.records):
        return ExitCode.CELL_FAILED
    same = all(each.identical or _absent_on_both(each.difference, summary) for each in lines)
    if state and any(each.state == "other" for each in lines):
        same = False
    return ExitCode.OK if same else ExitCode.DIFFERENCE


def _absent_on_both(difference: Difference, summary: Summary) -> bool:
    """Whether neither version has the variant: nothing changed there."""
    sides = [record for record in summary.records if record.cell.id in (difference.a, difference.b)]
    return all(record.outcome.value == "unavailable" for record in sides)
