"""`repromatrix trace [A B]`: where the traces of two cells part, or those of all classes."""

import dataclasses
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping

from repromatrix.cli import options as shared
from repromatrix.cli.select import execution_of
from repromatrix.cli.story import Story
from repromatrix.compare.classes import classes
from repromatrix.compare.trace import Divergence, Point, divergence, divergences
from repromatrix.errors import ExitCode, NothingSelectedError, UsageError
from repromatrix.execute.fetch import Fetching, Wanted
from repromatrix.matrix import load
from repromatrix.matrix.check import suggest
from repromatrix.plan import find
from repromatrix.results.manifest import Manifest
from repromatrix.results.store import Store
from repromatrix.results.trace import Trace


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("cells", nargs="*", metavar="ID", help="two cells; default: the classes of each dtype")
    parser.add_argument(
        "--no-fetch",
        action="store_true",
        help="of a large value tell only that it differs: do not run the two cells again for its bits",
    )
    shared.matrix(parser)
    shared.engine(parser)
    shared.results(parser)
    shared.json_output(parser)
    shared.examples(parser, "trace mazur/numpy-1.26.4-cpu/parallel mazur/numpy-2.4.6-cpu/parallel")


def run(options: Namespace) -> int:
    """Print where they part; exit 1 if two cells that were named do."""
    store = Store(options.results)
    manifest = store.read_manifest()
    traces = store.traces(manifest)
    if not traces:
        raise NothingSelectedError(
            "these results have no traces", where=str(options.results), hint="run once more: repromatrix run --trace"
        )
    found = _named(options, store, manifest, traces) if options.cells else _all(store, manifest, traces)
    if options.cells and not options.no_fetch and _unseen(found[0]):
        found = (_fetched(options, store, traces, found[0]),)
    if options.json:
        print(json.dumps([dataclasses.asdict(each) | {"same": each.same} for each in found], indent=1))
    else:
        print("\n\n".join(map(tell, found)))
    return int(ExitCode.DIFFERENCE if options.cells and not found[0].same else ExitCode.OK)


def _named(options: Namespace, store: Store, manifest: Manifest, traces: Mapping[str, Trace]) -> tuple[Divergence, ...]:
    if len(options.cells) != 2:  # noqa: PLR2004 - a pair
        raise UsageError("name two cells, or none for all classes", hint="repromatrix trace ID ID")
    keys = {each.id: each.key for each in manifest.entries}
    for name in options.cells:
        if name not in traces:
            why = next((each.untraced for each in manifest.entries if each.id == name and each.untraced), "")
            hint = "run once more: repromatrix run --trace" if name in keys else suggest(name, sorted(traces))[:300]
            raise UsageError(f"no trace of {name!r}{f': {why}' if why else ''}", where=str(options.results), hint=hint)
    for name in options.cells:
        record = store.read(name, keys[name] or "")
        if record is None or not traces[name].tells_of(record):
            raise UsageError(
                f"tracing changes {name}, so its trace explains nothing",
                where=str(options.results),
                hint=f"compare what was not traced: repromatrix compare {' '.join(options.cells)}",
            )
    a, b = (traces[name] for name in options.cells)
    return (divergence(a, b, store.read_value),)


def _unseen(found: Divergence) -> bool:
    """Whether two values part of which only the digests are known."""
    return found.point is not None and found.point.a is None


def _fetched(options: Namespace, store: Store, traces: Mapping[str, Trace], found: Divergence) -> Divergence:
    """Run both cells once more for the bits of the value in which they part, and look again."""
    assert found.point is not None  # noqa: S101 - `_unseen` has looked
    story = Story.of(options)
    matrix = load(options.matrix)
    wanted = [
        Wanted(cell=find(matrix, name), trace=traces[name], step=found.point.step, name=found.point.tensor)
        for name in options.cells
    ]
    reasons = Fetching(execution_of(matrix, [each.cell for each in wanted], options, story)).run(wanted)
    for name, reason in reasons.items():
        story.say(f"{'not seen':<10} {name}: {reason}")
    store.seal()
    return divergence(traces[found.a], traces[found.b], store.read_value)


def _all(store: Store, manifest: Manifest, traces: Mapping[str, Trace]) -> tuple[Divergence, ...]:
    members = {name for each in manifest.ensembles for name in each.members}
    records = [each for each in store.records(manifest)[0] if each.cell.id not in members]
    return divergences(classes(records), records, traces, store.read_value)


def tell(found: Divergence) -> str:
    """Return a divergence in a few lines of text."""
    head = f"{found.a}\n{found.b}"
    if found.reason is not None:
        lines = [f"not compared: {found.reason}"]
    elif found.point is None:
        lines = [f"the same bits in every traced tensor of {found.steps} step{'s' if found.steps > 1 else ''}"]
    else:
        lines = _point(found.point)
    return "\n".join([head, *(f"  {line}" for line in (*lines, *found.caveats))])


def _point(point: Point) -> list[str]:
    if point.a is None or point.b is None:
        return [
            f"part at step {point.step}, {point.tensor}: known by its digests alone (its bits: repromatrix trace A B)"
        ]
    index = "".join(f"[{each}]" for each in point.index)
    apart = "not finite" if point.ulps is None else f"{point.ulps} ULP of {point.ulp_dtype}"
    values = [(each.decimal, each.hexadecimal, each.bits) for each in (point.a, point.b)]
    widths = [max(map(len, column)) for column in zip(*values, strict=True)]
    rows = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in values]
    return [f"part at step {point.step}, {point.tensor}{index}: {apart}", *rows]
