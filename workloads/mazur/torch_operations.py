"""What a step is made of, one by one: derivatives by autograd or by hand, each compiled alone where the step is."""

import torch
from derivatives import Derivatives, leaf
from replay import Operations
from workload import layouts
from workload.torch import bias, sigmoid_gradient


def go_forward(own, net, task):
    """Set what goes forward through a step."""
    own.net, own.turned, alone = net, layouts.turned(task), task.compile
    own.product, own.bias, own.sigmoid, own.loss = alone(net.product), alone(bias), alone(net.sigmoid), alone(net.loss)


class ManualOperations(Operations):
    """The gradients written out by hand, and the update that is compiled with them."""

    def __init__(self, net, task):
        super().__init__(task)
        go_forward(self, net, task)
        self.error, self.outer, self.back = (task.compile(each) for each in (net.error, net.outer, net.back))
        self.through_sigmoid, self.update = task.compile(sigmoid_gradient), task.compile(net.update)

    def sigmoid_gradient(self, z, a, e):
        return self.through_sigmoid(a, e)


class AutoOperations(Derivatives):
    """Autograd of what goes forward; the update is the step's own, which is never compiled."""

    def __init__(self, net, task):
        super().__init__(task)
        go_forward(self, net, task)
        self.native = net.activation == "native"

    def update(self, W, g):
        W = leaf(W.clone())
        if self.task.option("optimizer") == "sgd":
            W.grad = g
            torch.optim.SGD([W], lr=self.task.number("learning_rate")).step()
        else:
            with torch.no_grad():
                self.net.update_in_place(W, g)
        return W
