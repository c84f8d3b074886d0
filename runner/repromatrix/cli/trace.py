"""`repromatrix trace [A B]`: where the traces of two cells part, or those of all classes."""

import dataclasses
import json
from argparse import Namespace
from collections.abc import Mapping

from repromatrix.compare.classes import classes
from repromatrix.compare.trace import Divergence, Point, divergence, divergences
from repromatrix.errors import ExitCode, NothingSelectedError, UsageError
from repromatrix.matrix.check import suggest
from repromatrix.results.manifest import Manifest
from repromatrix.results.store import Store
from repromatrix.results.trace import Trace


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
    return (divergence(*(traces[name] for name in options.cells)),)


def _all(store: Store, manifest: Manifest, traces: Mapping[str, Trace]) -> tuple[Divergence, ...]:
    members = {name for each in manifest.ensembles for name in each.members}
    records = [each for each in store.records(manifest)[0] if each.cell.id not in members]
    return divergences(classes(records), records, traces)


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
        return [f"part at step {point.step}, {point.tensor}: its bits are known by their digests alone"]
    index = "".join(f"[{each}]" for each in point.index)
    apart = "not finite" if point.ulps is None else f"{point.ulps} ULP of {point.ulp_dtype}"
    values = [(each.decimal, each.hexadecimal, each.bits) for each in (point.a, point.b)]
    widths = [max(map(len, column)) for column in zip(*values, strict=True)]
    rows = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in values]
    return [f"part at step {point.step}, {point.tensor}{index}: {apart}", *rows]
