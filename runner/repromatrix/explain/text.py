"""Explanations as a person reads them: one as a table, many as a line each."""

from collections.abc import Sequence

from repromatrix.compare.difference import Difference
from repromatrix.compare.size import size
from repromatrix.explain.judge.explanation import Explanation
from repromatrix.explain.judge.findings import ConditionRow, End, Row
from repromatrix.results.experiments import Factor
from repromatrix.tables import aligned

UNEXPLAINED = "unexplained"
VANISHES = "vanishes"  # the difference, under a condition of which nothing shows that it changes the operations
_WIDEST = 28  # characters of a value


def tell(explanation: Explanation) -> str:
    """Return an explanation in lines of text: the difference, a row per factor or set, the reasons, the conclusion."""
    lines = [f"A  {explanation.a}", f"B  {explanation.b}", f"difference: {_difference(explanation.before)}"]
    if explanation.rows:
        lines += ["", *_table(explanation)]
    if explanation.conditions:
        lines += ["", *_conditions(explanation)]
    lines += [f"note: {each}" for each in _notes(explanation)]
    lines += [f"caveat: {each}" for each in explanation.before.caveats]
    again = f"  next: repromatrix explain {explanation.a} {explanation.b} --budget {2 * explanation.budget}"
    more = [again] if explanation.exhausted else []
    return "\n".join([*lines, "", explanation.sentence, *more])


def tell_many(found: Sequence[Explanation]) -> str:
    """Return explanations in a line each, those of classes first."""
    lines = []
    for origin, title in (("classes", "Pairs of classes"), ("published", "Pairs of published columns")):
        explained = [each for each in found if origin in each.of]
        if explained:
            rows = [(each.a, each.b, _size(each.before), _cause(each)) for each in explained]
            done = sum(each.explained for each in explained)
            lines += [f"{title}: {done} of {len(explained)} explained", *aligned(rows), ""]
    return "\n".join([*lines, "next: repromatrix explain A B for the experiments of a pair"])


def _cause(explanation: Explanation) -> str:
    least = [each for each in explanation.explaining if len(each.factors) == len(explanation.explaining[0].factors)]
    found = [" + ".join(each.factors) for each in least] or [each.name for each in explanation.dissolved]
    if not found and explanation.nearly:
        return f"{UNEXPLAINED} ({explanation.nearly})"
    return " | ".join(found) if found else "nothing to explain" if explanation.explained else UNEXPLAINED


def _table(explanation: Explanation) -> list[str]:
    values = {each.name: each for each in explanation.factors}
    head = ("factor", "A", "B", "flipped at A", "flipped at B", "share", "verdict")
    return aligned([head, *(_row(each, values) for each in (*explanation.rows, *explanation.sets))])


def _conditions(explanation: Explanation) -> list[str]:
    conditions = explanation.conditions
    head = ("condition", "at A", "at B", "at both", "verdict")
    return aligned([head, *((c.name, *map(_end, (c.a, c.b, c.both)), _verdict(c, explanation)) for c in conditions)])


def _verdict(row: ConditionRow, explanation: Explanation) -> str:
    """Return a condition's verdict; where operations are named it is not called the cause."""
    return VANISHES if row.explains and explanation.operations else row.finding.value


def _row(row: Row, factors: dict[str, Factor]) -> tuple[str, ...]:
    own = factors[row.factors[0]] if len(row.factors) == 1 else None
    a, b = (_short(own.a), _short(own.b)) if own else ("", "")
    share = " | ".join(_share(each.share) for each in (row.a, row.b))
    return " + ".join(row.factors), a, b, _end(row.a), _end(row.b), share, row.finding.value


def _share(share: float | None) -> str:
    """Return a share in percent; only all of it is 100%."""
    if share is None:
        return "-"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"  # noqa: PLR2004 - what would be rounded to all of it


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."


def _end(end: End) -> str:
    if end.after is None:
        return "not tested"
    left = "the same losses, not the rest" if end.beyond else _size(end.after)
    return f"{left}{', no bit changed' if end.changed is False else ''}"


def _size(found: Difference, *, dtype: bool = False) -> str:
    return f"{found.verdict.value} {size(found, dtype=dtype)}".rstrip()


def _difference(found: Difference) -> str:
    by = f", judged by {found.judged_by}" if found.judged_by else ""
    return f"{_size(found, dtype=True)}{by}"


def _notes(explanation: Explanation) -> list[str]:
    found: list[tuple[str, Row | ConditionRow]] = [
        (" + ".join(each.factors), each) for each in (*explanation.rows, *explanation.sets)
    ]
    found += [(each.name, each) for each in explanation.conditions]
    ends = [(name, end, side) for name, row in found for side, end in (("A", row.a), ("B", row.b))]
    return list(dict.fromkeys(f"{n} at {s}'s end: {e.reason.splitlines()[0][:200]}" for n, e, s in ends if e.reason))
