"""The workload in JAX: value_and_grad, or gradients written out by hand; op by op or jitted."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
import backends
from cell import Framework, Primitives, Settings, Task, Unavailable, main
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

    @contextlib.contextmanager
    def net(self, task: Task) -> Iterator[Net]:
        """The network of a task that this entrypoint can run, on its device and at its precision."""
        if task.options["gradient"] == "auto" and task.options["update"] == "sequential":
            raise Unavailable("update=sequential needs gradient=manual")
        with jax.default_device(library.device(task.device)), library.wide(task.dtype), library.float32(task):
            yield Net(task)

    def train(self, task: Task) -> Dict[str, Any]:
        with self.net(task) as net:
            return train(net, task)

    @contextlib.contextmanager
    def primitives(self, task: Task) -> Iterator[Primitives]:
        with self.net(task) as net:
            yield NetPrimitives(net, task)


class Net:
    """The constants of the network and what a step is made of, in the task's dtype and layout."""

    def __init__(self, task: Task) -> None:
        work, self.options = task.workload, task.options
        self.dtype = dtype = jnp.dtype(task.dtype)
        self.x, self.t = jnp.array(work.input, dtype), jnp.array(work.target, dtype)
        self.W1, self.W2 = (jnp.array(weights, dtype) for weights in task.weights())
        self.b1 = jnp.full(len(work.hidden_weights), work.hidden_bias, dtype)
        self.b2 = jnp.full(len(work.target), work.output_bias, dtype)
        self.learning_rate = jnp.array(work.learning_rate, dtype)
        self.scale = 2 / len(work.target)

    def product(self, W: Any, v: Any) -> Any:
        return W @ v if self.options["layout"] == "out_in" else v @ W

    def back(self, W: Any, d: Any) -> Any:
        return W.T @ d if self.options["layout"] == "out_in" else d @ W.T

    def outer(self, d: Any, v: Any) -> Any:
        return jnp.outer(d, v) if self.options["layout"] == "out_in" else jnp.outer(v, d)

    def sigmoid(self, z: Any) -> Any:
        return 1 / (1 + jnp.exp(-z)) if self.options["activation"] == "exp" else jax.nn.sigmoid(z)

    def forward(self, W1: Any, W2: Any) -> Any:
        """Both layers, each before and after its sigmoid."""
        z1 = bias(self.product(W1, self.x), self.b1)
        h = self.sigmoid(z1)
        z2 = bias(self.product(W2, h), self.b2)
        return z1, h, z2, self.sigmoid(z2)

    def loss(self, o: Any, t: Any) -> Any:
        error = (t - o) ** 2
        return jnp.mean(error) if self.options["loss_form"] == "mean" else 0.5 * jnp.sum(error)

    def error(self, o: Any, t: Any) -> Any:
        return self.scale * (o - t) if self.options["loss_form"] == "mean" else o - t

    def output_delta(self, o: Any) -> Any:
        return sigmoid_gradient(o, self.error(o, self.t))

    def update(self, W: Any, g: Any) -> Any:
        return W - self.learning_rate * g


def bias(p: Any, b: Any) -> Any:
    return p + b


def sigmoid_gradient(a: Any, e: Any) -> Any:
    return e * (a * (1 - a))


def auto_step(net: Net, W1: Any, W2: Any) -> Any:
    """All tensors of a step, in the order of a trace."""

    def objective(W1: Any, W2: Any) -> Any:
        forward = net.forward(W1, W2)
        return net.loss(forward[-1], net.t), forward

    (loss, forward), (g1, g2) = jax.value_and_grad(objective, argnums=(0, 1), has_aux=True)(W1, W2)
    return (*forward, loss, g2, g1, net.update(W2, g2), net.update(W1, g1))


def manual_step(net: Net, W1: Any, W2: Any) -> Any:
    """All tensors of a step, in the order of a trace."""
    z1, h, z2, o = net.forward(W1, W2)
    d2 = net.output_delta(o)
    g2 = net.outer(d2, h)
    new_W2 = net.update(W2, g2)
    # Sequential: the hidden gradient already sees the new output weights.
    e1 = net.back(new_W2 if net.options["update"] == "sequential" else W2, d2)
    d1 = sigmoid_gradient(h, e1)
    g1 = net.outer(d1, net.x)
    return z1, h, z2, o, net.loss(o, net.t), g2, g1, new_W2, net.update(W1, g1)


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


class NetPrimitives(Primitives):
    """What a step is made of, one by one: gradients by hand or by `jax.vjp`, each jitted alone where the step is."""

    def __init__(self, net: Net, task: Task) -> None:
        super().__init__(task)
        self.net, self.x, self.t, self.b1, self.b2 = net, net.x, net.t, net.b1, net.b2
        auto = task.options["gradient"] == "auto"
        self.product, self.bias = self.alone(net.product), self.alone(bias)
        self.sigmoid, self.loss, self.update = self.alone(net.sigmoid), self.alone(net.loss), self.alone(net.update)
        self.error = self.alone(jax.grad(net.loss) if auto else net.error)
        self.outer = self.alone(self.outer_by_vjp if auto else net.outer)
        self.back = self.alone(self.back_by_vjp if auto else net.back)
        self.through_sigmoid = self.alone(self.sigmoid_by_vjp if auto else sigmoid_gradient)
        self.derivative_takes = "z" if auto else "a"

    def alone(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return jax.jit(function) if self.task.options["compile"] == "jit" else function

    def vector(self, values: List[float]) -> Any:
        return jnp.array(values, self.net.dtype)

    def matrix(self, rows: List[List[float]]) -> Any:
        return jnp.array(rows, self.net.dtype)

    def sigmoid_gradient(self, z: Any, a: Any, e: Any) -> Any:
        return self.through_sigmoid(a if self.derivative_takes == "a" else z, e)

    def sigmoid_by_vjp(self, z: Any, e: Any) -> Any:
        return jax.vjp(self.net.sigmoid, z)[1](e)[0]

    def outer_by_vjp(self, d: Any, v: Any) -> Any:
        # The gradient of a product by its weights takes no value of theirs.
        W = jnp.zeros((len(v), len(d)) if self.turned else (len(d), len(v)), d.dtype)
        return jax.vjp(lambda W: self.net.product(W, v), W)[1](d)[0]

    def back_by_vjp(self, W: Any, d: Any) -> Any:
        v = jnp.zeros(W.shape[0] if self.turned else W.shape[1], d.dtype)
        return jax.vjp(lambda v: self.net.product(W, v), v)[1](d)[0]


if __name__ == "__main__":
    main(Jax())
