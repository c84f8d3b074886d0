"""The parts of the view -> the claims that the report makes of them, in the order of the report."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from repromatrix.compare.allowance import Floor
from repromatrix.compare.classes import Class, SameState
from repromatrix.compare.difference import Verdict
from repromatrix.compare.versions import Line, VersionPair, version_key
from repromatrix.report.claims.base import Claim
from repromatrix.report.claims.cells import (
    CellCount,
    Deterministic,
    FrameworksRan,
    LeftOut,
    OutcomeCount,
    RanIn,
    WithoutResult,
)
from repromatrix.report.claims.classes import ClassOf, ClassRule, OneClassTwoStates, SameStateOtherLosses
from repromatrix.report.claims.versions import NoiseFloor, UpgradeTotals, VersionChange, VersionLine
from repromatrix.report.rows import EnvironmentRow
from repromatrix.results import document as documents
from repromatrix.results.manifest import Entry
from repromatrix.results.record import Outcome, Record

NO_REASON = "no reason was recorded"
NO_RECORD = "no record"
MISSING = "missing"


def of_cells(records: Sequence[Record], missing: Sequence[str], left_out: Iterable[Entry]) -> tuple[Claim, ...]:
    """Return what is said of the cells: how many, how they ended, whether they repeat."""
    outcomes = [(each.value, tuple(r.cell.id for r in records if r.outcome is each)) for each in Outcome]
    repeated = [each for each in records if each.deterministic is not None]
    return (
        CellCount(
            cells=(*(each.cell.id for each in records), *missing),
            count=len(records) + len(missing),
            environments=len({each.cell.environment for each in records}),
        ),
        *_frameworks([each for each in records if each.trajectory is not None]),
        *(
            OutcomeCount(cells=cells, outcome=name, count=len(cells))
            for name, cells in (*outcomes, (MISSING, tuple(missing)))
            if cells
        ),
        Deterministic(
            cells=tuple(each.cell.id for each in repeated),
            repeated=len(repeated),
            same=sum(each.deterministic is True for each in repeated),
            differ=tuple(each.cell.id for each in repeated if each.deterministic is False),
        ),
        *(
            WithoutResult(cells=(each.cell.id,), outcome=each.outcome.value, reason=each.reason or NO_REASON)
            for each in records
            if each.trajectory is None
        ),
        *(WithoutResult(cells=(each,), outcome=MISSING, reason=NO_RECORD) for each in missing),
        *(LeftOut(cells=(each.id,), reason=each.reason or NO_REASON) for each in left_out),
    )


def _frameworks(records: Sequence[Record]) -> Iterable[Claim]:
    ran: dict[tuple[str, str], set[str]] = {}
    for each in records:
        ran.setdefault((each.cell.framework, each.cell.flavour), set()).add(each.cell.version)
    if ran:
        yield FrameworksRan(
            cells=tuple(each.cell.id for each in records),
            ran=tuple((*where, tuple(sorted(found, key=version_key))) for where, found in ran.items()),
        )


def of_environments(found: Iterable[EnvironmentRow]) -> tuple[Claim, ...]:
    """Return what is said of what the cells ran in."""
    claims = []
    for each in found:
        provenance = each.record.provenance
        if provenance is not None:
            digest = sha256(documents.write(dict(each.record.fingerprint))).hexdigest()
            claims.append(
                RanIn(
                    cells=each.cell_ids,
                    environment=each.environment,
                    engine=provenance.engine,
                    base_kind=provenance.base_kind,
                    base_digest=provenance.base_digest,
                    image_digest=provenance.image_digest,
                    lock_digest=provenance.lock_digest,
                    entrypoint_digest=provenance.entrypoint_digest,
                    cpu_class=provenance.cpu_class,
                    fingerprint_digest=digest,
                )
            )
    return tuple(claims)


def of_classes(found: Iterable[Class], states: Iterable[SameState]) -> tuple[Claim, ...]:
    """Return what is said of the classes of identical trajectories and of the states that they end in."""
    claims: list[Claim] = []
    for each in found:
        where = {"workload": each.workload, "name": each.name}
        claims += [
            ClassOf(cells=each.cells, losses=each.losses, **where),
            ClassRule(
                cells=each.cells,
                terms=tuple(term.factors for term in each.rule.terms),
                without=each.rule.without,
                among=each.rule.among,
                **where,
            ),
        ]
        if not each.same_state:
            claims.append(OneClassTwoStates(cells=each.cells, states=each.states, **where))
    claims += [SameStateOtherLosses(cells=e.cells, workload=e.workload, classes=e.classes) for e in states]
    return tuple(claims)


def of_versions(lines: Iterable[Line], pairs: Sequence[VersionPair], floors: Iterable[Floor]) -> tuple[Claim, ...]:
    """Return what is said along the versions, and by whose measure."""
    return (
        *_upgrades(pairs),
        *(_line(each) for each in lines),
        *(_change(each) for each in pairs),
        *(_floor(each) for each in floors),
    )


def _upgrades(pairs: Sequence[VersionPair]) -> Iterable[Claim]:
    apart = (Verdict.ROUNDING, Verdict.AMPLIFIED, Verdict.DIVERGENT)
    same = [each.difference for each in pairs if each.difference.verdict is Verdict.IDENTICAL]
    compared = len(same) + sum(each.difference.verdict in apart for each in pairs)
    if pairs:
        yield UpgradeTotals(
            cells=tuple(dict.fromkeys(cell for each in pairs for cell in (each.difference.a, each.difference.b))),
            compared=compared,
            same_losses=len(same),
            same_weights=sum(each.same_state is True for each in same),
            not_compared=len(pairs) - compared,
        )


def _line(line: Line) -> Claim:
    return VersionLine(
        cells=tuple(each.cell for each in line.stops if each.cell is not None),
        workload=line.workload,
        framework=line.framework,
        flavour=line.flavour,
        python=line.python,
        variant=line.variant,
        device=line.device,
        settings=line.settings,
        stops=tuple((each.version, each.label, each.reason) for each in line.stops),
    )


def _change(pair: VersionPair) -> Claim:
    difference, measure = pair.difference, pair.difference.measure
    return VersionChange(
        cells=(difference.a, difference.b),
        older=pair.older,
        newer=pair.newer,
        verdict=difference.verdict.value,
        reason=difference.reason,
        judged_by=difference.judged_by,
        ulp_dtype=difference.ulp_dtype,
        steps=measure.steps if measure else 0,
        first_difference=measure.first_difference if measure else None,
        max_abs=hexadecimal(measure.max_abs) if measure else None,
        max_ulp=measure.max_ulp if measure else None,
        same_state=difference.same_state,
        same_cpu_class=difference.same_cpu_class,
    )


def _floor(floor: Floor) -> Claim:
    return NoiseFloor(
        cells=(floor.reference, *floor.members),
        workload=floor.workload,
        dtype=floor.dtype,
        growth=tuple(map(float.hex, floor.growth)),
        bound=tuple(map(float.hex, floor.bound)),
    )


def hexadecimal(value: float | None) -> str | None:
    """Return a float as exact text."""
    return None if value is None else value.hex()
