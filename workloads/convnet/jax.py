"""The convolutional network in JAX: a pure step over a dict of parameters, for jit; AdamW written out."""

import jax
import jax.numpy as jnp
from jax import lax

LAYERS = ("1", "2")
SPEC = ("NHWC", "HWIO", "NHWC")


def train(task):
    own = task.option("defaults") == "own"
    settings = defaults() if own else {name: task.number(name) for name in NAMES}
    parameters = drawn(task.dtype) if own else given(task)
    zeros = {name: jnp.zeros_like(value) for name, value in parameters.items()}
    statistics = {f"mean{i}": jnp.zeros(size, task.dtype) for i, size in (("1", 8), ("2", 16))}
    statistics |= {f"variance{i}": jnp.ones(size, task.dtype) for i, size in (("1", 8), ("2", 16))}
    state = (parameters, zeros, zeros, statistics)
    step = task.compile(train_step, settings)
    for number, batch in enumerate(task.batches("x", "y"), 1):
        corrections = 1 - settings["beta1"] ** number, 1 - settings["beta2"] ** number
        state, values = step(state, batch, corrections)
        task.record(values, state=ordered(state[0]) | {name: state[3][name] for name in sorted(statistics)})


NAMES = (
    "learning_rate", "beta1", "beta2", "epsilon", "weight_decay", "batch_norm_epsilon", "batch_norm_momentum",
)  # fmt: skip


def defaults():
    """JAX has no layers and no optimizers: these are the defaults of Flax and Optax, as its documentation uses them."""
    return dict(zip(NAMES, (0.003, 0.9, 0.999, 1e-8, 1e-4, 1e-5, 0.99)))


def drawn(dtype):
    """What JAX's own generator and initialiser give: LeCun's normal, as Flax takes it."""
    keys = jax.random.split(jax.random.key(0), 3)
    initialise = jax.nn.initializers.lecun_normal()
    shapes = {"kernel1": (3, 3, 3, 8), "kernel2": (3, 3, 8, 16), "weight": (144, 10)}
    return with_rest({name: initialise(key, shape, dtype) for key, (name, shape) in zip(keys, shapes.items())})


def given(task):
    return with_rest({name: task.tensor(name) for name in ("kernel1", "kernel2", "weight")})


def with_rest(weights):
    dtype = weights["weight"].dtype
    rest = {f"bias{i}": jnp.zeros(size, dtype) for i, size in (("1", 8), ("2", 16))}
    rest |= {f"gamma{i}": jnp.ones(size, dtype) for i, size in (("1", 8), ("2", 16))}
    rest |= {f"beta{i}": jnp.zeros(size, dtype) for i, size in (("1", 8), ("2", 16))}
    return {**weights, **rest, "bias": jnp.zeros(10, dtype)}


def forward(parameters, x, y, epsilon):
    taken, moments = x, {}
    values = {}
    for name, i in (("first", "1"), ("second", "2")):
        taken = lax.conv_general_dilated(taken, parameters[f"kernel{i}"], (1, 1), "SAME", dimension_numbers=SPEC)
        taken = taken + parameters[f"bias{i}"]
        mean, variance = taken.mean((0, 1, 2)), taken.var((0, 1, 2))
        taken = (taken - mean) / jnp.sqrt(variance + epsilon) * parameters[f"gamma{i}"] + parameters[f"beta{i}"]
        taken = lax.reduce_window(jax.nn.relu(taken), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        count = x.shape[0] * (144 if i == "1" else 36)
        moments[f"mean{i}"], moments[f"variance{i}"] = mean, variance * (count / (count - 1))
        values[name] = taken
    values["logits"] = taken.reshape(len(x), -1) @ parameters["weight"] + parameters["bias"]
    loss = -jax.nn.log_softmax(values["logits"])[jnp.arange(len(y)), y].mean()
    return loss, ({**values, "loss": loss}, moments)


def train_step(settings, state, batch, corrections):
    parameters, first, second, statistics = state
    differentiate = jax.value_and_grad(forward, has_aux=True)
    (_, (values, moments)), grads = differentiate(parameters, *batch, settings["batch_norm_epsilon"])
    kept = settings["batch_norm_momentum"]
    statistics = {name: kept * statistics[name] + (1 - kept) * moments[name] for name in statistics}
    beta1, beta2, rate = settings["beta1"], settings["beta2"], settings["learning_rate"]
    first = {name: beta1 * first[name] + (1 - beta1) * grads[name] for name in grads}
    second = {name: beta2 * second[name] + (1 - beta2) * grads[name] * grads[name] for name in grads}
    new = {}
    for name, value in parameters.items():
        change = (first[name] / corrections[0]) / (jnp.sqrt(second[name] / corrections[1]) + settings["epsilon"])
        new[name] = value - rate * settings["weight_decay"] * value - rate * change
    values = {name: values[name] for name in ("first", "second", "logits", "loss")}
    return (new, first, second, statistics), {**values, **{f"grad/{name}": grads[name] for name in ordered(grads)}}


def ordered(found):
    """In the order of the layers: JAX sorts the names of a dict."""
    names = [f"{kind}{i}" for i in LAYERS for kind in ("kernel", "bias", "gamma", "beta")]
    return {name: found[name] for name in (*names, "weight", "bias")}
