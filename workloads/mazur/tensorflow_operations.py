"""What a step is made of, one by one: gradients by `tf.GradientTape`, each compiled alone where the step is."""

import tensorflow as tf
from replay import Operations
from workload import layouts
from workload.tensorflow import bias, sgd, sigmoid_gradient


class TapeOperations(Operations):
    """What both ways to write the network have in common."""

    rows = True

    def __init__(self, net, task):
        super().__init__(task)
        self.takes_output = net.gradient == "manual"
        self.net, self.turned, self.alone = net, layouts.turned(task), task.compile
        self.sigmoid, self.loss = self.alone(net.sigmoid), self.alone(net.loss)
        self.error = self.alone(lambda o, t: pulled_back(lambda o: net.loss(o, t), o))
        self.sgd_steps = {}
        if task.option("activation") == "native":
            self.takes_output = True  # as the gradient that TensorFlow registers for its sigmoid does
            self.through_sigmoid = self.alone(lambda a, e: tf.raw_ops.SigmoidGrad(y=a, dy=e))
        elif net.gradient == "auto":
            self.through_sigmoid = self.alone(lambda z, e: pulled_back(net.sigmoid, z, e))

    def bias(self, p, b):
        return self.added(p, tf.reshape(b, [-1]))  # a step's biases are no row

    def sigmoid_gradient(self, z, a, e):
        return self.through_sigmoid(a if self.takes_output else z, e)

    def update_by_sgd(self, W, g):
        """The weights after a step of Keras' optimizer, which takes a variable."""
        if W.shape not in self.sgd_steps:
            kernel = tf.Variable(W)
            optimizer = sgd(self.task, [kernel])
            self.sgd_steps[W.shape] = kernel, self.alone(lambda g: optimizer.apply_gradients([(g, kernel)]))
        kernel, apply = self.sgd_steps[W.shape]
        kernel.assign(W)
        apply(g)
        return kernel.numpy()


class CoreOperations(TapeOperations):
    """What a step of the low-level API is made of."""

    def __init__(self, net, task):
        super().__init__(net, task)
        self.product, self.added = self.alone(net.product), self.alone(bias)
        self.update = self.update_by_sgd if task.option("optimizer") == "sgd" else self.alone(net.update)
        if net.gradient == "manual":
            self.outer, self.back, self.error = self.alone(net.outer), self.alone(net.back), self.alone(net.error)
            self.through_sigmoid = self.alone(sigmoid_gradient)
        else:
            self.outer, self.back = self.alone(self.outer_by_tape), self.alone(self.back_by_tape)

    def outer_by_tape(self, d, v):
        # The gradient of a product by its weights takes no value of theirs.
        sizes = (v.shape[1], d.shape[1]) if self.turned else (d.shape[1], v.shape[1])
        return pulled_back(lambda W: self.net.product(W, v), tf.zeros(sizes, d.dtype), d)

    def back_by_tape(self, W, d):
        v = tf.zeros((1, W.shape[0] if self.turned else W.shape[1]), d.dtype)
        return pulled_back(lambda v: self.net.product(W, v), v, d)


class KerasOperations(TapeOperations):
    """What a step of a Sequential is made of: a Dense layer of the shape of the weights does the products."""

    def __init__(self, net, task):
        super().__init__(net, task)
        self.layers = {}
        # What Dense adds its bias by, in Keras 3 and in Keras 2.
        self.added = self.alone(tf.keras.ops.add if hasattr(tf.keras, "ops") else tf.nn.bias_add)

    def layer(self, sizes):
        """A Dense layer of nothing but a kernel of this shape, and what is asked of it: W v, and both ways back."""
        if tuple(sizes) not in self.layers:
            dense = tf.keras.layers.Dense(sizes[1], use_bias=False, dtype=self.task.dtype)
            dense.build((1, sizes[0]))
            outer = self.alone(lambda d, v: pulled_back(lambda _: dense(v), dense.kernel, d))
            back = self.alone(lambda d, v: pulled_back(dense, v, d))
            plain = self.alone(lambda g: self.net.update(dense.kernel, g))
            self.layers[tuple(sizes)] = dense, self.alone(dense), outer, back, plain
        return self.layers[tuple(sizes)]

    def product(self, W, v):
        dense, product, *_ = self.layer(W.shape)
        dense.kernel.assign(W)
        return product(v)

    def outer(self, d, v):
        _, _, outer, *_ = self.layer((v.shape[1], d.shape[1]))
        return outer(d, v)

    def back(self, W, d):
        dense, _, _, back, _ = self.layer(W.shape)
        dense.kernel.assign(W)
        return back(d, tf.zeros((1, W.shape[0]), d.dtype))

    def update(self, W, g):
        if self.task.option("optimizer") == "sgd":
            return self.update_by_sgd(W, g)
        dense, *_, plain = self.layer(W.shape)
        dense.kernel.assign(W)
        return plain(g)


def pulled_back(function, at, cotangent=None):
    """What goes back through a function to where it is taken."""
    with tf.GradientTape() as tape:
        if isinstance(at, tf.Tensor):  # a kernel is watched already
            tape.watch(at)
        value = function(at)
    return tape.gradient(value, at, output_gradients=cotangent)
