"""What a cell of the workload `operations` gave, and how far each output is from the exact result.

    given = outputs(store, record)              # name -> Output: dtype, shape and bits
    judge = Judge.of(store, record)             # knows the table and the inputs of that record
    judge.errors("exp", given["exp"])           # Errors: largest and mean ULP, wrong; None: no exact result

Needs only the files of a results folder: the record, the values beside it and `operations.json`. Exact results are
computed once and kept in the user's cache.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt

from repromatrix.errors import ResultsError
from repromatrix.floats import FORMS
from repromatrix.operations import truths
from repromatrix.operations.cases import argument, case_of
from repromatrix.operations.exact_result import Argument, Exact
from repromatrix.results.operations import Table
from repromatrix.results.record import Record
from repromatrix.results.store import Store
from repromatrix.results.value import INTEGERS, Column, Role

ELEMENTWISE_BOUND = 64.0  # units in the last place beyond which an elementwise result is wrong
_PARTS = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}
_NATIVE = {"float64": "<f8", "float32": "<f4", "float16": "<f2"}
_NATIVE |= {name: _NATIVE[part] for name, part in _PARTS.items()}
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output: what the framework gave, never cast.

    Attributes:
        data: little-endian bits, row by row.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def part(self) -> str:
        """The dtype of its numbers: of complex ones that of their parts."""
        return _PARTS.get(self.dtype, self.dtype)

    @property
    def size(self) -> int:
        """The number of its elements; of complex numbers of their parts."""
        return prod(self.shape) * (2 if self.dtype in _PARTS else 1)

    def numbers(self) -> Numbers:
        """Return its elements, laid flat; of complex numbers real and imaginary parts by turns."""
        return numbers(self.dtype, self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """How far an output is from the exact result.

    Attributes:
        largest: distance in units in the last place of its dtype; infinite where a NaN or an infinity is off.
        mean: of the distances that are finite.
        wrong: elements beyond the bound of the operation.
        judged: elements that have an exact result.
        flushed: elements that are zero where the exact result is subnormal, or that took a subnormal argument for zero;
            they count for nothing else.
        reason: why it cannot be compared at all (another number of elements), else None; then it is wrong.
    """

    largest: float
    mean: float
    wrong: int
    judged: int
    flushed: int = 0
    reason: str | None = None


def numbers(dtype: str, data: bytes) -> Numbers:
    """Return little-endian bits of a dtype as float64, which holds every value but large int64 exactly."""
    if dtype == "bfloat16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
    if dtype == "bool":
        return np.frombuffer(data, np.bool_).astype(np.float64)
    native = _NATIVE.get(dtype) or np.dtype(dtype).newbyteorder("<")
    return np.frombuffer(data, native).astype(np.float64)


def outputs(store: Store, record: Record) -> dict[str, Output]:
    """Return the outputs of a cell by name, in the order in which they were computed; none where it did not run.

    Raises:
        ResultsError: the bits of one of them are not in the results folder, or are damaged.
    """
    columns = record.trajectory.of(Role.OUTPUT) if record.trajectory else ()
    return {column.name: _output(store, column, record.cell.id) for column in columns}


def unstable(record: Record) -> frozenset[str]:
    """Return the names of the outputs that the repeats of a cell do not agree about: they tell nothing of a version."""
    told = [{(c.name, c.dtype, c.shape, c.rows) for c in each.of(Role.OUTPUT)} for each in record.trajectories]
    every = set().union(*told)
    return frozenset(name for found in told for name, *_ in every - found)


def _output(store: Store, column: Column, cell_id: str) -> Output:
    if column.inline:
        data = _bits(column)
    else:
        found = store.read_value(column.digests[-1])
        if found is None:
            raise ResultsError(
                f"the bits of {column.name} are not in the results folder",
                where=cell_id,
                hint="run the cell again: repromatrix operations",
            )
        data = found
    return Output(dtype=column.dtype, shape=column.shape, data=data)


def _bits(column: Column) -> bytes:
    """Return the bits of a column whose elements are told."""
    if column.dtype in INTEGERS:
        kind = np.dtype("?" if column.dtype == "bool" else column.dtype).newbyteorder("<")
        return np.array([int(text) for text in column.rows[-1]], kind).tobytes()
    values = np.array([float.fromhex(text) for text in column.rows[-1]], np.float64)
    if column.dtype == "bfloat16":
        return (values.astype(np.float32).view(np.uint32) >> np.uint32(16)).astype("<u2").tobytes()
    return values.astype(_NATIVE[column.dtype]).tobytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Knows the exact results of the operations of one table in cells of one dtype.

    Attributes:
        dtype: of the cells.
        given: input -> its elements.
    """

    table: Table
    dtype: str
    given: Mapping[str, Argument]
    bits: Mapping[str, str]
    made: dict[str, Mapping[str, Exact]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, record: Record) -> "Judge | None":
        """Return the judge of a record's outputs; None where the folder does not have the table that it ran.

        Raises:
            ResultsError: a file cannot be read, or an input is missing.
        """
        table = store.read_operations().table(record.cell.task)
        if table is None:
            return None
        dtype = record.cell.dtype
        inputs = [each for each in table.inputs if each.cell == dtype]
        given = {}
        for each in inputs:
            data = store.read_value(each.digest)
            if data is None:
                raise ResultsError(
                    f"the bits of the input {each.name} are not in the results folder",
                    where=str(store.folder),
                    hint="run the operations again: repromatrix operations",
                )
            given[each.name] = Argument(shape=each.shape, values=numbers(each.dtype, data))
        return cls(table=table, dtype=dtype, given=given, bits={each.name: each.digest for each in inputs})

    def errors(self, name: str, output: Output) -> Errors | None:
        """Return how far an output of that name is from the exact result; None where none is known."""
        exact = self.exact(name)
        if exact is None:
            return None
        case, tiny = case_of(self.table.rows, name), self._tiny(name, exact)
        if case is not None and case.sample and output.size < len(exact.high):
            exact, tiny = exact.every(case.sample), None if tiny is None else tiny[:: case.sample]
        return errors(exact, output, tiny)

    def _tiny(self, name: str, exact: Exact) -> npt.NDArray[np.bool_] | None:
        """Return the elements of an elementwise result that have a subnormal argument; None where it is no such."""
        case = case_of(self.table.rows, name)
        if case is None or not exact.bounded:
            return None
        form = FORMS[self.dtype]
        sizes = np.broadcast_arrays(*(np.abs(argument(self.given, each).values) for each in case.args))
        normal = np.ldexp(1.0, form.least + form.precision - 1)
        return np.asarray(np.any([(size > 0) & (size < normal) for size in sizes], axis=0), np.bool_)

    def exact(self, name: str) -> Exact | None:
        """Return the exact result of an output by its name, or None where none is known."""
        case = case_of(self.table.rows, name)
        if case is None:
            return None
        if case.name not in self.made:
            self.made[case.name] = truths.exact(case, self.given, self.bits)
        return self.made[case.name].get(name)


def errors(exact: Exact, output: Output, tiny: npt.NDArray[np.bool_] | None = None) -> Errors:
    """Return how far an output is from its exact result.

    Args:
        exact: its exact result.
        output: what a framework gave.
        tiny: the elements that have a subnormal argument: one that is wrong there took it for zero, and is flushed too.
    """
    found = output.numbers()
    if len(found) != len(exact.high):
        told = f"{len(found)} numbers where the exact result has {len(exact.high)}"
        return Errors(largest=np.inf, mean=np.inf, wrong=len(found), judged=len(found), reason=told)
    if output.part not in FORMS:
        off = np.abs(found - exact.high)[exact.known]
        return _summed(off, int(np.count_nonzero(off)), len(off), 0)
    off, flushed = distances(exact, found, output.part)
    wrong = _wrong(exact, found, off, output.part)
    flushed = flushed if tiny is None else flushed | (tiny & wrong)
    judged = exact.known & ~flushed
    wrong &= judged
    return _summed(off[judged], int(np.count_nonzero(wrong)), int(judged.sum()), int((flushed & exact.known).sum()))


def _summed(off: Numbers, wrong: int, judged: int, flushed: int) -> Errors:
    finite = off[np.isfinite(off)]
    mean = float(finite.mean()) if len(finite) else 0.0
    largest = float(off.max()) if len(off) else 0.0
    return Errors(largest=largest, mean=mean, wrong=wrong, judged=judged, flushed=flushed)


@np.errstate(all="ignore")
def distances(exact: Exact, found: Numbers, dtype: str) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Return how far numbers are from the exact ones in units in the last place, and which were flushed to zero."""
    form = FORMS[dtype]
    _, exponents = np.frexp(np.where(np.isfinite(exact.high), exact.high, 1.0))
    top = form.least + 2**form.exponent_bits - 3  # exponent of the largest unit
    unit = np.ldexp(1.0, np.clip(exponents - form.precision, form.least, top))
    off = np.abs((found - exact.high) - exact.low) / unit
    beyond = np.abs(exact.high) >= np.ldexp(2.0 - 2.0**-form.precision, top + form.precision - 1)
    same = (np.isnan(found) & np.isnan(exact.high)) | (
        np.isinf(found) & beyond & (np.sign(found) == np.sign(exact.high))
    )
    same |= found == exact.high
    odd = ~np.isfinite(found) | ~np.isfinite(exact.high)
    off = np.where(odd, np.where(same, 0.0, np.inf), off)
    normal = np.ldexp(1.0, form.least + form.precision - 1)
    return off, (found == 0) & (exact.high != 0) & (np.abs(exact.high) < normal)


@np.errstate(all="ignore")
def _wrong(exact: Exact, found: Numbers, off: Numbers, dtype: str) -> npt.NDArray[np.bool_]:
    if exact.sizes is not None:
        allowed = 8 * exact.terms * 2.0 ** -FORMS[dtype].precision * exact.sizes
        return (off > 0) & ~(np.abs((found - exact.high) - exact.low) <= allowed)
    return off > ELEMENTWISE_BOUND if exact.bounded else np.isinf(off)
