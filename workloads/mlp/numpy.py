"""The perceptron in NumPy: gradients and optimizers written out by hand."""

import numpy as np

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
    rows = np.arange(len(y))
    hidden_pre = x @ w1 + b1
    hidden = np.tanh(hidden_pre)
    logits = hidden @ w2 + b2
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    loss = -(shifted - np.log(sums))[rows, y].mean()

    error = exponentials / sums
    error[rows, y] -= 1
    error /= len(y)
    hidden_error = error @ w2.T * (1 - hidden * hidden)
    gradients = {"w2": hidden.T @ error, "b2": error.sum(axis=0)}
    gradients.update({"w1": x.T @ hidden_error, "b1": hidden_error.sum(axis=0)})
    return {"hidden_pre": hidden_pre, "hidden": hidden, "logits": logits, "loss": loss}, gradients


class Sgd:
    def __init__(self, task):
        # Typed: before NumPy 2 a Python float may widen what it meets.
        self.typed = np.dtype(task.dtype).type
        self.rate, self.state = self.typed(task.number("learning_rate")), {}

    def update(self, parameters, gradients):
        return {name: parameters[name] - self.rate * gradients[name] for name in parameters}


class Momentum(Sgd):
    def __init__(self, task):
        super().__init__(task)
        self.momentum = self.typed(task.number("momentum"))
        self.state = {f"momentum/{name}": np.zeros_like(task.tensor(name)) for name in PARAMETERS}

    def update(self, parameters, gradients):
        self.state = {key: self.momentum * value + gradients[key[9:]] for key, value in self.state.items()}
        return super().update(parameters, {key[9:]: value for key, value in self.state.items()})


class Adam(Sgd):
    def __init__(self, task):
        super().__init__(task)
        self.rate, self.steps = self.typed(task.number("adam_learning_rate")), 0
        self.beta1, self.beta2, self.epsilon = (task.number(name) for name in ("beta1", "beta2", "epsilon"))
        self.first = {name: np.zeros_like(task.tensor(name)) for name in PARAMETERS}
        self.second = dict(self.first)

    def update(self, parameters, gradients):
        self.steps += 1
        typed = self.typed
        ahead1, ahead2 = typed(1 - self.beta1), typed(1 - self.beta2)
        bias1, bias2 = typed(1 - self.beta1**self.steps), typed(1 - self.beta2**self.steps)
        for name, gradient in gradients.items():
            self.first[name] = typed(self.beta1) * self.first[name] + ahead1 * gradient
            self.second[name] = typed(self.beta2) * self.second[name] + ahead2 * (gradient * gradient)
        moments = {"first": self.first, "second": self.second}
        self.state = {f"{kept}/{name}": moment[name] for kept, moment in moments.items() for name in PARAMETERS}
        return {
            name: parameters[name]
            - self.rate * (self.first[name] / bias1) / (np.sqrt(self.second[name] / bias2) + typed(self.epsilon))
            for name in parameters
        }


OPTIMIZERS = {"sgd": Sgd, "momentum": Momentum, "adam": Adam}
