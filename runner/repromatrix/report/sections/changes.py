"""What changed since the accepted run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec

from repromatrix.compare.allowance import Allowances
from repromatrix.compare.difference import compare
from repromatrix.report import section as base
from repromatrix.report import wording
from repromatrix.report.run import Run
from repromatrix.report.section import Headline, Part, Section
from repromatrix.report.sections.cells import MISSING
from repromatrix.report.sentence import Sentence, hexadecimal, measured, sentence
from repromatrix.results.accepted import NOWHERE, Accepted, AcceptedCell, Identity, bits, digests, identity
from repromatrix.results.record import Record
from repromatrix.results.value import Role, Trajectory

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
    elsewhere: Annotated[int, msgspec.Meta(description="cells that were accepted on other CPU classes alone")]
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
        elsewhere: how many were accepted on other CPU classes alone, and so not compared.
    """

    accepted: str | None = None
    lines: tuple[str, ...] = ()
    compared: int = 0
    broken: int = 0
    gone: int = 0
    elsewhere: int = 0


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
    missing = run.evidence.missing
    now = {record.cell.id: record for record in run.records}
    asked = [*now, *missing]
    both = [(old, record) for record in run.records if (old := accepted.of(record.cell.id, _cpu_class(record)))]
    ended = [(a, b) for a, b in both if a.outcome is b.outcome]
    outcomes = [*_outcomes(both), *_lost(accepted, missing)]
    other = [_bits(accepted, a, b, run.allowed) for a, b in ended if a.bits != bits(b)]
    kept = _identities(accepted, [(a, b) for a, b in ended if a.bits == bits(b)])
    new = tuple(name for name in asked if name not in accepted.cells)
    gone = tuple(name for name in accepted.cells if name not in {*asked})
    compared = (*(record.cell.id for _, record in both), *(name for name in missing if name in accepted.cells))
    elsewhere = [now[name] for name in now if name in accepted.cells and name not in {*compared}]
    counts = {
        "new": len(new),
        "gone": len(gone),
        "outcomes": len(outcomes),
        "bits": len(other),
        "elsewhere": len(elsewhere),
        "identities": sum(len(each.cells) for each in kept),
    }
    total = _total(accepted, compared, counts)
    membership = [_membership(change, cells) for change, cells in (("new", new), ("gone", gone)) if cells]
    found = [*_elsewhere(accepted, elsewhere), *other, *outcomes, *membership, *kept]
    more = len(found) - SHOWN
    lines = (*(each.text for each in found[:SHOWN]), *([f"{more} more in report.json"] if more > 0 else []))
    part = ChangesPart(accepted=_name(accepted), digest=accepted.digest, lines=list(lines), **counts)
    return Changes(
        part=Document(changes=part),
        sentences=(total, *found),
        links=(("changes", "What changed"),),
        headlines=tuple(_headlines(total, lines, broken=bool(other or outcomes or gone))),
        briefs=base.brief("What changed", [total, *found]),
        accepted=_name(accepted),
        lines=lines,
        compared=len(compared),
        broken=len(other) + len(outcomes),
        gone=len(gone),
        elsewhere=len(elsewhere),
    )


def _cpu_class(record: Record) -> str | None:
    return record.provenance.cpu_class if record.provenance else None


def _headlines(total: Sentence, lines: Sequence[str], *, broken: bool) -> Iterable[Headline]:
    yield Headline(group="changed", words=total.text, link="changes", look="bad" if broken else "good")
    yield from (Headline(group="changed", words="", link="changes", more=line) for line in lines[:_FIRST])


def _name(accepted: Accepted) -> str:
    return f"the accepted run (profile {accepted.profile}, {wording.cells(len(accepted.cells))})"


def _total(accepted: Accepted, cells: tuple[str, ...], counts: Mapping[str, Any]) -> Sentence:
    said = [
        (counts["bits"], "with changed bits"),
        (counts["outcomes"], "with another outcome"),
        (counts["elsewhere"], "with no baseline for this CPU class"),
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
            yield _outcome(b.cell.id, a.outcome.value, b.outcome.value, b.reason)


def _lost(accepted: Accepted, missing: Iterable[str]) -> Iterable[Sentence]:
    for name in missing:
        old = accepted.of(name, None)
        if old:
            yield _outcome(name, old.outcome.value, MISSING, None)


def _outcome(cell: str, before: str, now: str, reason: str | None) -> Sentence:
    why = f" ({reason})" if reason else ""
    text = f"{cell}: {before.replace('_', ' ')} when accepted, now {now.replace('_', ' ')}{why}"
    return sentence(
        "outcome_change", f"outcome-change/{cell}", text, (cell,), shown=False, before=before, now=now, reason=reason
    )


def _bits(accepted: Accepted, a: AcceptedCell, b: Record, allowed: Allowances) -> Sentence:
    """Say which values of a cell moved, from which step and how far, and what of its environment is another."""
    old, place = accepted.identity(a), identity(b)
    known = compare(_as_record(a, b, old), b, allowed) if a.metrics else None
    measure = known.measure if known else None
    values: dict[str, Any] = {
        "verdict": known.verdict.value if known else None,
        "reason": known.reason if known else None,
        "judged_by": known.judged_by if known else None,
        "ulp_dtype": known.ulp_dtype if known else None,
        "first_difference": measure.first_difference if measure else None,
        "max_abs": hexadecimal(measure.max_abs) if measure else None,
        "max_ulp": measure.max_ulp if measure else None,
    }
    differing = old.differing(place) if old and place else ()
    told = old.moved(place) if old and place else {}
    outputs = _other(a.outputs, digests(b.trajectory, Role.OUTPUT))
    state = _other(a.state, digests(b.trajectory, Role.STATE))
    far = measured(
        values["first_difference"], values["max_abs"], values["max_ulp"],
        dtype=values["ulp_dtype"], judged=values["judged_by"], reason=values["reason"],
    )  # fmt: skip
    metrics = f", metrics {known.verdict.value}{far}" if known else ""
    moved = "".join(f"; {word} {_few(names)}" for word, names in (("outputs", outputs), ("state", state)) if names)
    text = f"{b.cell.id}: bits changed{metrics}{moved}{_cause(differing, told)}"
    return sentence(
        "bits_change",
        f"bits-change/{b.cell.id}",
        text,
        (b.cell.id,),
        shown=False,
        before=a.bits or "",
        now=bits(b) or "",
        **values,
        outputs=outputs,
        state=state,
        differing=differing,
        told={name: list(each) for name, each in told.items()},
    )


def _as_record(a: AcceptedCell, b: Record, old: Identity | None) -> Record:
    """Return what was accepted of a cell as a record beside that of now."""
    made = replace(b.provenance, cpu_class=old.cpu_class, lock_digest=old.lock) if b.provenance and old else None
    cell = replace(b.cell, task=a.task, steps=a.steps)
    return replace(b, cell=cell, key=a.key, trajectories=(Trajectory(columns=a.metrics),), provenance=made)


def _other(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in sorted({*before, *now}) if before.get(name) != now.get(name))


def _cause(differing: Sequence[str], told: Mapping[str, tuple[str | None, str | None]]) -> str:
    if not differing and not told:
        return "; from the same environment"
    some = [f"{name} was {old or 'not set'}, now {new or 'not set'}" for name, (old, new) in _weighty(told)[:_NAMED]]
    more = [f"{len(told) - _NAMED} more in report.json"] if len(told) > _NAMED else []
    digests_ = [f"with another {', '.join(differing)}"] if differing else []
    return "".join(f"; {each}" for each in (*digests_, *some, *more))


def _weighty(told: Mapping[str, tuple[str | None, str | None]]) -> list[tuple[str, tuple[str | None, str | None]]]:
    """Return what was told otherwise, what a person sets first."""
    return sorted(told.items(), key=lambda each: (not each[0].startswith("settings."), each[0]))


def _identities(accepted: Accepted, kept: Iterable[tuple[AcceptedCell, Record]]) -> list[Sentence]:
    """Return the cells that kept every bit though something of their environment is another one."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for a, b in kept:
        old, place = accepted.identity(a), identity(b)
        differing = (*old.differing(place), *old.moved(place)) if old and place else ()
        if differing:
            groups.setdefault(differing, []).append(b)
    return [_identity(differing, records) for differing, records in groups.items()]


def _identity(differing: tuple[str, ...], records: Sequence[Record]) -> Sentence:
    names = tuple(dict.fromkeys(record.cell.environment for record in records))
    cells = tuple(record.cell.id for record in records)
    text = f"{_few(names)}: another {_few(differing)}; {wording.cells(len(cells))} kept every bit"
    name = f"identity-change/{'+'.join(differing)}"
    return sentence("identity_change", name, text, cells, shown=False, environments=names, differing=differing)


def _elsewhere(accepted: Accepted, records: Iterable[Record]) -> list[Sentence]:
    """Say which cells were accepted on other CPU classes alone: nothing is said of their numbers."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for each in records:
        there = tuple(sorted(accepted.cells[each.cell.id]))
        groups.setdefault((_cpu_class(each) or NOWHERE, there), []).append(each.cell.id)
    return [_no_baseline(now, there, tuple(cells)) for (now, there), cells in groups.items()]


def _no_baseline(now: str, there: tuple[str, ...], cells: tuple[str, ...]) -> Sentence:
    have = "has" if len(cells) == 1 else "have"
    text = (
        f"{wording.cells(len(cells))} {have} no baseline for the CPU class {now}, only for {_few(there)}: not compared"
        "; accept one on this machine: repromatrix accept"
    )
    name = f"no-baseline/{now}/{'+'.join(there)}"
    return sentence("no_baseline", name, text, cells, shown=False, now=now, accepted=there)


def _membership(change: str, cells: tuple[str, ...]) -> Sentence:
    what = "new since the accepted run" if change == "new" else "of the accepted run not asked for any more"
    text = f"{wording.cells(len(cells))} {what}: {_few(cells)}"
    return sentence("membership", f"membership/{change}", text, cells, shown=False, change=change)


def _few(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _NAMED
    return wording.listed(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
