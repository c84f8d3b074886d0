"""The operations in JAX: a line each."""

import jax
import jax.numpy as jnp
from jax import lax, nn
from jax.example_libraries import optimizers
from workload.walk import walk

# How JAX says that it does not have an operation in a dtype.
LACKS = (
    "Unsupported dtype",
    "Unimplemented",
    "UNIMPLEMENTED",
    "only supports",
    "is not supported",
    "does not accept dtype",
    "must be float32 or",
)


def gradient(function, arguments, places, weights):
    def chosen(*leaves):
        given = list(arguments)
        for place, leaf in zip(places, leaves):
            given[place] = leaf
        return function(*given)

    result, back = jax.vjp(chosen, *(arguments[place] for place in places))
    return back(jnp.ones_like(result) if weights is None else weights)


def key(seed):
    return jax.random.PRNGKey(seed)


def qr(a):
    q, r = jnp.linalg.qr(a)
    sign = jnp.sign(jnp.diagonal(r))
    return {"q": q * sign, "r": r * sign[:, None]}


def eigh(a):
    values, vectors = jnp.linalg.eigh(a)
    return {"values": values, "vectors": vectors * jnp.sign(vectors[0])}


def slogdet(a):
    sign, logarithm = jnp.linalg.slogdet(a)
    return {"sign": sign, "log": logarithm}


def topk(x, k):
    values, places = lax.top_k(x, k)
    return {"values": values, "places": places}


def huber(x, y):
    off = jnp.abs(x - y)
    return jnp.mean(jnp.where(off <= 1, off * off / 2, off - 0.5))


def cross_entropy(x, labels):
    return -jnp.mean(jnp.take_along_axis(nn.log_softmax(x), labels[:, None], axis=1))


def cosine_similarity(a, b):
    return jnp.sum(a * b, axis=-1) / jnp.sqrt(jnp.sum(a * a, axis=-1) * jnp.sum(b * b, axis=-1))


def conv(x, kernel, stride=1, padding=0, dilation=1, groups=1):
    around = kernel.ndim - 2
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride,) * around,
        [(padding, padding)] * around,
        rhs_dilation=(dilation,) * around,
        feature_group_count=groups,
    )


def conv_channels_last(x, kernel):
    x, kernel = x.transpose(0, 2, 3, 1), kernel.transpose(2, 3, 1, 0)
    result = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return result.transpose(0, 3, 1, 2)


def conv_transpose(x, kernel):
    return lax.conv_transpose(
        x, kernel, (1, 1), "VALID", dimension_numbers=("NCHW", "OIHW", "NCHW"), transpose_kernel=True
    )


def pooled(x, first, step):
    return lax.reduce_window(x, x.dtype.type(first), step, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def layer_norm(x, gain, shift):
    mean, var = jnp.mean(x, axis=-1, keepdims=True), jnp.var(x, axis=-1, keepdims=True)
    return (x - mean) * lax.rsqrt(var + 1e-5) * gain + shift


def rms_norm(x, gain):
    return x * lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-5) * gain


def batch_norm(x, gain, shift):
    axes = (0, 2, 3)
    mean, var = jnp.mean(x, axis=axes, keepdims=True), jnp.var(x, axis=axes, keepdims=True)
    return (x - mean) * lax.rsqrt(var + 1e-5) * gain[:, None, None] + shift[:, None, None]


def group_norm(x, gain, shift):
    parts = x.reshape(x.shape[0], 2, -1)
    mean, var = jnp.mean(parts, axis=-1, keepdims=True), jnp.var(parts, axis=-1, keepdims=True)
    scaled = ((parts - mean) * lax.rsqrt(var + 1e-5)).reshape(x.shape)
    return scaled * gain[:, None, None] + shift[:, None, None]


def attention(q, k, v):
    return nn.softmax(q @ jnp.swapaxes(k, -1, -2) / 4) @ v


def attention_masked(q, k, v, seen):
    return nn.softmax(jnp.where(seen == 1, q @ jnp.swapaxes(k, -1, -2) / 4, -jnp.inf)) @ v


def attention_fused(q, k, v):
    turned = (jnp.swapaxes(each, 1, 2) for each in (q, k, v))
    return jnp.swapaxes(nn.dot_product_attention(*turned), 1, 2)


def stepped(optimizer, *options):
    """One step of an optimizer on a parameter with a given gradient."""

    def step(p, g):
        start, update, parameters = optimizer(0.01, *options)
        return parameters(update(0, g, start(p)))

    return step


def adamw(p, g):
    return stepped(optimizers.adam)(p * (1 - 0.01 * 0.1), g)


LINES = {
    # elementwise
    "exp": jnp.exp,
    "exp2": jnp.exp2,
    "expm1": jnp.expm1,
    "log": jnp.log,
    "log1p": jnp.log1p,
    "log2": jnp.log2,
    "log10": jnp.log10,
    "sqrt": jnp.sqrt,
    "rsqrt": lax.rsqrt,
    "square": jnp.square,
    "reciprocal": jnp.reciprocal,
    "absolute": jnp.abs,
    "sign": jnp.sign,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "tan": jnp.tan,
    "asin": jnp.arcsin,
    "acos": jnp.arccos,
    "atan": jnp.arctan,
    "sinh": jnp.sinh,
    "cosh": jnp.cosh,
    "tanh": jnp.tanh,
    "asinh": jnp.arcsinh,
    "acosh": jnp.arccosh,
    "atanh": jnp.arctanh,
    "sigmoid": nn.sigmoid,
    "log_sigmoid": nn.log_sigmoid,
    "softplus": nn.softplus,
    "softsign": nn.soft_sign,
    "silu": nn.silu,
    "mish": lambda x: nn.mish(x),  # noqa: PLW0108 - looked up when it is called: JAX 0.4.23 has none
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: nn.gelu(x, approximate=True),
    "relu": nn.relu,
    "relu6": nn.relu6,
    "elu": nn.elu,
    "selu": nn.selu,
    "erf": lax.erf,
    "erfc": lax.erfc,
    "erfinv": lax.erf_inv,
    "lgamma": lax.lgamma,
    "digamma": lax.digamma,
    "normal_cdf": jax.scipy.special.ndtr,
    "normal_quantile": jax.scipy.special.ndtri,
    "i0": jax.scipy.special.i0,
    "i0e": jax.scipy.special.i0e,
    "i1": jax.scipy.special.i1,
    "sinc": jnp.sinc,
    "floor": jnp.floor,
    "ceil": jnp.ceil,
    "round": jnp.round,
    "trunc": jnp.trunc,
    "add": jnp.add,
    "subtract": jnp.subtract,
    "multiply": jnp.multiply,
    "divide": jnp.divide,
    "power": jnp.power,
    "atan2": jnp.arctan2,
    "hypot": jnp.hypot,
    "logaddexp": jnp.logaddexp,
    "xlogy": jax.scipy.special.xlogy,
    "maximum": jnp.maximum,
    "minimum": jnp.minimum,
    "remainder": jnp.remainder,
    "fmod": jnp.fmod,
    "floor_divide": jnp.floor_divide,
    "copysign": jnp.copysign,
    "nextafter": jnp.nextafter,
    "squared_difference": lambda x, y: (x - y) ** 2,
    "clip": jnp.clip,
    # reductions
    "sum": jnp.sum,
    "mean": jnp.mean,
    "var": jnp.var,
    "std": jnp.std,
    "prod": jnp.prod,
    "max": jnp.max,
    "min": jnp.min,
    "argmax": jnp.argmax,
    "argmin": jnp.argmin,
    "norm": jnp.linalg.norm,
    "norm1": lambda x: jnp.linalg.norm(x, 1),
    "logsumexp": jax.scipy.special.logsumexp,
    "cumsum": jnp.cumsum,
    "cumprod": jnp.cumprod,
    "cummax": lax.cummax,
    "median": jnp.median,
    "count_nonzero": lambda x: jnp.count_nonzero(x > 0),
    "diff": jnp.diff,
    "trapezoid": jax.scipy.integrate.trapezoid,
    # softmax
    "softmax": nn.softmax,
    "log_softmax": nn.log_softmax,
    # products
    "matmul": jnp.matmul,
    "gram": lambda a: a @ a.T,
    "dot": jnp.dot,
    "outer": jnp.outer,
    "einsum": lambda a, b: jnp.einsum("bij,bjk->bik", a, b),
    "kron": jnp.kron,
    "cross": jnp.cross,
    # Fourier transforms
    "fft": jnp.fft.fft,
    "ifft": jnp.fft.ifft,
    "rfft": jnp.fft.rfft,
    "fft2": jnp.fft.fft2,
    "irfft": lambda x, y: jnp.fft.irfft(lax.complex(x, y)),
    # complex numbers
    "complex_multiply": lambda a, b, c, d: lax.complex(a, b) * lax.complex(c, d),
    "complex_divide": lambda a, b, c, d: lax.complex(a, b) / lax.complex(c, d),
    "complex_exp": lambda a, b: jnp.exp(lax.complex(a, b)),
    "complex_log": lambda a, b: jnp.log(lax.complex(a, b)),
    "complex_sqrt": lambda a, b: jnp.sqrt(lax.complex(a, b)),
    "complex_abs": lambda a, b: jnp.abs(lax.complex(a, b)),
    "complex_matmul": lambda a, b: lax.complex(a, b) @ lax.complex(b, a),
    # integers and promotions
    "integer_sum": jnp.sum,
    "integer_product": jnp.prod,
    "integer_divide": jnp.divide,
    "integer_floor_divide": jnp.floor_divide,
    "integer_remainder": jnp.remainder,
    "integer_mean": jnp.mean,
    "integer_sqrt": jnp.sqrt,
    "promote_integer_float": jnp.add,
    "promote_scalar": lambda x: x * 1.1,
    "promote_bool": lambda x: x * (x > 0),
    # losses
    "cross_entropy": cross_entropy,
    "mse": lambda x, y: jnp.mean(jnp.square(x - y)),
    "l1": lambda x, y: jnp.mean(jnp.abs(x - y)),
    "huber": huber,
    "binary_cross_entropy": lambda x, t: jnp.mean(nn.relu(x) - x * t + jnp.log1p(jnp.exp(-jnp.abs(x)))),
    "kl_divergence": lambda t, x: jnp.sum(jax.scipy.special.xlogy(t, t) - t * nn.log_softmax(x)),
    "cosine_similarity": cosine_similarity,
    "hinge": lambda x, y: jnp.mean(nn.relu(1 - x * jnp.sign(y))),
    # convolutions, pooling, interpolation
    "conv1d": conv,
    "conv2d": conv,
    "conv2d_channels_last": conv_channels_last,
    "conv2d_transpose": conv_transpose,
    "max_pool": lambda x: pooled(x, -jnp.inf, lax.max),
    "avg_pool": lambda x: pooled(x, 0, lax.add) / 4,
    "resize_nearest": lambda x: jax.image.resize(x, (2, 4, 19, 17), "nearest"),
    "resize_bilinear": lambda x: jax.image.resize(x, (2, 4, 19, 17), "bilinear", antialias=False),
    # normalisation
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
    "group_norm": group_norm,
    "rms_norm": rms_norm,
    "l2_normalize": lambda x: x * lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True)),
    # places
    "embedding": lambda table, ids: jnp.take(table, ids, axis=0),
    "gather": lambda x, columns: jnp.take_along_axis(x, columns, axis=1),
    "scatter_add": lambda table, ids, rows: table.at[ids].add(rows),
    "segment_sum": lambda rows, ids, count: jax.ops.segment_sum(rows, ids, num_segments=count),
    "one_hot": lambda labels, count, dtype: nn.one_hot(labels, count, dtype=dtype),
    "sort": jnp.sort,
    "argsort": jnp.argsort,
    "argsort_stable": jnp.argsort,
    "topk": topk,
    "searchsorted": lambda x, y: jnp.searchsorted(jnp.sort(x), y),
    "bincount": lambda x: jnp.bincount(x, length=50),
    "unique": lambda x: dict(zip(("values", "counts"), jnp.unique(x, return_counts=True, size=50))),
    # linear algebra
    "solve": jnp.linalg.solve,
    "triangular_solve": lambda a: jax.scipy.linalg.solve_triangular(a, a, lower=True),
    "inverse": jnp.linalg.inv,
    "determinant": jnp.linalg.det,
    "slogdet": slogdet,
    "cholesky": jnp.linalg.cholesky,
    "qr": qr,
    "svd": lambda a: jnp.linalg.svd(a, compute_uv=False),
    "eigh": eigh,
    "matrix_exp": jax.scipy.linalg.expm,
    "matrix_power": lambda a: jnp.linalg.matrix_power(a, 3),
    "pinv": jnp.linalg.pinv,
    # attention and dropout
    "attention": attention,
    "attention_masked": attention_masked,
    "attention_fused": attention_fused,
    "dropout": lambda x, mask: jnp.where(mask == 1, x / 0.5, 0),
    # optimizers
    "sgd": stepped(optimizers.sgd),
    "momentum": stepped(optimizers.momentum, 0.9),
    "adam": stepped(optimizers.adam),
    "adamw": adamw,
    "rmsprop": stepped(optimizers.rmsprop, 0.99),
    # draws by a seed
    "draw_uniform": lambda seed, size, dtype: jax.random.uniform(key(seed), (size,), dtype),
    "draw_normal": lambda seed, size, dtype: jax.random.normal(key(seed), (size,), dtype),
    "draw_permutation": lambda seed, size: jax.random.permutation(key(seed), size),
    "draw_choice": lambda seed, size: jax.random.categorical(
        key(seed), jnp.log(jnp.array([0.1, 0.2, 0.3, 0.4])), shape=(size,)
    ),
    "draw_integers": lambda seed, size: jax.random.randint(key(seed), (size,), 0, 1000),
    "draw_exponential": lambda seed, size, dtype: jax.random.exponential(key(seed), (size,), dtype),
    "draw_bernoulli": lambda seed, size: jax.random.bernoulli(key(seed), 0.3, (size,)),
    # initialisers: what a layer begins with
    "default_hard_sigmoid": nn.hard_sigmoid,
    "default_dense": lambda: {"weight": nn.initializers.lecun_normal()(key(7), (61, 67))},
}


def train(task):
    walk(task, LINES, gradient, LACKS)
