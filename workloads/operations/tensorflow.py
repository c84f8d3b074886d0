"""The operations in TensorFlow: a line each. The CPU has no kernels for channels first: such arguments are turned."""

import tensorflow as tf
from workload.walk import walk

# How TensorFlow says that it does not have an operation in a dtype, or for numbers of two dtypes.
LACKS = (
    "Could not find device for node",
    "No registered",
    "in the list of allowed values",
    "in list of allowed values",
    "UNIMPLEMENTED",
    "UnimplementedError",
    "NotImplementedError",
    "Detected unsupported operations",
    "as input #1(zero-based)",
    "which does not match type",
    "that does not match type",
    "They must be consistent, and one of",
    "does not support matrices of type",
    "not inexact",
    "requires tf.float32 or tf.float64",
)


def gradient(function, arguments, places, weights):
    watched = [arguments[place] for place in places]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        result = function(*arguments)
    return tape.gradient(result, watched, weights)


def last(x):
    """Channels last."""
    return tf.transpose(x, (0, *range(2, len(x.shape)), 1))


def first(x):
    """Channels first again."""
    return tf.transpose(x, (0, len(x.shape) - 1, *range(1, len(x.shape) - 1)))


def conv1d(x, kernel):
    return first(tf.nn.conv1d(last(x), tf.transpose(kernel, (2, 1, 0)), 1, "VALID"))


def conv2d(x, kernel, stride=1, padding=0, dilation=1, groups=1):  # noqa: ARG001 - the kernel's shape tells the groups
    around = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    weights = tf.transpose(kernel, (2, 3, 1, 0))
    return first(tf.nn.conv2d(last(x), weights, stride, around, dilations=dilation))


def conv2d_transpose(x, kernel):
    weights = tf.transpose(kernel, (2, 3, 1, 0))
    return first(tf.nn.conv2d_transpose(last(x), weights, (2, 15, 13, 6), 1, "VALID"))


def moments(x, axes):
    mean, var = tf.nn.moments(x, axes, keepdims=True)
    return mean, var


def layer_norm(x, gain, shift):
    mean, var = moments(x, [-1])
    return tf.nn.batch_normalization(x, mean, var, shift, gain, tf.constant(1e-5, x.dtype))


def batch_norm(x, gain, shift):
    turned = last(x)
    mean, var = tf.nn.moments(turned, [0, 1, 2])
    return first(tf.nn.batch_normalization(turned, mean, var, shift, gain, tf.constant(1e-5, x.dtype)))


def group_norm(x, gain, shift):
    parts = tf.reshape(x, (2, 2, -1))
    mean, var = moments(parts, [-1])
    scaled = tf.reshape((parts - mean) * tf.math.rsqrt(var + tf.constant(1e-5, x.dtype)), x.shape)
    return scaled * gain[:, None, None] + shift[:, None, None]


def rms_norm(x, gain):
    mean = tf.reduce_mean(x * x, axis=-1, keepdims=True)
    return x * tf.math.rsqrt(mean + tf.constant(1e-5, x.dtype)) * gain


def huber(x, y):
    off = tf.abs(x - y)
    half = tf.constant(0.5, x.dtype)
    return tf.reduce_mean(tf.where(off <= 1, half * off * off, off - half))


def cosine_similarity(a, b):
    return tf.reduce_sum(a * b, -1) / tf.sqrt(tf.reduce_sum(a * a, -1) * tf.reduce_sum(b * b, -1))


def qr(a):
    q, r = tf.linalg.qr(a)
    sign = tf.sign(tf.linalg.diag_part(r))
    return {"q": q * sign, "r": r * sign[:, None]}


def eigh(a):
    values, vectors = tf.linalg.eigh(a)
    return {"values": values, "vectors": vectors * tf.sign(vectors[0])}


def slogdet(a):
    sign, logarithm = tf.linalg.slogdet(a)
    return {"sign": sign, "log": logarithm}


def topk(x, k):
    found = tf.math.top_k(x, k)
    return {"values": found.values, "places": found.indices}


def unique(x):
    values, _, counts = tf.unique_with_counts(tf.sort(x))
    return {"values": values, "counts": counts}


def attention(q, k, v):
    return tf.nn.softmax(tf.matmul(q, k, transpose_b=True) / tf.constant(4, q.dtype)) @ v


def attention_masked(q, k, v, seen):
    scores = tf.matmul(q, k, transpose_b=True) / tf.constant(4, q.dtype)
    return tf.nn.softmax(tf.where(seen == 1, scores, tf.constant(float("-inf"), q.dtype))) @ v


def complex_of(real, imaginary):
    return tf.complex(real, imaginary)


def stepped(name, **options):
    """One step of an optimizer of Keras on a parameter with a given gradient."""

    def step(p, g):
        variable = tf.Variable(p)
        getattr(tf.keras.optimizers, name)(learning_rate=0.01, **options).apply_gradients([(g, variable)])
        return variable.value() if callable(variable.value) else variable.value

    return step


def defaults(name, *names):
    found = getattr(tf.keras.optimizers, name)().get_config()
    return tf.constant([float(found[each]) for each in names], tf.float64)


def dense():
    tf.keras.utils.set_random_seed(7)
    layer = tf.keras.layers.Dense(67)
    layer.build((None, 61))
    return {"weight": tf.convert_to_tensor(layer.kernel), "bias": tf.convert_to_tensor(layer.bias)}


def of_layer(layer, *names):
    return tf.constant([float(getattr(layer, name)) for name in names], tf.float64)


INITIALIZERS = ("HeNormal", "GlorotNormal", "LecunUniform", "TruncatedNormal", "RandomUniform", "Orthogonal")


def initializers():
    """What each draws by one seed."""
    return {name: getattr(tf.keras.initializers, name)(seed=7)((61, 67)) for name in INITIALIZERS}


def weights(layer, shape):
    """What a layer begins with."""
    tf.keras.utils.set_random_seed(7)
    layer.build(shape)
    return {str(place): tf.convert_to_tensor(each) for place, each in enumerate(layer.weights)}


def network():
    """What a network's layers begin with: each draws its seeds in turn, dropout too."""
    tf.keras.utils.set_random_seed(7)
    layers = [tf.keras.layers.Dense(17), tf.keras.layers.Dropout(0.5), tf.keras.layers.Dense(5)]
    model = tf.keras.Sequential(layers)
    model.build((None, 11))
    return {name: tf.convert_to_tensor(layers[place].kernel) for name, place in (("first", 0), ("last", 2))}


def fit(x):
    """A network after an epoch of `fit` with nothing else said: how rows are shuffled, and how a step is compiled."""
    tf.keras.utils.set_random_seed(7)
    model = tf.keras.Sequential([tf.keras.layers.Dense(7, activation="tanh"), tf.keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, x[:, :1], verbose=0)
    return {str(place): tf.convert_to_tensor(each) for place, each in enumerate(model.weights)}


def dropped(x):
    tf.keras.utils.set_random_seed(7)
    return tf.keras.layers.Dropout(0.5)(x, training=True)


def batch_norm_update(x):
    """What a layer keeps of a batch where it keeps all of it: divided by how many there are, or by one less."""
    layer = tf.keras.layers.BatchNormalization(momentum=0.0, dtype=x.dtype.name)
    layer(last(x), training=True)
    return {
        "mean": tf.convert_to_tensor(layer.moving_mean),
        "variance": tf.convert_to_tensor(layer.moving_variance),
    }


LINES = {
    # elementwise
    "exp": tf.exp,
    "exp2": lambda x: tf.pow(tf.constant(2, x.dtype), x),
    "expm1": tf.math.expm1,
    "log": tf.math.log,
    "log1p": tf.math.log1p,
    "sqrt": tf.sqrt,
    "rsqrt": tf.math.rsqrt,
    "square": tf.square,
    "reciprocal": tf.math.reciprocal,
    "absolute": tf.abs,
    "sign": tf.sign,
    "sin": tf.sin,
    "cos": tf.cos,
    "tan": tf.tan,
    "asin": tf.asin,
    "acos": tf.acos,
    "atan": tf.atan,
    "sinh": tf.sinh,
    "cosh": tf.cosh,
    "tanh": tf.tanh,
    "asinh": tf.asinh,
    "acosh": tf.acosh,
    "atanh": tf.atanh,
    "sigmoid": tf.sigmoid,
    "log_sigmoid": tf.math.log_sigmoid,
    "softplus": tf.nn.softplus,
    "softsign": tf.nn.softsign,
    "silu": tf.nn.silu,
    "mish": lambda x: x * tf.tanh(tf.nn.softplus(x)),
    "gelu": tf.nn.gelu,
    "gelu_tanh": lambda x: tf.nn.gelu(x, approximate=True),
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "elu": tf.nn.elu,
    "selu": tf.nn.selu,
    "erf": tf.math.erf,
    "erfc": tf.math.erfc,
    "erfinv": tf.math.erfinv,
    "lgamma": tf.math.lgamma,
    "digamma": tf.math.digamma,
    "normal_quantile": tf.math.ndtri,
    "i0": tf.math.bessel_i0,
    "i0e": tf.math.bessel_i0e,
    "i1": tf.math.bessel_i1,
    "floor": tf.floor,
    "ceil": tf.math.ceil,
    "round": tf.round,
    "trunc": lambda x: tf.cast(tf.cast(x, tf.int32), x.dtype),
    "add": tf.add,
    "subtract": tf.subtract,
    "multiply": tf.multiply,
    "divide": tf.divide,
    "power": tf.pow,
    "atan2": tf.atan2,
    "logaddexp": lambda x, y: tf.reduce_logsumexp(tf.stack([x, y]), 0),
    "xlogy": tf.math.xlogy,
    "maximum": tf.maximum,
    "minimum": tf.minimum,
    "remainder": tf.math.floormod,
    "fmod": tf.truncatemod,
    "floor_divide": tf.math.floordiv,
    "nextafter": tf.math.nextafter,
    "squared_difference": tf.math.squared_difference,
    "clip": tf.clip_by_value,
    # reductions
    "sum": tf.reduce_sum,
    "mean": tf.reduce_mean,
    "var": tf.math.reduce_variance,
    "std": tf.math.reduce_std,
    "prod": tf.reduce_prod,
    "max": tf.reduce_max,
    "min": tf.reduce_min,
    "argmax": tf.argmax,
    "argmin": tf.argmin,
    "norm": tf.norm,
    "norm1": lambda x: tf.norm(x, 1),
    "logsumexp": tf.reduce_logsumexp,
    "cumsum": tf.cumsum,
    "cumprod": tf.math.cumprod,
    "count_nonzero": lambda x: tf.math.count_nonzero(x > 0),
    "diff": lambda x: x[1:] - x[:-1],
    # softmax
    "softmax": tf.nn.softmax,
    "log_softmax": tf.nn.log_softmax,
    # products
    "matmul": lambda a, b: tf.linalg.matvec(a, b) if len(b.shape) == 1 else tf.matmul(a, b),
    "gram": lambda a: tf.matmul(a, a, transpose_b=True),
    "dot": lambda x, y: tf.tensordot(x, y, 1),
    "outer": lambda x, y: tf.tensordot(x, y, 0),
    "einsum": lambda a, b: tf.einsum("bij,bjk->bik", a, b),
    "kron": lambda a, b: tf.reshape(tf.einsum("ij,kl->ikjl", a, b), (21, 55)),
    "cross": tf.linalg.cross,
    # Fourier transforms
    "fft": lambda x: tf.signal.fft(complex_of(x, tf.zeros_like(x))),
    "ifft": lambda x: tf.signal.ifft(complex_of(x, tf.zeros_like(x))),
    "rfft": tf.signal.rfft,
    "fft2": lambda x: tf.signal.fft2d(complex_of(x, tf.zeros_like(x))),
    "irfft": lambda x, y: tf.signal.irfft(complex_of(x, y)),
    # complex numbers
    "complex_multiply": lambda a, b, c, d: complex_of(a, b) * complex_of(c, d),
    "complex_divide": lambda a, b, c, d: complex_of(a, b) / complex_of(c, d),
    "complex_exp": lambda a, b: tf.exp(complex_of(a, b)),
    "complex_log": lambda a, b: tf.math.log(complex_of(a, b)),
    "complex_sqrt": lambda a, b: tf.sqrt(complex_of(a, b)),
    "complex_abs": lambda a, b: tf.abs(complex_of(a, b)),
    "complex_matmul": lambda a, b: complex_of(a, b) @ complex_of(b, a),
    # integers and promotions
    "integer_sum": tf.reduce_sum,
    "integer_product": tf.reduce_prod,
    "integer_divide": tf.divide,
    "integer_floor_divide": tf.math.floordiv,
    "integer_remainder": tf.math.floormod,
    "integer_mean": tf.reduce_mean,
    "integer_sqrt": tf.sqrt,
    "promote_integer_float": tf.add,
    "promote_scalar": lambda x: x * 1.1,
    "promote_bool": lambda x: x * (x > 0),
    # losses
    "cross_entropy": lambda x, labels: tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x)),
    "mse": lambda x, y: tf.reduce_mean(tf.math.squared_difference(x, y)),
    "l1": lambda x, y: tf.reduce_mean(tf.abs(x - y)),
    "huber": huber,
    "binary_cross_entropy": lambda x, t: tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(t, x)),
    "kl_divergence": lambda t, x: tf.reduce_sum(tf.math.xlogy(t, t) - t * tf.nn.log_softmax(x)),
    "cosine_similarity": cosine_similarity,
    "hinge": lambda x, y: tf.reduce_mean(tf.nn.relu(1 - x * tf.sign(y))),
    # convolutions, pooling, interpolation
    "conv1d": conv1d,
    "conv2d": conv2d,
    "conv2d_transpose": conv2d_transpose,
    "max_pool": lambda x: first(tf.nn.max_pool2d(last(x), 2, 2, "VALID")),
    "avg_pool": lambda x: first(tf.nn.avg_pool2d(last(x), 2, 2, "VALID")),
    "resize_nearest": lambda x: first(tf.image.resize(last(x), (19, 17), "nearest")),
    "resize_bilinear": lambda x: first(tf.image.resize(last(x), (19, 17), "bilinear")),
    # normalisation
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
    "group_norm": group_norm,
    "rms_norm": rms_norm,
    "l2_normalize": lambda x: tf.math.l2_normalize(x, -1),
    # places
    "embedding": tf.nn.embedding_lookup,
    "gather": lambda x, columns: tf.gather(x, columns, batch_dims=1),
    "scatter_add": lambda table, ids, rows: tf.tensor_scatter_nd_add(table, ids[:, None], rows),
    "segment_sum": lambda rows, ids, count: tf.math.unsorted_segment_sum(rows, ids, num_segments=count),
    "one_hot": lambda labels, count, dtype: tf.one_hot(labels, count, dtype=dtype),
    "sort": tf.sort,
    "argsort": tf.argsort,
    "argsort_stable": lambda x: tf.argsort(x, stable=True),
    "topk": topk,
    "searchsorted": lambda x, y: tf.searchsorted(tf.sort(x), y),
    "bincount": tf.math.bincount,
    "unique": unique,
    # linear algebra
    "solve": tf.linalg.solve,
    "triangular_solve": lambda a: tf.linalg.triangular_solve(a, a),
    "inverse": tf.linalg.inv,
    "determinant": tf.linalg.det,
    "slogdet": slogdet,
    "cholesky": tf.linalg.cholesky,
    "qr": qr,
    "svd": lambda a: tf.linalg.svd(a, compute_uv=False),
    "eigh": eigh,
    "matrix_exp": tf.linalg.expm,
    "matrix_power": lambda a: a @ a @ a,
    "pinv": tf.linalg.pinv,
    # attention and dropout
    "attention": attention,
    "attention_masked": attention_masked,
    "dropout": lambda x, mask: tf.where(mask == 1, x / tf.constant(0.5, x.dtype), tf.zeros_like(x)),
    # optimizers
    "sgd": stepped("SGD"),
    "momentum": stepped("SGD", momentum=0.9),
    "adam": stepped("Adam", epsilon=1e-8),
    "adamw": stepped("AdamW", weight_decay=0.1, epsilon=1e-8),
    "rmsprop": stepped("RMSprop", rho=0.99, epsilon=1e-8),
    # defaults
    "default_hard_sigmoid": tf.keras.activations.hard_sigmoid,  # Keras 2: another slope
    "default_adam": lambda: defaults("Adam", "learning_rate", "beta_1", "beta_2", "epsilon"),
    "default_sgd": lambda: defaults("SGD", "learning_rate", "momentum"),
    "default_rmsprop": lambda: defaults("RMSprop", "learning_rate", "rho", "epsilon"),
    "default_layer_norm": lambda: of_layer(tf.keras.layers.LayerNormalization(), "epsilon"),
    "default_batch_norm": lambda: of_layer(tf.keras.layers.BatchNormalization(), "epsilon", "momentum"),
    "default_lion": lambda: defaults("Lion", "learning_rate", "beta_1", "beta_2"),
    "default_l1_l2": lambda: of_layer(tf.keras.regularizers.l1_l2(), "l1", "l2"),
    "default_batch_norm_update": batch_norm_update,
    "default_conv_lstm_gate": lambda x: tf.keras.layers.ConvLSTM1D(1, 1).recurrent_activation(x),
    "default_dense": dense,
    "default_initializers": initializers,
    "default_lstm": lambda: weights(tf.keras.layers.LSTM(17), (None, 5, 11)),
    "default_network": network,
    "default_dropout_mask": dropped,
    "default_fit": fit,
    "default_cross_entropy": lambda x, labels: tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)(
        labels, x
    ),
    # draws by a seed
    "draw_uniform": lambda seed, size, dtype: tf.random.stateless_uniform([size], [seed, 0], dtype=dtype),
    "draw_normal": lambda seed, size, dtype: tf.random.stateless_normal([size], [seed, 0], dtype=dtype),
    "draw_permutation": lambda seed, size: tf.random.experimental.stateless_shuffle(tf.range(size), [seed, 0]),
    "draw_choice": lambda seed, size: tf.random.stateless_categorical(
        tf.math.log([[0.1, 0.2, 0.3, 0.4]]), size, [seed, 0]
    ),
    "draw_integers": lambda seed, size: tf.random.stateless_uniform([size], [seed, 0], 0, 1000, tf.int32),
    "draw_bernoulli": lambda seed, size: tf.random.stateless_binomial([size], [seed, 0], 1.0, 0.3),
}


# XLA takes seconds to compile each of the first ones; a layer is made outside of what is compiled.
LONG = ("qr", "svd", "eigh", "solve", "inverse", "pinv", "matrix_exp")
OF_KERAS = ("default_dense", "default_initializers", "default_lstm", "default_network", "default_fit")
MADE = (*OF_KERAS, "default_batch_norm_update", "default_conv_lstm_gate", "default_dropout_mask")


def train(task):
    left_out = {}
    if task.dtype != "float32":
        left_out = dict.fromkeys(OF_KERAS, "made in float32, whatever the dtype of the cell")
    if task.option("compile") == "xla":
        left_out.update(dict.fromkeys((*LONG, *MADE), "left out where it is compiled"))
    walk(task, LINES, gradient, LACKS, left_out, tf.transpose)
