"""Records -> what is said of the cells and of what they ran in."""

import json
from hashlib import sha256

from repromatrix.results.record import Outcome
from tests.report.oracles.kinds import CellCount, Deterministic, LeftOut, OutcomeCount, RanIn, WithoutResult


def cells(manifest, records, missing):
    """Return what must be said of the cells and of what was left out."""
    by_outcome = {each.value: [] for each in Outcome} | {"missing": list(missing)}
    for each in records:
        by_outcome[each.outcome.value].append(each.cell.id)
    ids = (*(each.cell.id for each in records), *missing)
    yield CellCount(cells=ids, count=len(ids), environments=len({each.cell.environment for each in records}))
    for name, found in by_outcome.items():
        if found:
            yield OutcomeCount(cells=tuple(found), outcome=name, count=len(found))
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


def environments(records):
    """Return what must be said of what the cells ran in."""
    groups = {}
    for each in records:
        seen = json.dumps(each.fingerprint, sort_keys=True, indent=1, ensure_ascii=False)
        groups.setdefault((each.cell.environment, each.provenance, seen), []).append(each)
    for (name, _, seen), members in groups.items():
        made = members[0].provenance
        if made:
            digest = sha256(seen.encode(errors="replace") + b"\n").hexdigest()
            found = tuple(each.cell.id for each in members)
            values = {field: getattr(made, field) for field in type(made).__dataclass_fields__}
            yield RanIn(cells=found, environment=name, fingerprint_digest=digest, **values)
