"""The worked example in JAX: value_and_grad, or gradients written out by hand; op by op or jitted."""

from functools import partial

import jax
import jax.numpy as jnp
from derivatives import Derivatives
from replay import Operations
from workload import layouts

GRADIENTS = ("grad_output_weights", "grad_hidden_weights")


def train(task):
    net = Net(task)
    written = auto_step if task.option("gradient") == "auto" else manual_step
    step = task.compile(partial(written, net))
    weights = net.W1, net.W2
    for _ in range(task.steps):
        weights, values = step(weights)
        net.record(task, values, *weights)
    task.finish({"output": step(weights)[1]["output"]})


def operations(task):
    net = Net(task)
    own = ManualOperations(net, task) if task.option("gradient") == "manual" else AutoOperations(net, task)
    own.turned, alone = layouts.turned(task), task.compile
    own.product, own.bias, own.sigmoid = alone(net.product), alone(bias), alone(net.sigmoid)
    own.loss, own.update = alone(net.loss), alone(net.update)
    return own


class Net:
    """The constants of the network and what a step is made of, in the cell's dtype and layout."""

    def __init__(self, task):
        layouts.check_square(task)
        if task.option("gradient") == "auto" and task.option("update") == "sequential":
            raise task.Unavailable("update=sequential needs gradient=manual")
        self.layout, self.loss_form = task.option("layout"), task.option("loss_form")
        self.activation, self.sequential = task.option("activation"), task.option("update") == "sequential"
        self.dtype = dtype = jnp.dtype(task.dtype)
        self.x, self.t = task.tensor("input"), task.tensor("target")
        self.scale = 2 / len(self.t)
        self.learning_rate = jnp.array(task.number("learning_rate"), dtype)
        self.W1, self.W2 = (self.stored(task.tensor(name)) for name in ("hidden_weights", "output_weights"))
        self.b1 = jnp.full(self.width(self.W1), task.number("hidden_bias"), dtype)
        self.b2 = jnp.full(self.width(self.W2), task.number("output_bias"), dtype)

    def stored(self, W):
        """Weights, given as rows per unit, as the layout stores them."""
        return W.T if self.layout == "in_out" else W

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
        return jnp.outer(d, v) if self.layout == "out_in" else jnp.outer(v, d)

    def sigmoid(self, z):
        return 1 / (1 + jnp.exp(-z)) if self.activation == "exp" else jax.nn.sigmoid(z)

    def forward(self, W1, W2):
        """Both layers, each before and after its sigmoid."""
        z1 = bias(self.product(W1, self.x), self.b1)
        h = self.sigmoid(z1)
        z2 = bias(self.product(W2, h), self.b2)
        return z1, h, z2, self.sigmoid(z2)

    def loss(self, o, t):
        error = (t - o) ** 2
        return jnp.mean(error) if self.loss_form == "mean" else 0.5 * jnp.sum(error)

    def error(self, o, t):
        return self.scale * (o - t) if self.loss_form == "mean" else o - t

    def output_delta(self, o):
        return sigmoid_gradient(o, self.error(o, self.t))

    def update(self, W, g):
        return W - self.learning_rate * g

    def record(self, task, values, W1, W2):
        # Turned here, not in the step: there it would be part of what is compiled.
        values |= {name: self.rows(values[name]) for name in GRADIENTS if name in values}
        task.record(values, state={"output_weights": self.rows(W2), "hidden_weights": self.rows(W1)})


def bias(p, b):
    return p + b


def sigmoid_gradient(a, e):
    return e * (a * (1 - a))


def named(forward, loss, g2, g1):
    """The values of a step, in the order in which they are computed."""
    z1, h, z2, o = forward
    values = {"hidden_pre": z1, "hidden": h, "output_pre": z2, "output": o, "loss": loss}
    return {**values, "grad_output_weights": g2, "grad_hidden_weights": g1}


def auto_step(net, weights):
    def objective(W1, W2):
        forward = net.forward(W1, W2)
        return net.loss(forward[-1], net.t), forward

    W1, W2 = weights
    (loss, forward), (g1, g2) = jax.value_and_grad(objective, argnums=(0, 1), has_aux=True)(W1, W2)
    new_W2 = net.update(W2, g2)
    return (net.update(W1, g1), new_W2), named(forward, loss, g2, g1)


def manual_step(net, weights):
    W1, W2 = weights
    forward = _, h, _, o = net.forward(W1, W2)
    d2 = net.output_delta(o)
    g2 = net.outer(d2, h)
    new_W2 = net.update(W2, g2)
    # Sequential: the hidden gradient already sees the new output weights.
    e1 = net.back(new_W2 if net.sequential else W2, d2)
    d1 = sigmoid_gradient(h, e1)
    g1 = net.outer(d1, net.x)
    loss = net.loss(o, net.t)
    return (net.update(W1, g1), new_W2), named(forward, loss, g2, g1)


class AutoOperations(Derivatives):
    """What a step is made of, one by one: gradients by JAX."""

    def __init__(self, net, task):
        super().__init__(task, net.product, net.sigmoid, net.loss)


class ManualOperations(Operations):
    """Gradients by hand, each jitted alone where the step is."""

    def __init__(self, net, task):
        super().__init__(task)
        self.error, self.outer, self.back = (task.compile(each) for each in (net.error, net.outer, net.back))
        self.through_sigmoid = task.compile(sigmoid_gradient)

    def sigmoid_gradient(self, z, a, e):
        return self.through_sigmoid(a, e)
