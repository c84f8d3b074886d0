"""The job in JAX: the whole step is one function, so that `task.compile` can compile it."""

import jax
import jax.numpy as jnp


def train(task):
    rate = task.number("rate")

    def objective(parameters, x, y):
        hidden = jnp.tanh(x @ parameters["w1"])
        return ((hidden @ parameters["w2"] - y) ** 2).mean(), hidden

    def step(parameters, batch):
        (loss, hidden), grads = jax.value_and_grad(objective, has_aux=True)(parameters, *batch)
        new = {name: parameters[name] - rate * grads[name] for name in parameters}
        return new, {"hidden": hidden, "loss": loss, "grad/w2": grads["w2"], "grad/w1": grads["w1"]}

    step = task.compile(step)
    parameters = {"w1": task.tensor("w1"), "w2": task.tensor("w2")}
    for batch in task.batches("x", "y"):
        parameters, values = step(parameters, batch)
        task.record(values, state=parameters)
