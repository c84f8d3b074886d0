"""The rules of classes as a report has them, held against every record."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from repromatrix.report.claims.classes import ClassOf, ClassRule
from repromatrix.report.verify.complaint import Complaint, differing, shown
from repromatrix.results.factors import option_factors
from repromatrix.results.record import Record

NOT_STATED = "-"


def rules_held(
    rules: Sequence[Mapping[str, Any]], classes: Sequence[ClassOf], own: Sequence[Record]
) -> Iterable[Complaint]:
    """A rule is found by search; here it only has to hold for the cells of its class and for no other."""
    deterministic = [each for each in own if len(each.trajectories) == 1]
    by_name = {(each.workload, each.name): each for each in classes}
    for said in rules:
        claim = _rule(said)
        whose = by_name.pop((claim.workload, claim.name), None) if claim else None
        if claim is None or whose is None:
            yield Complaint(claim=said["id"], says=shown(said.get("text")), records="no class of that name, or no rule")
            continue
        among = [each for each in deterministic if each.cell.workload == claim.workload]
        held = tuple(each.cell.id for each in among if _holds(claim, each))
        if held != whose.cells:
            yield Complaint(claim=claim.id, says=shown(claim.text), records=f"that holds for {shown(list(held))}")
        exact = ClassRule(
            cells=whose.cells,
            workload=claim.workload,
            name=claim.name,
            terms=claim.terms,
            without=claim.without,
            among=len(among),
        ).document()
        for name in dict.fromkeys([*exact, *said]):
            if exact.get(name) != said.get(name):
                a, b = differing(said.get(name), exact.get(name))
                yield Complaint(claim=f"{claim.id}: {name}", says=a, records=b)
    for each in by_name.values():
        yield Complaint(
            claim=f"rule/{each.workload}/{each.name}", says="nothing", records=f"a class of {len(each.cells)} cells"
        )


def _rule(said: Mapping[str, Any]) -> ClassRule | None:
    """Return a rule as a value, or None where it is written in no way that a rule is."""
    try:
        values = said["values"]
        terms = tuple(tuple((str(name), tuple(map(str, each))) for name, each in term) for term in values["terms"])
        return ClassRule(
            cells=tuple(said["cells"]),
            workload=str(values["workload"]),
            name=str(values["name"]),
            terms=terms,
            without=tuple(map(str, values["without"])),
            among=int(values["among"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _holds(rule: ClassRule, record: Record) -> bool:
    cell, made = record.cell, record.provenance
    framework = cell.framework if cell.flavour == "cpu" else f"{cell.framework}/{cell.flavour}"
    factors = {
        **{name: getattr(cell, name) for name in ("python", "dtype", "device", "settings")},
        "framework": framework,
        "version": f"{framework} {cell.version}",
        **option_factors(cell.options),
        **option_factors(record.factors),
        "engine": made.engine if made else NOT_STATED,
        "base": made.base_kind if made else NOT_STATED,
        "cpu class": made.cpu_class if made else NOT_STATED,
    }
    return cell.id in rule.without or any(
        all(factors.get(name, NOT_STATED) in values for name, values in term) for term in rule.terms
    )
