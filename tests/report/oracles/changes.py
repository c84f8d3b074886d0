"""The accepted run + the records -> the claims that a report must make of what changed, by another way."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from repromatrix.report.verify import versions
from repromatrix.report.verify.due import Due
from repromatrix.report.verify.measure import Judges
from repromatrix.results.accepted import Accepted, AcceptedCell, Identity, accept
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Record
from repromatrix.results.value import Trajectory
from tests.report.oracles.kinds import (
    BitsChange,
    IdentityChange,
    Membership,
    NoBaseline,
    OutcomeChange,
    SinceAccepted,
)

DIGESTS = ("engine", "base", "image", "lock", "entrypoint")


def recompute_changes(
    accepted: Accepted, records: Sequence[Record], missing: Sequence[str], judges: Judges
) -> Iterable[Due]:
    """Return every claim about the accepted run: it is held against the run that these records would be."""
    empty = Manifest(profile=accepted.profile, entries=(), published=(), tolerances=())
    now = accept(empty, records)
    asked = [*(each.cell.id for each in records), *missing]
    found: list[Due] = []
    kept: dict[tuple[str, ...], dict[str, str]] = {}
    elsewhere: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    compared = []
    for each in records:
        name = each.cell.id
        if name not in accepted.cells:
            continue
        ((place, new),) = now.cells[name].items()
        known = accepted.cells[name]
        old = known.get(place) or known.get("none") or (next(iter(known.values())) if place == "none" else None)
        if old is None:
            elsewhere.setdefault((place, tuple(sorted(known))), []).append(name)
            continue
        compared.append(name)
        a, b = _identity(accepted, old), _identity(now, new)
        if old.outcome is not each.outcome:
            found.append(
                OutcomeChange(cells=(name,), before=old.outcome.value, now=each.outcome.value, reason=each.reason)
            )
        elif old.bits != new.bits:
            found.append(_bits(old, new, each, judges, (a, b)))
        elif a and b and (other := (*_digests(a, b), *_told(a, b))):
            kept.setdefault(other, {})[name] = each.cell.environment
    lost = [name for name in missing if name in accepted.cells]
    found += [
        OutcomeChange(
            cells=(name,), before=next(iter(accepted.cells[name].values())).outcome.value, now="missing", reason=None
        )
        for name in lost
    ]
    new_cells = tuple(name for name in asked if name not in accepted.cells)
    gone = tuple(name for name in accepted.cells if name not in asked)
    yield SinceAccepted(
        cells=(*compared, *lost),
        profile=accepted.profile,
        digest=accepted.digest,
        accepted=len(accepted.cells),
        new=len(new_cells),
        gone=len(gone),
        outcomes=sum(each.kind == "outcome_change" for each in found),
        bits=sum(each.kind == "bits_change" for each in found),
        elsewhere=sum(map(len, elsewhere.values())),
        identities=sum(map(len, kept.values())),
    )
    yield from found
    yield from (NoBaseline(cells=tuple(ids), now=a, accepted=b) for (a, b), ids in elsewhere.items())
    yield from (Membership(cells=ids, change=name) for name, ids in (("new", new_cells), ("gone", gone)) if ids)
    for differing, environments in kept.items():
        names = tuple(dict.fromkeys(environments.values()))
        yield IdentityChange(cells=tuple(environments), environments=names, differing=differing)


def _identity(of: Accepted, cell: AcceptedCell) -> Identity | None:
    return of.identities[cell.identity] if cell.identity else None


def _digests(a: Identity, b: Identity) -> tuple[str, ...]:
    return tuple(name for name in DIGESTS if getattr(a, name) != getattr(b, name))


def _told(a: Identity, b: Identity) -> dict[str, list[str | None]]:
    """Return what two environments tell otherwise, by name."""
    return {
        name: [a.told.get(name), b.told.get(name)]
        for name in sorted(a.told.keys() | b.told.keys())
        if a.told.get(name) != b.told.get(name)
    }


def _bits(
    old: AcceptedCell, new: AcceptedCell, now: Record, judges: Judges, ran: tuple[Identity | None, Identity | None]
) -> Due:
    cell = replace(now.cell, task=old.task, steps=old.steps)
    before = replace(now, cell=cell, trajectories=(Trajectory(columns=old.metrics),)) if old.metrics else None
    known = versions.change(before, now, judges).values if before else {}
    both = ran[0] is not None and ran[1] is not None
    return BitsChange(
        cells=(now.cell.id,),
        before=old.bits or "",
        now=new.bits or "",
        **{
            name: known.get(name)
            for name in ("verdict", "reason", "judged_by", "ulp_dtype", "first_difference", "max_abs", "max_ulp")
        },
        outputs=sorted({name for name, _ in set(old.outputs.items()) ^ set(new.outputs.items())}),
        state=sorted({name for name, _ in set(old.state.items()) ^ set(new.state.items())}),
        differing=list(_digests(*ran)) if both else [],
        told=_told(*ran) if both else {},
    )
