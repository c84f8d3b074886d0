"""`repromatrix impact A B`: what changes numerically between two versions of a framework.

Makes both environments, locking on the fly what the matrix does not hold, runs every variant on both,
and prints a verdict per variant. Exit 0: all identical; 1: something changed.
"""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from runner import resources
from runner.cli.select import engine as choose_engine
from runner.cli.story import Story
from runner.compare.difference import Difference, Tolerance, Verdict, compare
from runner.engines.base import Engine
from runner.errors import EnvironmentFailedError, ExitCode, NothingSelectedError, UsageError
from runner.execute.run import Execution, Summary
from runner.images import lock as locks
from runner.matrix import Environment, Matrix, load
from runner.matrix.candidates import candidates
from runner.plan import Cell, cells_of, selected
from runner.results.store import Store


def run(options: Namespace) -> int:
    """Compare two versions over every variant that they share."""
    story = Story.of(options)
    matrix = load(options.matrix)
    options_a, options_b = candidates(matrix, options.before), candidates(matrix, options.after)
    if options_a[0].framework != options_b[0].framework:
        raise UsageError(
            f"{options.before} and {options.after} are different frameworks",
            hint="for those, see the report's differences between methods: make matrix",
        )
    folders: dict[str, Path] = {}
    before, after = (_locked(each, folders, story) for each in (options_a, options_b))
    if before.name == after.name:
        raise UsageError(f"{options.before} and {options.after} are the same environment", hint="name two versions")
    engine = choose_engine(options, story)
    cells = {each.name: _cells(matrix, each, options.select) for each in (before, after)}
    both = [*cells[before.name], *cells[after.name]]
    summary = _execute(both, options=options, matrix=matrix, engine=engine, folders=folders, story=story)
    differences = _differences(matrix, before, after, summary)
    _print(options, before, after, differences)
    return int(_exit_code(summary, differences))


def _locked(options: tuple[Environment, ...], folders: dict[str, Path], story: Story) -> Environment:
    """Return the first candidate that has a lock or can be given one; says which it took."""
    errors = []
    for environment in options:
        if locks.is_current(environment):
            return environment
        folder = resources.cache() / "locks"
        try:
            if not locks.is_current(environment, folder):
                locks.make(environment, folder)
        except EnvironmentFailedError as error:
            errors.append(error)
            continue
        folders[environment.name] = folder
        story.say(f"{'locked':<10} {environment.name} on the fly")
        return environment
    raise errors[0]


def _cells(matrix: Matrix, environment: Environment, select: list[str]) -> list[Cell]:
    cells = [
        cell
        for workload in matrix.workloads
        for cell in cells_of(matrix, workload, environment)
        if cell.device == "cpu" and selected(cell, select)
    ]
    if not cells:
        raise NothingSelectedError(
            f"no variant of {environment.name} is selected by {', '.join(select)}", hint="see: repromatrix plan"
        )
    return cells


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
    )
    with story.progress(len(cells) * matrix.repeats):
        summary = execution.run(cells)
    if summary.broken:
        raise summary.broken[0][1]
    return summary


def _differences(matrix: Matrix, before: Environment, after: Environment, summary: Summary) -> list[Difference]:
    allowed = {
        dtype: Tolerance(relative=each.relative, absolute=each.absolute, source=each.source)
        for dtype, each in matrix.tolerances.items()
    }
    sides: dict[str, dict[tuple[str, str], Any]] = {before.name: {}, after.name: {}}
    for record in summary.records:
        sides[record.cell.environment][(record.cell.workload, record.cell.variant)] = record
    shared = [key for key in sides[before.name] if key in sides[after.name]]
    return [compare(sides[before.name][key], sides[after.name][key], allowed) for key in shared]


def _print(options: Namespace, before: Environment, after: Environment, differences: list[Difference]) -> None:
    if options.json:
        pairs = [
            {
                "a": each.a,
                "b": each.b,
                "verdict": each.verdict.value,
                "reason": each.reason,
                "first_difference": each.first_difference,
                "max_abs": each.max_abs,
                "max_rel": each.max_rel,
                "max_ulp": each.max_ulp,
                "ulp_dtype": each.ulp_dtype,
                "steps": each.steps,
            }
            for each in differences
        ]
        print(json.dumps({"before": before.name, "after": after.name, "pairs": pairs}, indent=1))
        return
    print(f"{before.name} -> {after.name}\n")
    width = max(len(_variant(each)) for each in differences)
    print(f"{'variant':<{width}}  {'verdict':<12}  {'first step':>10}  {'largest ULP':>11}  largest difference")
    for each in differences:
        print(f"{_variant(each):<{width}}  {each.verdict.value:<12}  {_numbers(each)}")
    changed = [each for each in differences if each.verdict is not Verdict.IDENTICAL]
    print(f"\n{len(differences) - len(changed)} of {len(differences)} variants keep every bit of their losses")


def _variant(difference: Difference) -> str:
    return difference.a.split("/", 2)[2]


def _numbers(difference: Difference) -> str:
    if difference.verdict is Verdict.IDENTICAL:
        return f"{'-':>10}  {0:>11}  0"
    if difference.max_abs is None:
        return f"{'-':>10}  {'-':>11}  {(difference.reason or '').splitlines()[0][:100]}"
    first, ulp = difference.first_difference, difference.max_ulp
    return f"{first:>10}  {ulp:>11}  {difference.max_abs:.3g} ({difference.ulp_dtype})"


def _exit_code(summary: Summary, differences: list[Difference]) -> ExitCode:
    if any(record.outcome.value in ("failed", "timed_out") for record in summary.records):
        return ExitCode.CELL_FAILED
    same = all(each.verdict is Verdict.IDENTICAL or _absent_on_both(each, summary) for each in differences)
    return ExitCode.OK if same else ExitCode.DIFFERENCE


def _absent_on_both(difference: Difference, summary: Summary) -> bool:
    """Whether neither version has the variant: nothing changed there."""
    sides = [record for record in summary.records if record.cell.id in (difference.a, difference.b)]
    return all(record.outcome.value == "unavailable" for record in sides)
