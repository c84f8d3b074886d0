"""The decoder block in JAX: a pure step over a dict of parameters, for jit; AdamW with warm-up written out."""

import jax
import jax.numpy as jnp

HEADS = 4
SHAPES = {
    "embedding": (32, 32),
    "position": (16, 32),
    "qkv": (32, 96),
    "project": (32, 32),
    "up": (32, 128),
    "down": (128, 32),
}
NORMS = [f"{kind}{number}" for number in (1, 2, 3) for kind in ("gamma", "beta")]
NAMES = ("beta1", "beta2", "epsilon", "weight_decay", "norm_epsilon")
# JAX has no layers and no optimizers: these are the defaults of Flax and Optax, as its documentation uses them.
DEFAULTS = dict(zip(NAMES, (0.9, 0.999, 1e-8, 1e-4, 1e-6)))


def train(task):
    own = task.option("defaults") == "own"
    settings = DEFAULTS if own else {name: task.number(name) for name in NAMES}
    parameters = drawn(task.dtype) if own else {name: task.tensor(name) for name in SHAPES}
    dtype = parameters["qkv"].dtype
    parameters |= {name: (jnp.ones if name.startswith("gamma") else jnp.zeros)(32, dtype) for name in NORMS}
    zeros = {name: jnp.zeros_like(value) for name, value in parameters.items()}
    state = (parameters, zeros, zeros)
    step = task.compile(train_step, settings)
    for number, tokens in enumerate(task.batches("tokens"), 1):
        rate = task.number("learning_rate") * min(1.0, number / task.number("warm_up"))
        schedule = rate, 1 - settings["beta1"] ** number, 1 - settings["beta2"] ** number
        state, values = step(state, tokens, schedule)
        task.record(values, state=ordered(state[0]))


def drawn(dtype):
    """What JAX's own generator and initialisers give, as Flax takes them: normal ones of two widths."""
    keys = jax.random.split(jax.random.key(0), len(SHAPES))
    embed, dense = jax.nn.initializers.normal(32**-0.5), jax.nn.initializers.lecun_normal()
    makers = {name: embed if name in ("embedding", "position") else dense for name in SHAPES}
    return {name: makers[name](key, shape, dtype) for key, (name, shape) in zip(keys, SHAPES.items())}


def norm(x, parameters, number, epsilon):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + epsilon) * parameters[f"gamma{number}"] + parameters[f"beta{number}"]


def forward(parameters, tokens, epsilon):
    x, y = tokens[:, :-1], tokens[:, 1:]
    batch, length = x.shape
    stream = parameters["embedding"][x] + parameters["position"]
    parts = jnp.split(norm(stream, parameters, 1, epsilon) @ parameters["qkv"], 3, axis=2)
    query, key, value = (part.reshape(batch, length, HEADS, -1).transpose(0, 2, 1, 3) for part in parts)
    scores = query @ key.transpose(0, 1, 3, 2) * (query.shape[-1] ** -0.5)
    scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -jnp.inf)
    attended = (jax.nn.softmax(scores) @ value).transpose(0, 2, 1, 3).reshape(batch, length, 32)
    stream = stream + attended @ parameters["project"]
    widened = jax.nn.gelu(norm(stream, parameters, 2, epsilon) @ parameters["up"], approximate=False)
    stream = stream + widened @ parameters["down"]
    logits = norm(stream, parameters, 3, epsilon) @ parameters["embedding"].T
    loss = -jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], axis=2).mean()
    return loss, {"attended": attended, "stream": stream, "logits": logits, "loss": loss}


def train_step(settings, state, tokens, schedule):
    parameters, first, second = state
    rate, bias1, bias2 = schedule
    differentiate = jax.value_and_grad(forward, has_aux=True)
    (_, values), grads = differentiate(parameters, tokens, settings["norm_epsilon"])
    beta1, beta2 = settings["beta1"], settings["beta2"]
    first = {name: beta1 * first[name] + (1 - beta1) * grads[name] for name in grads}
    second = {name: beta2 * second[name] + (1 - beta2) * grads[name] * grads[name] for name in grads}
    new = {}
    for name, value in parameters.items():
        change = (first[name] / bias1) / (jnp.sqrt(second[name] / bias2) + settings["epsilon"])
        new[name] = value - rate * settings["weight_decay"] * value - rate * change
    values = {name: values[name] for name in ("attended", "stream", "logits", "loss")}
    return (new, first, second), {**values, **{f"grad/{name}": value for name, value in ordered(grads).items()}}


def ordered(found):
    """In the order of the block: JAX sorts the names of a dict."""
    return {name: found[name] for name in (*SHAPES, *NORMS)}
