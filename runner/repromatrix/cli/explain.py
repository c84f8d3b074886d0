"""`repromatrix explain [A B|A FILE]`: why cells differ. A cause is told only with the experiment that shows it.

Exit 0: all cells have the same bits, or each difference is explained; 1: one is not.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.select import execution_of
from repromatrix.cli.story import Story
from repromatrix.compare.allowance import Allowances, of_run
from repromatrix.compare.difference import Verdict
from repromatrix.errors import ExitCode, UsageError
from repromatrix.execute.run import Execution
from repromatrix.explain import operations_text
from repromatrix.explain.judge.explanation import Explanation, explanations
from repromatrix.explain.judge.operations import PairFinding
from repromatrix.explain.judge.sites import sentences
from repromatrix.explain.pairs import Pairs
from repromatrix.explain.rounds import Rounds
from repromatrix.explain.search import OWN, Question, Search
from repromatrix.explain.space import Space
from repromatrix.explain.text import tell, tell_many
from repromatrix.images.lockable import Spare
from repromatrix.matrix import Matrix, load
from repromatrix.matrix.workload import table_named
from repromatrix.plan import Cell, find
from repromatrix.published.pairs import Documents
from repromatrix.results.experiments import Experiments, Origin, Pair
from repromatrix.results.store import Store

_PARTS: dict[str | None, tuple[Origin, ...]] = {
    None: ("classes", "published"),
    "classes": ("classes",),
    "published": ("published",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """Every pair of the latest run, explained.

    Attributes:
        said: what is said of it where nothing runs.
        settled: whether to ask again would run nothing: all has an answer, in environments of the latest run.
    """

    explanations: tuple[Explanation, ...] = ()
    said: tuple[str, ...] = ()
    settled: bool = True


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    for name in ("a", "b"):
        parser.add_argument(
            name,
            metavar=name.upper(),
            nargs="?",
            help="a cell's id, published:COLUMN or class:NAME; B may be FILE.json, a trace of your own code; without B "
            "`classes`, `published` or nothing for every pair of classes and of published columns of the latest run",
        )
    shared.matrix(parser)
    parser.add_argument(
        "--budget",
        type=shared.positive,
        metavar="N",
        help="cells to look at for a pair, at most; default: 2, and 2 for each factor and each condition",
    )
    parser.add_argument(
        "--no-operations", action="store_true", help="do not replay the operations of the two cells on the same inputs"
    )
    shared.engine(parser)
    shared.cluster(parser)
    shared.results(parser)
    shared.json_output(parser)
    shared.examples(
        parser,
        "explain",
        "explain mazur/numpy-1.26.4-cpu/parallel mazur/numpy-2.4.6-cpu/parallel",
        "explain mazur/torch-2.13.0-cpu/auto my-trace.json",
        more=("explain --budget 12 --no-operations",),
    )


def run(options: Namespace) -> int:
    """Flip what differs between cells, one factor at a time, then together, and print what that shows."""
    if options.budget is not None and options.budget < OWN:
        raise UsageError("a budget of 1 cell: the two cells alone are 2", hint="repromatrix explain A B --budget 10")
    story = Story.of(options)
    if options.b is not None and options.b.endswith(".json"):
        return _file(options, story)
    if options.b is not None:
        found, parts = _pair(options, story)
        if options.json:
            told = None if parts is None else operations_text.document(parts)
            out.document({**found.document(), "operations": told}, indent=1)
        else:
            out.say("\n\n".join((tell(found), *(() if parts is None else (operations_text.tell(parts),)))))
        return int(ExitCode.OK if found.explained else ExitCode.DIFFERENCE)
    if options.a not in _PARTS:
        raise UsageError(
            f"{options.a} and nothing to hold it against",
            hint="name two cells, or `classes`, or `published`, or nothing: repromatrix explain",
        )
    every = everything(options, story, _PARTS[options.a]).explanations
    if options.json:
        documents = [{"of": list(each.of), "explanation": each.document()} for each in every]
        out.document({"format": 1, "explanations": documents}, indent=1)
    else:
        out.say(tell_many(every))
    return int(ExitCode.OK if all(each.explained for each in every) else ExitCode.DIFFERENCE)


def _file(options: Namespace, story: Story) -> int:
    """Tell what makes somebody's own trace differ from a cell."""
    from repromatrix.explain.foreign_trace import ForeignTrace, document

    if options.budget is not None or options.no_operations:
        raise UsageError("--budget and --no-operations are for two cells", where=options.b, hint="leave them out")
    matrix = load(options.matrix)
    cell = find(matrix, options.a)
    space = Space(matrix, cell.workload)
    execution = execution_of(matrix, [cell], options, story)
    found = ForeignTrace(execution, space, cell, Path(options.b)).explain()
    if options.json:
        out.document(document(found, cell, options.b), indent=1)
    else:
        out.say("\n".join((f"{options.b} against {cell.id}", *(f"  {each}" for each in sentences(found)))))
    return int(ExitCode.OK if found.explained or not found.detected else ExitCode.DIFFERENCE)


def everything(options: Namespace, story: Story, origins: Sequence[Origin] = ("classes", "published")) -> Everything:
    """Explain every pair of classes and of published columns of the latest run, and keep what was tried.

    Raises:
        ResultsError: there is no run, or what was tried before cannot be read.
    """
    matrix, store = load(options.matrix), Store(options.results)
    store.read_experiments()  # what cannot be read ends it before anything runs
    pairs = Pairs(matrix, store, Documents)
    questions = pairs.every(origins)
    if not questions:
        _keep(store, (), origins)
        return Everything()
    started = monotonic()
    execution = execution_of(matrix, _cells(questions), options, story)
    rounds = Rounds(execution, matrix.repeats, story)
    judges = allowed(matrix, store)
    searches = [Search(each, judges, options.budget) for each in questions]
    rounds.finish(searches)
    tried = Experiments(pairs=tuple(each.pair for each in searches if not each.unusable))
    _keep(store, tried.pairs, origins)
    notes = _notes(searches, len(tried.pairs) - len(tried.fitting(pairs.keys()).pairs))
    for line in notes:
        story.say(line)
    found = explanations(tried, rounds.records, judges)
    done = sum(each.explained for each in found)
    line = f"{'explained':<10} {done} of {len(found)} pairs: {len(rounds.records)} cells"
    story.say(f"{line}, {rounds.ran} ran now, {monotonic() - started:.0f} s")
    replayed, final = ((), True) if options.no_operations else _replay(execution, searches, found, story)
    return Everything(
        explanations=found,
        said=(*notes, f"{line}, 0 ran now", *replayed),
        settled=rounds.settled and final and rounds.places <= pairs.places(),
    )


def _notes(searches: Sequence[Search], stale: int) -> tuple[str, ...]:
    """Return what is said of pairs that cannot be explained, and of those whose explanations are outdated."""
    silent = [each.unusable.cell.id for each in searches if each.unusable]
    left_out = [f"{'left out':<10} {cell_id}: nothing to compare" for cell_id in silent]
    what = f"{stale} pairs have cells that changed since the latest run; run again: make matrix"
    return (*left_out, *([f"{'outdated':<10} {what}"] if stale else []))


def _replay(
    execution: Execution, searches: Sequence[Search], found: Sequence[Explanation], story: Story
) -> tuple[tuple[str, ...], bool]:
    """Replay the operations of published columns that differ; of hundreds of pairs of classes it would take long.

    Returns:
        what is said of it where nothing runs, and whether to ask again would run nothing.
    """
    apart = {
        (each.a, each.b) for each in found if "published" in each.of and each.before.verdict is not Verdict.IDENTICAL
    }
    pairs = [each.question.flips for each in searches]
    wanted = [each for each in pairs if (each.a.id, each.b.id) in apart]
    if not wanted:
        return (), True
    from repromatrix.explain.operations import replay

    started = monotonic()
    story.say(f"{'replaying':<10} the operations of {len(wanted)} pairs")
    told = replay(execution, wanted)
    known = sum(each.reason is None for each in told.findings)
    line = f"{'replayed':<10} the operations of {known} of {len(wanted)} pairs"
    story.say(f"{line}, {monotonic() - started:.0f} s")
    return (line,), told.settled


def _pair(options: Namespace, story: Story) -> tuple[Explanation, PairFinding | None]:
    for name in (options.a, options.b):
        if table_named(name.partition("/")[0]):
            raise UsageError(
                f"{name} has no losses to explain: each of its results stands for itself",
                hint=f"repromatrix compare {options.a} {options.b}; repromatrix impact tries them in other --settings",
            )
    spare, store = Spare(), Store(options.results)
    matrix = spare.remembered(load(options.matrix), (options.a, options.b))
    store.read_experiments()  # what cannot be read ends it before anything runs
    question = Pairs(matrix, store, Documents).named(options.a, options.b)
    cells = _cells([question])
    places = spare.places(cell.environment for cell in cells if cell.environment.name in spare.names)
    execution = execution_of(matrix, cells, options, story, lock_folders=places)
    judges = allowed(matrix, store)
    search = Search(question, judges, options.budget)
    story.say(f"{'budget':<10} {search.words} (--budget N for another)")
    rounds = Rounds(execution, matrix.repeats, story)
    rounds.begin(search)
    rounds.finish([search])
    tried = Experiments(pairs=(search.pair,))
    _keep(store, tried.pairs)
    found = explanations(tried, rounds.records, judges)[0]
    if options.no_operations or found.before.verdict is Verdict.IDENTICAL:
        return found, None
    from repromatrix.explain.operations import replay

    told = replay(execution, [question.flips]).findings[0]
    names = tuple(dict.fromkeys(place.operation for place in told.sources)) if told.separable else ()
    return replace(found, operations=names), told


def _cells(questions: Sequence[Question]) -> list[Cell]:
    return [cell for each in questions for cell in (each.flips.a, each.flips.b)]


def _keep(store: Store, pairs: Sequence[Pair], whole: Sequence[Origin] = ()) -> None:
    """Add pairs to what was tried; it is read only now, as another `explain` may have added its own meanwhile."""
    earlier = store.read_experiments()
    merged = earlier.merged(pairs, whole=whole)
    if whole or merged != earlier:  # writing hundreds of pairs takes longer than all else that an unchanged one needs
        store.write_experiments(merged)


def allowed(matrix: Matrix, store: Store) -> Allowances:
    """Return the noise floors that the latest run of the results measured, and the matrix's tolerances."""
    return of_run(store, matrix.stated)
