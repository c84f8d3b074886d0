"""Records -> what a report must say of its cells, their environments and their classes, by another way."""

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256

from repromatrix.report.claims.base import Claim
from repromatrix.report.claims.cells import CellCount, Deterministic, LeftOut, OutcomeCount, RanIn, WithoutResult
from repromatrix.report.claims.classes import ClassOf, OneClassTwoStates, SameStateOtherLosses
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Outcome, Record


def cells(manifest: Manifest, records: Sequence[Record], missing: Sequence[str]) -> Iterable[Claim]:
    """Return what must be said of the cells and of what was left out."""
    by_outcome: dict[str, list[str]] = {each.value: [] for each in Outcome} | {"missing": list(missing)}
    for each in records:
        by_outcome[each.outcome.value].append(each.cell.id)
    ids = (*(each.cell.id for each in records), *missing)
    yield CellCount(cells=ids, count=len(ids), environments=len({each.cell.environment for each in records}))
    for name, cells in by_outcome.items():
        if cells:
            yield OutcomeCount(cells=tuple(cells), outcome=name, count=len(cells))
    again = [each for each in records if each.outcome is Outcome.OK and each.repeats > 1]
    differ = tuple(each.cell.id for each in again if len(set(each.trajectories)) != 1)
    yield Deterministic(
        cells=tuple(each.cell.id for each in again), repeated=len(again), same=len(again) - len(differ), differ=differ
    )
    for each in records:
        if not each.trajectories:
            reason = each.reason or "no reason was recorded"
            yield WithoutResult(cells=(each.cell.id,), outcome=each.outcome.value, reason=reason)
    for name in missing:
        yield WithoutResult(cells=(name,), outcome="missing", reason="no record")
    for entry in manifest.entries:
        if entry.key is None:
            yield LeftOut(cells=(entry.id,), reason=entry.reason or "no reason was recorded")


def environments(records: Sequence[Record]) -> Iterable[Claim]:
    """Return what must be said of what the cells ran in."""
    groups: dict[tuple[str, object, str], list[Record]] = {}
    for each in records:
        seen = json.dumps(each.fingerprint, sort_keys=True, indent=1, ensure_ascii=False)
        groups.setdefault((each.cell.environment, each.provenance, seen), []).append(each)
    for (name, _, seen), members in groups.items():
        made = members[0].provenance
        if made:
            digest = sha256(seen.encode(errors="replace") + b"\n").hexdigest()
            cells = tuple(each.cell.id for each in members)
            values = {field: getattr(made, field) for field in type(made).__dataclass_fields__}
            yield RanIn(cells=cells, environment=name, fingerprint_digest=digest, **values)


def classes(records: Sequence[Record]) -> Iterable[Claim]:
    """Return which cells share every bit, which of those end in other states, and which states are shared."""
    names: dict[str, tuple[str, str]] = {}
    single = [each for each in records if len(each.trajectories) == 1]
    for workload in dict.fromkeys(each.cell.workload for each in single):
        groups: dict[tuple[tuple[str, ...], ...], list[Record]] = {}
        for each in single:
            if each.cell.workload == workload:
                groups.setdefault(each.trajectories[0].judged, []).append(each)
        largest = sorted(groups.items(), key=lambda item: len(item[1]), reverse=True)
        for number, (judged, members) in enumerate(largest, start=1):
            name = f"C{number}"
            ids = tuple(each.cell.id for each in members)
            names |= dict.fromkeys(ids, (workload, name))
            yield ClassOf(cells=ids, workload=workload, name=name, losses=judged[0])
            states = tuple(map(tuple, sorted(_by_state(members).values(), key=len, reverse=True)))
            if len(states) > 1:
                yield OneClassTwoStates(cells=ids, workload=workload, name=name, states=states)
    for workload in dict.fromkeys(each.cell.workload for each in single):
        for together in _by_state([each for each in single if each.cell.workload == workload]).values():
            between = tuple(dict.fromkeys(names[each][1] for each in together))
            if len(between) > 1:
                yield SameStateOtherLosses(cells=tuple(together), workload=workload, classes=between)


def _by_state(records: Iterable[Record]) -> dict[str, list[str]]:
    """Return the cells by the bits of their weights after the last update."""
    found: dict[str, list[str]] = {}
    for each in records:
        state = json.dumps(each.trajectories[0].state)
        found.setdefault(state, []).append(each.cell.id)
    return found
