"""The workload in JAX: value_and_grad, or gradients written out by hand; op by op or jitted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
import backends
from cell import Framework, Settings, Task, Unavailable, main
from tracing import Trace

jax: Any = None  # imported by load, after the process variables are set
jnp: Any = None
library = backends.Jax()

# What it has of each factor; the first is the default.
OPTIONS = {
    "gradient": ("auto", "manual"),
    "update": ("parallel", "sequential"),
    "loop": ("rolled",),
    "layout": ("out_in", "in_out", "in_out_untransposed"),
    "loss_form": ("half_sum", "mean"),
    "activation": ("native", "exp"),
    "compile": ("eager", "jit"),
    "api": ("core",),
    "optimizer": ("plain",),
    "final_forward": ("model",),
    "tf32": backends.TF32,
}


class Jax(Framework):
    dtypes = ("float32", "float64", "bfloat16", "float16")
    options = OPTIONS
    knobs = library.knobs

    def check(self, settings: Settings) -> None:
        self.knobs = library.obeyed(settings)

    def load(self, settings: Settings) -> None:
        global jax, jnp
        import jax
        import jax.numpy as jnp

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        return library.kernels(devices)

    def train(self, task: Task) -> Dict[str, Any]:
        if task.options["gradient"] == "auto" and task.options["update"] == "sequential":
            raise Unavailable("update=sequential needs gradient=manual")
        with jax.default_device(library.device(task.device)), library.wide(task.dtype), library.float32(task):
            return train(Net(task), task)


class Net:
    """The constants of the network and its matrix products, in the task's dtype and layout."""

    def __init__(self, task: Task) -> None:
        work, self.options = task.workload, task.options
        dtype = jnp.dtype(task.dtype)
        self.x, self.t = jnp.array(work.input, dtype), jnp.array(work.target, dtype)
        self.W1, self.W2 = (jnp.array(weights, dtype) for weights in task.weights())
        self.b1 = jnp.full(len(work.hidden_weights), work.hidden_bias, dtype)
        self.b2 = jnp.full(len(work.target), work.output_bias, dtype)
        self.learning_rate = jnp.array(work.learning_rate, dtype)
        self.scale = 2 / len(work.target)

    def affine(self, W: Any, v: Any, b: Any) -> Any:
        return W @ v + b if self.options["layout"] == "out_in" else v @ W + b

    def back(self, W: Any, d: Any) -> Any:
        return W.T @ d if self.options["layout"] == "out_in" else d @ W.T

    def outer(self, d: Any, v: Any) -> Any:
        return jnp.outer(d, v) if self.options["layout"] == "out_in" else jnp.outer(v, d)

    def sigmoid(self, z: Any) -> Any:
        return 1 / (1 + jnp.exp(-z)) if self.options["activation"] == "exp" else jax.nn.sigmoid(z)

    def forward(self, W1: Any, W2: Any) -> Any:
        """Both layers, each before and after its sigmoid."""
        z1 = self.affine(W1, self.x, self.b1)
        h = self.sigmoid(z1)
        z2 = self.affine(W2, h, self.b2)
        return z1, h, z2, self.sigmoid(z2)

    def loss(self, o: Any) -> Any:
        error = (self.t - o) ** 2
        return jnp.mean(error) if self.options["loss_form"] == "mean" else 0.5 * jnp.sum(error)

    def output_delta(self, o: Any) -> Any:
        error = self.scale * (o - self.t) if self.options["loss_form"] == "mean" else o - self.t
        return error * (o * (1 - o))


def auto_step(net: Net, W1: Any, W2: Any) -> Any:
    """All tensors of a step, in the order of a trace."""

    def objective(W1: Any, W2: Any) -> Any:
        forward = net.forward(W1, W2)
        return net.loss(forward[-1]), forward

    (loss, forward), (g1, g2) = jax.value_and_grad(objective, argnums=(0, 1), has_aux=True)(W1, W2)
    new_W1 = W1 - net.learning_rate * g1
    return (*forward, loss, g2, g1, W2 - net.learning_rate * g2, new_W1)


def manual_step(net: Net, W1: Any, W2: Any) -> Any:
    """All tensors of a step, in the order of a trace."""
    z1, h, z2, o = net.forward(W1, W2)
    d2 = net.output_delta(o)
    g2 = net.outer(d2, h)
    new_W2 = W2 - net.learning_rate * g2
    # Sequential: the hidden gradient already sees the new output weights.
    d1 = net.back(new_W2 if net.options["update"] == "sequential" else W2, d2) * (h * (1 - h))
    g1 = net.outer(d1, net.x)
    return z1, h, z2, o, net.loss(o), g2, g1, new_W2, W1 - net.learning_rate * g1


def train(net: Net, task: Task) -> Dict[str, Any]:
    written = auto_step if task.options["gradient"] == "auto" else manual_step
    trace = Trace(task)

    def step(W1: Any, W2: Any) -> Any:
        z1, h, z2, o, loss, g2, g1, new_W2, new_W1 = written(net, W1, W2)
        # A jitted step gives out nothing more than what is asked for: each output may change how XLA fuses.
        return (loss, o, new_W1, new_W2, *((z1, h, z2, g2, g1) if trace.on else ()))

    if task.options["compile"] == "jit":
        step = jax.jit(step)
    W1, W2 = net.W1, net.W2
    losses, predictions = [], []
    for _ in range(task.workload.steps):
        loss, o, W1, W2, *more = step(W1, W2)
        losses.append(float(loss))
        predictions.append(o.tolist())
        trace.step(*more[:3], o, loss, *more[3:], W2, W1)
    predictions.append(step(W1, W2)[1].tolist())
    return {**task.result(losses, predictions, W1.tolist(), W2.tolist()), **trace.told()}


if __name__ == "__main__":
    main(Jax())
