"""The accepted run + the records -> what changed since."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from repromatrix.compare.allowance import Allowances
from repromatrix.compare.difference import compare
from repromatrix.report.claims.base import Claim
from repromatrix.report.claims.changes import (
    BitsChange,
    CpuClassChange,
    IdentityChange,
    Membership,
    OutcomeChange,
    SinceAccepted,
)
from repromatrix.report.claims.stated import MISSING, hexadecimal
from repromatrix.results.accepted import Accepted, AcceptedCell, bits, identity
from repromatrix.results.record import Record

SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changed since the accepted run.

    Attributes:
        accepted: the accepted run in words.
        digest: SHA-256 of its file.
        lines: the changes in words, the weightiest first, bounded.
        claims: all of them; the first one counts.
        broken: whether bits or outcomes changed.
    """

    accepted: str
    digest: str
    lines: tuple[str, ...]
    claims: tuple[Claim, ...]
    new: int
    gone: int
    outcomes: int
    bits: int
    identities: int

    @property
    def broken(self) -> bool:
        """Whether bits or outcomes changed; cells that are new, or were not asked for, break nothing."""
        return bool(self.bits or self.outcomes)


def changes(
    accepted: Accepted,
    records: Sequence[Record],
    missing: Sequence[str],
    earlier: Mapping[str, Record],
    allowed: Allowances,
) -> Changes:
    """Hold the records against the accepted run.

    Args:
        accepted: the accepted run.
        records: those of the run, the members of ensembles left out.
        missing: cells of the run without a record.
        earlier: by cell id, accepted records that are still there.
        allowed: who judges distances.
    """
    before = {each.id: each for each in accepted.cells}
    now = {each.cell.id: each for each in records}
    asked = [*now, *missing]
    common = [(before[name], now[name]) for name in now if name in before]
    outcomes = [*_outcomes(common), *_lost(before, missing)]
    other = [_bits(a, b, earlier, allowed) for a, b in common if a.outcome is b.outcome and a.bits != bits(b)]
    kept = _identities([(a, b) for a, b in common if a.outcome is b.outcome and a.bits == bits(b)])
    new = tuple(name for name in asked if name not in before)
    gone = tuple(name for name in before if name not in {*asked})
    summary = SinceAccepted(
        cells=tuple(name for name in asked if name in before),
        profile=accepted.profile,
        digest=accepted.digest,
        accepted=len(before),
        new=len(new),
        gone=len(gone),
        outcomes=len(outcomes),
        bits=len(other),
        identities=sum(len(each.cells) for each in kept),
    )
    membership = [Membership(cells=cells, change=name) for name, cells in (("new", new), ("gone", gone)) if cells]
    found = (*_cpu_classes(common), *other, *outcomes, *membership, *kept)
    more = len(found) - SHOWN
    return Changes(
        accepted=summary.name,
        digest=accepted.digest,
        lines=(*(each.text for each in found[:SHOWN]), *([f"{more} more in report.json"] if more > 0 else [])),
        claims=(summary, *found),
        new=len(new),
        gone=len(gone),
        outcomes=len(outcomes),
        bits=len(other),
        identities=summary.identities,
    )


def _outcomes(common: Iterable[tuple[AcceptedCell, Record]]) -> Iterable[Claim]:
    for a, b in common:
        if a.outcome is not b.outcome:
            yield OutcomeChange(cells=(a.id,), before=a.outcome.value, now=b.outcome.value, reason=b.reason)


def _lost(before: Mapping[str, AcceptedCell], missing: Iterable[str]) -> Iterable[Claim]:
    for name in missing:
        if name in before:
            yield OutcomeChange(cells=(name,), before=before[name].outcome.value, now=MISSING, reason=None)


def _bits(a: AcceptedCell, b: Record, earlier: Mapping[str, Record], allowed: Allowances) -> Claim:
    old, place = earlier.get(a.id), identity(b)
    # A record that was made again under the same key is not the accepted one.
    known = compare(old, b, allowed) if old is not None and bits(old) == a.bits else None
    measure = known.measure if known else None
    other = a.identity.differing(place) if a.identity and place else ()
    cpu = ("CPU class",) if a.identity and place and a.identity.cpu_class != place.cpu_class else ()
    return BitsChange(
        cells=(a.id,),
        before=a.bits or "",
        now=bits(b) or "",
        verdict=known.verdict.value if known else None,
        reason=known.reason if known else None,
        judged_by=known.judged_by if known else None,
        ulp_dtype=known.ulp_dtype if known else None,
        first_difference=measure.first_difference if measure else None,
        max_abs=hexadecimal(measure.max_abs) if measure else None,
        max_ulp=measure.max_ulp if measure else None,
        differing=(*other, *cpu),
    )


def _identities(kept: Iterable[tuple[AcceptedCell, Record]]) -> list[Claim]:
    groups: dict[tuple[str, ...], list[Record]] = {}
    for a, b in kept:
        place = identity(b)
        differing = a.identity.differing(place) if a.identity and place else ()
        if differing:
            groups.setdefault(differing, []).append(b)
    return [
        IdentityChange(
            cells=tuple(each.cell.id for each in found),
            environments=tuple(dict.fromkeys(each.cell.environment for each in found)),
            differing=differing,
        )
        for differing, found in groups.items()
    ]


def _cpu_classes(common: Iterable[tuple[AcceptedCell, Record]]) -> list[Claim]:
    groups: dict[tuple[str, str], list[str]] = {}
    for a, b in common:
        place = identity(b)
        if a.identity and place and a.identity.cpu_class != place.cpu_class:
            groups.setdefault((a.identity.cpu_class, place.cpu_class), []).append(a.id)
    return [CpuClassChange(cells=tuple(cells), before=old, now=new) for (old, new), cells in groups.items()]
