"""The workload in NumPy: gradients written out by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
from cell import Framework, Settings, Task, Unavailable, main
from tracing import Trace

np: Any = None  # imported by load, after the process variables are set

UNROLLED_STEPS = 2

# What it has of each factor; the first is the default.
OPTIONS = {
    "gradient": ("manual",),
    "update": ("parallel", "sequential"),
    "loop": ("rolled", "unrolled"),
    "layout": ("out_in", "in_out", "in_out_untransposed"),
    "loss_form": ("half_sum", "mean"),
    "activation": ("exp",),
    "compile": ("eager",),
    "api": ("core",),
    "optimizer": ("plain",),
    "final_forward": ("model",),
    "tf32": ("default",),
}


class NumPy(Framework):
    dtypes = ("float64", "float32", "float16")
    options = OPTIONS
    knobs = ("NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")

    def load(self, settings: Settings) -> None:
        global np
        import numpy as np

    def train(self, task: Task) -> Dict[str, Any]:
        if task.device != "cpu":
            raise Unavailable(f"NumPy has no device {task.device}")
        net = Net(task)
        return train_unrolled(net, task) if task.options["loop"] == "unrolled" else train_rolled(net, task)


class Net:
    """The constants of the network and its four matrix products, in the task's dtype and layout."""

    def __init__(self, task: Task) -> None:
        work, self.options = task.workload, task.options
        # Typed constants: before NumPy 2 a Python float would widen a float32 scalar to float64.
        dtype = np.dtype(task.dtype).type
        self.half, self.learning_rate, self.scale = dtype(0.5), dtype(work.learning_rate), dtype(2 / len(work.target))
        self.x, self.t = np.array(work.input, dtype), np.array(work.target, dtype)
        self.W1, self.W2 = (np.array(weights, dtype) for weights in task.weights())
        self.b1 = np.full(len(work.hidden_weights), work.hidden_bias, dtype)
        self.b2 = np.full(len(work.target), work.output_bias, dtype)

    def affine(self, W: Any, v: Any, b: Any) -> Any:
        return W @ v + b if self.options["layout"] == "out_in" else v @ W + b

    def back(self, W: Any, d: Any) -> Any:
        return W.T @ d if self.options["layout"] == "out_in" else d @ W.T

    def outer(self, d: Any, v: Any) -> Any:
        return np.outer(d, v) if self.options["layout"] == "out_in" else np.outer(v, d)

    def forward(self, W1: Any, W2: Any) -> Any:
        """Both layers, each before and after its sigmoid."""
        z1 = self.affine(W1, self.x, self.b1)
        h = sigmoid(z1)
        z2 = self.affine(W2, h, self.b2)
        return z1, h, z2, sigmoid(z2)

    def loss(self, o: Any) -> Any:
        error = (self.t - o) ** 2
        return np.mean(error) if self.options["loss_form"] == "mean" else self.half * np.sum(error)

    def output_delta(self, o: Any) -> Any:
        error = self.scale * (o - self.t) if self.options["loss_form"] == "mean" else o - self.t
        return error * (o * (1 - o))


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def train_rolled(net: Net, task: Task) -> Dict[str, Any]:
    W1, W2, lr = net.W1, net.W2, net.learning_rate
    losses, predictions, trace = [], [], Trace(task)
    for _ in range(task.workload.steps):
        z1, h, z2, o = net.forward(W1, W2)
        loss = net.loss(o)
        losses.append(loss)
        predictions.append(o)
        d2 = net.output_delta(o)
        g2 = net.outer(d2, h)
        new_W2 = W2 - lr * g2
        # Sequential: the hidden gradient already sees the new output weights.
        d1 = net.back(new_W2 if task.options["update"] == "sequential" else W2, d2) * (h * (1 - h))
        g1 = net.outer(d1, net.x)
        W1, W2 = W1 - lr * g1, new_W2
        trace.step(z1, h, z2, o, loss, g2, g1, W2, W1)
    predictions.append(net.forward(W1, W2)[-1])
    return {**task.result(losses, predictions, W1.tolist(), W2.tolist()), **trace.told()}


def train_unrolled(net: Net, task: Task) -> Dict[str, Any]:
    """Two steps in a straight line, as the worked example is told."""
    if task.workload.steps != UNROLLED_STEPS or task.options["update"] != "parallel":
        raise Unavailable("loop=unrolled is written for two steps and update=parallel")
    lr, trace = net.learning_rate, Trace(task)

    z1, h, z2, o = net.forward(net.W1, net.W2)
    loss = net.loss(o)
    d2 = net.output_delta(o)
    d1 = net.back(net.W2, d2) * (h * (1 - h))
    g2, g1 = net.outer(d2, h), net.outer(d1, net.x)
    W2 = net.W2 - lr * g2
    W1 = net.W1 - lr * g1
    trace.step(z1, h, z2, o, loss, g2, g1, W2, W1)

    next_z1, next_h, next_z2, next_o = net.forward(W1, W2)
    next_loss = net.loss(next_o)
    next_d2 = net.output_delta(next_o)
    next_d1 = net.back(W2, next_d2) * (next_h * (1 - next_h))
    next_g2, next_g1 = net.outer(next_d2, next_h), net.outer(next_d1, net.x)
    last_W2 = W2 - lr * next_g2
    last_W1 = W1 - lr * next_g1
    trace.step(next_z1, next_h, next_z2, next_o, next_loss, next_g2, next_g1, last_W2, last_W1)

    predictions = [o, next_o, net.forward(last_W1, last_W2)[-1]]
    return {**task.result([loss, next_loss], predictions, last_W1.tolist(), last_W2.tolist()), **trace.told()}


if __name__ == "__main__":
    main(NumPy())
