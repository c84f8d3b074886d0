# ruff: noqa: ARG005 - a derivative takes the arguments of its function, whether it needs them or not
"""Exact results of elementwise operations and of their derivatives.

An entry is the function, its derivatives by its arguments, and what Arb cannot say: where it has no value (NaN is
right), and its limits.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from flint import arb, ctx

from repromatrix.operations.exact import FIRST, LAST, TooWideError, split
from repromatrix.operations.exact_result import Argument, Exact

Function: TypeAlias = Callable[..., Any]
_INFINITE, _NONE = math.inf, math.nan
_SIX = 6  # of relu6
_TERMS = 16  # what makes the bound of a sum, 8 terms u size, the 64 units in the last place of other functions


@dataclass(frozen=True, slots=True, kw_only=True)
class Elementwise:
    """An elementwise operation.

    Attributes:
        value: arguments (arb) -> the result (arb, or a Fraction or a float where that is exact).
        slopes: for each argument the derivative.
        low: the least argument that has a value; below it NaN is right. `high` likewise.
        limits: of a function of one argument: argument -> result, where Arb has none.
        exact: whether the functions take Fractions in place of arb. None in place of a result: there is no single one.
        sizes: of the value and of each derivative, how large the terms are that its formula adds: where they cancel, an
            error is measured by them. None: by the result.
    """

    value: Function
    slopes: Sequence[Function] = ()
    low: float = -_INFINITE
    high: float = _INFINITE
    limits: Mapping[float, float] = field(default_factory=dict)
    exact: bool = False
    sizes: Sequence[Callable[..., float] | None] = ()


def one() -> arb:
    """Return the number one."""
    return arb(1)


def _pi() -> arb:
    return arb.pi()


def _sigmoid(x: arb) -> arb:
    return 1 / (1 + (-x).exp())


def _normal(x: arb) -> arb:
    """Return the distribution function of the normal distribution."""
    return (-x / arb(2).sqrt()).erfc() / 2


def _bell(x: arb) -> arb:
    """Return its density."""
    return (-x * x / 2).exp() / (2 * _pi()).sqrt()


def _inner(x: arb) -> arb:
    """Return what the hyperbolic form of gelu takes the tangent of."""
    return (2 / _pi()).sqrt() * (x + arb("0.044715") * x * x * x)


def _gelu_tanh(x: arb) -> arb:
    return x / 2 * (1 + _inner(x).tanh())


def _gelu_tanh_slope(x: arb) -> arb:
    tangent = _inner(x).tanh()
    within = (2 / _pi()).sqrt() * (1 + 3 * arb("0.044715") * x * x)
    return (1 + tangent) / 2 + x / 2 * (1 - tangent * tangent) * within


def _softplus(x: arb) -> arb:
    return x.exp().log1p()


def _lgamma(x: arb) -> arb:
    return x.lgamma() if x > 0 else abs(x.gamma()).log()


def _erfinv_slope(x: arb) -> arb:
    root = x.erfinv()
    return _pi().sqrt() / 2 * (root * root).exp()


def _i0(x: arb) -> arb:
    return x.bessel_i(0)


def _sinc(x: arb) -> arb:
    return x.sinc_pi()


def _sinc_slope(x: arb) -> arb:
    return ((_pi() * x).cos() - x.sinc_pi()) / x if x != 0 else arb(0)


def _selu(x: arb) -> arb:
    scale, alpha = _selu_constants()
    return scale * (x if x > 0 else alpha * x.expm1())


def _selu_slope(x: arb) -> arb:
    scale, alpha = _selu_constants()
    return scale if x > 0 else scale * alpha * x.exp()


def _selu_constants() -> tuple[arb, arb]:
    """Return scale and alpha of the paper (Klambauer et al., 2017), from what they are made of."""
    e, half = arb(1).exp(), (arb(1) / 2)
    root = (2 / arb.pi()).sqrt()
    tail = (1 / arb(2).sqrt()).erfc() * half.exp()
    alpha = root / (1 - tail)
    whole = 2 * arb(2).sqrt().erfc() * e * e + arb.pi() * tail * tail - 2 * (2 + arb.pi()) * tail + arb.pi() + 2
    return (1 - tail) * (2 * arb.pi()).sqrt() / whole.sqrt(), alpha


def _logaddexp(x: arb, y: arb) -> arb:
    return _softplus(y - x) + x


def _remainder(x: Fraction, y: Fraction) -> Fraction:
    return x - y * math.floor(x / y)


def _fmod(x: Fraction, y: Fraction) -> Fraction:
    return x - y * math.trunc(x / y)


def _sign(x: Any) -> Any:
    return (x > 0) - (x < 0)


def _first_larger(x: Fraction, y: Fraction) -> int | None:
    return None if x == y else int(x > y)


def _flat(*_: Any) -> int:
    return 0


def _step(x: Any) -> int:
    return int(x > 0)


def _near_one(x: float) -> float:
    """Return how large 1 / sqrt(1 - x * x) is, and how much of an error of x * x it makes."""
    return float((1 - x * x) ** -1.5)


_EXP = {-_INFINITE: 0.0, _INFINITE: _INFINITE}
_ODD = {-_INFINITE: -_INFINITE, _INFINITE: _INFINITE}
_LOG = {0.0: -_INFINITE, _INFINITE: _INFINITE}
_EVEN = {-_INFINITE: _INFINITE, _INFINITE: _INFINITE}
_UNIT = {-_INFINITE: -1.0, _INFINITE: 1.0}
_RIGHT = {-_INFINITE: 0.0, _INFINITE: _INFINITE}

ELEMENTWISE: dict[str, Elementwise] = {
    "exp": Elementwise(value=arb.exp, slopes=[arb.exp], limits=_EXP),
    "exp2": Elementwise(
        value=lambda x: (x * arb.const_log2()).exp(),
        slopes=[lambda x: (x * arb.const_log2()).exp() * arb.const_log2()],
        limits=_EXP,
    ),
    "expm1": Elementwise(
        value=arb.expm1,
        slopes=[arb.exp],
        limits={-_INFINITE: -1.0, _INFINITE: _INFINITE},
        sizes=[None, lambda x: 1 + math.exp(x)],
    ),
    "log": Elementwise(value=arb.log, slopes=[lambda x: 1 / x], low=0.0, limits=_LOG),
    "log1p": Elementwise(
        value=arb.log1p, slopes=[lambda x: 1 / (1 + x)], low=-1.0, limits={-1.0: -_INFINITE, _INFINITE: _INFINITE}
    ),
    "log2": Elementwise(
        value=lambda x: x.log() / arb.const_log2(),
        slopes=[lambda x: 1 / (x * arb.const_log2())],
        low=0.0,
        limits=_LOG,
    ),
    "log10": Elementwise(
        value=lambda x: x.log() / arb.const_log10(),
        slopes=[lambda x: 1 / (x * arb.const_log10())],
        low=0.0,
        limits=_LOG,
    ),
    "sqrt": Elementwise(value=arb.sqrt, slopes=[lambda x: arb.rsqrt(x) / 2], low=0.0, limits={_INFINITE: _INFINITE}),
    "rsqrt": Elementwise(
        value=arb.rsqrt, slopes=[lambda x: -arb.rsqrt(x) / (2 * x)], low=0.0, limits={0.0: _INFINITE, _INFINITE: 0.0}
    ),
    "square": Elementwise(value=lambda x: x * x, slopes=[lambda x: 2 * x], limits=_EVEN),
    "reciprocal": Elementwise(
        value=lambda x: 1 / x, slopes=[lambda x: -1 / (x * x)], limits={_INFINITE: 0.0, -_INFINITE: 0.0}
    ),
    "sin": Elementwise(value=arb.sin, slopes=[arb.cos], limits={-_INFINITE: _NONE, _INFINITE: _NONE}),
    "cos": Elementwise(value=arb.cos, slopes=[lambda x: -x.sin()], limits={-_INFINITE: _NONE, _INFINITE: _NONE}),
    "tan": Elementwise(
        value=arb.tan,
        slopes=[lambda x: 1 / x.cos() ** 2],
        limits={-_INFINITE: _NONE, _INFINITE: _NONE},
        sizes=[None, lambda x: 1 + math.tan(x) ** 2],
    ),
    "asin": Elementwise(
        value=arb.asin, slopes=[lambda x: 1 / (1 - x * x).sqrt()], low=-1.0, high=1.0, sizes=[None, _near_one]
    ),
    "acos": Elementwise(
        value=arb.acos, slopes=[lambda x: -1 / (1 - x * x).sqrt()], low=-1.0, high=1.0, sizes=[None, _near_one]
    ),
    "atan": Elementwise(value=arb.atan, slopes=[lambda x: 1 / (1 + x * x)]),
    "sinh": Elementwise(value=arb.sinh, slopes=[arb.cosh], limits=_ODD),
    "cosh": Elementwise(value=arb.cosh, slopes=[arb.sinh], limits=_EVEN),
    "tanh": Elementwise(value=arb.tanh, slopes=[lambda x: x.sech() ** 2], limits=_UNIT, sizes=[None, lambda x: 1.0]),
    "asinh": Elementwise(value=arb.asinh, slopes=[lambda x: (1 + x * x).rsqrt()], limits=_ODD),
    "acosh": Elementwise(
        value=arb.acosh,
        slopes=[lambda x: (x * x - 1).rsqrt()],
        low=1.0,
        limits={_INFINITE: _INFINITE},
        sizes=[None, lambda x: x * x / (x * x - 1) ** 1.5],
    ),
    "atanh": Elementwise(
        value=arb.atanh,
        slopes=[lambda x: 1 / (1 - x * x)],
        low=-1.0,
        high=1.0,
        limits={-1.0: -_INFINITE, 1.0: _INFINITE},
        sizes=[None, lambda x: 1 / (1 - x * x) ** 2],
    ),
    "sigmoid": Elementwise(
        value=_sigmoid,
        slopes=[lambda x: _sigmoid(x) * _sigmoid(-x)],
        limits={-_INFINITE: 0.0, _INFINITE: 1.0},
        sizes=[None, lambda x: 1.0],
    ),
    "log_sigmoid": Elementwise(
        value=lambda x: -_softplus(-x),
        slopes=[lambda x: _sigmoid(-x)],
        limits={-_INFINITE: -_INFINITE, _INFINITE: 0.0},
        sizes=[lambda x: max(0.0, -x) + 1, lambda x: 1.0],
    ),
    "softplus": Elementwise(value=_softplus, slopes=[_sigmoid], limits=_RIGHT, sizes=[None, lambda x: 1.0]),
    "softsign": Elementwise(
        value=lambda x: x / (1 + abs(x)), slopes=[lambda x: 1 / ((1 + abs(x)) * (1 + abs(x)))], limits={}
    ),
    "silu": Elementwise(
        value=lambda x: x * _sigmoid(x),
        slopes=[lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x))],
        limits={},
        sizes=[abs, lambda x: 1 + abs(x)],
    ),
    "mish": Elementwise(
        value=lambda x: x * _softplus(x).tanh(),
        slopes=[lambda x: _softplus(x).tanh() + x * _softplus(x).sech() ** 2 * _sigmoid(x)],
        sizes=[None, lambda x: 1 + abs(x)],
    ),
    "gelu": Elementwise(
        value=lambda x: x * _normal(x), slopes=[lambda x: _normal(x) + x * _bell(x)], sizes=[abs, lambda x: 1 + abs(x)]
    ),
    "gelu_tanh": Elementwise(value=_gelu_tanh, slopes=[_gelu_tanh_slope], sizes=[abs, lambda x: 1 + abs(x)]),
    "relu": Elementwise(value=lambda x: x if x > 0 else arb(0), slopes=[_step], limits=_RIGHT),
    "relu6": Elementwise(
        value=lambda x: min(max(x, Fraction(0)), Fraction(_SIX)),
        slopes=[lambda x: None if x in (0, _SIX) else int(0 < x < _SIX)],
        exact=True,
    ),
    "elu": Elementwise(
        value=lambda x: x if x > 0 else x.expm1(),
        slopes=[lambda x: one() if x > 0 else x.exp()],
        limits={-_INFINITE: -1.0, _INFINITE: _INFINITE},
        sizes=[lambda x: 1.0, lambda x: 1.0],
    ),
    "selu": Elementwise(value=_selu, slopes=[_selu_slope], sizes=[lambda x: 2.0, lambda x: 2.0]),
    "erf": Elementwise(value=arb.erf, slopes=[lambda x: 2 / _pi().sqrt() * (-x * x).exp()], limits=_UNIT),
    "erfc": Elementwise(
        value=arb.erfc,
        slopes=[lambda x: -2 / _pi().sqrt() * (-x * x).exp()],
        limits={-_INFINITE: 2.0, _INFINITE: 0.0},
        sizes=[lambda x: 1.0, None],
    ),
    "erfinv": Elementwise(
        value=arb.erfinv, slopes=[_erfinv_slope], low=-1.0, high=1.0, limits={-1.0: -_INFINITE, 1.0: _INFINITE}
    ),
    "lgamma": Elementwise(
        value=_lgamma,
        slopes=[arb.digamma],
        limits={_INFINITE: _INFINITE},
        sizes=[lambda x: 1 + abs(math.lgamma(x)), lambda x: 1 + abs(math.log(x))],
    ),
    "digamma": Elementwise(
        value=arb.digamma,
        slopes=[lambda x: arb(2).zeta(x)],
        limits={_INFINITE: _INFINITE},
        sizes=[lambda x: 1 + abs(math.log(x)) + 1 / x, None],
    ),
    "normal_cdf": Elementwise(
        value=_normal, slopes=[_bell], limits={-_INFINITE: 0.0, _INFINITE: 1.0}, sizes=[lambda x: 1.0, None]
    ),
    "normal_quantile": Elementwise(
        value=lambda x: arb(2).sqrt() * (2 * x - 1).erfinv(),
        slopes=[lambda x: 1 / _bell(arb(2).sqrt() * (2 * x - 1).erfinv())],
        low=0.0,
        high=1.0,
        limits={0.0: -_INFINITE, 1.0: _INFINITE},
        sizes=[lambda x: 1.0, None],
    ),
    "i0": Elementwise(value=_i0, slopes=[lambda x: x.bessel_i(1)], limits=_EVEN),
    "i0e": Elementwise(
        value=lambda x: _i0(x) * (-abs(x)).exp(),
        slopes=[lambda x: (x.bessel_i(1) - _sign(x) * _i0(x)) * (-abs(x)).exp()],
        sizes=[None, lambda x: 1.0],
    ),
    "i1": Elementwise(value=lambda x: x.bessel_i(1), slopes=[lambda x: (_i0(x) + x.bessel_i(2)) / 2]),
    "i1e": Elementwise(
        value=lambda x: x.bessel_i(1) * (-abs(x)).exp(),
        slopes=[lambda x: ((_i0(x) + x.bessel_i(2)) / 2 - _sign(x) * x.bessel_i(1)) * (-abs(x)).exp()],
    ),
    "sinc": Elementwise(value=_sinc, slopes=[_sinc_slope], sizes=[lambda x: 1.0, lambda x: math.pi + 1 / abs(x)]),
    "absolute": Elementwise(value=abs, slopes=[_sign], exact=True, limits=_EVEN),
    "sign": Elementwise(value=_sign, slopes=[_flat], exact=True, limits=_UNIT),
    "floor": Elementwise(value=math.floor, slopes=[_flat], exact=True, limits=_ODD),
    "ceil": Elementwise(value=math.ceil, slopes=[_flat], exact=True, limits=_ODD),
    "round": Elementwise(value=round, slopes=[_flat], exact=True, limits=_ODD),
    "trunc": Elementwise(value=math.trunc, slopes=[_flat], exact=True, limits=_ODD),
    "add": Elementwise(value=lambda x, y: x + y, slopes=[lambda x, y: one(), lambda x, y: one()]),
    "subtract": Elementwise(value=lambda x, y: x - y, slopes=[lambda x, y: one(), lambda x, y: -one()]),
    "multiply": Elementwise(value=lambda x, y: x * y, slopes=[lambda x, y: y, lambda x, y: x]),
    "divide": Elementwise(value=lambda x, y: x / y, slopes=[lambda x, y: 1 / y, lambda x, y: -x / (y * y)]),
    "power": Elementwise(
        value=lambda x, y: x**y,
        slopes=[lambda x, y: y * x ** (y - 1), lambda x, y: x**y * x.log()],
        sizes=[
            None,
            lambda x, y: abs(y) * x ** (y - 1) * (1 + abs(y * math.log(x))),
            lambda x, y: x**y * (1 + abs(math.log(x))),
        ],
    ),
    "atan2": Elementwise(value=arb.atan2, slopes=[lambda y, x: x / (x * x + y * y), lambda y, x: -y / (x * x + y * y)]),
    "hypot": Elementwise(
        value=lambda x, y: (x * x + y * y).sqrt(),
        slopes=[lambda x, y: x / (x * x + y * y).sqrt(), lambda x, y: y / (x * x + y * y).sqrt()],
    ),
    "logaddexp": Elementwise(
        value=_logaddexp,
        slopes=[lambda x, y: _sigmoid(x - y), lambda x, y: _sigmoid(y - x)],
        sizes=[lambda x, y: 1 + max(abs(x), abs(y)), lambda x, y: 1.0, lambda x, y: 1.0],
    ),
    "xlogy": Elementwise(
        value=lambda x, y: x * y.log(),
        slopes=[lambda x, y: y.log(), lambda x, y: x / y],
        sizes=[lambda x, y: abs(x) * (1 + abs(math.log(y))), lambda x, y: 1 + abs(math.log(y)), None],
    ),
    "maximum": Elementwise(value=max, slopes=[_first_larger, lambda x, y: _first_larger(y, x)], exact=True),
    "minimum": Elementwise(value=min, slopes=[lambda x, y: _first_larger(y, x), _first_larger], exact=True),
    "remainder": Elementwise(value=_remainder, slopes=[lambda x, y: 1, lambda x, y: -math.floor(x / y)], exact=True),
    "fmod": Elementwise(value=_fmod, slopes=[lambda x, y: 1, lambda x, y: -math.trunc(x / y)], exact=True),
    "floor_divide": Elementwise(value=lambda x, y: math.floor(x / y), slopes=[_flat, _flat], exact=True),
    "copysign": Elementwise(
        value=lambda x, y: abs(x) if y >= 0 else -abs(x), slopes=[lambda x, y: _sign(x) * _sign(y), _flat], exact=True
    ),
    "squared_difference": Elementwise(
        value=lambda x, y: (x - y) * (x - y), slopes=[lambda x, y: 2 * (x - y), lambda x, y: 2 * (y - x)]
    ),
    "clip": Elementwise(
        value=lambda x, low, high: min(max(x, low), high),
        slopes=[lambda x, low, high: None if x in (low, high) else int(low < x < high)],
        exact=True,
    ),
    "lerp": Elementwise(
        value=lambda x, y, w: x + w * (y - x),
        slopes=[lambda x, y, w: 1 - w],
        sizes=[lambda x, y, w: abs(x) + abs(y), None],
    ),
    "multiply_add": Elementwise(
        value=lambda x, y, z: x * y + z, slopes=[lambda x, y, z: y], sizes=[lambda x, y, z: abs(x * y) + abs(z), None]
    ),
}


def elementwise(name: str, arguments: Sequence[Argument], by: int | None = None) -> Exact:
    """Return the exact result of an elementwise operation, or its derivative by one of its arguments.

    Args:
        name: of the operation.
        arguments: each of one number, or of as many as the longest.
        by: the place of the argument that it is derived by; None: the value.
    """
    entry = ELEMENTWISE[name]
    function = entry.value if by is None else entry.slopes[by]
    limits = entry.limits if by is None else {}
    columns = np.broadcast_arrays(*(each.values for each in arguments))
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    found = [_element(entry, function, limits, row) for row in rows]
    high, low, known = (np.array(each) for each in zip(*found, strict=True))
    place = 0 if by is None else by + 1
    size = entry.sizes[place] if place < len(entry.sizes) else None
    if size is None:
        return Exact(high=high, low=low, known=known, bounded=True)
    sizes = np.array([_size(size, row) for row in rows])
    return Exact(high=high, low=low, known=known, sizes=np.maximum(sizes, np.abs(high)), terms=_TERMS)


def _size(size: Callable[..., float], row: Sequence[float]) -> float:
    try:
        return size(*row) if all(map(math.isfinite, row)) else 0.0
    except (ZeroDivisionError, OverflowError, ValueError):
        return 0.0


def _element(
    entry: Elementwise, function: Function, limits: Mapping[float, float], row: Sequence[float]
) -> tuple[float, float, bool]:
    """Return one exact result as a pair, and whether there is one."""
    first = row[0]
    if len(row) == 1:
        if math.isnan(first):
            return _NONE, 0.0, True
        if first in limits:
            return limits[first], 0.0, True
        if first < entry.low or first > entry.high:
            return _NONE, 0.0, True
    if not all(map(math.isfinite, row)):
        return _NONE, 0.0, False
    try:
        return (*(_fraction(function, row) if entry.exact else _ball(function, row)), True)
    except (TooWideError, ZeroDivisionError):
        return _NONE, 0.0, False


def _fraction(function: Function, row: Sequence[float]) -> tuple[float, float]:
    given = function(*map(Fraction, row))
    if given is None:
        raise TooWideError("no single result")
    value = Fraction(given)
    high = float(value)
    return high, float(value - Fraction(high))


def _ball(function: Function, row: Sequence[float]) -> tuple[float, float]:
    bits = FIRST
    while True:
        try:
            with ctx.workprec(bits):
                return split(arb(function(*map(arb, row))))
        except TooWideError:
            bits *= 4
            if bits > LAST:
                raise
