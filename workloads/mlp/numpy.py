"""The perceptron in NumPy: gradients and optimizers written out by hand."""

import numpy as np
from replay import Operations

PARAMETERS = ("w1", "b1", "w2", "b2")


def train(task):
    optimizer = OPTIMIZERS[task.option("optimizer")](task)
    parameters = {name: task.tensor(name) for name in PARAMETERS}
    for x, y in task.batches("x", "y"):
        values, gradients = step(parameters, x, y)
        parameters = optimizer.update(parameters, gradients)
        values.update({f"grad/{name}": gradients[name] for name in gradients})
        task.record(values, state={**parameters, **optimizer.state})


def step(parameters, x, y):
    """Forward and backward through both layers: the values on the way, and the gradients."""
    w1, b1, w2, b2 = (parameters[name] for name in PARAMETERS)
    hidden_pre = add_bias(matmul(x, w1), b1)
    hidden = np.tanh(hidden_pre)
    logits = add_bias(matmul(hidden, w2), b2)
    loss = cross_entropy(logits, y)

    error = cross_entropy_gradient(logits, y)
    hidden_error = tanh_gradient(hidden, input_gradient(error, w2))
    gradients = {"w2": weight_gradient(hidden, error), "b2": bias_gradient(error)}
    gradients.update({"w1": weight_gradient(x, hidden_error), "b1": bias_gradient(hidden_error)})
    return {"hidden_pre": hidden_pre, "hidden": hidden, "logits": logits, "loss": loss}, gradients


def matmul(x, w):
    return x @ w


def add_bias(p, b):
    return p + b


def exponentials_of(logits):
    """The logits less the largest of their row, e to the power of that, and the sums of the rows."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return shifted, exponentials, exponentials.sum(axis=1, keepdims=True)


def cross_entropy(logits, y):
    shifted, _, sums = exponentials_of(logits)
    return -(shifted - np.log(sums))[np.arange(len(y)), y].mean()


def cross_entropy_gradient(logits, y):
    _, exponentials, sums = exponentials_of(logits)
    error = exponentials / sums
    error[np.arange(len(y)), y] -= 1
    error /= len(y)
    return error


def tanh_gradient(a, e):
    return e * (1 - a * a)


def weight_gradient(x, d):
    return x.T @ d


def input_gradient(d, w):
    return d @ w.T


def bias_gradient(d):
    return d.sum(axis=0)


class Sgd:
    def __init__(self, task):
        # Typed: before NumPy 2 a Python float may widen what it meets.
        self.typed = np.dtype(task.dtype).type
        self.rate, self.state = self.typed(task.number("learning_rate")), {}

    def update(self, parameters, gradients):
        return {name: self.updated(parameters[name], gradients[name]) for name in parameters}

    def updated(self, w, g):
        return w - self.rate * g


class Momentum(Sgd):
    def __init__(self, task):
        super().__init__(task)
        self.momentum = self.typed(task.number("momentum"))
        self.state = {f"momentum/{name}": np.zeros_like(task.tensor(name)) for name in PARAMETERS}

    def update(self, parameters, gradients):
        self.state = {key: self.velocity(value, gradients[key[9:]]) for key, value in self.state.items()}
        return super().update(parameters, {key[9:]: value for key, value in self.state.items()})

    def velocity(self, m, g):
        return self.momentum * m + g


class Adam(Sgd):
    def __init__(self, task):
        super().__init__(task)
        self.rate, self.steps = self.typed(task.number("adam_learning_rate")), 0
        self.beta1, self.beta2, self.epsilon = (task.number(name) for name in ("beta1", "beta2", "epsilon"))
        self.first = {name: np.zeros_like(task.tensor(name)) for name in PARAMETERS}
        self.second = dict(self.first)

    def update(self, parameters, gradients):
        self.steps += 1
        for name, gradient in gradients.items():
            self.first[name] = self.first_moment(self.first[name], gradient)
            self.second[name] = self.second_moment(self.second[name], gradient)
        moments = {"first": self.first, "second": self.second}
        self.state = {f"{kept}/{name}": moment[name] for kept, moment in moments.items() for name in PARAMETERS}
        return {
            name: self.adam_update(parameters[name], self.first[name], self.second[name], self.steps)
            for name in parameters
        }

    def first_moment(self, m, g):
        return self.typed(self.beta1) * m + self.typed(1 - self.beta1) * g

    def second_moment(self, v, g):
        return self.typed(self.beta2) * v + self.typed(1 - self.beta2) * (g * g)

    def adam_update(self, w, m, v, step):
        bias1, bias2 = self.typed(1 - self.beta1**step), self.typed(1 - self.beta2**step)
        return w - self.rate * (m / bias1) / (np.sqrt(v / bias2) + self.typed(self.epsilon))


OPTIMIZERS = {"sgd": Sgd, "momentum": Momentum, "adam": Adam}


def operations(task):
    return StepOperations(OPTIMIZERS[task.option("optimizer")](task), task)


class StepOperations(Operations):
    """What a step is made of, one by one."""

    def __init__(self, optimizer, task):
        super().__init__(task)
        self.matmul, self.add_bias, self.tanh, self.cross_entropy = matmul, add_bias, np.tanh, cross_entropy
        self.cross_entropy_gradient, self.weight_gradient = cross_entropy_gradient, weight_gradient
        self.input_gradient, self.bias_gradient = input_gradient, bias_gradient
        self.update = optimizer.updated
        for name in ("velocity", "first_moment", "second_moment", "adam_update"):
            setattr(self, name, getattr(optimizer, name, None))

    def tanh_gradient(self, z, a, e):
        return tanh_gradient(a, e)
