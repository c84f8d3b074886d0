"""The operations in NumPy: a line each. NumPy has no derivatives, and nothing is compiled."""

import numpy as np
from workload.walk import walk

# How NumPy says that it does not have an operation in a dtype.
LACKS = ("is unsupported in linalg", "not supported for the input types", "Unsupported dtype")


def softmax(x):
    shifted = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return shifted / np.sum(shifted, axis=-1, keepdims=True)


def log_softmax(x):
    shifted = x - np.max(x, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def logsumexp(x, axis=None):
    most = np.max(x, axis=axis, keepdims=True)
    return np.squeeze(most, axis=axis) + np.log(np.sum(np.exp(x - most), axis=axis))


def huber(x, y):
    off = np.abs(x - y)
    return np.mean(np.where(off <= 1, off * off / 2, off - x.dtype.type(0.5)))


def cross_entropy(x, labels):
    return -np.mean(log_softmax(x)[np.arange(len(labels)), labels])


def cosine_similarity(a, b):
    return np.sum(a * b, axis=-1) / np.sqrt(np.sum(a * a, axis=-1) * np.sum(b * b, axis=-1))


def layer_norm(x, gain, shift):
    mean, var = np.mean(x, axis=-1, keepdims=True), np.var(x, axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(var + x.dtype.type(1e-5)) * gain + shift


def rms_norm(x, gain):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + x.dtype.type(1e-5)) * gain


def batch_norm(x, gain, shift):
    axes = (0, 2, 3)
    mean, var = np.mean(x, axis=axes, keepdims=True), np.var(x, axis=axes, keepdims=True)
    scaled = (x - mean) / np.sqrt(var + x.dtype.type(1e-5))
    return scaled * gain[:, None, None] + shift[:, None, None]


def attention(q, k, v):
    return softmax(q @ np.swapaxes(k, -1, -2) / q.dtype.type(4)) @ v


def attention_masked(q, k, v, seen):
    scores = q @ np.swapaxes(k, -1, -2) / q.dtype.type(4)
    return softmax(np.where(seen == 1, scores, -np.inf).astype(q.dtype)) @ v


def scatter_add(table, ids, rows):
    table = table.copy()
    np.add.at(table, ids, rows)
    return table


def qr(a):
    q, r = np.linalg.qr(a)
    sign = np.sign(np.diag(r))
    return {"q": q * sign, "r": r * sign[:, None]}


def eigh(a):
    values, vectors = np.linalg.eigh(a)
    return {"values": values, "vectors": vectors * np.sign(vectors[0])}


def slogdet(a):
    sign, logarithm = np.linalg.slogdet(a)
    return {"sign": sign, "log": logarithm}


def unique(x):
    values, counts = np.unique(x, return_counts=True)
    return {"values": values, "counts": counts}


def adam(p, g, decay=0.0):
    of = p.dtype.type
    m, v = of(0.1) * g, of(0.001) * g * g
    p = p - of(0.01 * decay) * p if decay else p
    return p - of(0.01) * (m / of(1 - 0.9)) / (np.sqrt(v / of(1 - 0.999)) + of(1e-8))


def momentum(p, g):
    velocity = g * p.dtype.type(1)
    return p - p.dtype.type(0.01) * velocity


def rmsprop(p, g):
    of = p.dtype.type
    return p - of(0.01) * g / (np.sqrt(of(0.01) * g * g) + of(1e-8))


def complex_of(real, imaginary):
    if real.dtype == np.float16:
        raise TypeError("complex numbers of float16 are not supported for the input types")
    return real + 1j * imaginary


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
    "irfft": lambda x, y: np.fft.irfft(complex_of(x, y)),
    # complex numbers
    "complex_multiply": lambda a, b, c, d: complex_of(a, b) * complex_of(c, d),
    "complex_divide": lambda a, b, c, d: complex_of(a, b) / complex_of(c, d),
    "complex_exp": lambda a, b: np.exp(complex_of(a, b)),
    "complex_log": lambda a, b: np.log(complex_of(a, b)),
    "complex_sqrt": lambda a, b: np.sqrt(complex_of(a, b)),
    "complex_abs": lambda a, b: np.abs(complex_of(a, b)),
    "complex_matmul": lambda a, b: complex_of(a, b) @ complex_of(b, a),
    # integers and promotions
    "integer_sum": np.sum,
    "integer_product": np.prod,
    "integer_divide": np.divide,
    "integer_floor_divide": np.floor_divide,
    "integer_remainder": np.remainder,
    "integer_mean": np.mean,
    "integer_sqrt": np.sqrt,
    "promote_integer_float": np.add,
    "promote_scalar": lambda x: x * 1.1,
    "promote_bool": lambda x: x * (x > 0),
    # losses
    "cross_entropy": cross_entropy,
    "mse": lambda x, y: np.mean(np.square(x - y)),
    "l1": lambda x, y: np.mean(np.abs(x - y)),
    "huber": huber,
    "binary_cross_entropy": lambda x, t: np.mean(np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))),
    "cosine_similarity": cosine_similarity,
    "hinge": lambda x, y: np.mean(np.maximum(1 - x * np.sign(y), 0)),
    # normalisation
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
    "rms_norm": rms_norm,
    "l2_normalize": lambda x: x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True)),
    # places
    "embedding": lambda table, ids: table[ids],
    "gather": lambda x, columns: np.take_along_axis(x, columns, axis=1),
    "scatter_add": scatter_add,
    "one_hot": lambda labels, count, dtype: np.eye(count, dtype=dtype)[labels],
    "sort": np.sort,
    "argsort": np.argsort,
    "argsort_stable": lambda x: np.argsort(x, kind="stable"),
    "searchsorted": lambda x, y: np.searchsorted(np.sort(x), y),
    "bincount": np.bincount,
    "unique": unique,
    # linear algebra
    "solve": np.linalg.solve,
    "inverse": np.linalg.inv,
    "determinant": np.linalg.det,
    "slogdet": slogdet,
    "cholesky": np.linalg.cholesky,
    "qr": qr,
    "svd": lambda a: np.linalg.svd(a, compute_uv=False),
    "eigh": eigh,
    "matrix_power": lambda a: np.linalg.matrix_power(a, 3),
    "pinv": np.linalg.pinv,
    # attention and dropout
    "attention": attention,
    "attention_masked": attention_masked,
    "dropout": lambda x, mask: np.where(mask == 1, x / x.dtype.type(0.5), 0).astype(x.dtype),
    # optimizers
    "sgd": lambda p, g: p - p.dtype.type(0.01) * g,
    "momentum": momentum,
    "adam": adam,
    "adamw": lambda p, g: adam(p, g, decay=0.1),
    "rmsprop": rmsprop,
    # draws by a seed
    "draw_uniform": lambda seed, size, dtype: np.random.default_rng(seed).random(size, dtype),
    "draw_normal": lambda seed, size, dtype: np.random.default_rng(seed).standard_normal(size, dtype),
    "draw_permutation": lambda seed, size: np.random.default_rng(seed).permutation(size),
    "draw_choice": lambda seed, size: np.random.default_rng(seed).choice(4, size, p=[0.1, 0.2, 0.3, 0.4]),
    "draw_integers": lambda seed, size: np.random.default_rng(seed).integers(1000, size=size),
    "draw_exponential": lambda seed, size, dtype: np.random.default_rng(seed).standard_exponential(size, dtype),
    "draw_bernoulli": lambda seed, size: np.random.default_rng(seed).binomial(1, 0.3, size),
}


def train(task):
    with np.errstate(all="ignore"):
        walk(task, LINES, lacks=LACKS)
