"""The operations in NumPy: a line each. NumPy has no derivatives, and nothing is compiled."""

import numpy as np
from workload.walk import walk

# How NumPy says that it does not have an operation in a dtype.
LACKS = ("is unsupported in linalg", "not supported for the input types")


def softmax(x):
    shifted = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return shifted / np.sum(shifted, axis=-1, keepdims=True)


def log_softmax(x):
    shifted = x - np.max(x, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def logsumexp(x, axis=None):
    most = np.max(x, axis=axis, keepdims=True)
    return np.squeeze(most, axis=axis) + np.log(np.sum(np.exp(x - most), axis=axis))


LINES = {
    # elementwise
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "square": np.square,
    "reciprocal": np.reciprocal,
    "absolute": np.abs,
    "sign": np.sign,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "relu": lambda x: np.maximum(x, 0),
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "trunc": np.trunc,
    "sinc": np.sinc,
    "i0": np.i0,
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "power": np.power,
    "atan2": np.arctan2,
    "hypot": np.hypot,
    "logaddexp": np.logaddexp,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "remainder": np.remainder,
    "fmod": np.fmod,
    "floor_divide": np.floor_divide,
    "copysign": np.copysign,
    "nextafter": np.nextafter,
    "clip": np.clip,
    # reductions
    "sum": np.sum,
    "mean": np.mean,
    "var": np.var,
    "std": np.std,
    "prod": np.prod,
    "max": np.max,
    "min": np.min,
    "argmax": np.argmax,
    "argmin": np.argmin,
    "norm": np.linalg.norm,
    "norm1": lambda x: np.linalg.norm(x, 1),
    "logsumexp": logsumexp,
    "cumsum": np.cumsum,
    "cumprod": np.cumprod,
    "cummax": np.maximum.accumulate,
    "median": np.median,
    "count_nonzero": lambda x: np.count_nonzero(x > 0),
    "diff": np.diff,
    "trapezoid": getattr(np, "trapezoid", None) or np.trapz,  # noqa: NPY201 - the older name of it
    # softmax and what is made of it
    "softmax": softmax,
    "log_softmax": log_softmax,
    # products
    "matmul": np.matmul,
    "gram": lambda a: a @ a.T,
    "dot": np.dot,
    "outer": np.outer,
    "einsum": lambda a, b: np.einsum("bij,bjk->bik", a, b),
    "kron": np.kron,
    "cross": np.cross,
    # Fourier transforms
    "fft": np.fft.fft,
    "ifft": np.fft.ifft,
    "rfft": np.fft.rfft,
    "fft2": np.fft.fft2,
    # draws by a seed
    "draw_uniform": lambda seed, size, dtype: np.random.default_rng(seed).random(size, dtype),
    "draw_normal": lambda seed, size, dtype: np.random.default_rng(seed).standard_normal(size, dtype),
    "draw_permutation": lambda seed, size: np.random.default_rng(seed).permutation(size),
    "draw_choice": lambda seed, size: np.random.default_rng(seed).choice(4, size, p=[0.1, 0.2, 0.3, 0.4]),
}


def train(task):
    with np.errstate(all="ignore"):
        walk(task, LINES, lacks=LACKS)
