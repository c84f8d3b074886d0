"""Takes tensors out of the training step that Keras runs, op by op or compiled; nothing is computed again.

It looks where Keras calls what it was given: the activations, the loss and the optimizer. In a compiled step each
backend has its own way out: an assignment to a variable in TensorFlow, a callback in JAX.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Container, Dict, Iterator, List

from job import Task
from tracing import TENSORS

# The weights after the update can be read from the model.
TAKEN = TENSORS[:-2]


class Probe:
    """Keeps the latest value of each tensor of a traced step; of an untraced one it keeps nothing."""

    def __init__(self, task: Task, backend: str, untraced: Container[str]) -> None:
        self.on, self.armed, self.backend, self.untraced = task.trace, False, backend, untraced
        self.values: Dict[str, Any] = variables(task) if task.trace and backend == "tensorflow" else {}

    def activation(self, activation: Callable[[Any], Any], layer: str) -> Callable[[Any], Any]:
        """The activation of `hidden` or `output`, before and after which is looked."""

        def seen(z: Any) -> Any:
            a = activation(z)
            self.take(f"{layer}_pre", z)
            self.take(layer, a)
            return a

        return seen

    def objective(self, objective: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """The loss, whose value is looked at."""

        def seen(t: Any, o: Any) -> Any:
            loss = objective(t, o)
            self.take("loss", loss)
            return loss

        return seen

    def optimizer(self, optimizer: Any) -> Any:
        """The optimizer itself, whose gradients are looked at; another class could update in another way."""
        apply = optimizer.apply

        def seen(gradients: Any, *arguments: Any, **words: Any) -> Any:
            gradients = list(gradients)
            for name, gradient in zip(("grad_hidden_weights", "grad_output_weights"), gradients):
                self.take(name, gradient)
            return apply(gradients, *arguments, **words)

        optimizer.apply = seen
        return optimizer

    def take(self, name: str, tensor: Any) -> None:
        """Keep a tensor, also from inside a step that is being compiled."""
        if not self.armed or name in self.untraced:
            return
        if self.backend == "tensorflow":
            self.values[name].assign(tensor)
        elif self.backend == "jax":
            import jax

            jax.debug.callback(lambda value: self.values.__setitem__(name, value), tensor)
        else:
            self.values[name] = tensor.detach().clone()

    @contextlib.contextmanager
    def taking(self) -> Iterator[None]:
        """While Keras trains: what it does to predict or to build is no part of the step."""
        if not self.on:
            yield
            return
        if self.backend != "tensorflow":
            self.values.clear()  # no value of the step before may pass for one of this step
        self.armed = True
        try:
            yield
            if self.backend == "jax":
                import jax

                jax.effects_barrier()
        finally:
            self.armed = False

    def tensors(self) -> List[Any]:
        """The tensors of the step before its update, in order."""
        if self.on:
            lacking = [name for name in TAKEN if name not in self.values and name not in self.untraced]
            if lacking:
                raise RuntimeError(f"the step of this Keras gave no {', '.join(lacking)}")
        return [self.values.get(name) for name in TAKEN]


def variables(task: Task) -> Dict[str, Any]:
    """A variable for each tensor, to which a TensorFlow step assigns."""
    import tensorflow as tf

    hidden, output = (tf.zeros_like(tf.constant(weights, task.dtype)) for weights in task.weights())
    layers = {"hidden": len(task.workload.hidden_weights), "output": len(task.workload.target)}
    found = {"loss": tf.Variable(tf.zeros((), task.dtype))}
    found.update(grad_hidden_weights=tf.Variable(hidden), grad_output_weights=tf.Variable(output))
    for name, count in layers.items():
        for each in (name, f"{name}_pre"):
            found[each] = tf.Variable(tf.zeros((1, count), task.dtype))
    return found
