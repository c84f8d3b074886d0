"""A row of the table and its inputs -> the exact result of each output, computed once and kept in the user's cache.

What is kept belongs to the code that computes it and to the bits of the inputs: another release makes its own.
"""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from repromatrix import resources
from repromatrix.operations.exact import Argument, Exact, TooWideError, narrow
from repromatrix.operations.exact_arrays import ARRAYS, GRADIENTS, Gradient
from repromatrix.operations.exact_elementwise import ELEMENTWISE, elementwise
from repromatrix.operations.exact_linear import LINEAR, LINEAR_GRADIENTS
from repromatrix.operations.exact_networks import NETWORK_GRADIENTS, NETWORKS

_CHARACTERS = 16  # of a digest, in the name of a folder
NONE = "none"  # the truth of a row that has no exact result
TRUTHS = ARRAYS | NETWORKS | LINEAR  # beside the elementwise ones
SLOPES: dict[str, Gradient] = GRADIENTS | NETWORK_GRADIENTS | LINEAR_GRADIENTS
_PART = re.compile(r"([\w-]+)(?:\[(:,)?:(\d+)\])?")
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)
_CODE = ("exact.py", "exact_arrays.py", "exact_elementwise.py", "exact_linear.py", "exact_networks.py", "truths.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case of an operation.

    Attributes:
        name: `OPERATION` or `OPERATION/CASE`.
        args: names of its inputs.
        truth: the name of its exact result.
        gradient: the places of the arguments by which it is derived.
        weights: the input by which the outputs are weighted before they are summed and derived; None: one each.
        options: what the line is given beside the arguments.
        terms: of the longest sum in it, which bounds what is neither elementwise nor a sum; 0: not stated.
        relation: the two ways to compute it whose differing elements are counted; None: it is computed once.
        sample: of a large output every so many elements are kept, and a digest; 0: all.
    """

    name: str
    args: tuple[str, ...]
    truth: str
    gradient: tuple[int, ...]
    weights: str | None
    options: Mapping[str, Any]
    terms: int = 0
    relation: str | None = None
    sample: int = 0

    @property
    def slopes(self) -> dict[str, int]:
        """The names of its gradients -> the place of the argument."""
        if len(self.gradient) == 1:
            return {f"{self.name}/gradient": self.gradient[0]}
        return {f"{self.name}/gradient-{place}": place for place in self.gradient}


def cases(rows: Mapping[str, Any]) -> Iterator[Case]:
    """Yield every case of the rows of a table, in its order."""
    for operation, row in rows.items():
        if not row.get("only_cases"):
            yield _case(operation, row)
        for name, change in row.get("cases", {}).items():
            yield _case(f"{operation}/{name}", row | change)


def _case(name: str, row: Mapping[str, Any]) -> Case:
    return Case(
        name=name,
        args=tuple(row.get("args", ())),
        truth=row["truth"],
        gradient=tuple(row.get("gradient", ())),
        weights=row.get("weights"),
        options=row.get("options", {}),
        terms=row.get("terms", 0),
        relation=row.get("relation"),
        sample=row.get("sample", 0),
    )


def argument(given: Mapping[str, Argument], text: str) -> Argument:
    """Return an input, or what `NAME[:n]` or `NAME[:,:n]` says of it: its first elements, or columns."""
    name, columns, count = _parsed(text)
    found = given[name]
    if count is None:
        return found
    array = found.values.reshape(found.shape)
    array = array[:, : int(count)] if columns else array[: int(count)]
    return Argument(shape=array.shape, values=array.reshape(-1))


def _parsed(text: str) -> tuple[str, str | None, str | None]:
    found = _PART.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} names no part of an input")
    name, columns, count = found.groups()
    return name, columns, count


def case_of(rows: Mapping[str, Any], name: str) -> Case | None:
    """Return the case that has an output of that name, or None."""
    operation = name.partition("/")[0]
    row = {operation: rows[operation]} if operation in rows else {}
    found = (case for case in cases(row) if name == case.name or name.startswith(f"{case.name}/"))
    return max(found, key=lambda case: len(case.name), default=None)


def exact(case: Case, given: Mapping[str, Argument], bits: Mapping[str, str]) -> Mapping[str, Exact]:
    """Return the exact result of each output of a case that has one, by its name, with what bounds it.

    Args:
        case: of the table.
        given: input -> its elements.
        bits: input -> the digest of its bits.
    """
    if case.truth == NONE:
        return {}
    return {name: _limited(found, case.terms) for name, found in _known(case, given, bits).items()}


def _limited(found: Exact, terms: int) -> Exact:
    """Return an exact result that says by itself how far off is wrong, or has the bound of its row.

    Of what is made of sums and functions of them, each rounding moves an element by what the largest one is made of:
    `terms` of the longest sum, times the condition number in linear algebra (N. J. Higham, Accuracy and Stability of
    Numerical Algorithms, chapters 3 and 7, normwise).
    """
    if found.bounded or found.sizes is not None or not terms:
        return found
    largest = np.abs(found.high[found.known & np.isfinite(found.high)]).max(initial=0.0)
    if not largest:  # all cancels, as in the variance of equal numbers: nothing tells how large the terms are
        return found
    return replace(found, terms=terms, sizes=np.full(len(found.high), largest))


def _known(case: Case, given: Mapping[str, Argument], bits: Mapping[str, str]) -> Mapping[str, Exact]:
    """Return what is in the cache, or compute and keep it."""
    names = [*case.args, *([case.weights] if case.weights else [])]
    taken = [[bits[_parsed(name)[0]], name.partition("[")[2]] for name in names]
    told = [case.truth, case.name, taken, case.options, case.gradient]
    name = sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    path = resources.cache() / "exact" / code()[:_CHARACTERS] / f"{name}.npz"
    try:
        return _unpacked(path.read_bytes())
    except _DAMAGE:
        found = _computed(case, given)
        resources.keep(path, _packed(found))
        return found


@cache
def code() -> str:
    """Return the digest over the code of all exact results, and the release of what it stands on."""
    parts = [(Path(__file__).parent / name).read_bytes() for name in _CODE]
    return sha256(b"\0".join([*parts, version("python-flint").encode()])).hexdigest()


def _computed(case: Case, given: Mapping[str, Argument]) -> dict[str, Exact]:
    arguments = [argument(given, name) for name in case.args]
    if case.truth in ELEMENTWISE:
        found = {case.name: elementwise(case.truth, arguments)}
        slopes = ELEMENTWISE[case.truth].slopes
        places = {name: place for name, place in case.slopes.items() if place < len(slopes) and case.weights is None}
        return found | {name: elementwise(case.truth, arguments, place) for name, place in places.items()}
    if case.truth not in TRUTHS:  # of a table that another release made
        return {}
    made = _tried(
        lambda: {_named(case.name, end): each for end, each in TRUTHS[case.truth](arguments, case.options).items()}
    )
    gradient = SLOPES.get(case.truth)
    weights = given[case.weights] if case.weights else None
    for name, place in case.slopes.items():
        if gradient is not None:
            made |= _tried(partial(_slope, gradient, name, (arguments, case.options, weights, place)))
    return made


def _slope(gradient: Gradient, name: str, given: tuple[Any, ...]) -> dict[str, Exact]:
    return {name: gradient(*given)}


def _named(name: str, end: str) -> str:
    return f"{name}/{end}" if end else name


def _tried(compute: Callable[[], dict[str, Exact]]) -> dict[str, Exact]:
    """Return what is computed; nothing where no number of bits suffices."""
    try:
        return narrow(compute)
    except TooWideError:
        return {}


def _packed(found: Mapping[str, Exact]) -> bytes:
    """Return exact results as the bytes of a file."""
    arrays: dict[str, Any] = {}
    for place, (name, each) in enumerate(found.items()):
        arrays |= {f"{place}.name": name, f"{place}.high": each.high, f"{place}.low": each.low}
        arrays |= {f"{place}.known": each.known, f"{place}.terms": each.terms, f"{place}.bounded": each.bounded}
        arrays |= {} if each.sizes is None else {f"{place}.sizes": each.sizes}
    stream = io.BytesIO()
    np.savez_compressed(stream, count=len(found), **arrays)
    return stream.getvalue()


def _unpacked(data: bytes) -> dict[str, Exact]:
    """Return the exact results that a file has.

    Raises:
        OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error, RuntimeError: it is damaged.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as held:
        return {
            str(held[f"{place}.name"]): Exact(
                high=held[f"{place}.high"],
                low=held[f"{place}.low"],
                known=held[f"{place}.known"],
                terms=int(held[f"{place}.terms"]),
                sizes=held.get(f"{place}.sizes"),
                bounded=bool(held[f"{place}.bounded"]),
            )
            for place in range(int(held["count"]))
        }
