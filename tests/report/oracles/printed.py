"""A published table alone -> the contradictions that a report must name, by fractions.

A printed figure stands for every number that rounds to it, half a unit of its last place to both sides.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from repromatrix.results.manifest import Published
from tests.report.oracles.kinds import Contradiction

Range = tuple[Fraction, Fraction]


def contradictions(table: Published, titles: Sequence[str]) -> Iterable[Contradiction]:
    """Return every figure that the table's other figures rule out: errors, then claims, then conventions."""
    data, finals = table.data, table.data.get("final_predictions", {})
    rows = {title: finals[title] for title in dict.fromkeys((*(c.title for c in table.columns), *titles, *finals))
        if title in finals}  # fmt: skip
    yield from _errors(table.workload, rows)
    yield from _claims(table.workload, data)
    yield from _conventions(table.workload, data["losses"], rows)


def _errors(workload: str, rows: dict[str, Any]) -> Iterable[Contradiction]:
    for title, row in rows.items():
        for number in range(len(row["target"]) if row["prediction"] and row["error"] else 0):
            value, target, error = row["prediction"][number], row["target"][number], row["error"][number]
            far = _apart(_printed(value), (Fraction(target), Fraction(target)))
            if _meet(far, _printed(error)):
                continue
            implied = _say(far, error)
            place = f"of output {number + 1}"
            yield Contradiction(
                cells=(),
                workload=workload,
                of="error",
                columns=(title,),
                printed=(f"error {place}", error),
                against=((f"prediction {place}", value), (f"target {place}", target)),
                implied=implied,
                sentence=f"{title}: the printed error {place} is {error}, but its printed prediction {value} is "
                f"{implied} away from the target {target}.",
            )


def _claims(workload: str, data: dict[str, Any]) -> Iterable[Contradiction]:
    for each in data.get("claims", []):
        if each["kind"] != "difference":
            continue
        a, b, iteration, said = each["a"], each["b"], int(each["iteration"]), each["value"]
        left, right = (data["losses"][name][iteration - 1] for name in (a, b))
        far = _apart(_printed(left), _printed(right))
        zero = Fraction(said) == 0
        if _meet(far, (Fraction(0), Fraction(0)) if zero else _printed(said)):
            continue
        implied = _say(far, left if zero else said)
        yield Contradiction(
            cells=(),
            workload=workload,
            of="claim",
            columns=(a, b),
            printed=(f"difference at iteration {iteration}", said),
            against=((f"loss of {a}", left), (f"loss of {b}", right)),
            implied=implied,
            sentence=f"{a} and {b} are said to differ by {said} at iteration {iteration}, but their printed losses "
            f"{left} and {right} differ by {implied}.",
        )


def _conventions(workload: str, losses: dict[str, Any], rows: dict[str, Any]) -> Iterable[Contradiction]:
    implied = {
        title: _loss(row["prediction"], row["target"])
        for title, row in rows.items()
        if row["prediction"] and losses.get(title)
    }
    before = [title for title, range_ in implied.items() if _meet(range_, _printed(losses[title][-1]))]
    after = [title for title in implied if title not in before]
    if not before or not after:
        return
    few_before = len(before) <= len(after)
    odd, usual = (before, after) if few_before else (after, before)
    words = ("before the last update", "after the last update")
    broken, kept = words if few_before else words[::-1]
    others = f"those of {len(usual)} other columns are" if len(usual) > 1 else "that of the other column is"
    for title in odd:
        last, place = losses[title][-1], f"loss of iteration {len(losses[title])}"
        printed, found = f"[{', '.join(rows[title]['prediction'])}]", _say(implied[title], last)
        yield Contradiction(
            cells=(),
            workload=workload,
            of="convention",
            columns=(title,),
            printed=("final prediction", printed),
            against=((place, last),),
            implied=found,
            sentence=f"{title}: the printed prediction {printed} implies a loss of {found}; the printed {place} is "
            f"{last}. It is the forward pass {broken}; {others} {kept}.",
        )


def _unit(text: str) -> Fraction:
    return Fraction(10) ** int(Decimal(text).as_tuple().exponent)


def _printed(text: str) -> Range:
    half = _unit(text) / 2
    return Fraction(text) - half, Fraction(text) + half


def _apart(a: Range, b: Range) -> Range:
    """Return every |x - y| of two ranges."""
    low, high = a[0] - b[1], a[1] - b[0]
    largest = max(abs(low), abs(high))
    return (Fraction(0) if low <= 0 <= high else min(abs(low), abs(high))), largest


def _meet(a: Range, b: Range) -> bool:
    return max(a[0], b[0]) <= min(a[1], b[1])


def _loss(prediction: Sequence[str], target: Sequence[str]) -> Range:
    """Return every half sum of squares that a printed prediction can stand for."""
    far = [_apart(_printed(x), (Fraction(y), Fraction(y))) for x, y in zip(prediction, target, strict=True)]
    return sum((low**2 for low, _ in far), Fraction(0)) / 2, sum((high**2 for _, high in far), Fraction(0)) / 2


def _say(range_: Range, like: str) -> str:
    """Return a range at the digits of a text: one number where it is no wider than the last place."""
    low, high = range_
    if high - low <= _unit(like):
        low = high = (low + high) / 2
    ends = [_rounded(each, like) for each in (low, high)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _rounded(value: Fraction, like: str) -> str:
    exponent = int(Decimal(like).as_tuple().exponent)
    places = Decimal((0, tuple(map(int, str(round(value / _unit(like))))), exponent))
    if "e" not in like.lower():
        return f"{places:f}"
    return f"{places:e}" if places else "0"
