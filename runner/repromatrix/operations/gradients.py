"""Forms of the loss and of the gradients at both nonlinear places: order, sign, what is fused and in which dtype."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from repromatrix.operations import soft
from repromatrix.operations.catalogue import OWN_SIGMOID, Constants
from repromatrix.operations.form import Form, Inputs
from repromatrix.operations.linear import SHORT, Way, units, ways
from repromatrix.operations.soft import Array, Unit

Exponential = Callable[[Array, str], Array]  # x, dtype -> e^x as some library computes it
_Derivative = Callable[[Array, Array, Unit], Array]  # e and a -> e a (1 - a)
_Chain = Callable[[Array, Array, Array, Unit], Array]  # e, u = e^-z and v = 1 + u -> e u / v^2


@dataclass(frozen=True, slots=True)
class _Stages:
    """Where the steps of a loss are computed, and where it is scaled: before or after it is rounded to the dtype."""

    end: str
    says: str
    difference: Unit
    square: Unit
    total: Unit
    scale_last: bool
    least_terms: int = 1
    mean_only: bool = False


def _stages(dtype: str) -> Iterator[_Stages]:
    own = Unit(dtype)
    for end, _, unit in units(dtype):
        if unit == own:
            yield _Stages("", "; the sum is halved, or divided by their number", own, own, own, scale_last=True)
            continue
        wide = unit.dtype
        for last in (True, False):
            mark = "" if last else "-scaled-first"
            scaling = "halved, or divided by their number"
            after, before = f"rounded to {dtype} and then {scaling}", f"{scaling}, and then rounded to {dtype}"
            more = f" in {wide}; the sum is {after if last else before}"
            # A power of two only shows whether it comes before or after where the result is subnormal.
            mean = not last and dtype != "float16"
            least = 3 if mean else 1
            yield _Stages(f"{end}{mark}", f", all of it{more}", unit, unit, unit, last, least, mean)
            rounded = f"-of-{dtype}-differences{end}{mark}"
            yield _Stages(rounded, f", squares and sum{more}", own, unit, unit, last, least, mean)
            # The sum of two numbers is the same by way of a wider dtype.
            rounded = f"-of-{dtype}-squares{end}{mark}"
            yield _Stages(rounded, f", the sum{more}", own, own, unit, last, 3, not last)


def _loss(dtype: str) -> Iterator[Form]:
    for stages in _stages(dtype):
        # Squares are exact in a dtype twice as wide as what is squared, and rounded already where the sum's is wider.
        for way in ways(exact=stages.difference != stages.total):
            yield _loss_form(stages, way)


def _loss_form(stages: _Stages, way: Way) -> Form:
    def evaluate(inputs: Inputs, dtype: str, constants: Constants) -> Array:
        unit, d = stages.total, stages.difference.sub(inputs["t"], inputs["o"])
        if stages.square == unit:
            total = way.sum(d, d, unit)
        else:
            squares = stages.square.mul(d, d)
            total = way.sum(squares, np.ones_like(squares), unit)
        if not stages.scale_last:
            return soft.round_to(_scaled(total, d.shape[-1], unit, constants), dtype)
        return _scaled(soft.round_to(total, dtype), d.shape[-1], Unit(dtype), constants)

    return Form(
        name=way.name.replace("product", "square") + stages.end,
        says=f"The differences t - o are squared and summed: {way.says.replace('product', 'square')}{stages.says}.",
        evaluate=evaluate,
        least_terms=max(way.differs_from, stages.least_terms),
        mean_only=stages.mean_only,
    )


def _scaled(total: Array, count: int, unit: Unit, constants: Constants) -> Array:
    return unit.div(total, count) if constants.loss_form == "mean" else unit.mul(total, 0.5)


def _output_minus_target(inputs: Inputs, unit: Unit) -> Array:
    return unit.sub(inputs["o"], inputs["t"])


def _negated(inputs: Inputs, unit: Unit) -> Array:
    return -unit.sub(inputs["t"], inputs["o"])


def _scale_first(d: Array, count: int, unit: Unit) -> Array:
    return unit.mul(unit.div(2.0, count), d)


def _scale_in_float32(d: Array, count: int, unit: Unit) -> Array:
    wide = Unit("float32")
    return soft.round_to(wide.mul(wide.div(2.0, count), d), unit.dtype)


def _scale_last(d: Array, count: int, unit: Unit) -> Array:
    return unit.div(unit.mul(2.0, d), count)


_SIGNS = (
    ("output-minus-target", "o - t, rounded once", _output_minus_target),
    ("target-minus-output-negated", "t - o, rounded once, with its sign turned: -0 where both are equal", _negated),
)
# Of two units the scale of the mean is 1: the ways to apply it differ from three on.
_SCALES = (
    ("", "; of a mean, times 2/n, that number rounded first", _scale_first, 1),
    ("-doubled-over-n", "; of a mean, doubled and divided by n", _scale_last, 3),
)
_SHORT_SCALE = ("-scale-in-float32", "; of a mean, times 2/n, that number in float32", _scale_in_float32, 3)


def _error(dtype: str) -> Iterator[Form]:
    for name, says, difference in _SIGNS:
        for end, also, unit in units(dtype):
            for mark, told, scale, terms in (*_SCALES, *([_SHORT_SCALE] if dtype in SHORT and not end else [])):

                def evaluate(
                    inputs: Inputs,
                    dtype: str,
                    constants: Constants,
                    *,
                    difference: Callable[[Inputs, Unit], Array] = difference,
                    scale: Callable[[Array, int, Unit], Array] = scale,
                    unit: Unit = unit,
                ) -> Array:
                    found = difference(inputs, unit)
                    if constants.loss_form == "mean":
                        found = scale(found, inputs["o"].shape[-1], unit)
                    return soft.round_to(found, dtype)

                # A difference that is rounded once is the same by way of a wider dtype: only a scale can show that.
                yield Form(
                    name=name + mark + end,
                    says=f"{says}{told}{also}.",
                    evaluate=evaluate,
                    least_terms=3 if end else terms,
                    mean_only=bool(mark or end),
                )


_DERIVATIVES: tuple[tuple[str, str, _Derivative], ...] = (
    ("e*(a*(1-a))", "1 - a, times a, times e", lambda e, a, u: u.mul(e, u.mul(a, u.sub(1.0, a)))),
    ("(e*a)*(1-a)", "e times a, times 1 - a", lambda e, a, u: u.mul(u.mul(e, a), u.sub(1.0, a))),
    ("(e*(1-a))*a", "e times 1 - a, times a", lambda e, a, u: u.mul(u.mul(e, u.sub(1.0, a)), a)),
    ("e*(a-a*a)", "a minus its square, times e", lambda e, a, u: u.mul(e, u.sub(a, u.mul(a, a)))),
    ("e*fma(-a,a,a)", "a minus its square as one fused operation, times e", lambda e, a, u: u.mul(e, u.fma(-a, a, a))),
    ("e*a-(e*a)*a", "e times a, minus itself times a",
     lambda e, a, u: u.sub(u.mul(e, a), u.mul(u.mul(e, a), a))),
    ("fma(-e*a,a,e*a)", "e times a, minus itself times a as one fused operation",
     lambda e, a, u: u.fma(-u.mul(e, a), a, u.mul(e, a))),
)  # fmt: skip
_SOURCES = (
    ("", "a", None),
    ("-of-own-sigmoid", OWN_SIGMOID, OWN_SIGMOID),
)


def _sigmoid_gradient(dtype: str) -> Iterator[Form]:
    for mark, source, needs in _SOURCES:
        told = ", where a is what the environment's own sigmoid gives at z" if needs else ""
        for end, also, unit in units(dtype):
            for name, says, derivative in _DERIVATIVES:

                def evaluate(
                    inputs: Inputs,
                    dtype: str,
                    _: Constants,
                    *,
                    derivative: _Derivative = derivative,
                    source: str = source,
                    unit: Unit = unit,
                ) -> Array:
                    return soft.round_to(derivative(inputs["e"], inputs[source], unit), dtype)

                full = f"{says[0].upper()}{says[1:]}{told}; each step is rounded{also}."
                yield Form(name=name + end + mark, says=full, evaluate=evaluate, needs=needs)


def through_sigmoid(sigmoid: Form, dtype: str) -> Iterator[Form]:
    """Yield the forms of `sigmoid_gradient` that compute a at z by a form of `sigmoid` in a wider dtype, unrounded.

    A compiler that fuses the activation with its gradient never rounds `a` to a short dtype; there is none for float64.
    """
    for end, also, unit in units(dtype):
        for name, says, derivative in _DERIVATIVES if unit.dtype != dtype else ():

            def evaluate(
                inputs: Inputs,
                dtype: str,
                constants: Constants,
                derivative: _Derivative = derivative,
                unit: Unit = unit,
            ) -> Array:
                a = sigmoid.evaluate({"z": inputs["z"]}, unit.dtype, constants)
                return soft.round_to(derivative(inputs["e"], a, unit), dtype)

            full = f"{says[0].upper()}{says[1:]}, where a is computed at z{also}. {sigmoid.says}"
            yield Form(name=f"{name}{end}-of-{sigmoid.name}", says=full, evaluate=evaluate)


# What a framework's differentiation of 1 / (1 + e^-z) comes to: r = 1/v.
_CHAINS: tuple[tuple[str, str, _Chain], ...] = (
    ("(e*(r*r))*u", "e times the square of 1/v, times u",
     lambda e, u, v, w: w.mul(w.mul(e, w.mul(w.div(1.0, v), w.div(1.0, v))), u)),
    ("(e*((1/v)/v))*u", "e times 1/v over v, times u", lambda e, u, v, w: w.mul(w.mul(e, w.div(w.div(1.0, v), v)), u)),
    ("(e*(1/(v*v)))*u", "e times 1 over the square of v, times u",
     lambda e, u, v, w: w.mul(w.mul(e, w.div(1.0, w.mul(v, v))), u)),
    ("(e/(v*v))*u", "e over the square of v, times u", lambda e, u, v, w: w.mul(w.div(e, w.mul(v, v)), u)),
    ("((e*r)*r)*u", "e times 1/v, times 1/v, times u",
     lambda e, u, v, w: w.mul(w.mul(w.mul(e, w.div(1.0, v)), w.div(1.0, v)), u)),
    ("((e/v)/v)*u", "e over v, over v, times u", lambda e, u, v, w: w.mul(w.div(w.div(e, v), v), u)),
)  # fmt: skip


def through_exp(name: str, says: str, exponential: Exponential, dtype: str) -> Iterator[Form]:
    """Yield the forms of `sigmoid_gradient` that differentiate 1 / (1 + e^-z), by one way to compute the exponential.

    Args:
        name: of that way; the forms end in `-of-NAME`.
        says: a sentence on that way.
        exponential: x, dtype -> e^x in that dtype; it is asked for the dtype, and for those wider that a kernel takes.
        dtype: of the inputs and the outputs.
    """
    for end, also, unit in units(dtype):
        for formula, told, chain in _CHAINS:

            def evaluate(
                inputs: Inputs, dtype: str, _: Constants, *, chain: _Chain = chain, unit: Unit = unit
            ) -> Array:
                u = exponential(-inputs["z"], unit.dtype)
                return soft.round_to(chain(inputs["e"], u, unit.add(1.0, u), unit), dtype)

            full = f"With u = e^-z and v = 1 + u: {told}; each step is rounded{also}. {says}"
            yield Form(name=f"{formula}{end}-of-{name}", says=full, evaluate=evaluate)


# Operation -> what makes its forms in a dtype.
FORMS: dict[str, Callable[[str], Iterator[Form]]] = {
    "loss": _loss,
    "error": _error,
    "sigmoid_gradient": _sigmoid_gradient,
}
