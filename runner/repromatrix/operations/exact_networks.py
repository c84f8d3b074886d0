"""Exact results of what networks are made of: losses, convolutions, normalisation, attention, optimizers.

NumPy only lays numbers out and walks over them: an array here holds numbers of Arb, and every sum and product is
Arb's. The same code on the absolute values, in float64, tells how large the terms of each sum are.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from flint import acb, arb

from repromatrix.operations.exact import Truth, of_balls, of_complex, of_numbers
from repromatrix.operations.exact_result import Argument, Exact

Arguments: TypeAlias = Sequence[Argument]
Options: TypeAlias = Mapping[str, Any]
Gradient: TypeAlias = Callable[[Arguments, Options, Argument | None, int], Exact]
Numbers: TypeAlias = npt.NDArray[Any]  # of arb, or of float64 where only a size is asked for
_EPSILON = 1e-5  # that the rows of normalisations state
_RATE, _DECAY, _TINY = 0.01, 0.1, 1e-8  # of the optimizers
_TERMS = 16  # as of elementwise operations
_HALF = 2  # what pooling halves, and the groups of group_norm
_KEPT = 0.5  # the share that dropout keeps

_FUNCTIONS: Any = [np.frompyfunc(function, 1, 1) for function in (arb.exp, arb.log, arb.sqrt, arb.rsqrt)]
_exp, _log, _sqrt, _rsqrt = _FUNCTIONS


def numbers(argument: Argument) -> Numbers:
    """Return an argument in its shape, as numbers of Arb."""
    found = np.empty(len(argument.values), object)
    found[:] = argument.balls()
    return found.reshape(argument.shape)


def plain(argument: Argument) -> Numbers:
    """Return an argument in its shape, in float64."""
    return argument.values.reshape(argument.shape)


def exact(found: Any, **words: Any) -> Exact:
    """Return the exact result that numbers of Arb are."""
    return of_balls(np.ravel(np.asarray(found, object)).tolist(), **words)


def _only(truth: Callable[..., Any]) -> Truth:
    """Return a truth of all arguments as numbers of Arb."""
    return lambda arguments, _: {"": exact(truth(*map(numbers, arguments)))}


def _mean(terms: Numbers) -> Any:
    return terms.sum() / terms.size


def _softmax(x: Numbers) -> Numbers:
    powers = _exp(x)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), object)


def _labels(argument: Argument) -> npt.NDArray[np.int64]:
    return plain(argument).astype(np.int64)


def _cross_entropy(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    x, labels = numbers(arguments[0]), _labels(arguments[1])
    told = _log(_exp(x).sum(axis=-1)) - x[np.arange(len(labels)), labels]
    return {"": exact(_mean(told))}


def _of_cross_entropy(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    shares, labels = _softmax(numbers(arguments[0])), _labels(arguments[1])
    shares[np.arange(len(labels)), labels] -= 1
    return exact(shares / len(labels), terms=_TERMS, sizes=[1.0 / len(labels)] * shares.size)


def _l1(x: Numbers, y: Numbers) -> Any:
    return _mean(abs(x - y))


def _hinge(x: Numbers, y: Numbers) -> Any:
    margins = [1 - (a if b > 0 else -a) for a, b in zip(x, y, strict=True)]
    return sum((each for each in margins if each > 0), arb(0)) / len(margins)


def _huber(x: Numbers, y: Numbers) -> Any:
    off = abs(x - y)
    return sum((each * each / 2 if each <= 1 else each - arb(0.5) for each in off), arb(0)) / len(off)


def _binary_cross_entropy(x: Numbers, t: Numbers) -> Any:
    return _mean(_log(1 + _exp(x)) - x * t)


def _cosine(a: Numbers, b: Numbers) -> Numbers:
    return np.asarray((a * b).sum(-1) / _sqrt((a * a).sum(-1) * (b * b).sum(-1)), object)


def _of_mean(slope: Callable[[Any, Any], Any]) -> Gradient:
    """Return the gradient, by its first argument, of the mean of a function of two numbers."""

    def gradient(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
        pairs = zip(*(argument.balls() for argument in arguments), strict=True)
        found = [slope(x, y) / len(arguments[0].values) for x, y in pairs]
        return of_balls(found)

    return gradient


def _sign(x: arb) -> arb:
    return arb(int(x > 0) - int(x < 0))


def _of_hinge(x: arb, y: arb) -> arb:
    return -_sign(y) if x * _sign(y) < 1 else arb(0)


def _of_huber(x: arb, y: arb) -> arb:
    off = x - y
    return off if abs(off) <= 1 else _sign(off)


def convolution(
    x: Numbers, kernel: Numbers, *, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1
) -> Numbers:
    """Return a convolution as networks have it: a correlation, over any number of axes."""
    axes = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0)] + [(padding, padding)] * axes, constant_values=x.flat[0] * 0)
    sizes = _sizes(x.shape[2:], kernel.shape[2:], stride, dilation)
    wide, out = kernel.shape[1], len(kernel) // groups
    found = np.zeros((len(x), len(kernel), *sizes), x.dtype)
    for channel in range(len(kernel)):
        first = channel // out * wide
        for place in product(range(wide), *map(range, kernel.shape[2:])):
            window = _window(place[1:], sizes, stride, dilation)
            found[:, channel] += x[(slice(None), first + place[0], *window)] * kernel[(channel, *place)]
    return found


def _sizes(x: Sequence[int], kernel: Sequence[int], stride: int, dilation: int) -> tuple[int, ...]:
    return tuple((a - dilation * (b - 1) - 1) // stride + 1 for a, b in zip(x, kernel, strict=True))


def _window(place: Sequence[int], sizes: Sequence[int], stride: int = 1, dilation: int = 1) -> tuple[slice, ...]:
    """Return what of the input one place of the kernel meets."""
    pairs = zip(place, sizes, strict=True)
    return tuple(slice(at * dilation, at * dilation + stride * (size - 1) + 1, stride) for at, size in pairs)


def _conv(arguments: Arguments, options: Options) -> Mapping[str, Exact]:
    found, sizes = (convolution(each(arguments[0]), each(arguments[1]), **options) for each in (numbers, _absolute))
    return {"": exact(found, terms=math.prod(arguments[1].shape[1:]), sizes=sizes.ravel().tolist())}


def _absolute(argument: Argument) -> Numbers:
    return np.abs(plain(argument))


def _of_conv(arguments: Arguments, _: Options, weights: Argument | None, place: int) -> Exact:
    gradient = _of_input if place == 0 else _of_kernel
    found, sizes = (
        gradient(each(arguments[0]), each(arguments[1]), each(weights) if weights else None)
        for each in (numbers, _absolute)
    )
    terms = arguments[1].shape[0] * math.prod(arguments[1].shape[2:]) if place == 0 else arguments[0].values.size
    return exact(found, terms=terms, sizes=sizes.ravel().tolist())


def _weights_of(x: Numbers, kernel: Numbers, weights: Numbers | None) -> Numbers:
    one = x.flat[0] * 0 + 1
    return (
        np.full((len(x), len(kernel), *_sizes(x.shape[2:], kernel.shape[2:], 1, 1)), one)
        if weights is None
        else weights
    )


def _of_input(x: Numbers, kernel: Numbers, weights: Numbers | None) -> Numbers:
    weights, found = _weights_of(x, kernel, weights), x * 0
    for channel, wide, *place in product(*map(range, kernel.shape)):
        window: Any = (slice(None), wide, *_window(place, weights.shape[2:]))
        found[window] += weights[:, channel] * kernel[(channel, wide, *place)]
    return found


def _of_kernel(x: Numbers, kernel: Numbers, weights: Numbers | None) -> Numbers:
    weights, found = _weights_of(x, kernel, weights), kernel * 0
    for channel, wide, *place in product(*map(range, kernel.shape)):
        window: Any = (slice(None), wide, *_window(place, weights.shape[2:]))
        found[(channel, wide, *place)] = (x[window] * weights[:, channel]).sum()
    return found


def _conv_transpose(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    found, sizes = (_transposed(*map(each, arguments)) for each in (numbers, _absolute))
    return {
        "": exact(found, terms=math.prod(arguments[1].shape[2:]) * arguments[1].shape[0], sizes=sizes.ravel().tolist())
    }


def _transposed(x: Numbers, kernel: Numbers) -> Numbers:
    sizes = tuple(a + b - 1 for a, b in zip(x.shape[2:], kernel.shape[2:], strict=True))
    found = np.full((len(x), kernel.shape[1], *sizes), x.flat[0] * 0)
    for wide, channel, *place in product(*map(range, kernel.shape)):
        window: Any = (slice(None), channel, *_window(place, x.shape[2:]))
        found[window] += x[:, wide] * kernel[(wide, channel, *place)]
    return found


def _quarters(x: Numbers) -> Numbers:
    """Return the four elements that pooling looks at, as a last axis."""
    height, width = (size // _HALF * _HALF for size in x.shape[2:])
    x = x[:, :, :height, :width]
    return np.stack([x[:, :, i::_HALF, j::_HALF] for i, j in product(range(_HALF), repeat=2)], -1)


def _max_pool(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    return {"": of_numbers(_quarters(plain(arguments[0])).max(-1).ravel().tolist())}


def _avg_pool(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    sizes = _quarters(_absolute(arguments[0])).sum(-1).ravel() / _HALF**2
    return {"": exact(_quarters(numbers(arguments[0])).sum(-1) / _HALF**2, terms=_HALF**2, sizes=sizes.tolist())}


def _of_max_pool(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    x = plain(arguments[0])
    found = np.zeros(x.shape)
    for i, j in product(range(x.shape[2] // _HALF), range(x.shape[3] // _HALF)):
        part = np.s_[:, :, i * _HALF : (i + 1) * _HALF, j * _HALF : (j + 1) * _HALF]
        found[part] = x[part] == x[part].max((2, 3), keepdims=True)
    return of_numbers(found.ravel().tolist())


def _of_avg_pool(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    found = np.zeros(arguments[0].shape)
    height, width = (size // _HALF * _HALF for size in found.shape[2:])
    found[:, :, :height, :width] = 1 / _HALF**2
    return of_numbers(found.ravel().tolist())


def _resize(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    x = numbers(arguments[0])
    for axis, size in ((2, 19), (3, 17)):
        x = np.moveaxis(_interpolated(np.moveaxis(x, axis, 0), size), 0, axis)
    return {"": exact(x)}


def _interpolated(x: Numbers, size: int) -> Numbers:
    """Return it stretched along its first axis, linearly between the middles of its elements."""
    rows = []
    for place in range(size):
        at = max(arb(0), (arb(2 * place + 1) * len(x) / size - 1) / 2)
        low = min(int(float(at.floor())), len(x) - 1)
        share = at - low
        rows.append(x[low] * (1 - share) + x[min(low + 1, len(x) - 1)] * share)
    return np.stack(rows)


def _moments(x: Numbers, axes: Any) -> tuple[Numbers, Numbers]:
    count = math.prod(x.shape[axis] for axis in axes)
    mean = x.sum(axis=axes, keepdims=True) / count
    return mean, ((x - mean) ** 2).sum(axis=axes, keepdims=True) / count


def _normalized(x: Numbers, axes: Any) -> Numbers:
    mean, variance = _moments(x, axes)
    return np.asarray((x - mean) * _rsqrt(variance + _EPSILON), object)


def _layer_norm(x: Numbers, gain: Numbers, shift: Numbers) -> Numbers:
    return _normalized(x, (1,)) * gain + shift


def _of_layer_norm(arguments: Arguments, _: Options, weights: Argument | None, place: int) -> Exact:
    x, gain = numbers(arguments[0]), numbers(arguments[1])
    above = numbers(weights) if weights else x * 0 + 1
    mean, variance = _moments(x, (1,))
    scale = _rsqrt(variance + _EPSILON)
    normal = (x - mean) * scale
    if place == 1:
        return exact((above * normal).sum(0))
    inner = above * gain
    width = x.shape[1]
    along = (inner * normal).sum(1, keepdims=True) / width
    return exact(scale * (inner - inner.sum(1, keepdims=True) / width - normal * along))


def _batch_norm(x: Numbers, gain: Numbers, shift: Numbers) -> Numbers:
    return _normalized(x, (0, 2, 3)) * gain[:, None, None] + shift[:, None, None]


def _group_norm(x: Numbers, gain: Numbers, shift: Numbers) -> Numbers:
    parts = x.reshape(len(x), _HALF, -1)
    return _normalized(parts, (2,)).reshape(x.shape) * gain[:, None, None] + shift[:, None, None]


def _root_mean(x: Numbers) -> Numbers:
    return np.asarray(_rsqrt((x * x).sum(1, keepdims=True) / x.shape[1] + _EPSILON), object)


def _rms_norm(x: Numbers, gain: Numbers) -> Numbers:
    return x * _root_mean(x) * gain


def _of_rms_norm(arguments: Arguments, _: Options, weights: Argument | None, __: int) -> Exact:
    x, gain = map(numbers, arguments)
    inner, scale = (numbers(weights) if weights else x * 0 + 1) * gain, _root_mean(x)
    along = (inner * x).sum(1, keepdims=True) / x.shape[1]
    return exact(scale * inner - x * scale**3 * along)


def _l2_normalize(x: Numbers) -> Numbers:
    return np.asarray(x * _rsqrt((x * x).sum(-1, keepdims=True)), object)


def _of_l2_normalize(arguments: Arguments, _: Options, weights: Argument | None, __: int) -> Exact:
    x = numbers(arguments[0])
    above, scale = numbers(weights) if weights else x * 0 + 1, _rsqrt((x * x).sum(-1, keepdims=True))
    return exact(scale * above - x * scale**3 * (above * x).sum(-1, keepdims=True))


def _of_cosine(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    a, b = map(numbers, arguments)
    scale, other = _rsqrt((a * a).sum(-1, keepdims=True)), _rsqrt((b * b).sum(-1, keepdims=True))
    return exact(scale * other * (b - a * scale**2 * (a * b).sum(-1, keepdims=True)))


def _scores(q: Numbers, k: Numbers) -> Numbers:
    return np.asarray((q[..., :, None, :] * k[..., None, :, :]).sum(-1) / 4, object)


def _times(shares: Numbers, v: Numbers) -> Numbers:
    return np.asarray((shares[..., :, :, None] * v[..., None, :, :]).sum(-2), object)


def _attention(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    q, k, v, *mask = map(numbers, arguments)
    powers = _exp(_scores(q, k))
    if mask:
        powers = powers * mask[0]
    return {"": exact(_times(powers / powers.sum(-1, keepdims=True), v))}


def _of_attention(arguments: Arguments, _: Options, weights: Argument | None, place: int) -> Exact:
    q, k, v = map(numbers, arguments)
    above = numbers(weights) if weights else q * 0 + 1
    shares = _softmax(_scores(q, k))
    if place == 2:  # noqa: PLR2004 - by the values
        return exact(_times(np.swapaxes(shares, -1, -2), above))
    slope = _scores(above, v) * 4
    inner = shares * (slope - (slope * shares).sum(-1, keepdims=True)) / 4
    return exact(_times(inner, k) if place == 0 else _times(np.swapaxes(inner, -1, -2), q))


def _dropout(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    return {"": of_numbers((plain(arguments[0]) * plain(arguments[1]) / _KEPT).tolist())}


def _of_dropout(arguments: Arguments, _: Options, __: Argument | None, ___: int) -> Exact:
    return of_numbers((plain(arguments[1]) / _KEPT).tolist())


def _sgd(p: Numbers, g: Numbers) -> Numbers:
    return p - _RATE * g


def _adam(p: Numbers, g: Numbers) -> Numbers:
    return p - _RATE * g / (abs(g) + _TINY)


def _adamw(p: Numbers, g: Numbers) -> Numbers:
    return p - _RATE * _DECAY * p - _RATE * g / (abs(g) + _TINY)


def _rmsprop(p: Numbers, g: Numbers) -> Numbers:
    return p - _RATE * g / (abs(g) / 10 + _TINY)


def _complex(function: Callable[..., acb]) -> Truth:
    """Return the truth of a function of complex numbers, whose parts are two arguments each."""

    def truth(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
        parts = zip(*(argument.balls() for argument in arguments), strict=True)
        found = [function(*(acb(row[i], row[i + 1]) for i in range(0, len(row), 2))) for row in parts]
        return {"": of_complex(found, terms=_TERMS, sizes=[float(abs(each).mid()) for each in found])}

    return truth


def _complex_matmul(arguments: Arguments, _: Options) -> Mapping[str, Exact]:
    a, b = map(numbers, arguments)
    real, imaginary = a.dot(b) - b.dot(a), a.dot(a) + b.dot(b)
    c, d = map(_absolute, arguments)
    found = [acb(x, y) for x, y in zip(real.ravel(), imaginary.ravel(), strict=True)]
    sizes = np.maximum(c @ d + d @ c, c @ c + d @ d).ravel().tolist()
    return {"": of_complex(found, terms=2 * len(c), sizes=sizes)}


NETWORKS: dict[str, Truth] = {
    "cross_entropy": _cross_entropy,
    "mse": _only(lambda x, y: _mean((x - y) ** 2)),
    "l1": _only(_l1),
    "huber": _only(_huber),
    "binary_cross_entropy": _only(_binary_cross_entropy),
    "cosine_similarity": _only(_cosine),
    "hinge": _only(_hinge),
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "resize_bilinear": _resize,
    "layer_norm": _only(_layer_norm),
    "batch_norm": _only(_batch_norm),
    "group_norm": _only(_group_norm),
    "rms_norm": _only(_rms_norm),
    "l2_normalize": _only(_l2_normalize),
    "attention": _attention,
    "dropout": _dropout,
    "sgd": _only(_sgd),
    "momentum": _only(_sgd),
    "adam": _only(_adam),
    "adamw": _only(_adamw),
    "rmsprop": _only(_rmsprop),
    "complex_multiply": _complex(lambda a, b: a * b),
    "complex_divide": _complex(lambda a, b: a / b),
    "complex_exp": _complex(acb.exp),
    "complex_log": _complex(acb.log),
    "complex_sqrt": _complex(acb.sqrt),
    "complex_matmul": _complex_matmul,
}

NETWORK_GRADIENTS: dict[str, Gradient] = {
    "cross_entropy": _of_cross_entropy,
    "mse": _of_mean(lambda x, y: 2 * (x - y)),
    "l1": _of_mean(lambda x, y: _sign(x - y)),
    "huber": _of_mean(_of_huber),
    "binary_cross_entropy": _of_mean(lambda x, t: 1 / (1 + (-x).exp()) - t),
    "cosine_similarity": _of_cosine,
    "hinge": _of_mean(_of_hinge),
    "conv": _of_conv,
    "max_pool": _of_max_pool,
    "avg_pool": _of_avg_pool,
    "layer_norm": _of_layer_norm,
    "rms_norm": _of_rms_norm,
    "l2_normalize": _of_l2_normalize,
    "attention": _of_attention,
    "dropout": _of_dropout,
}
