"""The perceptron in JAX: value_and_grad, or gradients written out by hand; the whole step is one function, for jit."""

from functools import partial

import jax
import jax.numpy as jnp

PARAMETERS = ("w1", "b1", "w2", "b2")


def train(task):
    optimizer = OPTIMIZERS[task.option("optimizer")](task)
    gradients_of = automatic if task.option("gradient") == "auto" else manual
    step = task.compile(partial(train_step, optimizer, gradients_of))
    state = {name: task.tensor(name) for name in PARAMETERS}
    state.update(optimizer.start(state))
    order = list(state)  # JAX sorts the names of a dict
    for number, batch in enumerate(task.batches("x", "y"), 1):
        state, values = step(state, batch, optimizer.corrections(number))
        task.record(values, state={name: state[name] for name in order})


def train_step(optimizer, gradients_of, state, batch, corrections):
    values, gradients = gradients_of({name: state[name] for name in PARAMETERS}, *batch)
    values.update({f"grad/{name}": gradients[name] for name in ("w2", "b2", "w1", "b1")})
    return optimizer.update(state, gradients, corrections), values


def forward(parameters, x):
    hidden_pre = x @ parameters["w1"] + parameters["b1"]
    hidden = jnp.tanh(hidden_pre)
    return hidden_pre, hidden, hidden @ parameters["w2"] + parameters["b2"]


def cross_entropy(logits, y):
    return -jax.nn.log_softmax(logits)[jnp.arange(len(y)), y].mean()


def automatic(parameters, x, y):
    """The values on the way, and the gradients that JAX derives."""

    def objective(parameters):
        hidden_pre, hidden, logits = forward(parameters, x)
        loss = cross_entropy(logits, y)
        return loss, {"hidden_pre": hidden_pre, "hidden": hidden, "logits": logits, "loss": loss}

    (_, values), gradients = jax.value_and_grad(objective, has_aux=True)(parameters)
    return {name: values[name] for name in ("hidden_pre", "hidden", "logits", "loss")}, gradients


def manual(parameters, x, y):
    """The values on the way, and the gradients backward through both layers by hand."""
    hidden_pre, hidden, logits = forward(parameters, x)
    values = {"hidden_pre": hidden_pre, "hidden": hidden, "logits": logits, "loss": cross_entropy(logits, y)}
    error = (jax.nn.softmax(logits) - jax.nn.one_hot(y, logits.shape[1], dtype=logits.dtype)) / len(y)
    hidden_error = error @ parameters["w2"].T * (1 - hidden * hidden)
    gradients = {"w2": hidden.T @ error, "b2": error.sum(axis=0)}
    return values, {**gradients, "w1": x.T @ hidden_error, "b1": hidden_error.sum(axis=0)}


class Sgd:
    """The state is one dict: the parameters, and what `start` adds to them. Python's floats take the arrays' dtype."""

    def __init__(self, task):
        self.rate = task.number("learning_rate")

    def start(self, parameters):
        return {}

    def corrections(self, number):
        """What depends on the number of the step: computed outside of the compiled one, in float64."""
        return ()

    def update(self, state, gradients, corrections):
        return {name: state[name] - self.rate * gradients[name] for name in PARAMETERS}


class Momentum(Sgd):
    def __init__(self, task):
        super().__init__(task)
        self.momentum = task.number("momentum")

    def start(self, parameters):
        return zeros("momentum", parameters)

    def update(self, state, gradients, corrections):
        moved = {name: self.momentum * state[f"momentum/{name}"] + gradients[name] for name in PARAMETERS}
        return {**super().update(state, moved, corrections), **{f"momentum/{name}": moved[name] for name in moved}}


class Adam(Sgd):
    def __init__(self, task):
        self.rate = task.number("adam_learning_rate")
        self.beta1, self.beta2, self.epsilon = (task.number(name) for name in ("beta1", "beta2", "epsilon"))

    def start(self, parameters):
        return {**zeros("first", parameters), **zeros("second", parameters)}

    def corrections(self, number):
        return 1 - self.beta1**number, 1 - self.beta2**number

    def update(self, state, gradients, corrections):
        bias1, bias2 = corrections
        new = {}
        for name in PARAMETERS:
            gradient = gradients[name]
            first = self.beta1 * state[f"first/{name}"] + (1 - self.beta1) * gradient
            second = self.beta2 * state[f"second/{name}"] + (1 - self.beta2) * (gradient * gradient)
            change = self.rate * (first / bias1) / (jnp.sqrt(second / bias2) + self.epsilon)
            new.update({name: state[name] - change, f"first/{name}": first, f"second/{name}": second})
        return new


def zeros(kind, parameters):
    return {f"{kind}/{name}": jnp.zeros_like(parameters[name]) for name in PARAMETERS}


OPTIMIZERS = {"sgd": Sgd, "momentum": Momentum, "adam": Adam}
