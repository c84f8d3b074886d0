"""The view -> JUnit XML for a CI's test view: a test case for each cell, published column and change."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from repromatrix import harmless
from repromatrix.report import wording
from repromatrix.report.sections.cells import DIFFER, CellRow, Cells
from repromatrix.report.sections.changes import Changes
from repromatrix.report.sections.published import PublishedTables, TableView
from repromatrix.report.view import View
from repromatrix.results.record import Outcome

_ERRORS = {each.value.replace("_", " ") for each in (Outcome.FAILED, Outcome.TIMED_OUT)}

_ANSWERS = {
    ("bits_change", None): "failure",
    ("outcome_change", None): "failure",
    ("membership", "gone"): "error",
    ("no_baseline", None): "skipped",
}
_BY_CELL = {
    "membership": "accepted, and not asked for any more",
    "no_baseline": "no baseline for this CPU class; accept one: repromatrix accept",
}
_PREDICTIONS = {
    "yes": (None, ""),
    "no": ("failure", "no forward pass is the printed one"),
    "not computed": ("skipped", "not computed"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A test case.

    Attributes:
        answer: `error` (it broke), `failure` (it ran, and is not as expected), `skipped`, or None: passed.
        message: why, on one line.
        text: all of it.
    """

    group: str
    name: str
    answer: str | None = None
    message: str = ""
    text: str = ""


def junit(view: View) -> str:
    """Return the report as JUnit XML.

    A suite of the cells, one for each published table as the newest versions give it, one of the changes.
    """
    cells, published, changes = view.section(Cells), view.section(PublishedTables), view.section(Changes)
    suites = [("cells", [*map(_cell, cells.rows), *map(_missing, cells.missing)])]
    suites += [(f"published/{table.check.workload}", list(_published(table))) for table in published.tables]
    if changes.accepted:
        suites.append(("since the accepted run", list(_changes(changes))))
    body = "".join(_suite(name, cases) for name, cases in suites)
    every = [case for _, cases in suites for case in cases]
    head = f"name={_quoted(f'repromatrix: profile {view.profile}')}{_counts(every)}"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {head}>\n{body}</testsuites>\n'


def _cell(cell: CellRow) -> Case:
    group = f"cells.{cell.environment}"
    if cell.deterministic == DIFFER:
        return Case(group=group, name=cell.id, answer="failure", message="not deterministic: its repeats differ")
    if cell.reason is None:
        return Case(group=group, name=cell.id)
    answer = "error" if cell.outcome in _ERRORS else "skipped"
    log = f"\nlog: {cell.log}" if cell.log else ""
    return Case(
        group=group,
        name=cell.id,
        answer=answer,
        message=f"{cell.outcome}: {cell.reason}",
        text=f"{cell.outcome}: {cell.reason}{log}",
    )


def _missing(cell_id: str) -> Case:
    return Case(group="cells", name=cell_id, answer="error", message="missing: no record")


def _published(table: TableView) -> Iterable[Case]:
    for column in table.check.newest:
        group = f"published.{table.check.workload}.{column.setup.environment}"
        name = f"losses of {column.title} in {wording.setup(column.setup)}"
        wrong = [each for each in column.losses if each.agrees is False]
        absent = [each for each in column.losses if each.agrees is None]
        if wrong:
            text = "\n".join(f"iteration {e.iteration}: {e.published} printed, {e.computed} computed" for e in wrong)
            message = f"{len(wrong)} of {len(column.losses)} printed losses differ"
            yield Case(group=group, name=name, answer="failure", message=message, text=text)
        elif absent:
            message = (
                f"{len(absent)} of {len(column.losses)} not computed: {column.reason or 'the trajectory is shorter'}"
            )
            yield Case(group=group, name=name, answer="skipped", message=message)
        else:
            yield Case(group=group, name=name)
    for each in table.check.not_run:
        name = f"losses of {each.title}"
        yield Case(group=f"published.{table.check.workload}", name=name, answer="skipped", message=each.reason)
    for row in table.predictions:
        answer, said = _PREDICTIONS[row.reproduced]
        yield Case(
            group=f"published.{table.check.workload}",
            name=f"final prediction of {row.column} in {row.setup}",
            answer=answer,
            message=f"{', '.join(row.published)}: {said}" if answer else "",
        )


def _changes(found: Changes) -> Iterable[Case]:
    """Yield a case for each change: a cell that is gone is an error, one with nothing to compare it with skipped."""
    for sentence in found.sentences[1:]:
        answer = _ANSWERS.get((sentence.kind, sentence.values.get("change")))
        if sentence.kind in _BY_CELL and answer:
            yield from (
                Case(group="accepted", name=f"{sentence.id}/{cell}", answer=answer, message=_BY_CELL[sentence.kind])
                for cell in sentence.cells
            )
        else:
            yield Case(group="accepted", name=sentence.id, answer=answer, message=sentence.text if answer else "")
    yield Case(group="accepted", name=found.accepted or "")


def _suite(name: str, cases: Sequence[Case]) -> str:
    return f"<testsuite name={_quoted(name)}{_counts(cases)}>\n{''.join(map(_case, cases))}</testsuite>\n"


def _counts(cases: Sequence[Case]) -> str:
    names = {"tests": None, "failures": "failure", "errors": "error", "skipped": "skipped"}
    counts = {name: sum(each.answer == answer for each in cases) for name, answer in names.items()}
    counts["tests"] = len(cases)
    return "".join(f' {name}="{count}"' for name, count in counts.items())


def _case(case: Case) -> str:
    head = f"<testcase classname={_quoted(case.group)} name={_quoted(case.name)}"
    if case.answer is None:
        return f"{head}/>\n"
    kind = "" if case.answer == "skipped" else f' type="{case.answer}"'
    inside = f"<{case.answer}{kind} message={_quoted(case.message)}>{escape(harmless.xml(case.text))}</{case.answer}>"
    return f"{head}>{inside}</testcase>\n"


def _quoted(text: str) -> str:
    """Return a text as an attribute's value, on one line."""
    return quoteattr(harmless.xml(" ".join(text.split())))
