"""Forms of the sigmoid, and of its gradient where that needs e^-z again: a formula, and a way to compute e^x."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from repromatrix.operations import elementary_tanh, soft
from repromatrix.operations.catalogue import Constants
from repromatrix.operations.elementary_arithmetic import single
from repromatrix.operations.elementary_exp import CORRECT, Exponential, exponentials
from repromatrix.operations.form import Form, Inputs
from repromatrix.operations.gradients import through_exp, through_sigmoid
from repromatrix.operations.linear import units
from repromatrix.operations.soft import Array, Unit

_SHORT = ("float16", "bfloat16")
# From here on Eigen's quotient is 1 in float32 (`Functors`, `scalar_logistic_op<float>`, from 2023 on).
_CLAMP = single("16.6355324")


# z, e^x, the dtype that is computed in -> the sigmoid in it
_Formula = Callable[[Array, Exponential, Unit], Array]


def _reciprocal(z: Array, exponential: Exponential, unit: Unit) -> Array:
    return unit.div(1.0, unit.add(1.0, exponential.evaluate(-z, unit.dtype)))


def _ratio(z: Array, exponential: Exponential, unit: Unit) -> Array:
    power = exponential.evaluate(z, unit.dtype)
    return np.where(np.isinf(power), 1.0, unit.div(power, unit.add(1.0, power)))


def _ratio_clamped(z: Array, exponential: Exponential, unit: Unit) -> Array:
    return _ratio(np.minimum(z, _CLAMP), exponential, unit)


def _branches(z: Array, exponential: Exponential, unit: Unit) -> Array:
    power = exponential.evaluate(-np.abs(z), unit.dtype)
    return unit.div(np.where(z < 0, power, 1.0), unit.add(1.0, power))


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    says: str
    formula: _Formula
    only: tuple[str, ...] = ("float64", "float32", *_SHORT)


_FORMULAS = (
    _Named("reciprocal", "1 / (1 + e^-z)", _reciprocal),
    _Named("ratio", "e^z / (1 + e^z), 1 where e^z is infinite", _ratio),
    _Named("ratio-clamped", "e^z / (1 + e^z), for z not above 16.6355324", _ratio_clamped, ("float32",)),
    _Named("branches", "1 / (1 + e^-z) from 0 on, e^z / (1 + e^z) below 0", _branches),
)


def _sigmoid(dtype: str) -> Iterator[Form]:
    for end, also, unit in units(dtype):
        # In a dtype with many more bits than the result's only the formula may show.
        ways = exponentials(dtype) if unit.dtype == dtype else (CORRECT,)
        for named in _FORMULAS:
            if dtype in named.only:
                yield from (_made(named, each, unit, end, also) for each in ways)
    yield from elementary_tanh.sigmoids(dtype)


def _made(named: _Named, exponential: Exponential, unit: Unit, end: str, also: str) -> Form:
    def evaluate(inputs: Inputs, dtype: str, _: Constants) -> Array:
        # Without an ending a form is that of whatever dtype it is asked for.
        inner = unit if end else Unit(dtype)
        return soft.round_to(named.formula(inputs["z"], exponential, inner), dtype)

    return Form(
        name=f"{named.name}{end}-of-{exponential.name}",
        says=f"{named.says}; each step is rounded{also}. {exponential.says}",
        evaluate=evaluate,
    )


def _gradient(dtype: str) -> Iterator[Form]:
    for each in exponentials(dtype):
        if all(each.covers(unit.dtype) for _, _, unit in units(dtype)):
            yield from through_exp(each.name, each.says, each.evaluate, dtype)
    yield from through_sigmoid(_made(_FORMULAS[0], CORRECT, Unit(dtype), "", ""), dtype)
    yield from _half_fused(dtype) if dtype in _SHORT else _compiled_together(dtype)


# A gradient from a, e, in an arithmetic.
_PRODUCTS: tuple[tuple[str, str, Callable[[Array, Array, Unit], Array]], ...] = (
    ("e*(a*(1-a))", "1 - a, times a, times e", lambda a, e, by: by.mul(e, by.mul(a, by.sub(1.0, a)))),
    ("(e*a)*(1-a)", "e times a, times 1 - a", lambda a, e, by: by.mul(by.mul(e, a), by.sub(1.0, a))),
)


def _compiled_together(dtype: str) -> Iterator[Form]:
    """Yield what a compiler makes of the native sigmoid's gradient, where its e^x is not that of the sigmoid alone.

    XLA up to 2024 calls libm for a sigmoid that is compiled alone, and its own e^x for one compiled with its gradient.
    """
    by = Unit(dtype)
    for each in exponentials(dtype):
        if not each.compiler:
            continue
        for name, says, product in _PRODUCTS:

            def evaluate(
                inputs: Inputs,
                _: str,
                __: Constants,
                each: Exponential = each,
                product: Callable[[Array, Array, Unit], Array] = product,
            ) -> Array:
                return product(_reciprocal(inputs["z"], each, by), inputs["e"], by)

            yield Form(
                name=f"{name}-of-reciprocal-of-{each.name}",
                says=f"a = 1 / (1 + e^-z) at z; {says}; each step is rounded. {each.says}",
                evaluate=evaluate,
            )


def _half_fused(dtype: str) -> Iterator[Form]:
    """Yield what JAX's vjp of functions compiled one by one comes to: what one of them keeps is rounded, not its steps.

    XLA up to 2024 computes in float32 what it fuses in bfloat16, and rounds at the end.
    """
    own, wide = Unit(dtype), Unit("float32")

    def of_sigmoid(inputs: Inputs, _: str, __: Constants) -> Array:
        a = _reciprocal(inputs["z"], CORRECT, wide)
        kept = soft.round_to(wide.mul(a, wide.sub(1.0, a)), dtype)
        return own.mul(inputs["e"], kept)

    def of_exp(inputs: Inputs, _: str, __: Constants) -> Array:
        u = CORRECT.evaluate(-inputs["z"], dtype)
        v = own.add(1.0, u)
        kept = soft.round_to(wide.div(1.0, wide.mul(v, v)), dtype)
        return own.mul(own.mul(inputs["e"], kept), u)

    yield Form(
        name="e*(a*(1-a)-in-float32)-of-reciprocal-of-correct",
        says=f"a at z and a (1 - a) in float32, that rounded to {dtype}, times e. {CORRECT.says}",
        evaluate=of_sigmoid,
    )
    yield Form(
        name="(e*(1/(v*v)-in-float32))*u-of-correct",
        says=f"With u = e^-z and v = 1 + u: 1 over the square of v in float32, rounded to {dtype}; e times that,"
        f" times u; each step is rounded. {CORRECT.says}",
        evaluate=of_exp,
    )


# Operation -> what makes its forms in a dtype.
FORMS: dict[str, Callable[[str], Iterator[Form]]] = {"sigmoid": _sigmoid, "sigmoid_gradient": _gradient}
