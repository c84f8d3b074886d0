"""The operations in PyTorch: a line each."""

import torch
import torch.nn.functional as nn
from workload.walk import walk

# How PyTorch says that it does not have an operation in a dtype.
LACKS = (
    "not implemented for",
    "Unsupported dtype",
    "Low precision dtypes not supported",
    "could not infer output dtype",
    "Expected both inputs to be Half, Float or Double",
    "handle types other than float and double",
    "dimensions of float, double, cfloat or cdouble",
    "support tensors of type",
    "unsupported ScalarType",
    "value of required optimization parameter",  # a default that it does not have
)


def gradient(function, arguments, places, weights):
    leaves = [each.detach().clone() for each in arguments]
    for place in places:
        leaves[place].requires_grad_()
    result = function(*leaves)
    return torch.autograd.grad(
        result, [leaves[place] for place in places], torch.ones_like(result) if weights is None else weights
    )


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def qr(a):
    q, r = torch.linalg.qr(a)
    sign = torch.sign(torch.diagonal(r))
    return {"q": q * sign, "r": r * sign[:, None]}


def eigh(a):
    values, vectors = torch.linalg.eigh(a)
    return {"values": values, "vectors": vectors * torch.sign(vectors[0])}


def slogdet(a):
    sign, logarithm = torch.linalg.slogdet(a)
    return {"sign": sign, "log": logarithm}


def topk(x, k):
    found = torch.topk(x, k)
    return {"values": found.values, "places": found.indices}


def unique(x):
    values, counts = torch.unique(x, return_counts=True)
    return {"values": values, "counts": counts}


def stepped(optimizer, **options):
    """One step of an optimizer on a parameter with a given gradient."""

    def step(p, g):
        parameter = torch.nn.Parameter(p.detach().clone())
        parameter.grad = g
        optimizer([parameter], lr=0.01, **options).step()
        return parameter.detach()

    return step


def attention(q, k, v):
    return torch.softmax(q @ k.transpose(-1, -2) / 4, -1) @ v


def attention_masked(q, k, v, seen):
    return nn.scaled_dot_product_attention(q, k, v, attn_mask=seen == 1)


def defaults(optimizer, *names):
    found = optimizer([torch.nn.Parameter(torch.zeros(1))]).defaults
    numbers = [
        float(part) for name in names for part in (found[name] if isinstance(found[name], tuple) else (found[name],))
    ]
    return torch.tensor(numbers, dtype=torch.float64)


def dense():
    torch.manual_seed(7)
    layer = torch.nn.Linear(61, 67)
    return {"weight": layer.weight.detach(), "bias": layer.bias.detach()}


def batch_norm_update(x):
    """What a layer keeps of a batch where it keeps all of it: divided by how many there are, or by one less."""
    layer = torch.nn.BatchNorm2d(4, momentum=1.0, dtype=x.dtype)
    layer(x)
    return {"mean": layer.running_mean, "variance": layer.running_var}


LINES = {
    # elementwise
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "log2": torch.log2,
    "log10": torch.log10,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "square": torch.square,
    "reciprocal": torch.reciprocal,
    "absolute": torch.abs,
    "sign": torch.sign,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "sigmoid": torch.sigmoid,
    "log_sigmoid": nn.logsigmoid,
    "softplus": nn.softplus,
    "softsign": nn.softsign,
    "silu": nn.silu,
    "mish": nn.mish,
    "gelu": nn.gelu,
    "gelu_tanh": lambda x: nn.gelu(x, approximate="tanh"),
    "relu": torch.relu,
    "relu6": nn.relu6,
    "elu": nn.elu,
    "selu": nn.selu,
    "erf": torch.erf,
    "erfc": torch.erfc,
    "erfinv": torch.erfinv,
    "lgamma": torch.lgamma,
    "digamma": torch.digamma,
    "normal_cdf": torch.special.ndtr,
    "normal_quantile": torch.special.ndtri,
    "i0": torch.special.i0,
    "i0e": torch.special.i0e,
    "i1": torch.special.i1,
    "sinc": torch.sinc,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": torch.round,
    "trunc": torch.trunc,
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "power": torch.pow,
    "atan2": torch.atan2,
    "hypot": torch.hypot,
    "logaddexp": torch.logaddexp,
    "xlogy": torch.xlogy,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "remainder": torch.remainder,
    "fmod": torch.fmod,
    "floor_divide": torch.floor_divide,
    "copysign": torch.copysign,
    "nextafter": torch.nextafter,
    "squared_difference": lambda x, y: (x - y) ** 2,
    "clip": torch.clamp,
    # reductions
    "sum": lambda x, axis=None: torch.sum(x, axis),
    "mean": lambda x, axis=None: torch.mean(x, axis),
    "var": lambda x, axis=None: torch.var(x, axis, correction=0),
    "std": lambda x: torch.std(x, correction=0),
    "prod": torch.prod,
    "max": lambda x, axis=None: torch.max(x) if axis is None else torch.amax(x, axis),
    "min": torch.min,
    "argmax": lambda x, axis=None: torch.argmax(x, axis),
    "argmin": lambda x, axis=None: torch.argmin(x, axis),
    "norm": torch.linalg.norm,
    "norm1": lambda x: torch.linalg.norm(x, 1),
    "logsumexp": lambda x, axis=0: torch.logsumexp(x, axis),
    "cumsum": lambda x: torch.cumsum(x, 0),
    "cumprod": lambda x: torch.cumprod(x, 0),
    "cummax": lambda x: torch.cummax(x, 0).values,
    "median": torch.median,
    "count_nonzero": lambda x: torch.count_nonzero(x > 0),
    "diff": torch.diff,
    "trapezoid": torch.trapezoid,
    # softmax
    "softmax": lambda x: torch.softmax(x, -1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    # products
    "matmul": torch.matmul,
    "gram": lambda a: a @ a.T,
    "dot": torch.dot,
    "outer": torch.outer,
    "einsum": lambda a, b: torch.einsum("bij,bjk->bik", a, b),
    "kron": torch.kron,
    "cross": lambda a, b: torch.cross(a, b, dim=-1),
    # Fourier transforms
    "fft": torch.fft.fft,
    "ifft": torch.fft.ifft,
    "rfft": torch.fft.rfft,
    "fft2": torch.fft.fft2,
    "irfft": lambda x, y: torch.fft.irfft(torch.complex(x, y)),
    # complex numbers
    "complex_multiply": lambda a, b, c, d: torch.complex(a, b) * torch.complex(c, d),
    "complex_divide": lambda a, b, c, d: torch.complex(a, b) / torch.complex(c, d),
    "complex_exp": lambda a, b: torch.exp(torch.complex(a, b)),
    "complex_log": lambda a, b: torch.log(torch.complex(a, b)),
    "complex_sqrt": lambda a, b: torch.sqrt(torch.complex(a, b)),
    "complex_abs": lambda a, b: torch.abs(torch.complex(a, b)),
    "complex_matmul": lambda a, b: torch.complex(a, b) @ torch.complex(b, a),
    # integers and promotions
    "integer_sum": torch.sum,
    "integer_product": torch.prod,
    "integer_divide": torch.div,
    "integer_floor_divide": torch.floor_divide,
    "integer_remainder": torch.remainder,
    "integer_mean": torch.mean,
    "integer_sqrt": torch.sqrt,
    "promote_integer_float": torch.add,
    "promote_scalar": lambda x: x * 1.1,
    "promote_bool": lambda x: x * (x > 0),
    # losses
    "cross_entropy": lambda x, labels: nn.cross_entropy(x, labels.long()),
    "mse": nn.mse_loss,
    "l1": nn.l1_loss,
    "huber": nn.huber_loss,
    "binary_cross_entropy": nn.binary_cross_entropy_with_logits,
    "kl_divergence": lambda t, x: nn.kl_div(torch.log_softmax(x, -1), t, reduction="sum"),
    "cosine_similarity": nn.cosine_similarity,
    "hinge": lambda x, y: torch.mean(torch.relu(1 - x * torch.sign(y))),
    # convolutions, pooling, interpolation
    "conv1d": nn.conv1d,
    "conv2d": nn.conv2d,
    "conv2d_channels_last": lambda x, kernel: nn.conv2d(
        x.to(memory_format=torch.channels_last), kernel.to(memory_format=torch.channels_last)
    ),
    "conv2d_transpose": nn.conv_transpose2d,
    "max_pool": lambda x: nn.max_pool2d(x, 2),
    "avg_pool": lambda x: nn.avg_pool2d(x, 2),
    "resize_nearest": lambda x: nn.interpolate(x, (19, 17), mode="nearest"),
    "resize_bilinear": lambda x: nn.interpolate(x, (19, 17), mode="bilinear"),
    # normalisation
    "layer_norm": lambda x, gain, shift: nn.layer_norm(x, x.shape[-1:], gain, shift, 1e-5),
    "batch_norm": lambda x, gain, shift: nn.batch_norm(x, None, None, gain, shift, training=True, eps=1e-5),
    "group_norm": lambda x, gain, shift: nn.group_norm(x, 2, gain, shift, 1e-5),
    "rms_norm": lambda x, gain: nn.rms_norm(x, x.shape[-1:], gain, 1e-5),
    "l2_normalize": lambda x: nn.normalize(x, dim=-1),
    # places
    "embedding": lambda table, ids: nn.embedding(ids, table),
    "gather": lambda x, columns: torch.gather(x, 1, columns.long()),
    "scatter_add": lambda table, ids, rows: table.index_add(0, ids, rows),
    "segment_sum": lambda rows, ids, count: torch.zeros(count, 17, dtype=rows.dtype).index_add(0, ids, rows),
    "one_hot": lambda labels, count, dtype: nn.one_hot(labels.long(), count).to(getattr(torch, dtype)),
    "sort": lambda x: torch.sort(x).values,
    "argsort": torch.argsort,
    "argsort_stable": lambda x: torch.argsort(x, stable=True),
    "topk": topk,
    "searchsorted": lambda x, y: torch.searchsorted(torch.sort(x).values, y),
    "bincount": torch.bincount,
    "unique": unique,
    # linear algebra
    "solve": torch.linalg.solve,
    "triangular_solve": lambda a: torch.linalg.solve_triangular(torch.tril(a), a, upper=False),
    "inverse": torch.linalg.inv,
    "determinant": torch.linalg.det,
    "slogdet": slogdet,
    "cholesky": torch.linalg.cholesky,
    "qr": qr,
    "svd": torch.linalg.svdvals,
    "eigh": eigh,
    "matrix_exp": torch.linalg.matrix_exp,
    "matrix_power": lambda a: torch.linalg.matrix_power(a, 3),
    "pinv": torch.linalg.pinv,
    # attention and dropout
    "attention": attention,
    "attention_masked": attention_masked,
    "attention_fused": nn.scaled_dot_product_attention,
    "dropout": lambda x, mask: torch.where(mask == 1, x / 0.5, 0),
    # optimizers
    "sgd": stepped(torch.optim.SGD),
    "momentum": stepped(torch.optim.SGD, momentum=0.9),
    "adam": stepped(torch.optim.Adam),
    "adamw": stepped(torch.optim.AdamW, weight_decay=0.1),
    "rmsprop": stepped(torch.optim.RMSprop),
    # defaults
    "default_hard_sigmoid": nn.hardsigmoid,
    "default_adam": lambda: defaults(torch.optim.Adam, "lr", "betas", "eps"),
    "default_sgd": lambda: defaults(torch.optim.SGD, "lr", "momentum"),
    "default_rmsprop": lambda: defaults(torch.optim.RMSprop, "lr", "alpha", "eps"),
    "default_layer_norm": lambda: torch.tensor(torch.nn.LayerNorm(3).eps, dtype=torch.float64),
    "default_batch_norm": lambda: torch.tensor(
        [torch.nn.BatchNorm2d(3).eps, torch.nn.BatchNorm2d(3).momentum], dtype=torch.float64
    ),
    "default_batch_norm_update": batch_norm_update,
    "default_dense": dense,
    "default_cross_entropy": lambda x, labels: torch.nn.CrossEntropyLoss()(x, labels.long()),
    "default_dropout": lambda: torch.tensor(torch.nn.Dropout().p, dtype=torch.float64),
    # draws by a seed
    "draw_uniform": lambda seed, size, dtype: torch.rand(size, dtype=getattr(torch, dtype), generator=seeded(seed)),
    "draw_normal": lambda seed, size, dtype: torch.randn(size, dtype=getattr(torch, dtype), generator=seeded(seed)),
    "draw_permutation": lambda seed, size: torch.randperm(size, generator=seeded(seed)),
    "draw_choice": lambda seed, size: torch.multinomial(
        torch.tensor([0.1, 0.2, 0.3, 0.4]), size, replacement=True, generator=seeded(seed)
    ),
    "draw_integers": lambda seed, size: torch.randint(1000, (size,), generator=seeded(seed)),
    "draw_exponential": lambda seed, size, dtype: torch.empty(size, dtype=getattr(torch, dtype)).exponential_(
        generator=seeded(seed)
    ),
    "draw_bernoulli": lambda seed, size: torch.bernoulli(torch.full((size,), 0.3), generator=seeded(seed)),
}


# What torch.compile takes none of within a function: generators, parameters, and so layers and optimizers.
MADE = (
    *("sgd", "momentum", "adam", "adamw", "rmsprop"),
    *("default_adam", "default_sgd", "default_rmsprop", "default_layer_norm", "default_batch_norm", "default_dense"),
    "default_batch_norm_update",
    *(name for name in LINES if name.startswith("draw_")),
)


def train(task):
    compiled = task.option("compile") == "inductor"
    left_out = {name: "left out where it is compiled" for name in MADE if compiled}
    walk(task, LINES, gradient, LACKS, left_out, around=True)
