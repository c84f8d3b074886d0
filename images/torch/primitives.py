"""What a step is made of, one by one; imported when PyTorch is there."""

from __future__ import annotations

from typing import Any, Callable, List

import torch
from job import Task
from nets import Net, bias, compiled_alone, sigmoid_gradient
from operations import Primitives


class NetPrimitives(Primitives):
    """What goes forward through a step, one by one, each compiled alone where the step is."""

    def __init__(self, net: Net, task: Task) -> None:
        super().__init__(task)
        self.net, self.x, self.t, self.b1, self.b2 = net, net.x, net.t, net.b1, net.b2
        if task.options["compile"] == "inductor":
            torch.compiler.reset()
        self.product, self.bias = self.alone(net.product), self.alone(bias)
        self.sigmoid, self.loss = self.alone(net.sigmoid), self.alone(net.loss)

    def alone(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return compiled_alone(function, self.task)

    def vector(self, values: List[float]) -> Any:
        return torch.tensor(values, **self.net.kind)

    def matrix(self, rows: List[List[float]]) -> Any:
        return torch.tensor(rows, **self.net.kind)


class Manual(NetPrimitives):
    """The gradients written out by hand, and the update that is compiled with them."""

    def __init__(self, net: Net, task: Task) -> None:
        super().__init__(net, task)
        self.error, self.outer, self.back = self.alone(net.error), self.alone(net.outer), self.alone(net.back)
        self.through_sigmoid, self.update = self.alone(sigmoid_gradient), self.alone(net.update)

    def sigmoid_gradient(self, z: Any, a: Any, e: Any) -> Any:
        return self.through_sigmoid(a, e)


class Auto(NetPrimitives):
    """Autograd of what goes forward; the update is the step's own, which is never compiled."""

    def __init__(self, net: Net, task: Task) -> None:
        super().__init__(net, task)
        # What autograd calls for torch.sigmoid; of a formula it keeps the parts instead.
        self.through_sigmoid = self.alone(lambda a, e: torch.ops.aten.sigmoid_backward(e, a))
        self.derivative_takes = "a" if task.options["activation"] == "native" else "z"

    def error(self, o: Any, t: Any) -> Any:
        o = leaf(o)
        return torch.autograd.grad(self.loss(o, t), o)[0]

    def sigmoid_gradient(self, z: Any, a: Any, e: Any) -> Any:
        if self.derivative_takes == "a":
            return self.through_sigmoid(a, e)
        z = leaf(z)
        return torch.autograd.grad(self.sigmoid(z), z, e)[0]

    def outer(self, d: Any, v: Any) -> Any:
        # The gradient of a product by its weights takes no value of theirs.
        W = leaf(d.new_zeros((len(v), len(d)) if self.turned else (len(d), len(v))))
        return torch.autograd.grad(self.product(W, v), W, d)[0]

    def back(self, W: Any, d: Any) -> Any:
        v = leaf(d.new_zeros(W.shape[0] if self.turned else W.shape[1]))
        return torch.autograd.grad(self.product(leaf(W), v), v, d)[0]

    def update(self, W: Any, g: Any) -> Any:
        W = leaf(W.clone())
        if self.task.options["optimizer"] == "sgd":
            W.grad = g
            torch.optim.SGD([W], lr=self.task.workload.learning_rate).step()
        else:
            with torch.no_grad():
                self.net.update_in_place(W, g)
        return W


def leaf(tensor: Any) -> Any:
    """The tensor as one to differentiate by."""
    return tensor.detach().requires_grad_()
