"""Trace files -> where cells first differ, by another way: texts, fractions and the processor's own formats."""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product

from repromatrix.floats import FORMS
from repromatrix.report.verify.bits import stored
from repromatrix.report.verify.due import Due, due
from repromatrix.report.verify.measure import coarser
from repromatrix.results.factors import option_factors
from repromatrix.results.record import Record
from repromatrix.results.trace import Trace
from repromatrix.results.value import Column, Trajectory

Texts = tuple[str, ...]


def parted(
    records: Sequence[Record],
    traces: Mapping[str, Trace],
    classes: Iterable[Due],
    bits: Callable[[str], bytes | None] = lambda _: None,
) -> Iterable[Due]:
    """Return where the traces of classes and states part.

    Args:
        records: the records of the report.
        traces: by cell id.
        classes: what is due about classes and their states, as recomputed.
        bits: gives the bits of a large value by their digest, where they were fetched.
    """
    by_id = {each.cell.id: each for each in records}
    known = {name: traces[name] for name in by_id if name in traces}
    honest = {name for name, each in known.items() if tells(each, by_id[name])}
    if known:
        for first, other in _groups(by_id, honest, tuple(classes)):
            yield _between(by_id, known, honest, (first, other), bits)


def tells(trace: Trace, record: Record) -> bool:
    """Whether the traced run gave what a repeat of the record has."""
    return any(
        _told(trace.trajectory, trace.cell.steps) == _told(each, trace.cell.steps) for each in record.trajectories
    )


def _told(trajectory: Trajectory, steps: int) -> dict[tuple[str, int], object]:
    """Return (name, step) -> value of what an untraced run tells: metrics, outputs, and the last step's state."""
    return {
        (each.name, step): (each.dtype, each.shape, row)
        for each in trajectory.columns
        for step, row in zip(each.at, each.rows, strict=True)
        if each.role in ("metric", "output") or (each.role == "state" and step == steps)
    }


def _reasons(trace: Trace) -> list[tuple[Texts, str]]:
    reasons = dict.fromkeys(reason for _, reason in trace.untraced)
    return [(tuple(name for name, why in trace.untraced if why == reason), reason) for reason in reasons]


def _groups(records: Mapping[str, Record], honest: set[str], found: Sequence[Due]) -> Iterable[tuple[Texts, Texts]]:
    """Return whom to compare: of each dtype each class with the one most like it, of each class its states."""
    classes: dict[tuple[str, str], list[Texts]] = {}
    for one in found:
        if one.kind == "class_of":
            for dtype in sorted({records[each].cell.dtype for each in one.cells}):
                cells = tuple(each for each in one.cells if records[each].cell.dtype == dtype)
                speaking = tuple(each for each in cells if each in honest) or cells[:1]
                classes.setdefault((one.values["workload"], dtype), []).append(speaking)
    factors = {name: frozenset(_factors(records[name]).items()) for name in records}
    for groups in classes.values():
        yield from dict.fromkeys(_most_alike(factors, groups, place) for place in range(len(groups)) if groups[1:])
    for one in found:
        if one.kind == "one_class_two_states":
            for state in one.values["states"][1:]:
                yield tuple(one.values["states"][0]), tuple(state)


def _most_alike(
    factors: Mapping[str, frozenset[tuple[str, str]]], groups: Sequence[Texts], place: int
) -> tuple[Texts, Texts]:
    """Return a cell of a class and the most similar one of another class, that of the larger class first.

    Fewest differing factors, then the larger class, then the first cells in order.
    """
    best: tuple[int, str, str] | None = None
    for at, other in enumerate(groups):
        if at != place:
            a_side, b_side = sorted(((place, groups[place]), (at, other)))
            for a, b in product(a_side[1], b_side[1]):
                apart = len(dict(factors[a] ^ factors[b]))
                if best is None or apart < best[0]:
                    best = apart, a, b
    if best is None:
        raise ValueError("one class alone is like no other")
    return best[1:2], best[2:]


def _factors(record: Record) -> dict[str, str]:
    """Return the factors of a cell but those that nobody states."""
    cell, made = record.cell, record.provenance
    framework = cell.framework if cell.flavour == "cpu" else f"{cell.framework}/{cell.flavour}"
    found = {name: str(getattr(cell, name)) for name in ("python", "dtype", "device", "settings")}
    found |= {"framework": framework, "version": f"{framework} {cell.version}"}
    found |= option_factors(cell.options) | option_factors(record.factors)
    if made:
        found |= {"engine": made.engine, "base": made.base_kind, "cpu class": made.cpu_class}
    return {name: value for name, value in found.items() if value != "-"}


def _between(
    records: Mapping[str, Record],
    traces: Mapping[str, Trace],
    honest: set[str],
    groups: tuple[Texts, Texts],
    bits: Callable[[str], bytes | None],
) -> Due:
    first, other = groups
    speakers = [next((each for each in group if each in honest), None) for group in (first, other)]
    a, b = (speaker or group[0] for speaker, group in zip(speakers, (first, other), strict=True))
    silent = [group[0] for speaker, group in zip(speakers, (first, other), strict=True) if speaker is None]
    reason = "; ".join(
        f"tracing changes {each}, so its trace explains nothing" if each in traces else f"{each} has no trace"
        for each in silent
    )
    workload = records[a].cell.workload
    return _incomparable(workload, a, b, reason) if silent else _compared(workload, traces[a], traces[b], bits)


def _compared(workload: str, left: Trace, right: Trace, bits: Callable[[str], bytes | None]) -> Due:
    a, b = left.cell.id, right.cell.id
    if left.cell.task != right.cell.task:
        edited = f"the workload {workload} was edited between the two: its inputs or metrics are others"
        return _incomparable(workload, a, b, edited)
    one, other = ({each.name: each for each in side.trajectory.columns} for side in (left, right))
    both = [name for name in one if name in other]
    unequal = [name for name in both if one[name].shape != other[name].shape]
    if unequal:
        return _incomparable(workload, a, b, f"{unequal[0]} has another shape in each")
    across = left.cell.dtype != right.cell.dtype
    names = tuple(
        name
        for name in both
        if not across or all(side[name].inline and side[name].dtype in FORMS for side in (one, other))
    )
    steps = min(left.cell.steps, right.cell.steps)
    if not names:
        return _incomparable(workload, a, b, "they have no traced tensor in common")
    tensors = [
        {name: dict(zip(side[name].at, side[name].rows, strict=True)) for name in names} for side in (one, other)
    ]
    form = coarser(left.cell.dtype, right.cell.dtype)
    for step, name in product(range(1, steps + 1), names):
        x_row, y_row = (side[name].get(step, ()) for side in tensors)
        if x_row == y_row or (across and _alike(x_row, y_row, form)):
            continue
        place = workload, (a, b), steps, names, step, name
        shown = [_shown(row, side[name], bits) for row, side in ((x_row, one), (y_row, other))]
        differing = _first(one[name].shape, shown, form if across else None)
        said = _caveats(left, right, form)
        return _parted(place, form, said, differing, (one[name].dtype, other[name].dtype))
    return _same(workload, (a, b), steps, names, _caveats(left, right, form))


_Place = tuple[str, tuple[str, str], int, Texts, int, str]
_Element = tuple[tuple[int, ...], str, str]


def _alike(x_row: Texts, y_row: Texts, form: str) -> bool:
    """Whether two values told in full are the same after rounding to a format."""
    return bool(x_row and y_row) and [stored(x, form) for x in x_row] == [stored(y, form) for y in y_row]


def _shown(row: Texts, column: Column, bits: Callable[[str], bytes | None]) -> Texts | None:
    """Return the elements of a value: as told, or out of its bits where they were fetched."""
    if not row or column.dtype not in FORMS:
        return None
    if column.inline:
        return row
    data = bits(row[0])
    return None if data is None else _elements(data, column.dtype)


def _elements(data: bytes, dtype: str) -> Texts:
    code = {"float64": "d", "float32": "f", "float16": "e", "bfloat16": "f"}[dtype]
    if dtype == "bfloat16":  # the upper half of a float32
        data = b"".join(b"\0\0" + data[at : at + 2] for at in range(0, len(data), 2))
    return tuple(value.hex() for (value,) in struct.iter_unpack(f"<{code}", data))


def _first(shape: tuple[int, ...], shown: Sequence[Texts | None], form: str | None) -> _Element | None:
    """Return the first element that differs, with its index; None where the elements are not known."""
    x_all, y_all = shown
    if x_all is None or y_all is None:
        return None
    for index, x, y in zip(product(*map(range, shape)), x_all, y_all, strict=True):
        if x != y if form is None else stored(x, form) != stored(y, form):
            return index, x, y
    return None


def _parted(place: _Place, form: str, caveats: Texts, found: _Element | None, dtypes: tuple[str, str]) -> Due:
    """Return that two values differ, and in which element where that is known."""
    workload, cells, steps, tensors, step, tensor = place
    index, a, b = found or ((), None, None)
    return _due(
        cells,
        workload=workload,
        steps=steps,
        tensors=tensors,
        step=step,
        tensor=tensor,
        index=index,
        a=a,
        a_bits=None if a is None else stored(a, dtypes[0]),
        b=b,
        b_bits=None if b is None else stored(b, dtypes[1]),
        ulps=None if a is None or b is None else _apart(a, b, form),
        ulp_dtype=form,
        reason=None,
        caveats=caveats,
    )


def _same(workload: str, cells: tuple[str, str], steps: int, tensors: Texts, caveats: Texts) -> Due:
    return _due(
        cells, workload=workload, steps=steps, tensors=tensors, step=None, tensor=None, index=None,
        a=None, a_bits=None, b=None, b_bits=None, ulps=None, ulp_dtype=None, reason=None, caveats=caveats,
    )  # fmt: skip


def _incomparable(workload: str, a: str, b: str, reason: str) -> Due:
    return _due(
        (a, b), workload=workload, steps=0, tensors=(), step=None, tensor=None, index=None,
        a=None, a_bits=None, b=None, b_bits=None, ulps=None, ulp_dtype=None, reason=reason, caveats=(),
    )  # fmt: skip


def _due(cells: tuple[str, str], **values: object) -> Due:
    return due("first_divergence", f"first-divergence/{cells[0]}/{cells[1]}", cells, **values)


def _place(text: str, form: str) -> int:
    """Return the place of a finite value among those of a format: its bits, counted from zero."""
    bits = int(stored(text, form), 16)
    half = 1 << (FORMS[form].exponent_bits + FORMS[form].precision - 1)
    return half - bits if bits >= half else bits


def _apart(x: str, y: str, form: str) -> int | None:
    if not all(math.isfinite(float.fromhex(each)) for each in (x, y)):
        return None
    return abs(_place(x, form) - _place(y, form))


def _caveats(a: Trace, b: Trace, form: str) -> Texts:
    lengths = a.cell.steps, b.cell.steps
    said = []
    if lengths[0] != lengths[1]:
        said.append(f"{lengths[0]} steps against {lengths[1]}: those that both have are compared")
    if a.cell.dtype != b.cell.dtype:
        said.append(f"{a.cell.dtype} against {b.cell.dtype}: values are compared after rounding to {form}")
        large = [each.name for each in a.trajectory.columns if not each.inline]
        said += [f"known by their digests alone, so not compared across dtypes: {', '.join(large)}"] if large else []
    said += [
        f"not traced, so not compared: {', '.join(names)} ({each.cell.id}: {reason})"
        for each in (a, b)
        for names, reason in _reasons(each)
    ]
    return tuple(said)
