"""What autograd computes for the operations of a step, one by one."""

from __future__ import annotations

from typing import Any

import torch
from replay import Operations


class Derivatives(Operations):
    """The gradients of `product`, `sigmoid` and `loss`, which a workload sets to the functions of its step.

    `native`: whether the sigmoid is PyTorch's own.
    """

    native = True

    def __init__(self, task: Any) -> None:
        super().__init__(task)
        # What autograd calls for torch.sigmoid; of a formula it keeps the parts instead.
        self.through_sigmoid = task.compile(lambda a, e: torch.ops.aten.sigmoid_backward(e, a))

    def error(self, o: Any, t: Any) -> Any:
        o = leaf(o)
        return torch.autograd.grad(self.function("loss")(o, t), o)[0]

    def sigmoid_gradient(self, z: Any, a: Any, e: Any) -> Any:
        if self.native:
            return self.through_sigmoid(a, e)
        z = leaf(z)
        return torch.autograd.grad(self.function("sigmoid")(z), z, e)[0]

    def outer(self, d: Any, v: Any) -> Any:
        # The gradient of a product by its weights takes no value of theirs.
        W = leaf(d.new_zeros((len(v), len(d)) if self.turned else (len(d), len(v))))
        return torch.autograd.grad(self.function("product")(W, v), W, d)[0]

    def back(self, W: Any, d: Any) -> Any:
        v = leaf(d.new_zeros(W.shape[0] if self.turned else W.shape[1]))
        return torch.autograd.grad(self.function("product")(leaf(W), v), v, d)[0]


def leaf(tensor: Any) -> Any:
    """The tensor as one to differentiate by."""
    return tensor.detach().requires_grad_()
