"""What changed since the accepted run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repromatrix.compare.allowance import Allowances
from repromatrix.compare.difference import compare
from repromatrix.report import section as base
from repromatrix.report import wording
from repromatrix.report.run import Run
from repromatrix.report.section import Headline, Part, Section
from repromatrix.report.sections.cells import MISSING
from repromatrix.report.sentence import Sentence, hexadecimal, measured, sentence
from repromatrix.results.accepted import Accepted, AcceptedCell, bits, identity
from repromatrix.results.record import Record

PLACE = 10
SHOWN = 20
_FIRST = 5  # on the first screen
_NAMED = 5


class ChangesPart(Part, frozen=True, kw_only=True):
    """How many cells changed since the accepted run; `lines`: the weightiest changes in words, bounded."""

    accepted: str
    digest: str
    lines: list[str]
    new: int
    gone: int
    outcomes: int
    bits: int
    identities: int


class Document(Part, frozen=True, kw_only=True):
    """What changed since the accepted run; null: there is none."""

    changes: ChangesPart | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes(Section):
    """What changed; without an accepted run all is empty and `accepted` None.

    Attributes:
        accepted: the accepted run in words.
        lines: the changes in words, the weightiest first, bounded.
        compared: how many cells both runs have.
        broken: how many cells have changed bits or another outcome; new cells, and those not asked for, break nothing.
        gone: how many were not asked for any more.
    """

    accepted: str | None = None
    lines: tuple[str, ...] = ()
    compared: int = 0
    broken: int = 0
    gone: int = 0


def build(run: Run) -> Changes:
    """Make the section."""
    accepted = run.evidence.accepted
    if accepted is None:
        none = "No accepted run to compare with."
        return Changes(
            part=Document(changes=None), headlines=(Headline(group="changed", words=none, link="changes", look="dim"),)
        )
    return _changes(accepted, run)


def _changes(accepted: Accepted, run: Run) -> Changes:
    records, missing = run.records, run.evidence.missing
    before = {cell.id: cell for cell in accepted.cells}
    now = {record.cell.id: record for record in records}
    asked = [*now, *missing]
    both = [(before[name], now[name]) for name in now if name in before]
    ended = [(a, b) for a, b in both if a.outcome is b.outcome]
    outcomes = [*_outcomes(both), *_lost(before, missing)]
    other = [_bits(a, b, run.evidence.earlier, run.allowed) for a, b in ended if a.bits != bits(b)]
    kept = _identities([(a, b) for a, b in ended if a.bits == bits(b)])
    new = tuple(name for name in asked if name not in before)
    gone = tuple(name for name in before if name not in {*asked})
    counts = {
        "new": len(new),
        "gone": len(gone),
        "outcomes": len(outcomes),
        "bits": len(other),
        "identities": sum(len(each.cells) for each in kept),
    }
    total = _total(accepted, tuple(name for name in asked if name in before), counts)
    membership = [_membership(change, cells) for change, cells in (("new", new), ("gone", gone)) if cells]
    found = [*_cpu_classes(both), *other, *outcomes, *membership, *kept]
    more = len(found) - SHOWN
    lines = (*(each.text for each in found[:SHOWN]), *([f"{more} more in report.json"] if more > 0 else []))
    part = ChangesPart(accepted=_name(accepted), digest=accepted.digest, lines=list(lines), **counts)
    return Changes(
        part=Document(changes=part),
        sentences=(total, *found),
        links=(("changes", "What changed"),),
        headlines=tuple(_headlines(total, lines, broken=bool(other or outcomes))),
        briefs=base.brief("What changed", [total, *found]),
        accepted=_name(accepted),
        lines=lines,
        compared=len(total.cells),
        broken=len(other) + len(outcomes),
        gone=len(gone),
    )


def _headlines(total: Sentence, lines: Sequence[str], *, broken: bool) -> Iterable[Headline]:
    yield Headline(group="changed", words=total.text, link="changes", look="bad" if broken else "good")
    yield from (Headline(group="changed", words="", link="changes", more=line) for line in lines[:_FIRST])


def _name(accepted: Accepted) -> str:
    return f"the accepted run (profile {accepted.profile}, {wording.cells(len(accepted.cells))})"


def _total(accepted: Accepted, cells: tuple[str, ...], counts: Mapping[str, Any]) -> Sentence:
    said = [
        (counts["bits"], "with changed bits"),
        (counts["outcomes"], "with another outcome"),
        (counts["new"], "new"),
        (counts["gone"], "not asked for any more"),
        (counts["identities"], "with the same bits from another environment"),
    ]
    words = ", ".join(f"{count} {what}" for count, what in said if count) or "nothing changed"
    return sentence(
        "since_accepted",
        "since-accepted",
        f"Since {_name(accepted)}: {words}",
        cells,
        profile=accepted.profile,
        digest=accepted.digest,
        accepted=len(accepted.cells),
        **counts,
    )


def _outcomes(both: Iterable[tuple[AcceptedCell, Record]]) -> Iterable[Sentence]:
    for a, b in both:
        if a.outcome is not b.outcome:
            yield _outcome(a.id, a.outcome.value, b.outcome.value, b.reason)


def _lost(before: Mapping[str, AcceptedCell], missing: Iterable[str]) -> Iterable[Sentence]:
    for name in missing:
        if name in before:
            yield _outcome(name, before[name].outcome.value, MISSING, None)


def _outcome(cell: str, before: str, now: str, reason: str | None) -> Sentence:
    why = f" ({reason})" if reason else ""
    text = f"{cell}: {before.replace('_', ' ')} when accepted, now {now.replace('_', ' ')}{why}"
    return sentence(
        "outcome_change", f"outcome-change/{cell}", text, (cell,), shown=False, before=before, now=now, reason=reason
    )


def _bits(a: AcceptedCell, b: Record, earlier: Mapping[str, Record], allowed: Allowances) -> Sentence:
    """Say that the bits of a cell changed, and how far apart its metrics are if the accepted record is still there."""
    old, place = earlier.get(a.id), identity(b)
    # A record that was made again under the same key is not the accepted one.
    known = compare(old, b, allowed) if old is not None and bits(old) == a.bits else None
    measure = known.measure if known else None
    other = a.identity.differing(place) if a.identity and place else ()
    cpu = ("CPU class",) if a.identity and place and a.identity.cpu_class != place.cpu_class else ()
    values: dict[str, Any] = {
        "verdict": known.verdict.value if known else None,
        "reason": known.reason if known else None,
        "judged_by": known.judged_by if known else None,
        "ulp_dtype": known.ulp_dtype if known else None,
        "first_difference": measure.first_difference if measure else None,
        "max_abs": hexadecimal(measure.max_abs) if measure else None,
        "max_ulp": measure.max_ulp if measure else None,
    }
    differing = (*other, *cpu)
    far = measured(
        values["first_difference"], values["max_abs"], values["max_ulp"],
        dtype=values["ulp_dtype"], judged=values["judged_by"], reason=values["reason"],
    )  # fmt: skip
    metrics = f", metrics {known.verdict.value}{far}" if known else ""
    cause = f"; with another {', '.join(differing)}" if differing else "; from the same environment"
    return sentence(
        "bits_change",
        f"bits-change/{a.id}",
        f"{a.id}: bits changed{metrics}{cause}",
        (a.id,),
        shown=False,
        before=a.bits or "",
        now=bits(b) or "",
        **values,
        differing=differing,
    )


def _identities(kept: Iterable[tuple[AcceptedCell, Record]]) -> list[Sentence]:
    """Return the cells that kept every bit though something of their environment is another one."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for a, b in kept:
        place = identity(b)
        differing = a.identity.differing(place) if a.identity and place else ()
        if differing:
            groups.setdefault(differing, []).append(b)
    return [_identity(differing, records) for differing, records in groups.items()]


def _identity(differing: tuple[str, ...], records: Sequence[Record]) -> Sentence:
    names = tuple(dict.fromkeys(record.cell.environment for record in records))
    cells = tuple(record.cell.id for record in records)
    text = f"{_few(names)}: another {', '.join(differing)}; {wording.cells(len(cells))} kept every bit"
    name = f"identity-change/{'+'.join(differing)}"
    return sentence("identity_change", name, text, cells, shown=False, environments=names, differing=differing)


def _cpu_classes(both: Iterable[tuple[AcceptedCell, Record]]) -> list[Sentence]:
    groups: dict[tuple[str, str], list[str]] = {}
    for a, b in both:
        place = identity(b)
        if a.identity and place and a.identity.cpu_class != place.cpu_class:
            groups.setdefault((a.identity.cpu_class, place.cpu_class), []).append(a.id)
    return [_cpu_class(old, new, tuple(cells)) for (old, new), cells in groups.items()]


def _cpu_class(before: str, now: str, cells: tuple[str, ...]) -> Sentence:
    ran = f"{wording.cells(len(cells))} ran on another CPU class than accepted"
    text = f"{ran} ({before}; now {now}): bits may differ for that reason"
    return sentence("cpu_class_change", f"cpu-class-change/{before}/{now}", text, cells, before=before, now=now)


def _membership(change: str, cells: tuple[str, ...]) -> Sentence:
    what = "new since the accepted run" if change == "new" else "of the accepted run not asked for any more"
    text = f"{wording.cells(len(cells))} {what}: {_few(cells)}"
    return sentence("membership", f"membership/{change}", text, cells, shown=False, change=change)


def _few(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _NAMED
    return wording.listed(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
