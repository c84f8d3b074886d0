"""The same job along the versions of a framework: what an upgrade keeps, and who judges what it changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any

import msgspec

from repromatrix.compare.allowance import Allowances, Tolerance
from repromatrix.compare.difference import Verdict
from repromatrix.compare.versions import Line, Stop, VersionPair, between_versions, lines, version_key
from repromatrix.report import section as base
from repromatrix.report import wording
from repromatrix.report.run import Run
from repromatrix.report.section import Brief, Headline, Number, Part, Section
from repromatrix.report.sentence import Sentence, hexadecimal, measured, sentence

PLACE = 70
NOT_RUN = "not run"
_APART = (Verdict.ROUNDING, Verdict.AMPLIFIED, Verdict.DIVERGENT)


class ChangePart(Part, frozen=True, kw_only=True):
    """A cell against the same cell in the next newer version that ran."""

    a: str
    b: str
    verdict: Verdict
    reason: str | None
    judged_by: Annotated[str | None, msgspec.Meta(description="who tells rounding from more; null: nobody had to")]
    ulp_dtype: str | None
    steps: int
    first_difference: Annotated[int | None, msgspec.Meta(description="step, from 1; null: none")]
    max_abs: Number
    max_rel: Number
    max_ulp: int | None
    scaled: Annotated[Number, msgspec.Meta(description="the largest |a - b| over the largest |value| of both")]
    digits: Annotated[Number, msgspec.Meta(description="decimal digits in common at the worst step; null: all")]
    growth: Annotated[Number, msgspec.Meta(description="the largest |a - b| over that at the first difference")]
    unmeasured: Annotated[int | None, msgspec.Meta(description="first step where one side is not finite")]
    same_state: Annotated[bool | None, msgspec.Meta(description="whether the last weights have the same bits")]
    same_cpu_class: bool | None
    caveats: list[str]
    older: str
    newer: str


class LinePart(Part, frozen=True, kw_only=True):
    """One way to write the job along all versions of a framework; equal labels, equal bits at every step."""

    workload: str
    framework: str
    flavour: str
    python: str
    variant: str
    device: str
    settings: str
    stops: list[Stop]
    gaps: Annotated[bool, msgspec.Meta(description="whether a version has no label; nothing is known of it")]


class FloorPart(Part, frozen=True, kw_only=True):
    """The measured noise; per step what two sides may differ by."""

    workload: str
    dtype: str
    reference: str
    members: Annotated[list[str], msgspec.Meta(min_length=1)]
    growth: list[float | str]
    bound: list[float | str]


class Document(Part, frozen=True, kw_only=True):
    """Changes along the versions, and who judges them."""

    pairs: list[ChangePart]
    lines: list[LinePart]
    floors: list[FloorPart]
    tolerances: dict[str, Tolerance]


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
class LineRow:
    """One way to write the job along the versions of its table; `differs`: the line has more than one trajectory."""

    name: str
    stops: tuple[Stop, ...]
    differs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTable:
    """All lines of a framework, one column for each version.

    Attributes:
        changed: lines with more than one trajectory, `compared`: lines with losses of two versions or more.
        ran: versions with losses in any line.
    """

    title: str
    versions: tuple[str, ...]
    rows: tuple[LineRow, ...]
    changed: int
    compared: int
    ran: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions(Section):
    """All lines; `changed`: the upgrades that change bits or cannot be compared."""

    tables: tuple[LineTable, ...]
    changed: tuple[VersionRow, ...]
    unchanged: tuple[VersionRow, ...]
    floors: tuple[FloorPart, ...]
    tolerances: tuple[tuple[str, Tolerance], ...]


def build(run: Run) -> Versions:
    """Make the section."""
    pairs, along = between_versions(run.jobs, run.allowed), lines(run.jobs, run.evidence.manifest.versions)
    total, line_texts = tuple(_upgrades(pairs)), [line_of(line) for line in along]
    rows = tuple(map(_row, pairs))
    changed = tuple(row for row in rows if row.verdict != Verdict.IDENTICAL)
    floors = [_floor_part(run.allowed, key) for key in run.allowed.floors]
    moved = [text for text, line in zip(line_texts, along, strict=True) if line.labels > 1]
    return Versions(
        part=Document(
            pairs=[ChangePart(**pair.difference.flat(), older=pair.older, newer=pair.newer) for pair in pairs],
            lines=[_line_part(line) for line in along],
            floors=floors,
            tolerances=dict(run.allowed.tolerances),
        ),
        sentences=(*total, *line_texts, *map(_change, pairs), *map(floor_of, floors)),
        data=_data(floors, run.allowed),
        links=(("versions", "Versions"),) if along or pairs else (),
        headlines=tuple(_headlines(total, pairs)),
        briefs=_briefs(total, moved, changed),
        tables=tables(along),
        changed=changed,
        unchanged=tuple(row for row in rows if row.verdict == Verdict.IDENTICAL),
        floors=tuple(floors),
        tolerances=tuple(sorted(run.allowed.tolerances.items())),
    )


def _row(found: VersionPair) -> VersionRow:
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


def _upgrades(pairs: Sequence[VersionPair]) -> Iterable[Sentence]:
    """Count the upgrades that keep every bit; an upgrade is a cell against the same one in the next version."""
    differences = [pair.difference for pair in pairs]
    same = [each for each in differences if each.verdict is Verdict.IDENTICAL]
    compared = len(same) + sum(each.verdict in _APART for each in differences)
    weights, left = sum(each.same_state is True for each in same), len(pairs) - compared
    if pairs:
        more = f"; {left} more could not be compared" if left else ""
        text = (
            f"Of {wording.counted(compared, 'upgrade')} from a version to the next, {len(same)} "
            f"{'has' if len(same) == 1 else 'have'} identical losses, {weights} also identical last weights{more}"
        )
        cells = tuple(dict.fromkeys(cell for each in differences for cell in (each.a, each.b)))
        yield sentence(
            "upgrade_totals", "upgrades", text, cells,
            compared=compared, same_losses=len(same), same_weights=weights, not_compared=left,
        )  # fmt: skip


def line_of(line: Line) -> Sentence:
    """Say which versions of a line have the same losses: equal labels, equal bits at every step."""
    names = ("workload", "framework", "flavour", "python", "variant", "device", "settings")
    where = {name: getattr(line, name) for name in names}
    # A version without a label breaks a run of equal ones: nothing is known of what lies in between.
    runs = [
        _run(label, reason, [stop.version for stop in stops])
        for (label, reason), stops in groupby(line.stops, key=lambda stop: (stop.label, stop.reason))
    ]
    on, framework = (
        wording.place(line.variant, line.device, line.settings),
        wording.framework(line.framework, line.flavour),
    )
    text = f"{line.workload}, {on}, {framework}, Python {line.python}: {'; '.join(runs) or wording.NOTHING}"
    cells = tuple(stop.cell for stop in line.stops if stop.cell is not None)
    stops = [(stop.version, stop.label, stop.reason) for stop in line.stops]
    return sentence("version_line", f"line/{'/'.join(where.values())}", text, cells, **where, stops=stops)


def _run(label: str | None, reason: str | None, versions: Sequence[str]) -> str:
    if label:
        return f"{label} {versions[0]}" + (f" to {versions[-1]}" if len(versions) > 1 else "")
    return f"{', '.join(versions)}{' ' if reason == NOT_RUN else ': '}{reason}"


def _change(pair: VersionPair) -> Sentence:
    found, measure = pair.difference, pair.difference.measure
    first, most = (measure.first_difference, measure.max_ulp) if measure else (None, None)
    far = hexadecimal(measure.max_abs) if measure else None
    said = measured(first, far, most, dtype=found.ulp_dtype, judged=found.judged_by, reason=found.reason)
    return sentence(
        "version_change",
        f"change/{found.a}/{pair.newer}",
        f"{found.a}, {pair.older} to {pair.newer}: {found.verdict.value}{said}",
        (found.a, found.b),
        shown=False,
        older=pair.older,
        newer=pair.newer,
        verdict=found.verdict,
        reason=found.reason,
        judged_by=found.judged_by,
        ulp_dtype=found.ulp_dtype,
        steps=measure.steps if measure else 0,
        first_difference=first,
        max_abs=far,
        max_ulp=most,
        same_state=found.same_state,
        same_cpu_class=found.same_cpu_class,
    )


def _floor_part(allowed: Allowances, key: tuple[str, str]) -> FloorPart:
    floor = allowed.floors[key]
    return FloorPart(
        workload=floor.workload,
        dtype=floor.dtype,
        reference=floor.reference,
        members=list(floor.members),
        growth=list(floor.growth),
        bound=list(floor.bound),
    )


def floor_of(floor: FloorPart) -> Sentence:
    """Say how far apart two runs may be and still be called rounding."""
    first, last = (wording.distance(float(value)) for value in (floor.bound[0], floor.bound[-1]))
    text = (
        f"noise floor of {floor.workload} in {floor.dtype}: {first} at step 1 and {last} at step {len(floor.bound)}, a "
        f"bound derived from {len(floor.members)} one-ULP members of {floor.reference}"
    )
    growth, bound = ([float(value).hex() for value in values] for values in (floor.growth, floor.bound))
    return sentence(
        "noise_floor", f"floor/{floor.workload}/{floor.dtype}", text, (floor.reference, *floor.members),
        workload=floor.workload, dtype=floor.dtype, growth=growth, bound=bound,
    )  # fmt: skip


def tables(found: Iterable[Line]) -> tuple[LineTable, ...]:
    """Return one table for each framework, flavour and Python; lines that change first, else in order."""
    groups: dict[str, list[Line]] = {}
    for line in found:
        groups.setdefault(f"{wording.framework(line.framework, line.flavour)}, Python {line.python}", []).append(line)
    return tuple(_table(title, members) for title, members in groups.items())


def _table(title: str, members: Sequence[Line]) -> LineTable:
    versions = sorted({stop.version for line in members for stop in line.stops}, key=version_key)
    workloads = len({line.workload for line in members})
    rows = [_line_row(line, versions, f"{line.workload}/" if workloads > 1 else "") for line in members]
    rows.sort(key=lambda row: not row.differs)
    labelled = [[stop.version for stop in row.stops if stop.label] for row in rows]
    return LineTable(
        title=title,
        versions=tuple(versions),
        rows=tuple(rows),
        changed=sum(row.differs for row in rows),
        compared=sum(len(stops) > 1 for stops in labelled),
        ran=len({version for stops in labelled for version in stops}),
    )


def _line_row(line: Line, versions: Sequence[str], prefix: str) -> LineRow:
    stops = {stop.version: stop for stop in line.stops}
    return LineRow(
        name=f"{prefix}{wording.place(line.variant, line.device, line.settings)}",
        stops=tuple(
            stops.get(version, Stop(version=version, label=None, cell=None, reason=NOT_RUN)) for version in versions
        ),
        differs=line.labels > 1,
    )


def _line_part(line: Line) -> LinePart:
    names = ("workload", "framework", "flavour", "python", "variant", "device", "settings", "gaps")
    return LinePart(**{name: getattr(line, name) for name in names}, stops=list(line.stops))


def _headlines(total: Sequence[Sentence], pairs: Sequence[VersionPair]) -> Iterable[Headline]:
    for each in total:
        yield Headline(group="agrees", words=each.text, link="versions")
    counts = {word.value: sum(pair.difference.verdict is word for pair in pairs) for word in _APART}
    apart = sum(counts.values())
    if pairs:
        said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        words = "upgrade changes" if apart == 1 else "upgrades change"
        more = f" the losses{': ' if said else ''}{said}"
        yield Headline(group="differs", count=str(apart), words=words, link="versions", more=more)


def _briefs(total: Sequence[Sentence], moved: Sequence[Sentence], changed: Sequence[VersionRow]) -> tuple[Brief, ...]:
    head = ("variant", "framework", "from", "to", "verdict", "first differing step", "largest ULP")
    rows = [(r.line, r.framework, r.older, r.newer, r.verdict, r.first, r.max_ulp) for r in changed]
    none = Brief(title="Between versions", lines=("No cell ran in two versions.",))
    return (
        *(base.brief("Between versions", total) or (none,)),
        *base.brief("Along the versions (the same letter: the same losses, bit for bit)", moved),
        *base.table("Upgrades that change the losses, or could not be compared", head, rows, most=80),
    )


def _data(floors: Iterable[FloorPart], allowed: Allowances) -> Mapping[str, Any]:
    return {
        "floors": [
            {
                "workload": floor.workload,
                "dtype": floor.dtype,
                "source": allowed.floors[floor.workload, floor.dtype].source,
                "bound": floor.bound,
            }
            for floor in floors
        ],
        "tolerances": {
            dtype: {"relative": each.relative, "absolute": each.absolute, "source": each.source}
            for dtype, each in allowed.tolerances.items()
        },
    }
