"""The traces of a run and where they part -> the claims that the report makes of them."""

from collections.abc import Iterable, Mapping, Sequence

from repromatrix.compare.trace import Divergence
from repromatrix.report.claims.base import Claim
from repromatrix.report.claims.traces import FirstDivergence, Traced, TracingChanges, UntracedTensors, WithoutTrace
from repromatrix.results.manifest import Entry
from repromatrix.results.record import Record
from repromatrix.results.trace import Trace

NOT_THERE = "its file is not there"


def of_traces(
    entries: Iterable[Entry], records: Sequence[Record], traces: Mapping[str, Trace], parted: Iterable[Divergence]
) -> tuple[Claim, ...]:
    """Return what is said of traces; nothing where none was asked for.

    Args:
        entries: those of the manifest.
        records: the records of the report.
        traces: by cell id, those of its cells.
        parted: where they part.
    """
    asked = {each.cell.id for each in records}
    without = [each for each in entries if each.id in asked and each.id not in traces and (each.trace or each.untraced)]
    known = [(each, traces[each.cell.id]) for each in records if each.cell.id in traces]
    changed = [(record, trace) for record, trace in known if not trace.tells_of(record)]
    total = Traced(cells=tuple(record.cell.id for record, _ in known), count=len(known), changed=len(changed))
    return (
        *([total] if known else []),
        *(map(_divergence, parted)),
        *(TracingChanges(cells=(record.cell.id,), first_loss=_first_loss(record, trace)) for record, trace in changed),
        *_untraced([trace for _, trace in known]),
        *(WithoutTrace(cells=(each.id,), reason=each.untraced or NOT_THERE) for each in without),
    )


def _divergence(found: Divergence) -> FirstDivergence:
    point = found.point
    return FirstDivergence(
        cells=(found.a, found.b),
        workload=found.workload,
        steps=found.steps,
        tensors=found.tensors,
        step=point.step if point else None,
        tensor=point.tensor if point else None,
        index=point.index if point else None,
        a=point.a.hexadecimal if point and point.a else None,
        a_bits=point.a.bits if point and point.a else None,
        b=point.b.hexadecimal if point and point.b else None,
        b_bits=point.b.bits if point and point.b else None,
        ulps=point.ulps if point else None,
        ulp_dtype=point.ulp_dtype if point else None,
        reason=found.reason,
        caveats=found.caveats,
    )


def _first_loss(record: Record, trace: Trace) -> int | None:
    pairs = zip(record.trajectories[0].losses if record.trajectories else (), trace.trajectory.losses, strict=False)
    return next((step for step, (a, b) in enumerate(pairs, start=1) if a != b), None)


def _untraced(traces: Iterable[Trace]) -> Iterable[Claim]:
    """Group the cells that leave out the same tensors for the same reason."""
    groups: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for each in traces:
        by_reason: dict[str, list[str]] = {}
        for name, reason in each.untraced:
            by_reason.setdefault(reason, []).append(name)
        for reason, names in by_reason.items():
            groups.setdefault((tuple(names), reason), []).append(each.cell.id)
    return [UntracedTensors(cells=tuple(ids), tensors=n, reason=reason) for (n, reason), ids in groups.items()]
