"""The worked example in TensorFlow's low-level API; tensorflow_keras.py has it in the Keras that TensorFlow carries."""

import numpy as np
import tensorflow as tf
from workload import layouts

ONE_KERNEL = "a graph computes product, bias and sigmoid in one kernel, unless what lies between is asked for"


def train(task):
    net = net_of(task)
    kernels = net.W1, net.W2
    optimizer = sgd(task, kernels) if task.option("optimizer") == "sgd" else None
    if task.option("compile") == "graph" and task.dtype != "float64":
        task.untraced(("hidden_pre", "output_pre"), ONE_KERNEL)

    def step():
        (z1, h, z2, o), loss, (g1, g2), new_W2 = net.gradients()
        if optimizer is not None:
            optimizer.apply_gradients(zip((g1, g2), kernels))
        else:
            net.W1.assign(net.update(net.W1, g1))
            net.W2.assign(net.update(net.W2, g2) if new_W2 is None else new_W2)
        values = {"hidden_pre": z1, "hidden": h, "output_pre": z2, "output": o, "loss": loss}
        return None, {**values, "grad_output_weights": g2, "grad_hidden_weights": g1}

    step = task.compile(step)
    for _ in range(task.steps):
        _, values = step()
        net.record(task, values)
    if task.option("final_forward") == "numpy":
        task.finish({"output": numpy_forward(net)})
    else:
        _, values = step()  # its update is of no interest any more
        task.finish({"output": values["output"][0]})


def operations(task):
    from workload.tensorflow_operations import CoreOperations, KerasOperations

    return (CoreOperations if task.option("api") == "core" else KerasOperations)(net_of(task), task)


def net_of(task):
    api, gradient, update, plain = (task.option(name) for name in ("api", "gradient", "update", "optimizer"))
    if gradient == "auto" and update == "sequential":
        raise task.Unavailable("update=sequential needs gradient=manual")
    if gradient == "manual" and (api, plain) != ("core", "plain"):
        raise task.Unavailable("gradient=manual needs api=core and optimizer=plain")
    if api == "core":
        return Net(task)
    from workload.tensorflow_keras import KerasNet

    return KerasNet(task)


class Net:
    """Kernels, constants and what a step is made of; a row of one sample, as TensorFlow writes it."""

    def __init__(self, task):
        layouts.check_square(task)
        self.layout, self.loss_form = task.option("layout"), task.option("loss_form")
        self.gradient, self.sequential = task.option("gradient"), task.option("update") == "sequential"
        self.sigmoid = tf.sigmoid if task.option("activation") == "native" else sigmoid
        self.x, self.t = (tf.expand_dims(task.tensor(name), 0) for name in ("input", "target"))
        self.scale = 2 / self.t.shape[1]
        self.learning_rate = tf.constant(task.number("learning_rate"), task.dtype)
        given = (task.tensor(name) for name in ("hidden_weights", "output_weights"))
        self.W1, self.W2 = (tf.Variable(self.stored(W)) for W in given)
        self.b1 = tf.fill([self.width(self.W1)], tf.constant(task.number("hidden_bias"), task.dtype))
        self.b2 = tf.fill([self.width(self.W2)], tf.constant(task.number("output_bias"), task.dtype))

    def stored(self, W):
        """Weights, given as rows per unit, as the layout stores them."""
        return tf.transpose(W) if self.layout == "in_out" else W

    def rows(self, W):
        """Stored weights as rows per unit."""
        return W if self.layout == "out_in" else tf.transpose(W)

    def width(self, W):
        return W.shape[0 if self.layout == "out_in" else 1]

    def product(self, W, v):
        return tf.matmul(v, W, transpose_b=self.layout == "out_in")

    def back(self, W, d):
        return tf.matmul(d, W, transpose_b=self.layout != "out_in")

    def outer(self, d, v):
        return tf.matmul(*((d, v) if self.layout == "out_in" else (v, d)), transpose_a=True)

    def forward(self):
        """Both layers, each before and after its sigmoid."""
        z1 = bias(self.product(self.W1, self.x), self.b1)
        h = self.sigmoid(z1)
        z2 = bias(self.product(self.W2, h), self.b2)
        return z1, h, z2, self.sigmoid(z2)

    def loss(self, o, t):
        error = tf.square(t - o)
        return tf.reduce_mean(error) if self.loss_form == "mean" else 0.5 * tf.reduce_sum(error)

    def error(self, o, t):
        return self.scale * (o - t) if self.loss_form == "mean" else o - t

    def gradients(self):
        """Forward pass, loss, the gradients of both kernels and, by hand, the new output weights; else None."""
        return self.gradients_by_hand() if self.gradient == "manual" else self.gradients_by_tape()

    def gradients_by_tape(self):
        with tf.GradientTape() as tape:
            forward = self.forward()
            loss = self.loss(forward[-1], self.t)
        return forward, loss, tape.gradient(loss, [self.W1, self.W2]), None

    def gradients_by_hand(self):
        forward = _, h, _, o = self.forward()
        d2 = sigmoid_gradient(o, self.error(o, self.t))
        g2 = self.outer(d2, h)
        # Computed once: what sequential's hidden gradient sees is what the kernel gets and what is recorded.
        new_W2 = self.update(self.W2, g2)
        # Sequential: the hidden gradient already sees the new output weights.
        d1 = sigmoid_gradient(h, self.back(new_W2 if self.sequential else self.W2, d2))
        return forward, self.loss(o, self.t), (self.outer(d1, self.x), g2), new_W2

    def update(self, W, g):
        return W - self.learning_rate * g

    def plain(self, name, value):
        """A layer's values as a vector, which are a row here, and weights as rows per unit."""
        if name.startswith("grad"):
            return self.rows(value)
        return value if name == "loss" else value[0]

    def record(self, task, values):
        plain = {name: self.plain(name, value) for name, value in values.items()}
        task.record(plain, state={"output_weights": self.rows(self.W2), "hidden_weights": self.rows(self.W1)})


def bias(p, b):
    return p + b


def sigmoid(z):
    return 1 / (1 + tf.exp(-z))


def sigmoid_gradient(a, e):
    return e * (a * (1 - a))


def sgd(task, kernels):
    """The optimizer that Keras has."""
    optimizer = tf.keras.optimizers.SGD(task.number("learning_rate"))
    optimizer.build(list(kernels))  # inside a tf.function it could not make its variables
    return optimizer


def numpy_forward(net):
    """The forward pass on the trained kernels, in NumPy."""
    v = net.x.numpy()
    for W, b in ((net.W1.numpy(), net.b1.numpy()), (net.W2.numpy(), net.b2.numpy())):
        kernel = W.T if net.layout == "out_in" else W
        v = 1 / (1 + np.exp(-(v @ kernel + b[0])))
    return v[0]
