"""What an operation truly gives on exact inputs, and how far a value is from it: fractions, and decimals for e^z.

Every truth is an interval of fractions that is narrower than any distance that matters; the rational ones have none.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

from repromatrix.floats import FORMS, at, ordinal
from repromatrix.results.replay import Replay

_DIGITS = 120  # of decimals: float64 needs 17, and no sigmoid of float64 is known so close to the middle of two values
_FAR = 2000  # beyond, the sigmoid is nearer to 0 or 1 than any value of float64 but these
Interval = tuple[Fraction, Fraction]


def truths(operation: str, inputs: Mapping[str, Any], replay: Replay) -> list[Interval] | None:
    """Return what the operation truly gives, laid flat row by row; None where an input is not finite.

    Args:
        operation: an operation's name.
        inputs: floats, in lists of lists as the operation takes them.
        replay: of the cell; the learning rate and the form of the loss are its own.
    """
    if not all(map(math.isfinite, _flat(list(inputs.values())))):
        return None
    given = {name: _exact(each) for name, each in inputs.items()}
    if operation == "sigmoid":
        return [_sigmoid(float(z)) for z in given["z"]]
    rate = Fraction(float(dict(replay.numbers).get("rate", "0")))
    mean = dict(replay.options).get("loss_form") == "mean"
    return [(each, each) for each in _RATIONAL[operation](given, rate, mean=mean)]


def rounded(truth: Interval, dtype: str) -> float:
    """Return the correctly rounded value, ties to even.

    Raises:
        ValueError: the interval does not decide it.
    """
    low, high = (_nearest(each, dtype) for each in truth)
    if low != high:
        raise ValueError(f"{_DIGITS} digits do not decide how a result is rounded to {dtype}")
    return low


def off(value: float, truth: Interval, dtype: str) -> float:
    """Return how far a value is from the truth, in the distance of the rounded truth to the next larger value."""
    if not math.isfinite(value):
        return abs(value)
    last = FORMS[dtype].infinity - 2
    place = min(abs(ordinal(rounded(truth, dtype), dtype)), last)
    unit = Fraction(at(place + 1, dtype)) - Fraction(at(place, dtype))
    return float(abs(Fraction(value) - truth[0]) / unit)


def _sigmoid(z: float) -> Interval:
    tiny = Fraction(1, 1 << _FAR)
    if abs(z) > _FAR:
        return (1 - tiny, Fraction(1)) if z > 0 else (Fraction(0), tiny)
    context = Context(prec=_DIGITS)
    found = Fraction(context.divide(Decimal(1), context.add(Decimal(1), context.exp(-Decimal(z)))))
    error = found / 10 ** (_DIGITS - 3)
    return found - error, found + error


def _nearest(number: Fraction, dtype: str) -> float:
    if not number:
        return 0.0
    form, size = FORMS[dtype], abs(number)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= size.numerator << max(-exponent, 0) < size.denominator << max(exponent, 0)
    unit = max(exponent + 1 - form.precision, form.least)
    scaled = Fraction(size.numerator << max(-unit, 0), size.denominator << max(unit, 0))
    significand = round(scaled)
    # Of a significand that was rounded up to the next power of two the formula gives that power.
    place = min(significand + ((unit - form.least) << (form.precision - 1)), form.infinity)
    return math.copysign(at(place, dtype), number)


def _exact(tensor: Any) -> Any:
    return [_exact(each) for each in tensor] if isinstance(tensor, list | tuple) else Fraction(tensor)


def _flat(tensor: Any) -> list[float]:
    return [x for each in tensor for x in _flat(each)] if isinstance(tensor, list | tuple) else [tensor]


def _loss(given: Any, _: Fraction, *, mean: bool) -> list[Fraction]:
    total = sum(((o - t) ** 2 for o, t in zip(given["o"], given["t"], strict=True)), Fraction(0))
    return [total / (len(given["o"]) if mean else 2)]


def _error(given: Any, _: Fraction, *, mean: bool) -> list[Fraction]:
    factor = Fraction(2, len(given["o"])) if mean else Fraction(1)
    return [factor * (o - t) for o, t in zip(given["o"], given["t"], strict=True)]


def _product(given: Any, _: Fraction, *, mean: bool) -> list[Fraction]:  # noqa: ARG001 - one signature for all
    return [_dot(row, given["v"]) for row in given["W"]]


def _back(given: Any, _: Fraction, *, mean: bool) -> list[Fraction]:  # noqa: ARG001
    return [_dot([row[place] for row in given["W"]], given["d"]) for place in range(len(given["W"][0]))]


def _dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def _bias(given: Any, _: Fraction, *, mean: bool) -> list[Fraction]:  # noqa: ARG001
    return [p + b for p, b in zip(given["p"], given["b"], strict=True)]


def _sigmoid_gradient(given: Any, _: Fraction, *, mean: bool) -> list[Fraction]:  # noqa: ARG001
    return [e * a * (1 - a) for a, e in zip(given["a"], given["e"], strict=True)]


def _outer(given: Any, _: Fraction, *, mean: bool) -> list[Fraction]:  # noqa: ARG001
    return [d * v for d in given["d"] for v in given["v"]]


def _update(given: Any, rate: Fraction, *, mean: bool) -> list[Fraction]:  # noqa: ARG001
    return [w - rate * g for row in zip(given["W"], given["g"], strict=True) for w, g in zip(*row, strict=True)]


_RATIONAL: dict[str, Callable[..., list[Fraction]]] = {
    "product": _product,
    "bias": _bias,
    "loss": _loss,
    "error": _error,
    "sigmoid_gradient": _sigmoid_gradient,
    "outer": _outer,
    "back": _back,
    "update": _update,
}
