"""Records and classes -> the rows of the report's general tables, all in text."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repromatrix.compare.classes import Class
from repromatrix.compare.difference import Verdict
from repromatrix.compare.versions import VersionPair
from repromatrix.floats import FORMS
from repromatrix.report import wording
from repromatrix.results.record import Provenance, Record

DIFFER = "repeats differ"
_DETERMINISTIC = {True: "same bits", False: DIFFER, None: wording.NOTHING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A value in decimal, enough digits to identify it in its dtype, and exact."""

    text: str
    hex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One cell; `losses` is empty unless it ran, `repeats` holds the other trajectories where repeats differ."""

    id: str
    environment: str
    variant: str
    dtype: str
    options: str
    device: str
    settings: str
    engine: str
    pinned: bool
    outcome: str
    reason: str | None
    log: str | None
    deterministic: str
    class_name: str
    losses: tuple[Number, ...]
    repeats: tuple[tuple[Number, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One class; `last` is its last loss."""

    workload: str
    name: str
    size: int
    dtypes: str
    steps: int
    last: Number
    state: str
    rule: tuple[str, ...]
    brief: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """One line's step from a version to the next."""

    framework: str
    line: str
    older: str
    newer: str
    verdict: str
    first: str
    max_abs: str
    max_ulp: str
    dtype: str
    notes: str
    newer_cell: str
    older_cell: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRow:
    """One environment as it was run: records with the same provenance and fingerprint.

    Attributes:
        digests: name, beginning, whole.
        fingerprint: as JSON, sorted.
    """

    environment: str
    python: str
    settings: tuple[str, ...]
    cells: int
    engine: str
    pinned: bool
    base_kind: str
    cpu_class: str
    digests: tuple[tuple[str, str, str], ...]
    kernels: str
    threads: str
    fingerprint: str
    cell_ids: tuple[str, ...]
    record: Record


def cells(records: Sequence[Record], found: Iterable[Class]) -> tuple[CellRow, ...]:
    """Return every record as a row, in order."""
    names = {cell: each.name for each in found for cell in each.cells}
    return tuple(_cell(each, names.get(each.cell.id, wording.NOTHING)) for each in records)


def classes(found: Iterable[Class]) -> tuple[ClassRow, ...]:
    """Return every class as a row, in order."""
    return tuple(
        ClassRow(
            workload=each.workload,
            name=each.name,
            size=len(each.cells),
            dtypes=wording.listed(each.dtypes),
            steps=each.steps,
            last=_number(each.losses[-1], max(each.dtypes, key=lambda name: FORMS[name].precision)),
            state="same weights" if each.same_state else f"{len(each.states)} states",
            rule=wording.rule(each.rule),
            brief=wording.brief([term.factors for term in each.rule.terms], len(each.rule.without)),
            cells=each.cells,
        )
        for each in found
        if each.losses
    )


def versions(pairs: Iterable[VersionPair]) -> tuple[VersionRow, ...]:
    """Return the steps between versions, in order."""
    return tuple(_version(each) for each in pairs)


def environments(records: Iterable[Record]) -> tuple[EnvironmentRow, ...]:
    """Group the records by environment, provenance and fingerprint, in order of appearance."""
    groups: dict[tuple[str, Provenance | None, str], list[Record]] = {}
    for record in records:
        fingerprint = json.dumps(record.fingerprint, sort_keys=True, indent=1, ensure_ascii=False)
        groups.setdefault((record.cell.environment, record.provenance, fingerprint), []).append(record)
    return tuple(_environment(members, fingerprint) for (_, _, fingerprint), members in groups.items())


def _cell(record: Record, class_name: str) -> CellRow:
    cell, provenance = record.cell, record.provenance
    trajectories = [tuple(_number(text, cell.dtype) for text in each.losses) for each in record.trajectories]
    return CellRow(
        id=cell.id,
        environment=cell.environment,
        variant=cell.variant,
        dtype=cell.dtype,
        options=wording.options(cell.options),
        device=cell.device,
        settings=cell.settings,
        engine=provenance.engine if provenance else wording.NOTHING,
        pinned=record.pinned is not False,
        outcome=record.outcome.value.replace("_", " "),
        reason=(record.reason or "no reason was recorded") if record.trajectory is None else None,
        log=record.log,
        deterministic=_DETERMINISTIC[record.deterministic],
        class_name=class_name,
        losses=trajectories[0] if trajectories else (),
        repeats=tuple(trajectories[1:]),
    )


def _number(hexadecimal: str, dtype: str) -> Number:
    return Number(text=wording.decimal(hexadecimal, dtype), hex=hexadecimal)


def _version(found: VersionPair) -> VersionRow:
    difference, measure = found.difference, found.difference.measure
    other = difference.verdict is Verdict.IDENTICAL and difference.same_state is False
    notes = [
        *([difference.reason] if difference.reason else []),
        *(["other weights at the end"] if other else []),
        *difference.caveats,
    ]
    return VersionRow(
        framework=f"{wording.framework(found.framework, found.flavour)}, Python {found.python}",
        line=wording.place(found.variant, found.device, found.settings),
        older=found.older,
        newer=found.newer,
        verdict=difference.verdict.value,
        first=wording.step(measure.first_difference) if measure else wording.NOTHING,
        max_abs=wording.distance(measure.max_abs if measure else None),
        max_ulp=wording.count(measure.max_ulp if measure else None),
        dtype=difference.ulp_dtype or wording.NOTHING,
        notes="; ".join(notes),
        newer_cell=difference.b,
        older_cell=difference.a,
    )


def _environment(members: Sequence[Record], fingerprint: str) -> EnvironmentRow:
    first = members[0]
    provenance, seen = first.provenance, first.fingerprint
    digests = (
        (
            ("base", provenance.base_digest),
            ("image", provenance.image_digest),
            ("lock", provenance.lock_digest),
            ("entrypoint", provenance.entrypoint_digest),
        )
        if provenance
        else ()
    )
    return EnvironmentRow(
        environment=first.cell.environment,
        python=first.cell.python,
        settings=tuple(dict.fromkeys(each.cell.settings for each in members)),
        cells=len(members),
        engine=provenance.engine if provenance else wording.NOTHING,
        pinned=first.pinned is not False,
        base_kind=provenance.base_kind if provenance else wording.NOTHING,
        cpu_class=provenance.cpu_class if provenance else wording.NOTHING,
        digests=tuple((name, wording.digest(value), value) for name, value in digests if value is not None),
        kernels=wording.mapping(seen.get("kernels")),
        threads=wording.mapping(seen.get("threads")),
        fingerprint=fingerprint,
        cell_ids=tuple(each.cell.id for each in members),
        record=first,
    )
