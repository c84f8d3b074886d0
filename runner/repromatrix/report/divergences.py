"""Where traces part -> rows of text for the pages, sorted by class."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repromatrix.compare.classes import Class
from repromatrix.compare.trace import Divergence, Point
from repromatrix.report import wording


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergenceRow:
    """Two cells that speak for their classes.

    Attributes:
        classes: the names of their classes; of one class where its states are compared.
        a_cell: the id of the cell in the larger class.
        place: tensor and element, or what was found instead.
        a: decimal, hexadecimal and bits of the value, or nothing.
        notes: why there is no answer, and caveats.
    """

    workload: str
    classes: str
    a_cell: str
    b_cell: str
    step: str
    place: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    ulps: str
    dtype: str
    notes: str


def rows(found: Iterable[Divergence], classes: Sequence[Class]) -> tuple[DivergenceRow, ...]:
    """Return every divergence as a row: the workloads in order, by the smaller class, then by the larger one."""
    places = {cell: place for place, each in enumerate(classes) for cell in each.cells}
    ordered = sorted(found, key=lambda each: (places[each.b], places[each.a]))
    return tuple(_row(each, classes[places[each.a]].name, classes[places[each.b]].name) for each in ordered)


def _ulps(point: Point | None) -> str:
    if point is None or point.a is None:
        return wording.NOTHING
    return "not finite" if point.ulps is None else wording.count(point.ulps)


def _row(found: Divergence, a: str, b: str) -> DivergenceRow:
    point = found.point
    told = [each for each in (point.a, point.b) if each is not None] if point else []
    values: list[tuple[str, ...]] = [(each.decimal, each.hexadecimal, each.bits) for each in told] or [(), ()]
    index = "".join(f"[{each}]" for each in point.index) if point else ""
    return DivergenceRow(
        workload=found.workload,
        classes=a if a == b else f"{a} · {b}",
        a_cell=found.a,
        b_cell=found.b,
        step=str(point.step) if point else wording.NOTHING,
        place=f"{point.tensor}{index}" if point else f"same in {found.steps} steps" if found.same else "not compared",
        a=values[0],
        b=values[1],
        ulps=_ulps(point),
        dtype=point.ulp_dtype if point else wording.NOTHING,
        notes="; ".join([*([found.reason] if found.reason else []), *found.caveats]),
    )
