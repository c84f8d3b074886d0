"""The accepted run + the records -> the claims that a report must make of what changed, by another way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields

from repromatrix.report.verify import versions
from repromatrix.report.verify.due import Due
from repromatrix.report.verify.measure import Judges
from repromatrix.results.accepted import Accepted, AcceptedCell, Identity, bits, identity
from repromatrix.results.record import Record
from tests.report.oracles.kinds import (
    BitsChange,
    CpuClassChange,
    IdentityChange,
    Membership,
    OutcomeChange,
    SinceAccepted,
)


def recompute_changes(
    accepted: Accepted,
    records: Sequence[Record],
    missing: Sequence[str],
    earlier: Mapping[str, Record],
    judges: Judges,
) -> Iterable[Due]:
    """Return every claim about the accepted run; `earlier` are accepted records that are still there, by cell id."""
    before = {each.id: each for each in accepted.cells}
    asked = [*(each.cell.id for each in records), *missing]
    found: list[Due] = []
    kept: dict[tuple[str, ...], dict[str, str]] = {}
    classes: dict[tuple[str, str], list[str]] = {}
    for each in records:
        old = before.get(each.cell.id)
        if old is None:
            continue
        other = _other(old.identity, identity(each))
        if "CPU class" in other and old.identity and each.provenance:
            classes.setdefault((old.identity.cpu_class, each.provenance.cpu_class), []).append(old.id)
        made = tuple(name for name in other if name != "CPU class")
        if old.outcome is not each.outcome:
            found.append(
                OutcomeChange(cells=(old.id,), before=old.outcome.value, now=each.outcome.value, reason=each.reason)
            )
        elif old.bits != bits(each):
            found.append(_bits(old, each, earlier.get(old.id), judges, other))
        elif made:
            kept.setdefault(made, {})[old.id] = each.cell.environment
    found += [
        OutcomeChange(cells=(name,), before=before[name].outcome.value, now="missing", reason=None)
        for name in missing
        if name in before
    ]
    new = tuple(name for name in asked if name not in before)
    gone = tuple(each.id for each in accepted.cells if each.id not in asked)
    yield SinceAccepted(
        cells=tuple(name for name in asked if name in before),
        profile=accepted.profile,
        digest=accepted.digest,
        accepted=len(accepted.cells),
        new=len(new),
        gone=len(gone),
        outcomes=sum(each.kind == "outcome_change" for each in found),
        bits=sum(each.kind == "bits_change" for each in found),
        identities=sum(map(len, kept.values())),
    )
    yield from found
    yield from (CpuClassChange(cells=tuple(ids), before=a, now=b) for (a, b), ids in classes.items())
    yield from (Membership(cells=ids, change=name) for name, ids in (("new", new), ("gone", gone)) if ids)
    for differing, environments in kept.items():
        names = tuple(dict.fromkeys(environments.values()))
        yield IdentityChange(cells=tuple(environments), environments=names, differing=differing)


def _other(a: Identity | None, b: Identity | None) -> tuple[str, ...]:
    """Return the names of what differs between two identities, the CPU class last."""
    if a is None or b is None:
        return ()
    names = [each.name for each in fields(Identity) if getattr(a, each.name) != getattr(b, each.name)]
    return tuple("CPU class" if name == "cpu_class" else name for name in names)


def _bits(old: AcceptedCell, now: Record, record: Record | None, judges: Judges, other: tuple[str, ...]) -> Due:
    known = versions.change(record, now, judges).values if record is not None and bits(record) == old.bits else {}
    return BitsChange(
        cells=(old.id,),
        before=old.bits or "",
        now=bits(now) or "",
        verdict=known.get("verdict"),
        reason=known.get("reason"),
        judged_by=known.get("judged_by"),
        ulp_dtype=known.get("ulp_dtype"),
        first_difference=known.get("first_difference"),
        max_abs=known.get("max_abs"),
        max_ulp=known.get("max_ulp"),
        differing=other,
    )
