"""`repromatrix operations`: operations beside their exact results; with `--forms` how a training step computes its."""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.select import execution_of
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode

if TYPE_CHECKING:
    from repromatrix.operations.judgement import Arithmetic
    from repromatrix.operations.listing import Entry
    from repromatrix.operations.overview import Result
    from repromatrix.results.record import Record


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("environments", nargs="*", metavar="ENV", help="environments; default: those of the profile")
    shared.matrix(parser)
    shared.profile(parser)
    parser.add_argument(
        "--dtype", default="float32", metavar="NAME", help="of the cells that are shown; default: float32"
    )
    parser.add_argument(
        "--tier", choices=("core", "full"), default="core", help="full: more cases, for a night; default: core"
    )
    parser.add_argument(
        "--settings", default="default", metavar="NAME", help="of the matrix, such as threads-2; default: default"
    )
    parser.add_argument("--only", metavar="PATTERN", help="the operations that are shown, as a shell pattern")
    parser.add_argument(
        "--forms", action="store_true", help="instead: in which form each operation of a training step is computed"
    )
    shared.engine(parser)
    shared.cluster(parser)
    shared.results(parser)
    shared.json_output(parser)
    shared.examples(
        parser,
        "operations numpy-1.26.4-cpu numpy-2.4.6-cpu --dtype float64 --only 'exp*'",
        "operations numpy-2.4.6-cpu --forms",
        more=(
            "operations numpy-2.4.6-cpu",
            "operations --profile nightly --tier full --settings threads-2",
        ),
    )


def run(options: Namespace) -> int:
    """Run the operations of environments, keep what they give, and print how far from exact it is."""
    if options.forms:
        return forms_of_a_step(options)
    from repromatrix.execute import operations
    from repromatrix.matrix import load
    from repromatrix.operations.overview import results
    from repromatrix.plan import environments_named, environments_of, settings_named

    matrix, story = load(options.matrix), Story.of(options)
    named = environments_named(matrix, options.environments)
    environments = named or environments_of(matrix, options.profile, ())
    settings = settings_named(matrix, options.settings)
    cells = tuple(replace(cell, settings=settings) for cell in operations.cells(matrix, environments, options.tier))
    execution = execution_of(matrix, cells, options, story)
    with story.progress(len(cells) * matrix.repeats):
        summary = operations.run(execution, cells)
    shown = summary.records if options.json else [each for each in summary.records if each.cell.dtype == options.dtype]
    found = {record.cell.id: results(execution.store, record) for record in shown}
    if options.json:
        out.document([_document(record, found[record.cell.id], options.only) for record in shown], indent=1)
    else:
        out.say(_table(shown, found, options.only))
    return int(ExitCode.CELL_FAILED if summary.failed else ExitCode.OK)


def _table(records: "Sequence[Record]", found: "Mapping[str, Mapping[str, Result]]", only: str | None) -> str:
    """Return a row for each output, a column for each cell."""
    from repromatrix.operations.overview import names, word
    from repromatrix.tables import aligned

    columns = [dict(found[record.cell.id]) for record in records]
    rows = [("operation", *(record.cell.id.partition("/")[2] for record in records))]
    for name in names(columns):
        if _shown(name, only):
            first = columns[0].get(name)
            rows.append((name, *(word(each.get(name), first if place else None) for place, each in enumerate(columns))))
    return "\n".join(aligned(rows))


def _shown(name: str, only: str | None) -> bool:
    return only is None or fnmatchcase(name, only) or fnmatchcase(name.partition("/")[0], only)


def _document(record: "Record", found: "Mapping[str, Result]", only: str | None) -> dict[str, Any]:
    """Return what a program reads of a cell."""
    return {
        "cell": record.cell.id,
        "environment": record.cell.environment,
        "dtype": record.cell.dtype,
        "options": dict(record.cell.options),
        "outcome": record.outcome.value,
        "reason": record.reason,
        "results": [_plain(result) for result in found.values() if _shown(result.name, only)],
    }


def _plain(result: "Result") -> dict[str, Any]:
    told: dict[str, Any] = {"name": result.name, "kind": result.kind.value, "reason": result.reason}
    if result.dtype:
        told |= {"dtype": result.dtype, "shape": list(result.shape)}
    if result.apart is not None:
        told |= {"apart": result.apart}
    if (errors := result.errors) is not None:
        told |= {"largest": _number(errors.largest), "mean": _number(errors.mean), "wrong": errors.wrong}
        told |= {"judged": errors.judged, "flushed": errors.flushed}
    return told


def _number(value: float) -> float | str:
    """Return a number as JSON has it: it knows no infinity."""
    return value if value < float("inf") else "inf"


def forms_of_a_step(options: Namespace) -> int:
    """Replay every operation of a training step on fresh inputs, keep that, and print what it shows."""
    from repromatrix.explain.catalogue import cells_to_list, listed
    from repromatrix.explain.operations_text import plain
    from repromatrix.matrix import load
    from repromatrix.operations.catalogue import CATALOGUE
    from repromatrix.plan import environments_named, environments_of

    matrix, story = load(options.matrix), Story.of(options)
    named = environments_named(matrix, options.environments)
    environments = named or environments_of(matrix, options.profile, ())
    cells = tuple(cells_to_list(matrix, environments))
    execution = execution_of(matrix, cells, options, story)
    with story.progress(len(cells) * len(CATALOGUE)):
        entries = listed(execution, cells)
    if options.json:
        out.document([plain(entry) for entry in entries], indent=1)
    else:
        out.say(tell(entries))
    return int(ExitCode.OK if all(entry.how.reason is None for entry in entries) else ExitCode.CELL_FAILED)


def tell(found: "Sequence[Entry]") -> str:
    """Return the catalogue as a table; variants in which an operation is the same share a row."""
    from repromatrix.explain.operations_text import forms
    from repromatrix.tables import aligned

    every: dict[tuple[str, str], list[str]] = {}
    groups: dict[tuple[str, str, Arithmetic], list[str]] = {}
    for each in found:
        device = "" if each.cell.device == "cpu" else f"@{each.cell.device}"
        where, variant = (each.cell.environment + device, each.cell.dtype), _variant(each)
        every.setdefault(where, []).append(variant)
        groups.setdefault((*where, each.how), []).append(variant)
    rows = [("environment", "dtype", "operation", "variants", "correct", "worst ULP", "form")]
    for (environment, dtype, how), variants in groups.items():
        whole = set(variants) == set(every[environment, dtype])
        correct = "" if how.correct is None else f"{how.correct}/{how.values}"
        worst = "" if how.worst is None else f"{how.worst:.4g}"
        told = "all" if whole else ", ".join(variants)
        rows.append((environment, dtype, how.operation, told, correct, worst, forms(how)))
    return "\n".join(aligned(rows))


def _variant(entry: "Entry") -> str:
    from repromatrix.explain.catalogue import VARIED

    options = dict(entry.options)
    return " ".join(options[name] for name in VARIED if name in options)
