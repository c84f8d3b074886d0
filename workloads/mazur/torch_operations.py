"""What a step is made of, one by one: derivatives by autograd or by hand, each compiled alone where the step is."""

import torch
from workload import operations
from workload.torch import bias, sigmoid_gradient


def operations_of(net, task):
    return (AutoOperations if task.option("gradient") == "auto" else ManualOperations)(net, task)


class NetOperations(operations.Operations):
    """What goes forward through a step."""

    def __init__(self, net, task):
        super().__init__(task)
        self.net, self.x, self.t, self.b1, self.b2 = net, net.x, net.t, net.b1, net.b2
        self.product, self.bias = task.compile(net.product), task.compile(bias)
        self.sigmoid, self.loss = task.compile(net.sigmoid), task.compile(net.loss)

    def vector(self, values):
        return torch.tensor(values, **self.net.kind)

    def matrix(self, rows):
        return torch.tensor(rows, **self.net.kind)


class ManualOperations(NetOperations):
    """The gradients written out by hand, and the update that is compiled with them."""

    def __init__(self, net, task):
        super().__init__(net, task)
        self.error, self.outer, self.back = (task.compile(each) for each in (net.error, net.outer, net.back))
        self.through_sigmoid, self.update = task.compile(sigmoid_gradient), task.compile(net.update)

    def sigmoid_gradient(self, z, a, e):
        return self.through_sigmoid(a, e)


class AutoOperations(NetOperations):
    """Autograd of what goes forward; the update is the step's own, which is never compiled."""

    def __init__(self, net, task):
        super().__init__(net, task)
        # What autograd calls for torch.sigmoid; of a formula it keeps the parts instead.
        self.through_sigmoid = task.compile(lambda a, e: torch.ops.aten.sigmoid_backward(e, a))
        self.derivative_takes = "a" if net.activation == "native" else "z"

    def error(self, o, t):
        o = leaf(o)
        return torch.autograd.grad(self.loss(o, t), o)[0]

    def sigmoid_gradient(self, z, a, e):
        if self.derivative_takes == "a":
            return self.through_sigmoid(a, e)
        z = leaf(z)
        return torch.autograd.grad(self.sigmoid(z), z, e)[0]

    def outer(self, d, v):
        # The gradient of a product by its weights takes no value of theirs.
        W = leaf(d.new_zeros((len(v), len(d)) if self.turned else (len(d), len(v))))
        return torch.autograd.grad(self.product(W, v), W, d)[0]

    def back(self, W, d):
        v = leaf(d.new_zeros(W.shape[0] if self.turned else W.shape[1]))
        return torch.autograd.grad(self.product(leaf(W), v), v, d)[0]

    def update(self, W, g):
        W = leaf(W.clone())
        if self.task.option("optimizer") == "sgd":
            W.grad = g
            torch.optim.SGD([W], lr=self.task.number("learning_rate")).step()
        else:
            with torch.no_grad():
                self.net.update_in_place(W, g)
        return W


def leaf(tensor):
    """The tensor as one to differentiate by."""
    return tensor.detach().requires_grad_()
