"""A written report against the records: every claim recomputed, none missing, and the pages say what the claims say."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repromatrix.report import statements
from repromatrix.report.claims import pages
from repromatrix.report.claims.base import Claim, short
from repromatrix.report.claims.changes import SinceAccepted
from repromatrix.report.claims.classes import ClassOf, ClassRule
from repromatrix.report.claims.statements import PublishedVerdict
from repromatrix.report.claims.traces import FirstDivergence
from repromatrix.report.replayed import Replayed
from repromatrix.report.verify import measure, texts
from repromatrix.report.verify.changes import recompute_changes
from repromatrix.report.verify.complaint import Complaint, differing, shown
from repromatrix.report.verify.explanations import explained
from repromatrix.report.verify.hybrids import honest
from repromatrix.report.verify.ledgers import Ledger, ledger_of
from repromatrix.report.verify.operations import operated
from repromatrix.report.verify.published import recompute_published
from repromatrix.report.verify.recompute import own_records, recompute
from repromatrix.report.verify.rules import rules_held
from repromatrix.report.verify.traces import traced
from repromatrix.results.accepted import Accepted, bits
from repromatrix.results.experiments import Experiments
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Record
from repromatrix.results.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A report as it lies there; a page that is None is not there."""

    document: Mapping[str, Any]
    html: str | None
    markdown: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a report is held against.

    Attributes:
        records: those of the manifest's cells, in its order, the members of ensembles included.
        missing: its cells without a record.
        accepted: the accepted run, if the report speaks of one.
        earlier: by cell id, accepted records that are still there.
        traces: by cell id, those that could be read.
        damaged: by cell id, what is wrong with the others that the manifest names.
        experiments: what was tried to explain pairs of cells.
        tried: by key, the records that the experiments stand on.
        replayed: operations that were computed again.
        bits: gives the bits of a large value of a trace by their digest, where they were fetched.
    """

    manifest: Manifest
    records: tuple[Record, ...]
    missing: tuple[str, ...]
    accepted: Accepted | None
    earlier: Mapping[str, Record]
    traces: Mapping[str, Trace] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    experiments: Experiments = field(default_factory=Experiments)
    tried: Mapping[str, Record] = field(default_factory=dict)
    replayed: Replayed = field(default_factory=Replayed)
    bits: Callable[[str], bytes | None] = field(default=lambda _: None)


def verify(written: Written, evidence: Evidence) -> tuple[Complaint, ...]:
    """Return everything in which the report and the records disagree; nothing: every claim holds."""
    return compare(written, evidence, expected(evidence))


def expected(evidence: Evidence) -> tuple[Claim, ...]:
    """Return every claim that the report must make, the rules of classes excepted."""
    own = own_records(evidence.manifest, evidence.records)
    judges = measure.judges_of(evidence.manifest, evidence.records)
    ledgers = _ledgers(evidence, judges)
    tables = [
        each for table in evidence.manifest.published for each in recompute_published(table, own, judges, ledgers)
    ]
    changes: Iterable[Claim] = ()
    if evidence.accepted is not None:
        changes = recompute_changes(evidence.accepted, own, evidence.missing, evidence.earlier, judges)
    plain = recompute(evidence.manifest, evidence.records, evidence.missing)
    why = explained(evidence.experiments, evidence.manifest, evidence.tried, judges, plain)
    return (
        *plain,
        *tables,
        *traced(evidence.manifest, own, evidence.traces, plain, evidence.bits),
        *why,
        *operated(evidence.replayed, evidence.manifest),
        *changes,
    )


def _ledgers(evidence: Evidence, judges: measure.Judges) -> list[Ledger]:
    """Return what was tried on pairs of cells of this run, judged again."""
    keys = {each.id: each.key for each in evidence.manifest.entries}
    pairs = [
        each for each in evidence.experiments.pairs if all(keys.get(run.id) == run.key for run in (each.a, each.b))
    ]
    found = [ledger_of(each, evidence.tried, judges) for each in pairs]
    return [each for each in found if each is not None]


def compare(written: Written, evidence: Evidence, due: Sequence[Claim]) -> tuple[Complaint, ...]:
    """Return everything in which a report differs from the claims that are due and from the records."""
    own = own_records(evidence.manifest, evidence.records)
    rules = [each for each in written.document["claims"] if each.get("kind") == ClassRule.kind]
    complaints = [
        *_same_claims(written.document["claims"], due),
        *rules_held(rules, [each for each in due if isinstance(each, ClassOf)], own),
    ]
    doubtful = {name for each in complaints for name in (each.claim, each.claim.rpartition(": ")[0])}
    sound = [each for each in written.document["claims"] if each["id"] not in doubtful]
    complaints += _same_records(written.document, own, evidence.missing)
    complaints += [
        Complaint(claim=f"traces/{name}", says="a trace of that cell", records=why)
        for name, why in evidence.damaged.items()
    ]
    complaints += honest(evidence.experiments, evidence.tried)
    complaints += _same_divergences(written.document.get("divergences"), due)
    complaints += _same_changes(written.document.get("changes"), due)
    complaints += _same_verdicts(written.document, due)
    if written.html is not None:
        complaints += _printed("index.html", texts.of_html(written.html), pages.on_page(sound))
    if written.markdown is not None and not texts.is_cut(written.markdown):
        complaints += _printed(
            "report.md", texts.of_markdown(written.markdown), _summary(written.document["claims"], doubtful, due)
        )
    return tuple(complaints)


def _same_verdicts(document: Mapping[str, Any], due: Sequence[Claim]) -> Iterable[Complaint]:
    """Compare what stands beside each published table with the verdicts on its statements."""
    verdicts = [each for each in due if isinstance(each, PublishedVerdict)]
    for table in (document.get("published"), *(document.get("other_published") or ())):
        if not isinstance(table, dict):
            continue
        said = {each.get("id"): each for each in table.get("claims", [])}
        expected = {each.name: statements.document(each) for each in verdicts if each.workload == table.get("workload")}
        for name in dict.fromkeys((*expected, *said)):
            if said.get(name) != expected.get(name):
                a, b = differing(said.get(name), expected.get(name))
                yield Complaint(claim=f"published claims/{name}", says=a, records=b)


def _same_changes(changes: Any, due: Sequence[Claim]) -> Iterable[Complaint]:
    """Compare the numbers of changes with the claim that counts them; no accepted run, no changes."""
    summary = next((each for each in due if isinstance(each, SinceAccepted)), None)
    if summary is None or not isinstance(changes, dict):
        if summary is not None or changes is not None:
            yield Complaint(
                claim="changes", says=shown(changes), records=summary.text if summary else "no accepted run"
            )
        return
    for name in ("digest", "new", "gone", "outcomes", "bits", "identities"):
        if changes.get(name) != summary.values[name]:
            yield Complaint(
                claim=f"changes: {name}", says=shown(changes.get(name)), records=shown(summary.values[name])
            )


def _summary(claims: Sequence[Mapping[str, Any]], doubtful: set[str], due: Sequence[Claim]) -> Iterable[str]:
    """Return the sound sentences of report.md, which has the first ones of a kind: the doubtful ones count too."""
    right = {each.id: each.document() for each in due}
    every = [right.get(each["id"]) if each["id"] in doubtful else each for each in claims]
    told = {short(right[name]["text"]) for name in doubtful & right.keys()}
    return (each for each in pages.in_summary([e for e in every if e is not None]).texts if each not in told)


def _same_divergences(found: Any, due: Sequence[Claim]) -> Iterable[Complaint]:
    """Compare the list of divergences with the claims that say the same."""
    said = [_flat(each) for each in found] if isinstance(found, list) else [found]
    claims = [each for each in due if isinstance(each, FirstDivergence)]
    expected = [
        {"cells": list(each.cells), "same": each.step is None and each.reason is None} | each.values for each in claims
    ]
    told, right = ({json.dumps(each, sort_keys=True) for each in side} for side in (said, expected))
    if told != right or len(said) != len(expected):
        wrong, lacking = sorted(told - right), sorted(right - told)
        yield Complaint(
            claim="divergences",
            says=shown(wrong[0] if wrong else f"{len(said)} of them"),
            records=shown(lacking[0] if lacking else f"{len(expected)} of them"),
        )


def _flat(each: Any) -> Any:
    """Return an entry of the list as the claim about it has its values; what is none is returned as it is."""
    try:
        point = each["point"] or dict.fromkeys(("step", "tensor", "index", "ulps", "ulp_dtype"))
        a, b = (point.get(side) or {"hexadecimal": None, "bits": None} for side in "ab")
        return {
            "cells": [each["a"], each["b"]],
            **{name: each[name] for name in ("workload", "steps", "tensors", "reason", "caveats", "same")},
            **{name: point[name] for name in ("step", "tensor", "index", "ulps", "ulp_dtype")},
            "a": a["hexadecimal"],
            "a_bits": a["bits"],
            "b": b["hexadecimal"],
            "b_bits": b["bits"],
        }
    except (KeyError, TypeError, AttributeError):
        return each


def _same_records(document: Mapping[str, Any], own: Sequence[Record], missing: Sequence[str]) -> Iterable[Complaint]:
    """Compare what the report says each cell computed with its record, value by value."""
    found: dict[str, Mapping[str, Any]] = {}
    for cell in document["cells"]:
        if cell["id"] in found:
            yield Complaint(claim=f"cells/{cell['id']}", says="the same cell twice", records="once")
        found[cell["id"]] = cell
    for each in own:
        told = found.pop(each.cell.id, None)
        if told is None:
            yield Complaint(
                claim=f"cells/{each.cell.id}", says="nothing", records=f"{each.outcome.value}, key {each.key}"
            )
            continue
        for name, value in _cell(each).items():
            if told.get(name) != value:
                yield Complaint(claim=f"cells/{each.cell.id}: {name}", says=shown(told.get(name)), records=shown(value))
    for name in found:
        yield Complaint(
            claim=f"cells/{name}", says="a cell of the run", records="no such cell: made from other records"
        )
    if sorted(document.get("missing", [])) != sorted(missing):
        yield Complaint(claim="missing", says=shown(document.get("missing")), records=shown(list(missing)))


def _cell(record: Record) -> dict[str, Any]:
    first = record.trajectories[0] if record.trajectories else None
    return {
        "key": record.key,
        "outcome": record.outcome.value,
        "reason": record.reason,
        "dtype": record.cell.dtype,
        "options": dict(record.cell.options),
        "factors": dict(record.factors),
        "repeats": record.repeats,
        "losses": list(first.losses) if first else [],
        "predictions": [list(row) for row in first.predictions] if first else [],
        "metrics": {each.name: list(each.texts) for each in first.metrics} if first else {},
        "other_losses": [list(each.losses) for each in record.trajectories[1:]],
        "bits": bits(record),
    }


def _same_claims(claims: Sequence[Mapping[str, Any]], expected: Iterable[Claim]) -> Iterable[Complaint]:
    said: dict[str, Mapping[str, Any]] = {}
    for each in claims:
        if each["id"] in said:
            yield Complaint(claim=each["id"], says="the same twice", records="once")
        said[each["id"]] = each
    for claim in expected:
        due, found = claim.document(), said.pop(claim.id, None)
        if found is None:
            yield Complaint(claim=claim.id, says="nothing", records=shown(claim.text))
            continue
        wrong = [name for name in dict.fromkeys([*due, *found]) if found.get(name) != due.get(name)]
        for name in wrong:
            a, b = differing(found.get(name), due.get(name))
            yield Complaint(claim=f"{claim.id}: {name}", says=a, records=b)
    for name, each in said.items():
        if each.get("kind") != ClassRule.kind:
            yield Complaint(claim=name, says=shown(each.get("text")), records="nothing of the kind")


def _printed(page: str, text: str, sentences: Iterable[str]) -> Iterable[Complaint]:
    for each in sentences:
        if " ".join(each.split()) not in text:
            yield Complaint(claim=page, says="nothing", records=shown(each))
