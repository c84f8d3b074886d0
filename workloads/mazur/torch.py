"""The worked example in PyTorch: autograd, or gradients written out by hand."""

import torch
from workload import layouts


def train(task):
    net = Net(task)
    if task.option("gradient") == "auto":
        train_auto(net, task)
    else:
        train_manual(net, task)


def operations(task):
    from workload.torch_operations import AutoOperations, ManualOperations

    return (AutoOperations if task.option("gradient") == "auto" else ManualOperations)(Net(task), task)


class Net:
    """The constants of the network and what a step is made of, in the cell's dtype and layout."""

    def __init__(self, task):
        layouts.check_square(task)
        check_options(task)
        self.layout, self.loss_form = task.option("layout"), task.option("loss_form")
        self.activation = task.option("activation")
        self.kind = kind = {"dtype": getattr(torch, task.dtype), "device": task.device}
        self.x, self.t = task.tensor("input"), task.tensor("target")
        self.scale = 2 / len(self.t)
        self.learning_rate = torch.tensor(task.number("learning_rate"), **kind)
        self.W1, self.W2 = (self.stored(task.tensor(name)) for name in ("hidden_weights", "output_weights"))
        self.b1 = torch.full((self.width(self.W1),), task.number("hidden_bias"), **kind)
        self.b2 = torch.full((self.width(self.W2),), task.number("output_bias"), **kind)

    def stored(self, W):
        """Weights, given as rows per unit, as the layout stores them."""
        # Not contiguous(): it leaves the strides of a row or a column as they are, and a product may depend on them.
        return W.T.clone(memory_format=torch.contiguous_format) if self.layout == "in_out" else W

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
        return torch.outer(d, v) if self.layout == "out_in" else torch.outer(v, d)

    def sigmoid(self, z):
        return 1 / (1 + torch.exp(-z)) if self.activation == "exp" else torch.sigmoid(z)

    def forward(self, W1, W2):
        """Both layers, each before and after its sigmoid."""
        z1 = bias(self.product(W1, self.x), self.b1)
        h = self.sigmoid(z1)
        z2 = bias(self.product(W2, h), self.b2)
        return z1, h, z2, self.sigmoid(z2)

    def loss(self, o, t):
        error = (t - o) ** 2
        return torch.mean(error) if self.loss_form == "mean" else 0.5 * torch.sum(error)

    def error(self, o, t):
        return self.scale * (o - t) if self.loss_form == "mean" else o - t

    def output_delta(self, o):
        return sigmoid_gradient(o, self.error(o, self.t))

    def update(self, W, g):
        return W - self.learning_rate * g

    def update_in_place(self, W, g):
        W -= self.learning_rate * g

    def record(self, task, values, W2, W1):
        gradients = {name: self.rows(values[name]) for name in values if name.startswith("grad_")}
        state = {"output_weights": self.rows(W2), "hidden_weights": self.rows(W1)}
        task.record({**values, **gradients}, state=state)


def check_options(task):
    if task.option("gradient") == "auto" and task.option("update") == "sequential":
        raise task.Unavailable("update=sequential needs gradient=manual")
    if task.option("gradient") == "manual" and task.option("optimizer") == "sgd":
        raise task.Unavailable("optimizer=sgd needs gradient=auto")


def bias(p, b):
    return p + b


def sigmoid_gradient(a, e):
    return e * (a * (1 - a))


def train_auto(net, task):
    W1, W2 = net.W1.requires_grad_(), net.W2.requires_grad_()
    sgd = task.option("optimizer") == "sgd"
    optimizer = torch.optim.SGD([W1, W2], lr=task.number("learning_rate")) if sgd else None

    def forward(W1, W2):
        z1, h, z2, o = net.forward(W1, W2)
        # Nothing flows back through what is only looked at.
        values = {"hidden_pre": z1.detach(), "hidden": h.detach(), "output_pre": z2.detach(), "output": o}
        return net.loss(o, net.t), values

    forward = task.compile(forward)  # its backward pass is compiled with it
    for _ in range(task.steps):
        loss, values = forward(W1, W2)
        W1.grad = W2.grad = None
        loss.backward()
        if optimizer is not None:
            optimizer.step()
        else:
            with torch.no_grad():
                net.update_in_place(W1, W1.grad)
                net.update_in_place(W2, W2.grad)
        gradients = {"grad_output_weights": W2.grad, "grad_hidden_weights": W1.grad}
        net.record(task, {**values, "loss": loss, **gradients}, W2, W1)
    task.finish({"output": forward(W1, W2)[1]["output"]})


def train_manual(net, task):
    W1, W2 = net.W1, net.W2
    sequential = task.option("update") == "sequential"

    def step(W1, W2):
        z1, h, z2, o = net.forward(W1, W2)
        d2 = net.output_delta(o)
        g2 = net.outer(d2, h)
        new_W2 = net.update(W2, g2)
        # Sequential: the hidden gradient already sees the new output weights.
        e1 = net.back(new_W2 if sequential else W2, d2)
        d1 = sigmoid_gradient(h, e1)
        g1 = net.outer(d1, net.x)
        values = {"hidden_pre": z1, "hidden": h, "output_pre": z2, "output": o, "loss": net.loss(o, net.t)}
        values.update({"grad_output_weights": g2, "grad_hidden_weights": g1})
        return (net.update(W1, g1), new_W2), values

    step = task.compile(step)
    for _ in range(task.steps):
        (W1, W2), values = step(W1, W2)
        net.record(task, values, W2, W1)
    task.finish({"output": step(W1, W2)[1]["output"]})
