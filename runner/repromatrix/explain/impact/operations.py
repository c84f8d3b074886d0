"""Records of the workload `operations` in two environments -> a row a result: what changed, which side is better."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from repromatrix.compare import arrays
from repromatrix.explain.impact.rows import NOT_DETERMINISTIC, Level, OperationRow
from repromatrix.floats import FORMS
from repromatrix.operations.exact_result import Exact
from repromatrix.operations.results import ELEMENTWISE_BOUND, Errors, Judge, Output, outputs
from repromatrix.results.record import Record
from repromatrix.results.store import Store
from repromatrix.results.value import Column, Role, Trajectory

_Two = tuple["_Error | None", "_Error | None"]
ALL = "all"  # in place of a name where a whole cell has no results
_GRADIENT = "gradient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """A cell of the workload in both environments."""

    a: Record
    b: Record

    @property
    def mode(self) -> str:
        """Return how it is compiled, with its settings where they are not the default ones."""
        plain = dict(self.a.cell.options).get("compile", "eager")
        return plain if self.a.cell.settings == "default" else f"{plain}+{self.a.cell.settings}"


def rows(store: Store, both: Both) -> tuple[OperationRow, ...]:
    """Return a row for each result that at least one side has, and for each that ends in an error.

    Raises:
        ResultsError: the bits of a result that changed are not in the results folder.
    """
    return tuple(_rows(store, both))


def _rows(store: Store, both: Both) -> Iterator[OperationRow]:
    if not (both.a.trajectories and both.b.trajectories):
        yield _without_numbers(both)
        return
    left, right = _Side.of(both.a), _Side.of(both.b)
    shaky = left.unstable | right.unstable
    here = left.columns.keys() & right.columns.keys()
    wanted = {name for name in here if left.columns[name] != right.columns[name] and name not in shaky}
    judges = _judges(store, both) if wanted else (None, None)
    given = [outputs(store, _only(each, wanted)) for each in (both.a, both.b)]
    for name in dict.fromkeys((*left.columns, *right.columns, *sorted(left.broken.keys() | right.broken.keys()))):
        known = _named(name, both)
        if name in wanted:
            pair = (given[0][name], given[1][name])
            told = [_Error.of(judge, name, each) for judge, each in zip(judges, pair, strict=True)]
            yield _compared(known, pair, (told[0], told[1]))
        elif name in here:
            yield _same(known, left.columns[name], shaky=name in shaky)
        else:
            yield _one_side(known, name, left, right)


def _judges(store: Store, both: Both) -> tuple[Judge | None, Judge | None]:
    """Return who knows the exact results of each side: one and the same, where both ran one table in one dtype."""
    first, other = both.a.cell, both.b.cell
    judge = Judge.of(store, both.a)
    return judge, judge if (first.task, first.dtype) == (other.task, other.dtype) else Judge.of(store, both.b)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Error:
    """How far an output is from its exact result.

    Attributes:
        wrong: elements beyond the bound of the operation.
        largest: in ULP of the output's own dtype.
        mean: likewise.
        scaled: the largest error over the largest exact value, which compares outputs of two dtypes, and sums whose
            smallest elements are what is left of large ones.
    """

    wrong: int
    largest: float
    mean: float
    scaled: float

    @classmethod
    def of(cls, judge: Judge | None, name: str, output: Output) -> "_Error | None":
        """Return that of an output; None where no exact result is known."""
        found = judge.errors(name, output) if judge else None
        exact = judge.exact(name) if judge else None
        if found is None or exact is None:
            return None
        return cls(wrong=found.wrong, largest=found.largest, mean=found.mean, scaled=_scaled(exact, output, found))


@np.errstate(all="ignore")
def _scaled(exact: Exact, output: Output, found: Errors) -> float:
    if found.reason is not None:
        return math.inf
    finite = exact.known & np.isfinite(exact.high)
    off = np.abs((output.numbers() - exact.high) - exact.low)[finite]
    largest = float(np.abs(exact.high[finite]).max(initial=0.0))
    return float(off.max(initial=0.0)) / largest if largest else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """What one environment gave.

    Attributes:
        columns: its results by name.
        absent: what it does not have, with the reasons.
        broken: what ended with an error, likewise.
        unstable: results in which its repeats differ.
    """

    columns: Mapping[str, Column]
    absent: Mapping[str, str]
    broken: Mapping[str, str]
    unstable: frozenset[str]

    @classmethod
    def of(cls, record: Record) -> "_Side":
        """Return that of a record that has numbers."""
        first = record.trajectories[0]
        return cls(
            columns=_columns(first),
            absent=dict(first.absent),
            broken=dict(first.broken),
            unstable=_unstable(record),
        )


def _without_numbers(both: Both) -> OperationRow:
    failed = [each for each in (both.a, both.b) if each.outcome.value in ("failed", "timed_out")]
    reasons = "; ".join(f"{each.cell.id}: {each.reason}" for each in (both.a, both.b) if each.reason)
    gone = both.a.outcome is both.b.outcome
    level = Level.WRONG if failed else Level.SAME if gone else Level.DIFFERS
    return OperationRow(
        operation=ALL,
        case="",
        dtype=both.a.cell.dtype,
        mode=both.mode,
        gradient=False,
        verdict="fails" if failed else "absent",
        level=level,
        note=reasons.splitlines()[0][:200] if reasons else "",
    )


def _columns(trajectory: Trajectory) -> dict[str, Column]:
    return {each.name: each for each in trajectory.of(Role.OUTPUT)}


def _unstable(record: Record) -> frozenset[str]:
    """Return the results in which the repeats of a record differ."""
    first, *others = (_columns(each) for each in record.trajectories)
    return frozenset(
        name for other in others for name in first.keys() | other.keys() if first.get(name) != other.get(name)
    )


def _only(record: Record, names: set[str]) -> Record:
    """Return a record with nothing but some of its results, so that only their bits are read."""
    columns = tuple(each for each in record.trajectories[0].columns if each.name in names)
    return replace(record, trajectories=(Trajectory(columns=columns),))


def _named(name: str, both: Both) -> OperationRow:
    operation, *parts = name.split("/")
    gradient = any(part.partition("-")[0] == _GRADIENT for part in parts)
    plain = [part for part in parts if part != _GRADIENT]
    return OperationRow(
        operation=operation,
        case="/".join(plain),
        dtype=both.a.cell.dtype,
        mode=both.mode,
        gradient=gradient,
        verdict="identical",
        level=Level.SAME,
    )


def _same(known: OperationRow, column: Column, *, shaky: bool) -> OperationRow:
    """Return the row of a result with the same bits on both sides, or one whose repeats differ."""
    verdict = NOT_DETERMINISTIC if shaky else "identical"
    told = replace(known, verdict=verdict, size=column.size, dtype_a=column.dtype, dtype_b=column.dtype)
    return told if shaky else replace(told, max_ulp=0, scaled=0.0, better="same")


def _one_side(known: OperationRow, name: str, a: _Side, b: _Side) -> OperationRow:
    """Return the row of a result that only one side has, or that ends in an error on both."""
    level = Level.DIFFERS
    if name in b.broken:
        level = Level.SAME if name in a.broken else Level.WRONG
    left, right = a.columns.get(name), b.columns.get(name)
    there = left or right
    reasons = {**a.absent, **b.absent, **a.broken, **b.broken}
    return replace(
        known,
        verdict="fails" if name in a.broken or name in b.broken else "absent",
        level=level,
        size=there.size if there else 0,
        dtype_a=left.dtype if left else None,
        dtype_b=right.dtype if right else None,
        note=(reasons.get(name, "").splitlines() or [""])[0][:160],
    )


def _compared(known: OperationRow, given: tuple[Output, Output], errors: _Two) -> OperationRow:
    """Return the row of a result that is not the same on both sides."""
    a, b = given
    told = replace(
        known,
        size=max(_count(a), _count(b)),
        error_a=_finite(errors[0].largest if errors[0] else None),
        error_b=_finite(errors[1].largest if errors[1] else None),
        scaled_error_a=_finite(errors[0].scaled if errors[0] else None),
        scaled_error_b=_finite(errors[1].scaled if errors[1] else None),
        better=_better(errors, (a.part, b.part)),
        dtype_a=a.dtype,
        dtype_b=b.dtype,
    )
    if a.dtype != b.dtype or a.shape != b.shape:
        verdict = "dtype changed" if a.dtype != b.dtype else "shape changed"
        return replace(told, verdict=verdict, level=_level(errors, Level.DIFFERS), changed=told.size)
    left, right = a.numbers(), b.numbers()
    differing = ~arrays.same_bits(left, right)
    parts = len(left) // max(told.size, 1) or 1  # of a complex number there are two
    changed = int(differing.reshape(-1, parts).any(axis=1).sum())
    if a.part not in FORMS:
        return replace(told, verdict="differs", level=_level(errors, Level.DIFFERS), changed=changed)
    measure = arrays.measure(left, right, a.part)
    close = _close(errors, measure.scaled, a.part)
    level = _level(errors, Level.ROUNDING if close else Level.DIFFERS)
    verdict = "wrong" if level is Level.WRONG else "rounding" if close else "differs"
    ulp = measure.max_ulp or None  # 0: nothing but signs of zero
    return replace(told, verdict=verdict, level=level, changed=changed, max_ulp=ulp, scaled=measure.scaled)


def _count(output: Output) -> int:
    return math.prod(output.shape)


def _finite(error: float | None) -> float | None:
    return None if error is None or not math.isfinite(error) else error


def _better(errors: _Two, dtypes: tuple[str, str]) -> str:
    """Return the side that is nearer to the exact result, by its largest error, then by its mean one.

    Errors are in ULP of the result's own dtype. Of two dtypes, and where an error is beyond what an elementwise result
    may have (a small element that is left of large ones), they are taken over the largest value.
    """
    a, b = errors
    if a is None or b is None:
        return "unknown"
    before, after = (_order(each, dtypes, max(a.largest, b.largest)) for each in errors if each is not None)
    return "same" if before == after else "b" if after < before else "a"


def _order(error: _Error, dtypes: tuple[str, str], largest: float) -> tuple[float, ...]:
    if dtypes[0] != dtypes[1]:
        return (error.scaled,)
    return error.wrong, error.scaled if largest > ELEMENTWISE_BOUND else error.largest, error.mean


def _level(errors: _Two, least: Level) -> Level:
    """Return `least`, or WRONG where more of it is beyond the bound of the exact result than before."""
    a, b = errors
    return Level.WRONG if b is not None and b.wrong > (a.wrong if a is not None else 0) else least


def _close(errors: _Two, scaled: float | None, dtype: str) -> bool:
    """Whether a change is rounding: both sides within the bound of the exact result, or else a small difference."""
    a, b = errors
    if a is not None and b is not None and (a.wrong != b.wrong or not a.wrong):
        return not a.wrong and not b.wrong
    return scaled is not None and scaled <= 2.0 ** (-FORMS[dtype].precision / 2)
