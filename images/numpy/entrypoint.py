"""The workload in NumPy: gradients written out by hand."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
from cell import Framework, Primitives, Settings, Task, Unavailable, main
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

    def net(self, task: Task) -> Net:
        """The network of a task that this entrypoint can run."""
        if task.device != "cpu":
            raise Unavailable(f"NumPy has no device {task.device}")
        if task.options["loop"] == "unrolled" and (
            task.workload.steps != UNROLLED_STEPS or task.options["update"] != "parallel"
        ):
            raise Unavailable("loop=unrolled is written for two steps and update=parallel")
        return Net(task)

    def train(self, task: Task) -> Dict[str, Any]:
        net = self.net(task)
        return train_unrolled(net, task) if task.options["loop"] == "unrolled" else train_rolled(net, task)

    @contextlib.contextmanager
    def primitives(self, task: Task) -> Iterator[Primitives]:
        yield NetPrimitives(self.net(task), task)


class Net:
    """The constants of the network and what a step is made of, in the task's dtype and layout."""

    def __init__(self, task: Task) -> None:
        work, self.options = task.workload, task.options
        # Typed constants: before NumPy 2 a Python float would widen a float32 scalar to float64.
        self.dtype = dtype = np.dtype(task.dtype).type
        self.half, self.learning_rate, self.scale = dtype(0.5), dtype(work.learning_rate), dtype(2 / len(work.target))
        self.x, self.t = np.array(work.input, dtype), np.array(work.target, dtype)
        self.W1, self.W2 = (np.array(weights, dtype) for weights in task.weights())
        self.b1 = np.full(len(work.hidden_weights), work.hidden_bias, dtype)
        self.b2 = np.full(len(work.target), work.output_bias, dtype)

    def product(self, W: Any, v: Any) -> Any:
        return W @ v if self.options["layout"] == "out_in" else v @ W

    def back(self, W: Any, d: Any) -> Any:
        return W.T @ d if self.options["layout"] == "out_in" else d @ W.T

    def outer(self, d: Any, v: Any) -> Any:
        return np.outer(d, v) if self.options["layout"] == "out_in" else np.outer(v, d)

    def forward(self, W1: Any, W2: Any) -> Any:
        """Both layers, each before and after its sigmoid."""
        z1 = bias(self.product(W1, self.x), self.b1)
        h = sigmoid(z1)
        z2 = bias(self.product(W2, h), self.b2)
        return z1, h, z2, sigmoid(z2)

    def loss(self, o: Any, t: Any) -> Any:
        error = (t - o) ** 2
        return np.mean(error) if self.options["loss_form"] == "mean" else self.half * np.sum(error)

    def error(self, o: Any, t: Any) -> Any:
        return self.scale * (o - t) if self.options["loss_form"] == "mean" else o - t

    def output_delta(self, o: Any) -> Any:
        return sigmoid_gradient(o, self.error(o, self.t))

    def update(self, W: Any, g: Any) -> Any:
        return W - self.learning_rate * g


def bias(p: Any, b: Any) -> Any:
    return p + b


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def sigmoid_gradient(a: Any, e: Any) -> Any:
    return e * (a * (1 - a))


class NetPrimitives(Primitives):
    """What both loops are made of, one by one."""

    def __init__(self, net: Net, task: Task) -> None:
        super().__init__(task)
        self.net, self.x, self.t, self.b1, self.b2 = net, net.x, net.t, net.b1, net.b2
        self.product, self.back, self.outer = net.product, net.back, net.outer
        self.bias, self.sigmoid, self.loss, self.error, self.update = bias, sigmoid, net.loss, net.error, net.update

    def vector(self, values: List[float]) -> Any:
        return np.array(values, self.net.dtype)

    def matrix(self, rows: List[List[float]]) -> Any:
        return np.array(rows, self.net.dtype)

    def sigmoid_gradient(self, z: Any, a: Any, e: Any) -> Any:
        return sigmoid_gradient(a, e)


def train_rolled(net: Net, task: Task) -> Dict[str, Any]:
    W1, W2 = net.W1, net.W2
    losses, predictions, trace = [], [], Trace(task)
    for _ in range(task.workload.steps):
        z1, h, z2, o = net.forward(W1, W2)
        loss = net.loss(o, net.t)
        losses.append(loss)
        predictions.append(o)
        d2 = net.output_delta(o)
        g2 = net.outer(d2, h)
        new_W2 = net.update(W2, g2)
        # Sequential: the hidden gradient already sees the new output weights.
        e1 = net.back(new_W2 if task.options["update"] == "sequential" else W2, d2)
        d1 = sigmoid_gradient(h, e1)
        g1 = net.outer(d1, net.x)
        W1, W2 = net.update(W1, g1), new_W2
        trace.step(z1, h, z2, o, loss, g2, g1, W2, W1)
    predictions.append(net.forward(W1, W2)[-1])
    return {**task.result(losses, predictions, W1.tolist(), W2.tolist()), **trace.told()}


def train_unrolled(net: Net, task: Task) -> Dict[str, Any]:
    """Two steps in a straight line, as the worked example is told."""
    trace = Trace(task)

    z1, h, z2, o = net.forward(net.W1, net.W2)
    loss = net.loss(o, net.t)
    d2 = net.output_delta(o)
    d1 = sigmoid_gradient(h, net.back(net.W2, d2))
    g2, g1 = net.outer(d2, h), net.outer(d1, net.x)
    W2 = net.update(net.W2, g2)
    W1 = net.update(net.W1, g1)
    trace.step(z1, h, z2, o, loss, g2, g1, W2, W1)

    next_z1, next_h, next_z2, next_o = net.forward(W1, W2)
    next_loss = net.loss(next_o, net.t)
    next_d2 = net.output_delta(next_o)
    next_d1 = sigmoid_gradient(next_h, net.back(W2, next_d2))
    next_g2, next_g1 = net.outer(next_d2, next_h), net.outer(next_d1, net.x)
    last_W2 = net.update(W2, next_g2)
    last_W1 = net.update(W1, next_g1)
    trace.step(next_z1, next_h, next_z2, next_o, next_loss, next_g2, next_g1, last_W2, last_W1)

    predictions = [o, next_o, net.forward(last_W1, last_W2)[-1]]
    return {**task.result([loss, next_loss], predictions, last_W1.tolist(), last_W2.tolist()), **trace.told()}


if __name__ == "__main__":
    main(NumPy())
