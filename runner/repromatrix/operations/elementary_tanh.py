"""The sigmoid by way of the hyperbolic tangent, 1/2 + 1/2 tanh(z/2): how XLA expanded it before 2022."""

from collections.abc import Callable, Iterator
from functools import partial

import flint
import numpy as np

from repromatrix.operations import soft
from repromatrix.operations.catalogue import Constants
from repromatrix.operations.elementary_arithmetic import Arithmetic, single, singles
from repromatrix.operations.form import Form, Inputs
from repromatrix.operations.soft import Array

_BITS = 200


def rational(x: Array, *, fused: bool) -> Array:
    """Return XLA's tanh of float32 on CPUs (`xla/service/llvm_ir/math_ops.cc`, after Eigen): a rational function.

    Args:
        x: float32 values.
        fused: whether products and sums are contracted to FMA, as LLVM does where the instruction set has it.
    """
    by = Arithmetic("float32", fused)
    # Where the quotient reaches 1 if it is fused.
    end, certain = single("7.99881172180175781"), 20.0
    inside = np.clip(x, -end, end)
    square = by.mul(inside, inside)
    above = (
        "-2.76076847742355e-16 2.00018790482477e-13 -8.60467152213735e-11 5.12229709037114e-08"
        " 1.48572235717979e-05 6.37261928875436e-04 4.89352455891786e-03"
    )
    below = "1.19825839466702e-06 1.18534705686654e-04 2.26843463243900e-03 4.89352518554385e-03"
    numerator = by.mul(inside, by.horner(square, singles(above)))
    quotient = by.div(numerator, by.horner(square, singles(below)))
    found = np.where(np.abs(x) < single("0.0004"), x, quotient)
    return np.where(np.abs(x) >= certain, np.copysign(1.0, x), found)


def correct(x: Array, dtype: str) -> Array:
    """Return tanh of finite numbers, rounded once."""
    numbers, places = np.unique(x, return_inverse=True)
    parts = np.empty((2, numbers.size))
    with flint.ctx.workprec(_BITS):
        for index, number in enumerate(numbers.tolist()):
            exact = flint.arb(number).tanh().mid()
            parts[0, index] = float(exact)
            parts[1, index] = float(exact - parts[0, index])
    return soft.round_sum(parts[0], parts[1], dtype)[places].reshape(x.shape)


def sigmoids(dtype: str) -> Iterator[Form]:
    """Yield the forms of `sigmoid` by tanh in a dtype."""
    yield _form("correct", "tanh is exact, rounded once.", partial(correct, dtype=dtype))
    if dtype == "float32":
        says = "tanh is XLA's own for CPUs, after Eigen: a rational function"
        yield _form("xla-fma", f"{says}, with FMA.", partial(rational, fused=True))
        yield _form("xla", f"{says}, without FMA.", partial(rational, fused=False))


def _form(name: str, says: str, tanh: Callable[[Array], Array]) -> Form:
    def evaluate(inputs: Inputs, dtype: str, _: Constants) -> Array:
        halved = soft.mul(tanh(soft.mul(inputs["z"], 0.5, dtype)), 0.5, dtype)
        return soft.add(halved, 0.5, dtype)

    return Form(name=f"tanh-of-{name}", says=f"1/2 + 1/2 tanh(z/2); each step is rounded. {says}", evaluate=evaluate)
