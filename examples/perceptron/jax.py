"""The perceptron in JAX: the whole step is one function, which task.compile compiles."""

import jax
import jax.numpy as jnp

NAMES = ("w1", "b1", "w2", "b2", "w3", "b3")


def objective(p, x, y):
    h1 = jax.nn.relu(x @ p["w1"] + p["b1"])
    h2 = jax.nn.relu(h1 @ p["w2"] + p["b2"])
    logits = h2 @ p["w3"] + p["b3"]
    logp = jax.nn.log_softmax(logits)
    loss = -jnp.take_along_axis(logp, y[:, None], axis=1).mean()
    return loss, {"h1": h1, "h2": h2, "probabilities": jnp.exp(logp)}


def train(task):
    rate, beta1, beta2, epsilon = (task.number(each) for each in ("rate", "beta1", "beta2", "epsilon"))

    @task.compile
    def step(state, first, second, x, y):
        p, m, v = state
        (loss, values), g = jax.value_and_grad(objective, has_aux=True)(p, x, y)
        m = {n: beta1 * m[n] + (1 - beta1) * g[n] for n in p}
        v = {n: beta2 * v[n] + (1 - beta2) * g[n] ** 2 for n in p}
        p = {n: p[n] - rate * (m[n] / first) / (jnp.sqrt(v[n] / second) + epsilon) for n in p}
        return (p, m, v), {**values, "loss": loss, **{f"grad/{n}": g[n] for n in p}}

    p = {name: task.tensor(name) for name in NAMES}
    zeros = {n: jnp.zeros_like(e) for n, e in p.items()}
    state = (p, zeros, zeros)
    for t, (x, y) in enumerate(task.batches("x", "y"), start=1):
        # In Python's numbers: 1 - 0.999**t in float32 has four digits left, and another 1 - 0.999 than the line of v.
        corrections = (jnp.asarray(1 - beta**t, p["w1"].dtype) for beta in (beta1, beta2))
        state, values = step(state, *corrections, x, y)
        task.record(values, state=state[0])
