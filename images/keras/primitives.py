"""What Keras' training step is made of, one by one, on any of its backends; imported when Keras is there."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

import keras
from job import Task, Unavailable
from operations import Primitives


class Backend:
    """How a backend differentiates and compiles what Keras calls, as Keras' trainer for it does."""

    def differentiate(self, function: Callable[[Any], Any], at: Any, cotangent: Any = None) -> Any:
        """What goes back through a function to where it is taken; of a loss with no cotangent."""
        raise NotImplementedError

    def compiled(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        """The function as the step is run in this mode of the backend that is not eager."""
        raise NotImplementedError

    def sigmoid_backward(self, a: Any, e: Any) -> Any:
        """The kernel that the backend's derivative of its sigmoid calls, where it takes the sigmoid's output."""
        raise Unavailable("this backend differentiates its sigmoid at its input")

    takes_output = True

    def stepper(self, optimizer: Any, kernel: Any) -> Callable[[Any, Any], Any]:
        """What gives the weights after the update by an optimizer that is built for this variable."""

        def apply(W: Any, g: Any) -> Any:
            kernel.assign(W)
            optimizer.apply([g], [kernel])
            return keras.ops.copy(kernel.value)

        return apply


class OnTensorFlow(Backend):
    def differentiate(self, function: Callable[[Any], Any], at: Any, cotangent: Any = None) -> Any:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(at)
            value = function(at)
        return tape.gradient(value, at, output_gradients=cotangent)

    def compiled(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        import tensorflow as tf

        made: Callable[..., Any] = tf.function(function, jit_compile=mode == "xla")
        return made

    def sigmoid_backward(self, a: Any, e: Any) -> Any:
        import tensorflow as tf

        return tf.raw_ops.SigmoidGrad(y=a, dy=e)


class OnJax(Backend):
    takes_output = False

    def differentiate(self, function: Callable[[Any], Any], at: Any, cotangent: Any = None) -> Any:
        import jax

        return jax.grad(function)(at) if cotangent is None else jax.vjp(function, at)[1](cotangent)[0]

    def compiled(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        import jax

        made: Callable[..., Any] = jax.jit(function)
        return made

    def stepper(self, optimizer: Any, kernel: Any) -> Callable[[Any, Any], Any]:
        state = [variable.value for variable in optimizer.variables]
        return lambda W, g: optimizer.stateless_apply(state, [g], [W])[0][0]


class OnTorch(Backend):
    def differentiate(self, function: Callable[[Any], Any], at: Any, cotangent: Any = None) -> Any:
        import torch

        at = at.detach().requires_grad_()
        return torch.autograd.grad(function(at), at, cotangent)[0]

    def compiled(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        raise Unavailable(f"no operations of compile={mode}: its step cannot be traced, so there is nothing to replay")

    def sigmoid_backward(self, a: Any, e: Any) -> Any:
        import torch

        return torch.ops.aten.sigmoid_backward(e, a)

    def stepper(self, optimizer: Any, kernel: Any) -> Callable[[Any, Any], Any]:
        import torch

        return torch.no_grad()(super().stepper(optimizer, kernel))


BACKENDS: Dict[str, Backend] = {"tensorflow": OnTensorFlow(), "jax": OnJax(), "torch": OnTorch()}


class KerasPrimitives(Primitives):
    """Dense layers without bias or activation, the activation, the compiled loss and the optimizer's own update."""

    def __init__(self, task: Task, model: Any, objective: Callable[[Any, Any], Any]) -> None:
        super().__init__(task)
        work, self.backend, self.model = task.workload, BACKENDS[keras.backend.backend()], model
        self.x, self.t = self.vector(work.input), self.vector(work.target)
        self.b1 = self.vector([work.hidden_bias] * len(work.hidden_weights))
        self.b2 = self.vector([work.output_bias] * len(work.target))
        self.dense: Dict[Tuple[int, ...], Any] = {}
        self.steppers: Dict[Tuple[int, ...], Any] = {}
        differentiate, activation = self.backend.differentiate, model.layers[-1].activation
        self.product, self.added = self.alone(self.layer), self.alone(keras.ops.add)  # what Dense adds its bias by
        self.sigmoid, self.loss = self.alone(activation), self.alone(lambda o, t: objective(t, o))
        self.error = self.alone(lambda o, t: differentiate(lambda o: model.compute_loss(y=t, y_pred=o), o))
        self.outer, self.back = self.alone(self.outer_by_backend), self.alone(self.back_by_backend)
        native = task.options["activation"] == "native" and self.backend.takes_output
        self.derivative_takes = "a" if native else "z"
        self.through_sigmoid = self.alone(
            self.backend.sigmoid_backward if native else lambda z, e: differentiate(activation, z, e)
        )

    def alone(self, function: Callable[..., Any]) -> Callable[..., Any]:
        mode = self.task.options["compile"]
        return function if mode == "eager" else self.backend.compiled(function, mode)

    def vector(self, values: List[float]) -> Any:
        return keras.ops.convert_to_tensor([values], self.task.dtype)

    def matrix(self, rows: List[List[float]]) -> Any:
        return keras.ops.convert_to_tensor(rows, self.task.dtype)

    def layer(self, W: Any, v: Any) -> Any:
        """The product as Dense computes it: a layer of nothing but a kernel, with this one in its place."""
        sizes = tuple(W.shape)
        if sizes not in self.dense:
            dense = keras.layers.Dense(sizes[1], use_bias=False, dtype=self.task.dtype)
            dense.build((1, sizes[0]))
            self.dense[sizes] = dense
        dense = self.dense[sizes]
        with keras.StatelessScope(state_mapping=[(dense.kernel, W)]):
            return dense(v)

    def bias(self, p: Any, b: Any) -> Any:
        return self.added(p, keras.ops.reshape(b, [-1]))  # a step's biases are no row

    def sigmoid_gradient(self, z: Any, a: Any, e: Any) -> Any:
        return self.through_sigmoid(a if self.derivative_takes == "a" else z, e)

    def outer_by_backend(self, d: Any, v: Any) -> Any:
        # The gradient of a product by its weights takes no value of theirs.
        W = keras.ops.zeros((v.shape[1], d.shape[1]), d.dtype)
        return self.backend.differentiate(lambda W: self.layer(W, v), W, d)

    def back_by_backend(self, W: Any, d: Any) -> Any:
        v = keras.ops.zeros((1, W.shape[0]), d.dtype)
        return self.backend.differentiate(lambda v: self.layer(W, v), v, d)

    def update(self, W: Any, g: Any) -> Any:
        sizes = tuple(W.shape)
        if sizes not in self.steppers:
            kernel = keras.Variable(keras.ops.zeros(sizes, self.task.dtype), dtype=self.task.dtype)
            optimizer = keras.optimizers.SGD(self.task.workload.learning_rate)
            optimizer.build([kernel])
            self.steppers[sizes] = self.alone(self.backend.stepper(optimizer, kernel))
        return self.steppers[sizes](W, g)
