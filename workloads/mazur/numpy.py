"""The worked example in NumPy: gradients written out by hand."""

import numpy as np
from replay import Operations
from workload import layouts


def train(task):
    net = Net(task)
    if task.option("loop") == "unrolled":
        train_unrolled(net, task)
    else:
        train_rolled(net, task)


def operations(task):
    return NetOperations(Net(task), task)


class Net:
    """The constants of the network and what a step is made of, in the cell's dtype and layout."""

    def __init__(self, task):
        layouts.check_square(task)
        self.layout, self.loss_form = task.option("layout"), task.option("loss_form")
        # Typed constants: before NumPy 2 a Python float would widen a float32 scalar to float64.
        self.dtype = dtype = np.dtype(task.dtype).type
        self.x, self.t = task.tensor("input"), task.tensor("target")
        self.half, self.scale = dtype(0.5), dtype(2 / len(self.t))
        self.learning_rate = dtype(task.number("learning_rate"))
        self.W1, self.W2 = (self.stored(task.tensor(name)) for name in ("hidden_weights", "output_weights"))
        self.b1 = np.full(self.width(self.W1), task.number("hidden_bias"), dtype)
        self.b2 = np.full(self.width(self.W2), task.number("output_bias"), dtype)

    def stored(self, W):
        """Weights, given as rows per unit, as the layout stores them."""
        return np.ascontiguousarray(W.T) if self.layout == "in_out" else W

    def rows(self, W):
        """Stored weights as rows per unit."""
        return W if self.layout == "out_in" else W.T

    def width(self, W):
        return W.shape[0 if self.layout == "out_in" else 1]

    def product(self, W, v):
        return W @ v if self.layout == "out_in" else v @ W

    def back(self, W, d):
        return W.T @ d if self.layout == "out_in" else d @ W.T

    def outer(self, d, v):
        return np.outer(d, v) if self.layout == "out_in" else np.outer(v, d)

    def forward(self, W1, W2):
        """Both layers, each before and after its sigmoid."""
        z1 = bias(self.product(W1, self.x), self.b1)
        h = sigmoid(z1)
        z2 = bias(self.product(W2, h), self.b2)
        return z1, h, z2, sigmoid(z2)

    def loss(self, o, t):
        error = (t - o) ** 2
        return np.mean(error) if self.loss_form == "mean" else self.half * np.sum(error)

    def error(self, o, t):
        return self.scale * (o - t) if self.loss_form == "mean" else o - t

    def output_delta(self, o):
        return sigmoid_gradient(o, self.error(o, self.t))

    def update(self, W, g):
        return W - self.learning_rate * g

    def record(self, task, forward, loss, g2, g1, W2, W1):
        z1, h, z2, o = forward
        values = {"hidden_pre": z1, "hidden": h, "output_pre": z2, "output": o, "loss": loss}
        values |= {"grad_output_weights": self.rows(g2), "grad_hidden_weights": self.rows(g1)}
        task.record(values, state={"output_weights": self.rows(W2), "hidden_weights": self.rows(W1)})


def bias(p, b):
    return p + b


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_gradient(a, e):
    return e * (a * (1 - a))


def train_rolled(net, task):
    W1, W2 = net.W1, net.W2
    for _ in range(task.steps):
        forward = _, h, _, o = net.forward(W1, W2)
        loss = net.loss(o, net.t)
        d2 = net.output_delta(o)
        g2 = net.outer(d2, h)
        new_W2 = net.update(W2, g2)
        # Sequential: the hidden gradient already sees the new output weights.
        e1 = net.back(new_W2 if task.option("update") == "sequential" else W2, d2)
        d1 = sigmoid_gradient(h, e1)
        g1 = net.outer(d1, net.x)
        W1, W2 = net.update(W1, g1), new_W2
        net.record(task, forward, loss, g2, g1, W2, W1)
    task.finish({"output": net.forward(W1, W2)[-1]})


def train_unrolled(net, task):
    """Two steps in a straight line, as the worked example is told."""
    if task.steps != 2 or task.option("update") != "parallel":
        raise task.Unavailable("loop=unrolled is written for two steps and update=parallel")

    first = _, h, _, o = net.forward(net.W1, net.W2)
    loss = net.loss(o, net.t)
    d2 = net.output_delta(o)
    d1 = sigmoid_gradient(h, net.back(net.W2, d2))
    g2, g1 = net.outer(d2, h), net.outer(d1, net.x)
    W2 = net.update(net.W2, g2)
    W1 = net.update(net.W1, g1)
    net.record(task, first, loss, g2, g1, W2, W1)

    second = _, next_h, _, next_o = net.forward(W1, W2)
    next_loss = net.loss(next_o, net.t)
    next_d2 = net.output_delta(next_o)
    next_d1 = sigmoid_gradient(next_h, net.back(W2, next_d2))
    next_g2, next_g1 = net.outer(next_d2, next_h), net.outer(next_d1, net.x)
    last_W2 = net.update(W2, next_g2)
    last_W1 = net.update(W1, next_g1)
    net.record(task, second, next_loss, next_g2, next_g1, last_W2, last_W1)

    task.finish({"output": net.forward(last_W1, last_W2)[-1]})


class NetOperations(Operations):
    """What both loops are made of, one by one."""

    def __init__(self, net, task):
        super().__init__(task)
        self.turned = layouts.turned(task)
        self.product, self.back, self.outer, self.bias = net.product, net.back, net.outer, bias
        self.sigmoid, self.loss, self.error, self.update = sigmoid, net.loss, net.error, net.update

    def sigmoid_gradient(self, z, a, e):
        return sigmoid_gradient(a, e)
