"""Who agrees with whom: cells whose metrics have the same bits at every step, and a rule that tells which these are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from repromatrix.compare.classes import Class, SameState, same_states
from repromatrix.compare.rules import Rule
from repromatrix.floats import FORMS
from repromatrix.report import section as base
from repromatrix.report import wording
from repromatrix.report.run import Run
from repromatrix.report.section import Brief, Headline, Hex, Part, Section
from repromatrix.report.sections.cells import Number, number
from repromatrix.report.sentence import Sentence, sentence, short

PLACE = 20


class ClassPart(Part, frozen=True, kw_only=True):
    """Cells whose metrics have the same bits at every step."""

    workload: str
    name: str
    dtypes: list[str]
    steps: int
    cells: Annotated[list[str], msgspec.Meta(min_length=1)]
    losses: list[Hex]
    states: Annotated[list[list[str]], msgspec.Meta(description="its cells by the bits of their last weights")]
    rule: Rule
    same_state: Annotated[bool, msgspec.Meta(description="whether the last weights have the same bits as well")]
    cpu_classes: list[str]


class Document(Part, frozen=True, kw_only=True):
    """The classes, and cells that end with the same weights in spite of other metrics."""

    classes: list[ClassPart]
    same_states: list[SameState]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One class; `last` is its last loss, `state` what is true of the weights after the last update."""

    workload: str
    name: str
    size: int
    dtypes: str
    steps: int
    last: Number
    state: str
    rule: tuple[str, ...]
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes(Section):
    """All classes, the largest first within a workload."""

    rows: tuple[ClassRow, ...]
    same_states: tuple[SameState, ...]


def build(run: Run) -> Classes:
    """Make the section."""
    states = same_states(run.jobs, run.classes)
    rows = tuple(_row(found) for found in run.classes if found.losses)
    return Classes(
        part=Document(classes=[_part(found) for found in run.classes], same_states=list(states)),
        sentences=(*(each for found in run.classes for each in _of_class(found)), *map(_same_state, states)),
        data={"classes": _data(run)},
        links=(("classes", "Classes"),) if rows else (),
        headlines=tuple(_headlines(run.classes, states)),
        briefs=briefs(run.classes),
        rows=rows,
        same_states=states,
    )


def _row(found: Class) -> ClassRow:
    return ClassRow(
        workload=found.workload,
        name=found.name,
        size=len(found.cells),
        dtypes=wording.listed(found.dtypes),
        steps=found.steps,
        last=number(found.losses[-1], max(found.dtypes, key=lambda name: FORMS[name].precision)),
        state="the same" if found.same_state else f"{len(found.states)} different",
        rule=wording.rule(found.rule),
        cells=found.cells,
    )


def _part(found: Class) -> ClassPart:
    return ClassPart(
        workload=found.workload,
        name=found.name,
        dtypes=list(found.dtypes),
        steps=found.steps,
        cells=list(found.cells),
        losses=list(found.losses),
        states=[list(state) for state in found.states],
        rule=found.rule,
        same_state=found.same_state,
        cpu_classes=list(found.cpu_classes),
    )


def _of_class(found: Class) -> Iterable[Sentence]:
    where, name, cells = f"{found.workload}/{found.name}", f"{found.name} of {found.workload}", found.cells
    words: dict[str, Any] = {"workload": found.workload, "name": found.name}
    whose = "1 cell has losses of its own" if len(cells) == 1 else f"{len(cells)} cells have the same losses"
    text = f"{name}: {whose}, bit for bit, over {wording.counted(len(found.losses), 'step')}"
    yield sentence("class_of", f"class/{where}", text, cells, shown=False, **words, losses=found.losses)
    rule = ", ".join(wording.rule(found.rule))
    yield sentence(
        "class_rule",
        f"rule/{where}",
        f"{name}, {wording.cells(len(cells))}, exactly these: {rule}",
        cells,
        **words,
        terms=[term.factors for term in found.rule.terms],
        without=found.rule.without,
        among=found.rule.among,
    )
    if not found.same_state:
        text = f"{name}: the losses are the same, the last weights are {len(found.states)} different ones"
        yield sentence("one_class_two_states", f"states/{where}", text, cells, **words, states=found.states)


def _same_state(found: SameState) -> Sentence:
    text = (
        f"{wording.listed(found.classes)} of {found.workload}: {len(found.cells)} cells end with the same weights, "
        "bit for bit, though their metrics differ on the way"
    )
    name = f"same-state/{found.workload}/{found.cells[0]}"
    return sentence("same_state_other_losses", name, text, found.cells, workload=found.workload, classes=found.classes)


def _headlines(classes: Sequence[Class], states: Sequence[SameState]) -> Iterable[Headline]:
    together = sum(len(found.cells) for found in classes if len(found.cells) > 1)
    every = sum(len(found.cells) for found in classes)
    if classes:
        count, more = f"{together} of {every}", " share their losses with another cell, bit for bit"
        yield Headline(group="agrees", count=count, words="cells", link="classes", more=more)
    same = sum(len(found.cells) for found in states)
    if same:
        words, more = "cells end with the same weights", " as a cell with other losses"
        yield Headline(group="agrees", count=str(same), words=words, link="classes", more=more)
    if classes:
        words = "class of losses" if len(classes) == 1 else "classes of losses"
        yield Headline(group="differs", count=str(len(classes)), words=words, link="classes")


def briefs(classes: Sequence[Class]) -> tuple[Brief, ...]:
    """Return the rules of the largest classes: how many cells first, then the first terms."""
    ordered = sorted(classes, key=lambda found: -len(found.cells))
    lines = tuple(short(_brief(found)) for found in ordered[: base.MOST])
    left = max(0, len(ordered) - base.MOST)
    return (Brief(title="Who has the same losses", lines=lines, left_out=left),) if lines else ()


def _brief(found: Class) -> str:
    said = wording.brief([term.factors for term in found.rule.terms], len(found.rule.without))
    return f"{found.name} of {found.workload}, {wording.cells(len(found.cells))}: {said}"


def _data(run: Run) -> list[dict[str, object]]:
    places = [*(record.cell.id for record in run.records), *run.evidence.missing]
    numbers = {cell: place for place, cell in enumerate(places)}
    return [
        {
            "workload": found.workload,
            "name": found.name,
            "cells": [numbers[cell] for cell in found.cells],
            "dtypes": list(found.dtypes),
            "rule": " ".join(wording.rule(found.rule)),
            "states": len(found.states),
        }
        for found in run.classes
    ]
