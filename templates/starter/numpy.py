"""The job in NumPy: the gradients are written out by hand."""

import numpy as np


def train(task):
    w1, w2 = task.tensor("w1"), task.tensor("w2")
    rate = w1.dtype.type(task.number("rate"))
    for x, y in task.batches("x", "y"):
        hidden = np.tanh(x @ w1)
        error = hidden @ w2 - y
        loss = (error * error).mean()
        grad = 2 * error / error.size
        grad_w2 = hidden.T @ grad
        grad_w1 = x.T @ (grad @ w2.T * (1 - hidden * hidden))
        w1, w2 = w1 - rate * grad_w1, w2 - rate * grad_w2
        task.record(
            {"hidden": hidden, "loss": loss, "grad/w2": grad_w2, "grad/w1": grad_w1},
            state={"w1": w1, "w2": w2},
        )
