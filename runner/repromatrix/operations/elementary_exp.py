"""The ways to compute e^x that there are: each a library's code, in the dtypes that the library has it for.

Where e^x overflows they give infinity, where it is too small 0; between the smallest normal number and 0 libraries
differ in ways that are not followed here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import flint
import numpy as np

from repromatrix.operations import elementary_exp32 as single
from repromatrix.operations import elementary_exp64 as double
from repromatrix.operations import soft
from repromatrix.operations.soft import Array

# What the dtypes that no library computes e^x in are computed in, before the result is rounded once more.
_THROUGH = {"float16": "float32", "bfloat16": "float32"}
# Where e^x overflows. Table look-ups need a number that is not much farther out, on either side.
_OVERFLOW = {"float64": 709.782712893384, "float32": 88.72283905206835}
_FARTHEST = 1000.0
_BITS = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exponential:
    """One way to compute e^x.

    Attributes:
        name: short: `glibc-fma`.
        says: a sentence: whose code it is, and what it does.
        codes: `float64`, `float32` or both -> x to e^x in it.
        compiler: whether a compiler writes it into what it compiles.
    """

    name: str
    says: str
    codes: Mapping[str, Callable[[Array], Array]]
    compiler: bool = False

    def covers(self, dtype: str) -> bool:
        """Return whether there is such an e^x in the dtype."""
        return _THROUGH.get(dtype, dtype) in self.codes

    def evaluate(self, x: Array, dtype: str) -> Array:
        """Return e^x in a dtype that is covered; float16 and bfloat16 by way of float32.

        Raises:
            KeyError: a dtype that is not covered.
        """
        computed = _THROUGH.get(dtype, dtype)
        found = _remembered(self.codes[computed], np.shape(x), np.asarray(x, np.float64).tobytes())
        return soft.round_to(np.where(np.asarray(x) > _OVERFLOW[computed], np.inf, found), dtype)


# A fit tries many forms on the same numbers, and most of them share their exponentials.
@lru_cache(maxsize=128)
def _remembered(code: Callable[[Array], Array], shape: tuple[int, ...], content: bytes) -> Array:
    x = np.frombuffer(content, np.float64).reshape(shape)
    finite = np.clip(np.where(np.isnan(x), 0.0, x), -_FARTHEST, _FARTHEST)
    with np.errstate(all="ignore"):
        found = np.where(np.isnan(x), x, code(finite))
    found.flags.writeable = False
    return found


def _correct(x: Array, *, dtype: str) -> Array:
    """Return e^x rounded once: Arb to 200 bits, in two parts that together hold 106 of them."""
    numbers, places = np.unique(x, return_inverse=True)
    parts = np.empty((2, numbers.size))
    with flint.ctx.workprec(_BITS):
        for index, number in enumerate(numbers.tolist()):
            exact = flint.arb(number).exp().mid()
            parts[0, index] = float(exact)
            parts[1, index] = float(exact - parts[0, index]) if np.isfinite(parts[0, index]) else 0.0
    return soft.round_sum(parts[0], parts[1], dtype)[places].reshape(x.shape)


CORRECT = Exponential(
    name="correct",
    says="e^x is the exact value, rounded once.",
    codes={dtype: partial(_correct, dtype=dtype) for dtype in ("float64", "float32")},
)
_FUSED, _UNFUSED = " Products and sums are rounded together (FMA).", " Each product and each sum is rounded (no FMA)."


def _pair(
    name: str, says: str, codes: Mapping[str, Callable[..., Array]], *, compiler: bool = False
) -> Iterator[Exponential]:
    """Yield a code as it is built for processors with FMA, and as for those without."""
    for mark, told, fused in (("-fma", _FUSED, True), ("", _UNFUSED, False)):
        built = {dtype: partial(code, fused=fused) for dtype, code in codes.items()}
        yield Exponential(name=name + mark, says=says + told, codes=built, compiler=compiler)


EXPONENTIALS: tuple[Exponential, ...] = (
    *_pair(
        "glibc",
        "e^x is that of glibc's libm: a table of powers of two and a short polynomial; float32 is computed in float64.",
        {"float64": double.glibc, "float32": single.glibc},
    ),
    *_pair(
        "xla",
        "e^x is XLA's own for CPUs, after Cephes: a polynomial in float32, a rational function in float64.",
        {"float64": double.xla, "float32": single.cephes},
        compiler=True,
    ),
    Exponential(
        name="svml-accurate",
        says="e^x is that of Intel's SVML and VML for AVX-512, in high accuracy: a table and a short polynomial.",
        codes={"float64": double.svml_accurate, "float32": single.vml},
    ),
    Exponential(
        name="svml-fast",
        says="e^x is that of Intel's SVML for AVX-512, in low accuracy: a table and a short polynomial.",
        codes={"float64": double.svml_fast},
    ),
    Exponential(
        name="numpy",
        says="e^x is NumPy's own vector code: a rational function in float32, Tang's table in float64.",
        codes={"float64": double.tang, "float32": single.numpy},
    ),
    *_pair(
        "sleef",
        "e^x is that of Sleef to 1.0 ULP: a polynomial without a table.",
        {"float64": double.sleef, "float32": single.sleef},
    ),
    *_pair("eigen", "e^x is Eigen's for whole vectors: a polynomial of degree 6.", {"float32": single.eigen}),
    Exponential(
        name="torch-u20",
        says="e^x is PyTorch's own in 20 ULP: a polynomial of degree 5.",
        codes={"float32": single.torch_u20},
    ),
    CORRECT,
)


def exponentials(dtype: str) -> tuple[Exponential, ...]:
    """Return the ways to compute e^x in a dtype, the most usual first.

    In float16 and bfloat16 that is one: there e^x of every library rounds to the correct bits for all numbers but at
    most one, so that a fit could not tell them apart.
    """
    return (CORRECT,) if dtype in _THROUGH else tuple(each for each in EXPONENTIALS if each.covers(dtype))
