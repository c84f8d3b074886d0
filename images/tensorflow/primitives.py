"""What a step is made of, one by one; imported when TensorFlow is there."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import tensorflow as tf
from job import Task
from nets import CoreNet, KerasNet, bias, compiled, loss_of, sgd, sigmoid_gradient, updated
from operations import Primitives
from tracing import Trace


class TapePrimitives(Primitives):
    """Gradients by `tf.GradientTape`; each primitive is compiled alone where the step is."""

    def __init__(self, net: Any, task: Task) -> None:
        super().__init__(task)
        self.net, self.x, self.t = net, net.x, net.t
        self.b1, self.b2 = (self.vector([bias] * count) for bias, count in biases(task))
        self.loss = self.alone(lambda o, t: loss_of(net, o, t))
        self.error = self.alone(self.error_by_tape)
        self.sgd_steps: Dict[Any, Any] = {}
        native = task.options["gradient"] == "auto" and task.options["activation"] == "native"
        self.derivative_takes = "z" if task.options["gradient"] == "auto" and not native else "a"
        # What the gradient that TensorFlow registers for its sigmoid is.
        self.through_sigmoid = self.alone(lambda a, e: tf.raw_ops.SigmoidGrad(y=a, dy=e))

    def alone(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return compiled(function, self.task)

    def vector(self, values: List[float]) -> Any:
        return tf.constant([values], self.task.dtype)

    def matrix(self, rows: List[List[float]]) -> Any:
        return tf.constant(rows, self.task.dtype)

    def bias(self, p: Any, b: Any) -> Any:
        return self.added(p, tf.reshape(b, [-1]))  # a step's biases are no row

    def sigmoid_gradient(self, z: Any, a: Any, e: Any) -> Any:
        return self.through_sigmoid(a if self.derivative_takes == "a" else z, e)

    def error_by_tape(self, o: Any, t: Any) -> Any:
        return pulled_back(lambda o: loss_of(self.net, o, t), o)

    def by_sgd(self, W: Any, g: Any) -> Any:
        """The weights after a step of Keras' optimizer, which takes a variable."""
        if W.shape not in self.sgd_steps:
            kernel = tf.Variable(W)
            optimizer = sgd(self.task, [kernel])
            self.sgd_steps[W.shape] = kernel, self.alone(lambda g: optimizer.apply_gradients([(g, kernel)]))
        kernel, apply = self.sgd_steps[W.shape]
        kernel.assign(W)
        apply(g)
        return kernel.numpy()


class CorePrimitives(TapePrimitives):
    """What a step of the low-level API is made of."""

    def __init__(self, task: Task) -> None:
        net = CoreNet(task)
        super().__init__(net, task)
        self.product, self.added, self.sigmoid = self.alone(net.product), self.alone(bias), self.alone(net.sigmoid)
        self.update = self.alone(lambda W, g: updated(net, W, g))
        if task.options["optimizer"] == "sgd":
            self.update = self.by_sgd
        auto = task.options["gradient"] == "auto"
        self.outer = self.alone(self.outer_by_tape if auto else net.outer)
        self.back = self.alone(self.back_by_tape if auto else net.back)
        if not auto:
            self.error, self.through_sigmoid = self.alone(net.error), self.alone(sigmoid_gradient)
        elif self.derivative_takes == "z":
            self.through_sigmoid = self.alone(lambda z, e: pulled_back(net.sigmoid, z, e))

    def outer_by_tape(self, d: Any, v: Any) -> Any:
        # The gradient of a product by its weights takes no value of theirs.
        sizes = (v.shape[1], d.shape[1]) if self.turned else (d.shape[1], v.shape[1])
        return pulled_back(lambda W: self.net.product(W, v), tf.zeros(sizes, d.dtype), d)

    def back_by_tape(self, W: Any, d: Any) -> Any:
        v = tf.zeros((1, W.shape[0] if self.turned else W.shape[1]), d.dtype)
        return pulled_back(lambda v: self.net.product(W, v), v, d)


class KerasPrimitives(TapePrimitives):
    """What a step of a Sequential is made of: a Dense layer of the shape of the weights does the products."""

    def __init__(self, task: Task) -> None:
        net = KerasNet(task, Trace(task))
        super().__init__(net, task)
        self.layers: Dict[Any, Any] = {}
        activation = net.model.layers[-1].activation
        self.sigmoid = self.alone(activation)
        # What Dense adds its bias by, in Keras 3 and in Keras 2.
        self.added = self.alone(tf.keras.ops.add if hasattr(tf.keras, "ops") else tf.nn.bias_add)
        if self.derivative_takes == "z":
            self.through_sigmoid = self.alone(lambda z, e: pulled_back(activation, z, e))

    def layer(self, sizes: Any) -> Any:
        """A Dense layer of nothing but a kernel of this shape, and what is asked of it: W v, and both ways back."""
        if tuple(sizes) not in self.layers:
            dense = tf.keras.layers.Dense(sizes[1], use_bias=False, dtype=self.task.dtype)
            dense.build((1, sizes[0]))
            outer = self.alone(lambda d, v: pulled_back(lambda _: dense(v), dense.kernel, d))
            back = self.alone(lambda d, v: pulled_back(dense, v, d))
            plain = self.alone(lambda g: updated(self.net, dense.kernel, g))
            self.layers[tuple(sizes)] = dense, self.alone(dense), outer, back, plain
        return self.layers[tuple(sizes)]

    def product(self, W: Any, v: Any) -> Any:
        dense, product, *_ = self.layer(W.shape)
        dense.kernel.assign(W)
        return product(v)

    def outer(self, d: Any, v: Any) -> Any:
        _, _, outer, *_ = self.layer((v.shape[1], d.shape[1]))
        return outer(d, v)

    def back(self, W: Any, d: Any) -> Any:
        dense, _, _, back, _ = self.layer(W.shape)
        dense.kernel.assign(W)
        return back(d, tf.zeros((1, W.shape[0]), d.dtype))

    def update(self, W: Any, g: Any) -> Any:
        if self.task.options["optimizer"] == "sgd":
            return self.by_sgd(W, g)
        dense, *_, plain = self.layer(W.shape)
        dense.kernel.assign(W)
        return plain(g)


def biases(task: Task) -> Any:
    """The bias of each layer with its count."""
    work = task.workload
    return (work.hidden_bias, len(work.hidden_weights)), (work.output_bias, len(work.target))


def pulled_back(function: Callable[[Any], Any], at: Any, cotangent: Any = None) -> Any:
    """What goes back through a function to where it is taken."""
    with tf.GradientTape() as tape:
        if isinstance(at, tf.Tensor):  # a kernel is watched already
            tape.watch(at)
        value = function(at)
    return tape.gradient(value, at, output_gradients=cotangent)
