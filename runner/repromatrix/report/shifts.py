"""Scores of repeats that were judged -> text, Markdown, JSON or JUnit's XML; all of one answer."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from xml.etree import ElementTree as ET

from repromatrix import harmless
from repromatrix.compare.noisy import RATE, Shift
from repromatrix.report import wording
from repromatrix.tables import aligned

FORMAT = 1
_COLUMNS = ("answer", "shift", "chance", "noise", "would see", "golden", "run", "metric")


def passes(every: Sequence[Shift]) -> bool:
    """Whether no metric is seen to be shifted, and none is absent."""
    return all(each.passes for each in every)


def _answer(each: Shift) -> str:
    return "missing" if each.absent else "as before" if each.passes else "shifted"


def _row(each: Shift) -> tuple[str, ...]:
    figures = (
        f"{each.shift:+.3g}",
        f"{each.chance:.2g}",
        f"{each.noise:.3g}",
        f"{each.seen:.3g}" if each.noise else "any",
    )
    figures = (wording.NOTHING,) * 4 if each.absent else figures
    name = each.metric if each.absent is None else f"{each.metric} ({each.absent})"
    return (_answer(each), *figures, str(len(each.golden)), str(len(each.run)), name)


def _said(every: Sequence[Shift]) -> tuple[str, ...]:
    rate = every[0].rate if every else RATE
    shared = f", so {rate:.2g} for each of {len(every)} metrics" if len(every) > 1 else ""
    held = "whatever the noise looks like, if repeats do not depend on each other (Wilcoxon, Mann and Whitney, exact)"
    return (
        f"the last number of each metric; at most {RATE:.1%} of false alarms{shared}, {held}",
        "chance: how often repeats of one distribution are as far apart; shift: the median over all pairs",
        "would see: the smallest shift that is seen 9 times in 10, if the noise is normal with this spread",
    )


def _total(every: Sequence[Shift]) -> str:
    fine = sum(each.passes for each in every)
    return f"{'passes' if passes(every) else 'does not pass'}: {fine} of {len(every)} metrics as before"


def text(every: Sequence[Shift]) -> str:
    """Return the answer for a person at a terminal."""
    rows = [_COLUMNS, *map(_row, every)]
    return "\n".join(map(harmless.line, (*aligned(rows), "", *_said(every), "", _total(every)))) + "\n"


def markdown(every: Sequence[Shift]) -> str:
    """Return the answer for a pull request or a job."""
    lines = [f"**{_total(every)}**", "", f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    lines += [f"| {' | '.join(map(harmless.markdown, _row(each)))} |" for each in every]
    return "\n".join((*lines, "", *(f"- {each}" for each in _said(every)))) + "\n"


def json_text(every: Sequence[Shift]) -> str:
    """Return the answer for programs."""
    found = [asdict(each) | {"passes": each.passes, "answer": _answer(each)} for each in every]
    document = {"format": FORMAT, "passes": passes(every), "rate": RATE, "metrics": found}
    return harmless.in_json(document, sort_keys=True, indent=1) + "\n"


def junit(every: Sequence[Shift]) -> str:
    """Return the answer as JUnit's XML: a metric that is shifted is a failure, one that is missing an error."""
    counts = {
        "tests": str(len(every)),
        "failures": str(sum(_answer(each) == "shifted" for each in every)),
        "errors": str(sum(each.absent is not None for each in every)),
    }
    root = ET.Element("testsuites", {"name": "repromatrix check", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": "repeats", **counts})
    for each in every:
        case = ET.SubElement(suite, "testcase", classname="check", name=harmless.xml(each.metric))
        figures = ", ".join(f"{name} {value}" for name, value in zip(_COLUMNS[:-1], _row(each), strict=False))
        if each.passes:
            ET.SubElement(case, "system-out").text = figures
        else:
            kind = "error" if each.absent else "failure"
            ET.SubElement(case, kind, message=harmless.xml(each.absent or figures)).text = figures
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


PRESENTERS: dict[str, Callable[[Sequence[Shift]], str]] = {
    "text": text, "md": markdown, "json": json_text, "junit": junit,
}  # fmt: skip
