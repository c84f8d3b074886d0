"""Takes tensors out of the training step that Keras runs, op by op or compiled; nothing is computed again.

For the module of any workload (`from probe import Probe`). It looks where Keras calls what it was given: the
activations, the loss and the optimizer; in an untraced cell these stay as they are. In a compiled step each backend has
its own way out: an assignment to a variable in TensorFlow, a callback in JAX.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Iterator, Optional, Sequence

import keras
import numpy as np
from job import Unavailable
from task import Task

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
elif keras.backend.backend() == "jax":
    import jax


class Probe:
    """Keeps the tensors of the latest step under the names that they have in the record."""

    def __init__(self, task: Task) -> None:
        self.task, self.backend, self.armed = task, keras.backend.backend(), False
        self.values: Dict[str, Any] = {}
        # On torch, the metric through which Keras reports the loss rounds float64 to float32.
        self.rounds = self.backend == "torch" and task.dtype == "float64"
        if task.traced and task.cell.options.get("compile") == "inductor":
            raise Unavailable("no trace of compile=inductor: nothing can be taken out of the step that it compiles")

    def activation(self, activation: Any, before: Optional[str] = None, after: Optional[str] = None) -> Any:
        """An activation, before and after which is looked."""
        function = keras.activations.get(activation)

        def seen(z: Any) -> Any:
            a = function(z)
            self.take(before, z)
            self.take(after, a)
            return a

        return seen if self.task.traced else activation

    def loss(self, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """A loss that is one number for the batch; looked at where Keras does not report all of its bits."""

        def seen(y_true: Any, y_pred: Any) -> Any:
            loss = function(y_true, y_pred)
            self.take("loss", loss)
            return loss

        return seen if self.rounds else function

    def optimizer(self, optimizer: Any, names: Sequence[str]) -> Any:
        """The optimizer itself, whose gradients are looked at; another class could update in another way.

        `names` are those of the gradients, in the order of the model's trainable variables.
        """
        apply = optimizer.apply

        def seen(gradients: Any, *arguments: Any, **words: Any) -> Any:
            gradients = list(gradients)
            for name, gradient in zip(names, gradients):
                self.take(name, gradient)
            return apply(gradients, *arguments, **words)

        if self.task.traced:
            optimizer.apply = seen
        return optimizer

    @contextlib.contextmanager
    def taking(self) -> Iterator[None]:
        """While Keras trains: what it does to predict is no part of the step."""
        if self.backend != "tensorflow":
            self.values.clear()  # no value of the step before may pass for one of this step
        self.armed = True
        try:
            yield
            if self.backend == "jax":
                jax.effects_barrier()
        finally:
            self.armed = False

    def taken(self, *names: str) -> Dict[str, Any]:
        """Those of the tensors that are asked for, as the step computed them."""
        wanted = [name for name in names if self.task.wants(name)]
        lacking = [name for name in wanted if name not in self.values]
        if lacking:
            raise RuntimeError(f"the step of this Keras gave no {', '.join(lacking)}")
        return {name: self.values[name] for name in wanted}

    def exact(self, reported: float) -> Any:
        """The loss of the step with all of its bits; `reported` is what train_on_batch gave."""
        if self.rounds:
            return self.taken("loss")["loss"]
        return np.float64(reported).astype(self.task.dtype)  # exact: it was one of these

    def take(self, name: Optional[str], tensor: Any) -> None:
        """Keep a tensor, also from inside a step that is being compiled."""
        if not self.armed or name is None or not self.task.wants(name):
            return
        if self.backend == "tensorflow":
            self.variable(name, tensor).assign(tensor)
        elif self.backend == "jax":
            jax.debug.callback(lambda value: self.values.__setitem__(name, value), tensor)
        else:
            self.values[name] = tensor.detach().clone()

    def variable(self, name: str, tensor: Any) -> Any:
        """The variable, outside of any graph, to which a TensorFlow step assigns a tensor."""
        if name not in self.values:
            with tf.init_scope():
                self.values[name] = tf.Variable(tf.zeros(tensor.shape, tensor.dtype))
        return self.values[name]
