"""The perceptron in JAX: value_and_grad, or gradients written out by hand; the whole step is one function, for jit."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from replay import Operations

PARAMETERS = ("w1", "b1", "w2", "b2")


def train(task):
    optimizer = optimizer_of(task)
    step = task.compile(train_step, optimizer, task.option("gradient"))
    state = {name: task.tensor(name) for name in PARAMETERS}
    state.update(optimizer.start(state))
    order = list(state)  # JAX sorts the names of a dict
    for number, batch in enumerate(task.batches("x", "y"), 1):
        state, values = step(state, batch, optimizer.corrections(number))
        task.record(values, state={name: state[name] for name in order})


def train_step(optimizer, gradient, state, batch, corrections):
    gradients_of = automatic if gradient == "auto" else manual
    values, gradients = gradients_of({name: state[name] for name in PARAMETERS}, *batch)
    values.update({f"grad/{name}": gradients[name] for name in ("w2", "b2", "w1", "b1")})
    return optimizer.update(state, gradients, corrections), values


def forward(parameters, x):
    hidden_pre = add_bias(matmul(x, parameters["w1"]), parameters["b1"])
    hidden = jnp.tanh(hidden_pre)
    return hidden_pre, hidden, add_bias(matmul(hidden, parameters["w2"]), parameters["b2"])


def matmul(x, w):
    return x @ w


def add_bias(p, b):
    return p + b


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
    error = cross_entropy_gradient(logits, y)
    hidden_error = tanh_gradient(hidden, input_gradient(error, parameters["w2"]))
    gradients = {"w2": weight_gradient(hidden, error), "b2": bias_gradient(error)}
    return values, {**gradients, "w1": weight_gradient(x, hidden_error), "b1": bias_gradient(hidden_error)}


def cross_entropy_gradient(logits, y):
    return (jax.nn.softmax(logits) - jax.nn.one_hot(y, logits.shape[1], dtype=logits.dtype)) / len(y)


def tanh_gradient(a, e):
    return e * (1 - a * a)


def weight_gradient(x, d):
    return x.T @ d


def input_gradient(d, w):
    return d @ w.T


def bias_gradient(d):
    return d.sum(axis=0)


@dataclass(frozen=True)
class Sgd:
    """The state is one dict: the parameters, and what `start` adds to them. Python's floats take the arrays' dtype."""

    NUMBERS = ("learning_rate",)
    rate: float

    def start(self, parameters):
        return {}

    def corrections(self, number):
        """What depends on the number of the step: computed outside of the compiled one, in float64."""
        return ()

    def update(self, state, gradients, corrections):
        return {name: self.updated(state[name], gradients[name]) for name in PARAMETERS}

    def updated(self, w, g):
        return w - self.rate * g


@dataclass(frozen=True)
class Momentum(Sgd):
    NUMBERS = ("learning_rate", "momentum")
    momentum: float

    def start(self, parameters):
        return zeros("momentum", parameters)

    def update(self, state, gradients, corrections):
        moved = {name: self.velocity(state[f"momentum/{name}"], gradients[name]) for name in PARAMETERS}
        return {**super().update(state, moved, corrections), **{f"momentum/{name}": moved[name] for name in moved}}

    def velocity(self, m, g):
        return self.momentum * m + g


@dataclass(frozen=True)
class Adam(Sgd):
    NUMBERS = ("adam_learning_rate", "beta1", "beta2", "epsilon")
    beta1: float
    beta2: float
    epsilon: float

    def start(self, parameters):
        return {**zeros("first", parameters), **zeros("second", parameters)}

    def corrections(self, number):
        return 1 - self.beta1**number, 1 - self.beta2**number

    def update(self, state, gradients, corrections):
        new = {}
        for name in PARAMETERS:
            first = self.first_moment(state[f"first/{name}"], gradients[name])
            second = self.second_moment(state[f"second/{name}"], gradients[name])
            weights = self.adam_update(state[name], first, second, corrections)
            new.update({name: weights, f"first/{name}": first, f"second/{name}": second})
        return new

    def first_moment(self, m, g):
        return self.beta1 * m + (1 - self.beta1) * g

    def second_moment(self, v, g):
        return self.beta2 * v + (1 - self.beta2) * (g * g)

    def adam_update(self, w, m, v, corrections):
        bias1, bias2 = corrections
        return w - self.rate * (m / bias1) / (jnp.sqrt(v / bias2) + self.epsilon)


def zeros(kind, parameters):
    return {f"{kind}/{name}": jnp.zeros_like(parameters[name]) for name in PARAMETERS}


OPTIMIZERS = {"sgd": Sgd, "momentum": Momentum, "adam": Adam}


def optimizer_of(task):
    made = OPTIMIZERS[task.option("optimizer")]
    return made(*(task.number(name) for name in made.NUMBERS))


def operations(task):
    optimizer = optimizer_of(task)
    made = AutoOperations if task.option("gradient") == "auto" else ManualOperations
    return made(optimizer, task)


class StepOperations(Operations):
    """What both ways to a gradient have in common; each operation is jitted alone where the step is."""

    def __init__(self, optimizer, task):
        super().__init__(task)
        alone = task.compile
        self.matmul, self.add_bias, self.tanh = alone(matmul), alone(add_bias), alone(jnp.tanh)
        self.cross_entropy, self.update = alone(cross_entropy), alone(optimizer.updated)
        for name in ("velocity", "first_moment", "second_moment"):
            setattr(self, name, alone(getattr(optimizer, name)) if hasattr(optimizer, name) else None)
        if hasattr(optimizer, "adam_update"):
            adam = alone(optimizer.adam_update)
            self.adam_update = lambda w, m, v, step: adam(w, m, v, optimizer.corrections(step))


class ManualOperations(StepOperations):
    """Gradients by hand."""

    def __init__(self, optimizer, task):
        super().__init__(optimizer, task)
        alone = task.compile
        self.cross_entropy_gradient, self.weight_gradient = alone(cross_entropy_gradient), alone(weight_gradient)
        self.input_gradient, self.bias_gradient = alone(input_gradient), alone(bias_gradient)
        self.through_tanh = alone(tanh_gradient)

    def tanh_gradient(self, z, a, e):
        return self.through_tanh(a, e)


class AutoOperations(StepOperations):
    """Gradients as JAX derives them from what goes forward, one by one."""

    def __init__(self, optimizer, task):
        super().__init__(optimizer, task)
        alone = task.compile
        self.cross_entropy_gradient = alone(jax.grad(cross_entropy))
        self.through_tanh = alone(lambda z, e: jax.vjp(jnp.tanh, z)[1](e)[0])  # it differentiates at the input
        self.weight_gradient, self.input_gradient = alone(by_weights), alone(by_input)
        self.bias_gradient = alone(lambda d: jax.vjp(lambda b: add_bias(jnp.zeros_like(d), b), d[0])[1](d)[0])

    def tanh_gradient(self, z, a, e):
        return self.through_tanh(z, e)


def by_weights(x, d):
    # The gradient of a product by its weights takes no value of theirs.
    return jax.vjp(lambda w: matmul(x, w), jnp.zeros((x.shape[1], d.shape[1]), d.dtype))[1](d)[0]


def by_input(d, w):
    return jax.vjp(lambda x: matmul(x, w), jnp.zeros((d.shape[0], w.shape[0]), d.dtype))[1](d)[0]
