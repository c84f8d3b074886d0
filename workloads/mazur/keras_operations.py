"""What Keras' training step is made of, one by one, on any of its backends."""

import keras
from replay import Operations

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
elif keras.backend.backend() == "jax":
    import jax
else:
    import torch


class KerasOperations(Operations):
    """Dense layers without bias or activation, the activation, the compiled loss and the optimizer's own update."""

    turned = rows = True

    def __init__(self, task, model):
        super().__init__(task)
        self.backend = BACKENDS[keras.backend.backend()]()
        if task.option("compile") not in self.backend.modes:
            raise task.Unavailable(
                f"no operations of compile={task.option('compile')}: its step cannot be traced, so there is nothing to "
                "replay"
            )
        self.dense, self.steppers = {}, {}  # by the shape of the weights
        differentiate, activation = self.backend.differentiate, model.layers[-1].activation
        objective = model.loss
        self.product, self.added = task.compile(self.layer), task.compile(keras.ops.add)  # what Dense adds its bias by
        self.sigmoid, self.loss = task.compile(activation), task.compile(lambda o, t: objective(t, o))
        self.error = task.compile(lambda o, t: differentiate(lambda o: model.compute_loss(y=t, y_pred=o), o))
        self.outer, self.back = task.compile(self.outer_by_backend), task.compile(self.back_by_backend)
        native = task.option("activation") == "native" and self.backend.takes_output
        self.takes_output = native
        self.through_sigmoid = task.compile(
            self.backend.sigmoid_backward if native else lambda z, e: differentiate(activation, z, e)
        )

    def layer(self, W, v):
        """The product as Dense computes it: a layer of nothing but a kernel, with this one in its place."""
        sizes = tuple(W.shape)
        if sizes not in self.dense:
            self.dense[sizes] = keras.layers.Dense(sizes[1], use_bias=False)
            self.dense[sizes].build((1, sizes[0]))
        dense = self.dense[sizes]
        with keras.StatelessScope(state_mapping=[(dense.kernel, W)]):
            return dense(v)

    def bias(self, p, b):
        return self.added(p, keras.ops.reshape(b, [-1]))  # a step's biases are no row

    def sigmoid_gradient(self, z, a, e):
        return self.through_sigmoid(a if self.takes_output else z, e)

    def outer_by_backend(self, d, v):
        # The gradient of a product by its weights takes no value of theirs.
        W = keras.ops.zeros((v.shape[1], d.shape[1]), d.dtype)
        return self.backend.differentiate(lambda W: self.layer(W, v), W, d)

    def back_by_backend(self, W, d):
        v = keras.ops.zeros((1, W.shape[0]), d.dtype)
        return self.backend.differentiate(lambda v: self.layer(W, v), v, d)

    def update(self, W, g):
        sizes = tuple(W.shape)
        if sizes not in self.steppers:
            kernel = keras.Variable(keras.ops.zeros(sizes, self.task.dtype), dtype=self.task.dtype)
            optimizer = keras.optimizers.SGD(self.task.number("learning_rate"))
            optimizer.build([kernel])
            self.steppers[sizes] = self.task.compile(self.backend.stepper(optimizer, kernel))
        return self.steppers[sizes](W, g)


class Backend:
    """How a backend differentiates what Keras calls, as Keras' trainer for it does."""

    modes = ("eager",)  # those whose step can be traced, and so be replayed
    takes_output = True

    def differentiate(self, function, at, cotangent=None):
        """What goes back through a function to where it is taken; of a loss with no cotangent."""
        raise NotImplementedError

    def sigmoid_backward(self, a, e):
        """The kernel that the backend's derivative of its sigmoid calls, if it takes the sigmoid's output."""
        raise NotImplementedError

    def stepper(self, optimizer, kernel):
        """What gives the weights after the update by an optimizer that is built for this variable."""

        def apply(W, g):
            kernel.assign(W)
            optimizer.apply([g], [kernel])
            return keras.ops.copy(kernel.value)

        return apply


class TensorFlow(Backend):
    modes = ("eager", "graph", "xla")

    def differentiate(self, function, at, cotangent=None):
        with tf.GradientTape() as tape:
            tape.watch(at)
            value = function(at)
        return tape.gradient(value, at, output_gradients=cotangent)

    def sigmoid_backward(self, a, e):
        return tf.raw_ops.SigmoidGrad(y=a, dy=e)


class Jax(Backend):
    modes = ("eager", "jit")
    takes_output = False  # it differentiates its sigmoid at its input

    def differentiate(self, function, at, cotangent=None):
        return jax.grad(function)(at) if cotangent is None else jax.vjp(function, at)[1](cotangent)[0]

    def stepper(self, optimizer, kernel):
        state = [variable.value for variable in optimizer.variables]
        return lambda W, g: optimizer.stateless_apply(state, [g], [W])[0][0]


class Torch(Backend):
    def differentiate(self, function, at, cotangent=None):
        at = at.detach().requires_grad_()
        return torch.autograd.grad(function(at), at, cotangent)[0]

    def sigmoid_backward(self, a, e):
        return torch.ops.aten.sigmoid_backward(e, a)

    def stepper(self, optimizer, kernel):
        return torch.no_grad()(super().stepper(optimizer, kernel))


BACKENDS = {"tensorflow": TensorFlow, "jax": Jax, "torch": Torch}
