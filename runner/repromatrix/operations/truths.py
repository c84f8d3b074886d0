"""A row of the table and its inputs -> the exact result of each output, computed once and kept in the user's cache.

What is kept belongs to the code that computes it and to the bits of the inputs: another release makes its own.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from repromatrix import resources
from repromatrix.operations.cases import NONE, Case, part_of
from repromatrix.operations.exact_result import Argument, Exact

_CHARACTERS = 16  # of a digest, in the name of a folder
_CODE = ("cases.py", "exact.py", "exact_*.py", "truths.py")
_NUMBER, _FLAG = np.dtype("<f8"), np.dtype("?")
_PARTS = {"high": _NUMBER, "low": _NUMBER, "known": _FLAG, "sizes": _NUMBER}  # what a file has of an exact result


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
    taken = [[bits[part_of(name)[0]], name.partition("[")[2]] for name in names]
    told = [case.truth, case.name, taken, case.options, case.gradient]
    name = sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    path = resources.cache() / "exact" / code()[:_CHARACTERS] / name
    try:
        return _unpacked(path.read_bytes())
    except (OSError, ValueError, KeyError, zlib.error):
        from repromatrix.operations.exact_cases import computed  # noqa: PLC0415 - Arb takes a while to load

        found = computed(case, given)
        resources.keep(path, _packed(found))
        return found


@cache
def code() -> str:
    """Return the digest over the code of all exact results, and the release of what it stands on."""
    folder = Path(__file__).parent
    parts = [path.read_bytes() for pattern in _CODE for path in sorted(folder.glob(pattern))]
    return sha256(b"\0".join([*parts, version("python-flint").encode()])).hexdigest()


def _packed(found: Mapping[str, Exact]) -> bytes:
    """Return exact results as the bytes of a file: a line that says what they are, then their arrays."""
    head = [
        {
            "name": name,
            "size": len(each.high),
            "terms": each.terms,
            "bounded": each.bounded,
            "sums": each.sizes is not None,
        }
        for name, each in found.items()
    ]
    arrays = ((getattr(each, part), kind) for each in found.values() for part, kind in _PARTS.items())
    bits = (array.astype(kind).tobytes() for array, kind in arrays if array is not None)
    return zlib.compress(json.dumps(head).encode() + b"\n" + b"".join(bits))


def _unpacked(data: bytes) -> dict[str, Exact]:
    """Return the exact results that a file has.

    Raises:
        ValueError, KeyError, zlib.error: it is damaged.
    """
    head, _, bits = zlib.decompress(data).partition(b"\n")
    found: dict[str, Exact] = {}
    place = 0
    for entry in json.loads(head):
        arrays: dict[str, Any] = {}
        for part, kind in _PARTS.items() if entry["sums"] else list(_PARTS.items())[:-1]:
            size = entry["size"] * kind.itemsize
            arrays[part] = np.frombuffer(bits[place : place + size], kind)
            place += size
        found[entry["name"]] = Exact(terms=entry["terms"], bounded=entry["bounded"], **arrays)
    return found
