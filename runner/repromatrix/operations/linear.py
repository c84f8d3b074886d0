"""Forms of the operations that are sums and products: what is fused, in which order, and in which dtype.

A kernel may compute in a wider dtype than it is given (float32 for the short ones, float64 for float32) and round at
the end; the name then ends in that dtype.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from repromatrix.operations import soft
from repromatrix.operations.catalogue import Constants
from repromatrix.operations.form import Form, Inputs
from repromatrix.operations.soft import Array, Unit

SHORT = ("float16", "bfloat16")
Sum = Callable[[Array, Array, Unit], Array]  # the terms' two factors, the last axis summed over


def units(dtype: str) -> Iterator[tuple[str, str, Unit]]:
    """Yield what a kernel may compute in: the end of a form's name, that of its sentence, the arithmetic."""
    yield "", "", Unit(dtype)
    wider = "float32" if dtype in SHORT else "float64"
    if dtype != wider:
        yield f"-in-{wider}", f", all of it in {wider}, and rounded to {dtype} at the end", Unit(wider)


def _rounded_products(a: Array, b: Array, unit: Unit) -> Array:
    total = unit.mul(a[..., 0], b[..., 0])
    for i in range(1, a.shape[-1]):
        total = unit.add(total, unit.mul(a[..., i], b[..., i]))
    return total


def _fused(a: Array, b: Array, unit: Unit) -> Array:
    total = unit.mul(a[..., 0], b[..., 0])
    for i in range(1, a.shape[-1]):
        total = unit.fma(a[..., i], b[..., i], total)
    return total


def _pairwise(a: Array, b: Array, unit: Unit) -> Array:
    terms = unit.mul(a, b)
    while terms.shape[-1] > 1:
        even = terms.shape[-1] // 2 * 2
        halves = unit.add(terms[..., 0:even:2], terms[..., 1:even:2])
        terms = np.concatenate([halves, terms[..., even:]], axis=-1)
    return terms[..., 0]


def _turned(way: Sum) -> Sum:
    return lambda a, b, unit: way(a[..., ::-1], b[..., ::-1], unit)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to sum products.

    Attributes:
        differs_from: the number of terms from which on it differs from the ways before it.
        exact: whether it still differs where no product is rounded.
    """

    name: str
    says: str
    sum: Sum
    differs_from: int
    exact: bool = True


_WAYS = (
    Way("products-then-sum", "every product is rounded, and they are added from the first to the last",
         _rounded_products, 1),
    Way("fma-chain-ascending", "the first product is rounded, every other one is added to it by a fused multiply-add,"
         " from the second to the last", _fused, 2, exact=False),
    Way("fma-chain-descending", "the last product is rounded, every other one is added to it by a fused multiply-add,"
         " from the last but one to the first", _turned(_fused), 2, exact=False),
    Way("products-then-sum-descending", "every product is rounded, and they are added from the last to the first",
         _turned(_rounded_products), 3),
    Way("products-then-sum-pairwise", "every product is rounded, neighbours are added, and so on with the sums",
         _pairwise, 4),
)  # fmt: skip


def ways(*, exact: bool) -> Iterator[Way]:
    """Yield the ways to sum products; of exact products only those that then still differ."""
    yield from (way for way in _WAYS if way.exact or not exact)


def _dots(dtype: str, factors: Callable[[Inputs], tuple[Array, Array]]) -> Iterator[Form]:
    for end, also, unit in units(dtype):
        # A product has at most twice the bits of its factors: in a dtype so wide it is exact, fused or not.
        for way in ways(exact=unit.dtype != dtype):

            def evaluate(inputs: Inputs, dtype: str, _: Constants, way: Way = way, unit: Unit = unit) -> Array:
                a, b = np.broadcast_arrays(*factors(inputs))
                return soft.round_to(way.sum(a, b, unit), dtype)

            yield Form(
                name=way.name + end, says=f"For each element {way.says}{also}.", evaluate=evaluate,
                least_terms=way.differs_from,
            )  # fmt: skip


def _product(dtype: str) -> Iterator[Form]:
    return _dots(dtype, lambda inputs: (inputs["W"], inputs["v"][:, None, :]))


def _back(dtype: str) -> Iterator[Form]:
    return _dots(dtype, lambda inputs: (inputs["W"].swapaxes(1, 2), inputs["d"][:, None, :]))


def _bias(_: str) -> Iterator[Form]:
    yield Form(
        name="sum",
        says="p + b, rounded once.",
        evaluate=lambda inputs, dtype, _: soft.add(inputs["p"], inputs["b"], dtype),
    )


def _outer(_: str) -> Iterator[Form]:
    yield Form(
        name="product",
        says="Each element is a product of two numbers, rounded once.",
        evaluate=lambda inputs, dtype, _: soft.mul(inputs["d"][:, :, None], inputs["v"][:, None, :], dtype),
    )


def _rates(dtype: str) -> Iterator[tuple[str, str, Unit, str]]:
    """Yield where an update is computed, and the dtype that holds the learning rate; the ends of name and sentence."""
    own = Unit(dtype)
    yield "", "", own, dtype
    if dtype == "float64":  # what an optimizer keeps in float32 whatever it trains
        yield "-rate-in-float32", ", with the learning rate rounded to float32", own, "float32"
    if dtype in SHORT:
        wide = Unit("float32")
        yield "-in-float32", f", all of it in float32, with the learning rate rounded to {dtype} before", wide, dtype
        yield "-in-float32-rate-too", ", all of it in float32, the learning rate too", wide, "float32"


def _update(dtype: str) -> Iterator[Form]:
    for end, also, unit, rate_dtype in _rates(dtype):

        def separate(
            inputs: Inputs, dtype: str, constants: Constants, *, unit: Unit = unit, rate_dtype: str = rate_dtype
        ) -> Array:
            rate = soft.round_to(constants.number("rate"), rate_dtype)
            return soft.round_to(unit.sub(inputs["W"], unit.mul(rate, inputs["g"])), dtype)

        def fused(
            inputs: Inputs, dtype: str, constants: Constants, *, unit: Unit = unit, rate_dtype: str = rate_dtype
        ) -> Array:
            rate = soft.round_to(constants.number("rate"), rate_dtype)
            return soft.round_to(unit.fma(-rate, inputs["g"], inputs["W"]), dtype)

        says = f"The product of learning rate and gradient is rounded, then W minus it{also}."
        yield Form(name=f"product-then-difference{end}", says=says, evaluate=separate)
        # In float32 the product of two short numbers is exact: fused or not, it is the same.
        if unit.dtype == dtype or rate_dtype != dtype:
            says = f"W minus learning rate times gradient is one fused operation{also}."
            yield Form(name=f"fused-multiply-subtract{end}", says=says, evaluate=fused)


# Operation -> what makes its forms in a dtype.
FORMS: dict[str, Callable[[str], Iterator[Form]]] = {
    "product": _product,
    "back": _back,
    "bias": _bias,
    "outer": _outer,
    "update": _update,
}
