"""A written report against the records: what it says of them computed again by other code, and nothing missing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from repromatrix.report.evidence import Evidence
from repromatrix.report.verify import cells, measure, versions
from repromatrix.report.verify.complaint import Complaint, differing, shown
from repromatrix.report.verify.due import Due
from repromatrix.report.verify.experiments import honest
from repromatrix.report.verify.explanations import explained, judged_pairs
from repromatrix.report.verify.published import recompute_published
from repromatrix.report.verify.traces import parted
from repromatrix.results.accepted import bits
from repromatrix.results.record import Record

# What is computed again. All else in a report are sums and words of these, held by its bytes alone.
KINDS = frozenset(
    {
        "class_of", "one_class_two_states", "same_state_other_losses", "version_change", "noise_floor",
        "first_divergence", "factor_verdict", "condition_verdict", "explained", "unexplained",
        "published_losses", "published_prediction", "published_verdict",
    }
)  # fmt: skip


def verify(document: Mapping[str, Any], evidence: Evidence) -> tuple[Complaint, ...]:
    """Return everything in which report.json's content and the records disagree; nothing: every value holds."""
    return compare(document, evidence, expected(evidence))


def expected(evidence: Evidence) -> tuple[Due, ...]:
    """Return what the sentences of these kinds have to stand on."""
    own, manifest = evidence.own, evidence.manifest
    judges = measure.judges_of(manifest, evidence.records)
    classes = tuple(cells.classes(evidence.jobs))
    judged = judged_pairs(evidence.experiments, manifest, evidence.tried, judges)
    return (
        *classes,
        *versions.changes(evidence.jobs, judges),
        *(floor.due for floor in judges.floors.values()),
        *(each for table in manifest.published for each in recompute_published(table, own, judged)),
        *parted(own, evidence.traces, classes, evidence.bits),
        *explained(evidence.experiments, manifest, evidence.tried, judges, classes),
    )


def compare(document: Mapping[str, Any], evidence: Evidence, due: Sequence[Due]) -> tuple[Complaint, ...]:
    """Return everything in which a report differs from what is due and from the records."""
    return (
        *_same_values(document["sentences"], due),
        *_same_records(document, evidence.own, evidence.missing),
        *(
            Complaint(where=f"traces/{name}", says="a trace of that cell", records=why)
            for name, why in evidence.damaged.items()
        ),
        *honest(evidence.experiments, evidence.tried),
        *_same_verdicts(document, due),
    )


def _same_values(sentences: Sequence[Mapping[str, Any]], expected: Iterable[Due]) -> Iterable[Complaint]:
    said: dict[str, Mapping[str, Any]] = {}
    for each in sentences:
        if each["id"] in said:
            yield Complaint(where=each["id"], says="the same twice", records="once")
        said[each["id"]] = each
    for due in expected:
        found = said.pop(due.id, None)
        if found is None:
            yield Complaint(where=due.id, says="nothing", records=shown(due.values))
            continue
        right = {"kind": due.kind, "cells": list(due.cells), "values": due.values}
        for name in [name for name in right if found[name] != right[name]]:
            a, b = differing(found[name], right[name])
            yield Complaint(where=f"{due.id}: {name}", says=a, records=b)
    for name, each in said.items():
        if each["kind"] in KINDS:
            yield Complaint(where=name, says=shown(each["text"]), records="nothing of the kind")


def _same_verdicts(document: Mapping[str, Any], due: Sequence[Due]) -> Iterable[Complaint]:
    """Compare what stands beside each published table with the verdicts on its statements."""
    verdicts = [each.values for each in due if each.kind == "published_verdict"]
    for table in (document["published"], *document["other_published"]):
        if table is None:
            continue
        said = {each["id"]: each for each in table["claims"]}
        own = {each["name"]: _beside(each) for each in verdicts if each["workload"] == table["workload"]}
        for name in dict.fromkeys((*own, *said)):
            found = _unworded(said.get(name))
            if found != own.get(name):
                a, b = differing(found, own.get(name))
                yield Complaint(where=f"published claims/{name}", says=a, records=b)


def _beside(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": values["name"]} | {
        name: values[name] for name in ("says", "verdict", "reason", "condition", "evidence")
    }


def _unworded(found: Mapping[str, Any] | None) -> Any:
    """Return a verdict without its condition and evidence in words, which are held by the bytes."""
    if found is None:
        return None
    parts = {name: found[name] for name in ("condition", "evidence")}
    return dict(found) | {
        name: None if part is None else {key: value for key, value in part.items() if key != "says"}
        for name, part in parts.items()
    }


def _same_records(document: Mapping[str, Any], own: Sequence[Record], missing: Sequence[str]) -> Iterable[Complaint]:
    """Compare what the report says each cell computed with its record, value by value."""
    found: dict[str, Mapping[str, Any]] = {}
    for cell in document["cells"]:
        if cell["id"] in found:
            yield Complaint(where=f"cells/{cell['id']}", says="the same cell twice", records="once")
        found[cell["id"]] = cell
    for each in own:
        told = found.pop(each.cell.id, None)
        if told is None:
            yield Complaint(
                where=f"cells/{each.cell.id}", says="nothing", records=f"{each.outcome.value}, key {each.key}"
            )
            continue
        for name, value in _cell(each).items():
            if told.get(name) != value:
                yield Complaint(where=f"cells/{each.cell.id}: {name}", says=shown(told.get(name)), records=shown(value))
    for name in found:
        yield Complaint(
            where=f"cells/{name}", says="a cell of the run", records="no such cell: made from other records"
        )
    if sorted(document["missing"]) != sorted(missing):
        yield Complaint(where="missing", says=shown(document["missing"]), records=shown(list(missing)))


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
