"""What the cells ran in: each environment as it was seen from inside, with the digests of what it was made from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any

import msgspec

from repromatrix.report import wording
from repromatrix.report.run import Run
from repromatrix.report.section import Headline, Part, Section
from repromatrix.report.sentence import Sentence, sentence
from repromatrix.results import document as documents
from repromatrix.results.record import Provenance, Record

PLACE = 130


class EnvironmentPart(Part, frozen=True, kw_only=True):
    """An environment as it was run."""

    environment: str
    framework: str
    version: str
    flavour: str
    python: str
    settings: list[str]
    cells: int
    pinned: Annotated[bool | None, msgspec.Meta(description="false: no lock; null: nothing ran")]
    provenance: Provenance | None
    fingerprint: dict[str, Any]


class Document(Part, frozen=True, kw_only=True):
    """What the cells ran in."""

    environments: list[EnvironmentPart]


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
    cells: tuple[str, ...]
    engine: str
    pinned: bool
    base_kind: str
    cpu_class: str
    digests: tuple[tuple[str, str, str], ...]
    kernels: str
    threads: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Environments(Section):
    """All environments."""

    rows: tuple[EnvironmentRow, ...]


def build(run: Run) -> Environments:
    """Make the section."""
    groups: dict[Any, list[Record]] = {}
    for record in run.records:
        groups.setdefault(wording.environment_of(record), []).append(record)
    rows = tuple(_row(members, fingerprint) for (_, _, fingerprint), members in groups.items())
    return Environments(
        part=Document(environments=[_part(members) for members in groups.values()]),
        sentences=tuple(each for members in groups.values() for each in _ran_in(members)),
        links=(("environments", "Environments"),) if rows else (),
        headlines=(_headline(run.records),),
        rows=rows,
    )


def _headline(records: Sequence[Record]) -> Headline:
    names = {record.cell.environment for record in records}
    made = [record.provenance for record in records if record.provenance]
    engines = " and ".join(sorted({each.engine for each in made})) or wording.NOTHING
    bases = " and ".join(wording.base(kind) for kind in sorted({each.base_kind for each in made})) or wording.NOTHING
    words = "environment" if len(names) == 1 else "environments"
    return Headline(
        group="ran", count=str(len(names)), words=words, link="environments", more=f", engine {engines}: {bases}"
    )


def _row(members: Sequence[Record], fingerprint: str) -> EnvironmentRow:
    first = members[0]
    made, seen = first.provenance, first.fingerprint
    digests = [
        (name, getattr(made, f"{name}_digest")) for name in ("base", "image", "lock", "entrypoint") if made is not None
    ]
    return EnvironmentRow(
        environment=first.cell.environment,
        python=first.cell.python,
        settings=tuple(dict.fromkeys(record.cell.settings for record in members)),
        cells=tuple(record.cell.id for record in members),
        engine=made.engine if made else wording.NOTHING,
        pinned=first.pinned is not False,
        base_kind=made.base_kind if made else wording.NOTHING,
        cpu_class=made.cpu_class if made else wording.NOTHING,
        digests=tuple((name, wording.digest(value), value) for name, value in digests if value is not None),
        kernels=wording.mapping(seen.get("kernels")),
        threads=wording.mapping(seen.get("threads")),
        fingerprint=fingerprint,
    )


def _part(members: Sequence[Record]) -> EnvironmentPart:
    first, cell = members[0], members[0].cell
    return EnvironmentPart(
        **{name: getattr(cell, name) for name in ("environment", "framework", "version", "flavour", "python")},
        settings=list(dict.fromkeys(record.cell.settings for record in members)),
        cells=len(members),
        pinned=first.pinned,
        provenance=first.provenance,
        fingerprint=dict(first.fingerprint),
    )


def _ran_in(members: Sequence[Record]) -> Iterable[Sentence]:
    """Return what cells ran in: the digests of what it was made from, and of what it looked like from inside."""
    first, made = members[0], members[0].provenance
    if made is None:
        return
    name, cells = first.cell.environment, tuple(record.cell.id for record in members)
    lock = f"lock {wording.digest(made.lock_digest)}" if made.lock_digest else wording.NOT_PINNED
    text = (
        f"{name}: {wording.cells(len(cells))} ran in engine {made.engine}, base {made.base_kind} "
        f"{wording.digest(made.base_digest)}, {lock}, CPU class {made.cpu_class}"
    )
    values = {field: getattr(made, field) for field in Provenance.__dataclass_fields__}
    digest = sha256(documents.write(dict(first.fingerprint))).hexdigest()
    yield sentence(
        "ran_in", f"environment/{cells[0]}", text, cells,
        shown=False, environment=name, **values, fingerprint_digest=digest,
    )  # fmt: skip
