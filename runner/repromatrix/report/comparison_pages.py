"""The view of a comparison -> text, Markdown, JSON (schemas/comparison.json, format 1) or JUnit's XML."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from repromatrix import harmless
from repromatrix.compare.difference import Verdict
from repromatrix.compare.groups import Group
from repromatrix.compare.pair import Point, Value
from repromatrix.compare.pairs import Mode
from repromatrix.report import wording
from repromatrix.report.comparison import COLUMNS, PairRow, View, counted, decimal, hexadecimal, pattern, rule

FORMAT = 1
MARKDOWN_BYTES = 60_000
_CAVEATS = 20
_ROWS = 200  # of pairs, as many as the default of --limit
_GROUPS = 50
_md, _xml = harmless.markdown, harmless.xml
_HELP = (
    "first: the first differing step, from 1; ULP: the most values that lie between",
    "absolute, relative: the largest difference, so the tolerance that would have been needed",
    "scaled: absolute over the largest loss; digits: significant ones in common at the worst step",
    "growth: the largest difference over the first one; ~: compared at the printed digits, bits cannot be told",
    "state: whether the weights after the last update have the same bits",
)


def text(view: View) -> str:
    """Return the comparison for a person at a terminal."""
    lines = [view.title, *(f"note: {each}" for each in view.notes), ""]
    for group in view.groups[:_GROUPS]:
        lines += [f"{group.name:<5} {group.count:>5,}  {group.what}  {group.rule}", f"{'':14}{group.members}"]
    if len(view.groups) > _GROUPS:
        more = counted(len(view.groups) - _GROUPS, "smaller class", "smaller classes")
        lines.append(f"{more} not listed here; --format json has them")
    lines += [""] if view.groups else []
    lines += [*_table(view), ""]
    for each in view.pairs:
        lines += [each.label, *(f"  {line}" for line in each.detail), ""] if each.detail else []
    lines += _HELP if any(each.figures[1] not in ("none", wording.NOTHING) for each in view.pairs) else []
    lines += ["", *(f"judged by: {each}" for each in view.judged_by)] if view.judged_by else []
    lines += _bounded("absent", view.absent) if view.comparison.by_class else []
    lines += _bounded("caveat", view.caveats)
    lines += ["", f"{'passes' if view.passes else 'does not pass'}: {view.verdicts}"]
    lines.append(view.judged)
    flat = "\n".join(harmless.line(line).rstrip() for line in lines) + "\n"
    return re.sub("\n{3,}", "\n\n", flat)


def _table(view: View) -> list[str]:
    """Return the pairs as lines; those with nothing to tell are counted where they are many."""
    by_class, (shown, left_out) = view.comparison.by_class, _shown(view)
    rows = [(*COLUMNS, *(("pairs",) if by_class else ()), "a | b")]
    for each in shown:
        label = f"{each.label}  ({each.reason})" if each.reason else each.label
        rows.append((*each.figures, *((each.pairs,) if by_class else ()), label))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    lines = []
    for first, *figures, label in rows if shown else ():
        cells = [first.ljust(widths[0]), *(each.rjust(width) for each, width in zip(figures, widths[1:], strict=True))]
        lines.append("  ".join((*cells, label)))
    return lines + left_out


def _shown(view: View) -> tuple[list[PairRow], list[str]]:
    """Return the pairs to list, what fails first where not all can be, and what is said of the others."""
    rows = [each for each in view.pairs if each.folded is None]
    lines = []
    for word in ("identical", "missing"):
        number = sum(each.folded == word for each in view.pairs)
        if number:
            lines.append(f"{counted(number, f'{word} pair')} not listed here; --format json has them")
    if len(rows) > _ROWS:
        rows.sort(key=lambda each: each.passes)
        lines.append(f"{counted(len(rows) - _ROWS, 'pair')} more not listed here; --format json has them")
    return rows[:_ROWS], lines


def markdown(view: View) -> str:
    """Return the comparison for a pull request or a job: under 60 kB, a cut is announced."""
    by_class, (shown, left_out) = view.comparison.by_class, _shown(view)
    heads = ["a", "b", *COLUMNS, *(["pairs"] if by_class else []), "why"]
    lines = [
        f"# {_md(view.title)}",
        "",
        f"**{'Passes' if view.passes else 'Does not pass'}**: {_md(view.verdicts)}",
        "",
        f"- {_md(view.judged)}",
        *(f"- {_md(each)}" for each in view.notes),
        *(f"- judged by {_md(each)}" for each in view.judged_by),
        "",
    ]
    if view.groups:
        lines += ["| class | series | what | rule | members |", "|---|---:|---|---|---|"]
        lines += [
            f"| {each.name} | {each.count:,} | {_md(each.what)} | {_md(each.rule)} | {_md(each.members)} |"
            for each in view.groups
        ]
        lines.append("")
    lines += [f"| {' | '.join(heads)} |", f"|---|---|---|{'---:|' * (len(heads) - 4)}---|"]
    for each in shown:
        cells = [each.a, each.b, *each.figures, *([each.pairs] if by_class else []), each.reason or ""]
        lines.append(f"| {' | '.join(map(_md, cells))} |")
    lines += ["", *(f"- {each}" for each in left_out)] if left_out else []
    for each in view.pairs:
        lines += ["", f"**{_md(each.a)}** and **{_md(each.b)}**", ""] if each.detail else []
        lines += [f"- {_md(line)}" for line in each.detail]
    lines += ["", *(f"- no trajectory: {_md(each)}" for each in view.absent)] if view.absent else []
    lines += ["", *(f"- caveat: {_md(each)}" for each in view.caveats)] if view.caveats else []
    whole = "\n".join((*lines, "", *(f"- {_md(each)}" for each in _HELP))) + "\n"
    if len(whole.encode()) <= MARKDOWN_BYTES:
        return whole
    notice = "\n\n**Cut here: the whole comparison comes with --format json.**\n"
    kept = whole.encode()[: MARKDOWN_BYTES - len(notice.encode())].decode(errors="ignore")
    return kept[: kept.rfind("\n")] + notice


def json_text(view: View) -> str:
    """Return the comparison for programs (schemas/comparison.json), canonical."""
    return harmless.in_json(document(view), sort_keys=True, indent=1) + "\n"


def document(view: View) -> dict[str, Any]:
    """Return the comparison as JSON values: floats as numbers, what JSON lacks as text."""
    found = view.comparison
    names = {member: each.name for each in found.groups for member in each.members}
    return {
        "format": FORMAT,
        "mode": found.mode.value,
        "by_class": found.by_class,
        "passes": view.passes,
        "allowed": [*(each.value for each in view.terms.verdicts), *(["printed"] if view.terms.printed else [])],
        "state": view.terms.state,
        "total": found.total,
        "verdicts": {verdict.value: count for verdict, count in found.verdicts.items()},
        "notes": list(view.notes),
        "series": [
            {
                **{name: getattr(each, name) for name in ("name", "source", "workload", "dtype", "steps", "absent")},
                "deterministic": each.deterministic,
                "decimal": each.joined is not None,
                "class": names.get(each.name),
            }
            for each in found.series
        ],
        "classes": [_class(each) for each in found.groups],
        "pairs": [
            _plain(each.flat()) | {"passes": row.passes, "at": _point(each.first)}
            for each, row in zip(found.pairs, view.pairs, strict=True)
        ],
    }


def junit(view: View) -> str:
    """Return the comparison as JUnit's XML: a test case for each pair.

    What does not pass is a failure; what is missing, so that nothing was compared, an error.
    """
    cases = [*map(_case, _pairs(view))]
    root = ET.Element("testsuites", {"name": f"repromatrix {view.command}", **_counts(cases)})
    suite = ET.SubElement(root, "testsuite", {"name": _xml(view.title), **_counts(cases)})
    properties = ET.SubElement(suite, "properties")
    for note in (*view.notes, view.judged):
        ET.SubElement(properties, "property", name="note", value=_xml(note))
    for each in cases:
        each.set("classname", view.command)
        suite.append(each)
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


_Answer = tuple[str, str | None, str, str]  # name, `failure` or `error` if it does not pass, why, figures


def _pairs(view: View) -> Iterator[_Answer]:
    found = view.comparison
    for each, row in zip(found.pairs, view.pairs, strict=True):
        figures = ", ".join(f"{name} {value}" for name, value in zip(COLUMNS[1:], row.figures[1:], strict=True))
        what = row.figures[0] if row.reason is None else f"{row.figures[0]}: {row.reason}"
        what += "; other weights (--state)" if view.terms.state and each.other_state else ""
        missing = each.difference.verdict is Verdict.MISSING
        yield (
            f"{row.a} | {row.b}" + (f" ({row.pairs} pairs)" if found.by_class else ""),
            None if row.passes else "error" if missing else "failure",
            what,
            "\n".join((figures, *(each.difference.caveats), *row.detail)),
        )
    if found.by_class and found.mode is Mode.ALL:
        fine = Verdict.MISSING in view.terms.verdicts
        yield from (
            (each.name, None if fine else "error", f"missing: {each.absent}", "")
            for each in found.series
            if each.absent
        )


def _case(answer: _Answer) -> ET.Element:
    name, kind, what, said = answer
    case = ET.Element("testcase", classname="", name=_xml(name))
    if kind is not None:
        ET.SubElement(case, kind, message=_xml(what)).text = _xml(said)
    elif said:
        ET.SubElement(case, "system-out").text = _xml(said)
    return case


def _counts(cases: Sequence[ET.Element]) -> dict[str, str]:
    failures, errors = (sum(each.find(kind) is not None for each in cases) for kind in ("failure", "error"))
    return {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}


PRESENTERS: dict[str, Callable[[View], str]] = {"text": text, "md": markdown, "json": json_text, "junit": junit}


def _class(group: Group) -> dict[str, Any]:
    found = group.rule
    return {
        **{name: getattr(group, name) for name in ("name", "workload", "dtype", "steps")},
        "members": list(group.members),
        "rule": None
        if found is None
        else {
            "text": rule(found),
            "terms": [
                {"factors": {name: list(values) for name, values in each.factors}, "cells": list(each.cells)}
                for each in found.terms
            ],
            "without": list(found.without),
            "among": found.among,
        },
    }


def _point(point: Point | None) -> dict[str, Any] | None:
    if point is None:
        return None
    return {"step": point.step, "logged_step": point.logged, "a": _value(point.a), "b": _value(point.b)}


def _value(value: Value) -> dict[str, Any]:
    return {
        "dtype": value.dtype,
        "decimal": decimal(value),
        "hex": hexadecimal(value),
        "bits": pattern(value),
    }


def _plain(flat: dict[str, Any]) -> dict[str, Any]:
    return {
        name: str(each) if isinstance(each, float) and not math.isfinite(each) else each for name, each in flat.items()
    }


def _bounded(word: str, texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    more = len(texts) - _CAVEATS
    tail = [f"{word}: {more:,} more, see --format json"] if more > 0 else []
    return ["", *(f"{word}: {each}" for each in texts[:_CAVEATS]), *tail]
