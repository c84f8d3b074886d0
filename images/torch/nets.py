"""What a step is made of in PyTorch, and how it is compiled; imported when PyTorch is there."""

from __future__ import annotations

from typing import Any

import torch
from job import Task


class Net:
    """The constants of the network and what a step is made of, in the task's dtype and layout."""

    def __init__(self, task: Task) -> None:
        work, self.options = task.workload, task.options
        self.kind = kind = {"dtype": getattr(torch, task.dtype), "device": task.device}
        self.x, self.t = torch.tensor(work.input, **kind), torch.tensor(work.target, **kind)
        self.W1, self.W2 = (torch.tensor(weights, **kind) for weights in task.weights())
        self.b1 = torch.full((len(work.hidden_weights),), work.hidden_bias, **kind)
        self.b2 = torch.full((len(work.target),), work.output_bias, **kind)
        self.learning_rate = torch.tensor(work.learning_rate, **kind)
        self.scale = 2 / len(work.target)

    def product(self, W: Any, v: Any) -> Any:
        return W @ v if self.options["layout"] == "out_in" else v @ W

    def back(self, W: Any, d: Any) -> Any:
        return W.T @ d if self.options["layout"] == "out_in" else d @ W.T

    def outer(self, d: Any, v: Any) -> Any:
        return torch.outer(d, v) if self.options["layout"] == "out_in" else torch.outer(v, d)

    def sigmoid(self, z: Any) -> Any:
        return 1 / (1 + torch.exp(-z)) if self.options["activation"] == "exp" else torch.sigmoid(z)

    def forward(self, W1: Any, W2: Any) -> Any:
        """Both layers, each before and after its sigmoid."""
        z1 = bias(self.product(W1, self.x), self.b1)
        h = self.sigmoid(z1)
        z2 = bias(self.product(W2, h), self.b2)
        return z1, h, z2, self.sigmoid(z2)

    def loss(self, o: Any, t: Any) -> Any:
        error = (t - o) ** 2
        return torch.mean(error) if self.options["loss_form"] == "mean" else 0.5 * torch.sum(error)

    def error(self, o: Any, t: Any) -> Any:
        return self.scale * (o - t) if self.options["loss_form"] == "mean" else o - t

    def output_delta(self, o: Any) -> Any:
        return sigmoid_gradient(o, self.error(o, self.t))

    def update(self, W: Any, g: Any) -> Any:
        return W - self.learning_rate * g

    def update_in_place(self, W: Any, g: Any) -> None:
        W -= self.learning_rate * g


def bias(p: Any, b: Any) -> Any:
    return p + b


def sigmoid_gradient(a: Any, e: Any) -> Any:
    return e * (a * (1 - a))


def compiled(function: Any, task: Task) -> Any:
    if task.options["compile"] == "eager":
        return function
    torch.compiler.reset()  # another cell's compiled code is no part of this one
    return compiled_alone(function, task)


def compiled_alone(function: Any, task: Task) -> Any:
    if task.options["compile"] == "eager":
        return function
    return torch.compile(function, fullgraph=True, backend="inductor", dynamic=False)


def check_compiled(task: Task) -> None:
    # Scalar kernels can give eager bits: only the count shows that they were there.
    if task.options["compile"] == "inductor":
        from torch._inductor import metrics

        if not metrics.generated_kernel_count:
            raise RuntimeError("torch.compile gave no Inductor kernel: the cell ran eagerly")
        metrics.reset()
