"""Traces -> what is said of them beside where they first differ."""

from repromatrix.report.verify.traces import tells
from tests.report.oracles.kinds import Traced, TracingChanges, UntracedTensors, WithoutTrace


def told(manifest, records, traces):
    """Return how many cells were traced, which of them tracing changes, and what could not be traced."""
    by_id = {each.cell.id: each for each in records}
    known = {name: traces[name] for name in by_id if name in traces}
    honest = {name for name, each in known.items() if tells(each, by_id[name])}
    if known:
        yield Traced(cells=tuple(known), count=len(known), changed=len(known) - len(honest))
    for name, trace in known.items():
        if name not in honest:
            plain = by_id[name].trajectories
            runs = zip(plain[0].losses if plain else (), trace.trajectory.losses, strict=False)
            steps = [number for number, (a, b) in enumerate(runs, start=1) if a != b]
            yield TracingChanges(cells=(name,), first_loss=min(steps, default=None))
    yield from _untraced(known)
    for entry in manifest.entries:
        if entry.id in by_id and entry.id not in known and (entry.trace or entry.untraced):
            yield WithoutTrace(cells=(entry.id,), reason=entry.untraced or "its file is not there")


def _untraced(traces):
    said = {found: [] for each in traces.values() for found in _reasons(each)}
    for cell, trace in traces.items():
        for found in _reasons(trace):
            said[found].append(cell)
    for (names, reason), cells in said.items():
        yield UntracedTensors(cells=tuple(cells), tensors=names, reason=reason)


def _reasons(trace):
    reasons = dict.fromkeys(reason for _, reason in trace.untraced)
    return [(tuple(name for name, why in trace.untraced if why == reason), reason) for reason in reasons]
