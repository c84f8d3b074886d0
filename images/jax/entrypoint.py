"""The workload in JAX: value_and_grad, or gradients written out by hand; op by op or jitted."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path
from typing import Any, Dict, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
from cell import Framework, Settings, Task, Unavailable, main, version

jax: Any = None  # imported by load, after the process variables are set
jnp: Any = None
FIRST_WITH_CAP = (0, 4, 34)

# What it has of each factor; the first is the default.
OPTIONS = {
    "gradient": ("auto", "manual"),
    "update": ("parallel", "sequential"),
    "layout": ("out_in", "in_out", "in_out_untransposed"),
    "loss_form": ("half_sum", "mean"),
    "activation": ("native", "exp"),
    "compile": ("eager", "jit"),
    "optimizer": ("plain",),
}


class Jax(Framework):
    dtypes = ("float32", "float64", "bfloat16", "float16")
    options = OPTIONS
    knobs = ("XLA_FLAGS",)

    def check(self, settings: Settings) -> None:
        # An older XLA aborts the process at a flag that it does not know.
        if settings.isa is not None and version("jaxlib") < FIRST_WITH_CAP:
            raise Unavailable(f"isa={settings.isa} needs --xla_cpu_max_isa, which this jaxlib does not know")

    def load(self, settings: Settings) -> None:
        global jax, jnp
        import jax
        import jax.numpy as jnp

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        found = {"xla_cpu_platform": jax.devices("cpu")[0].client.platform_version}
        if any(device != "cpu" for device in devices):
            gpu = gpus()
            if gpu:
                found.update(gpu=gpu[0].device_kind, cuda=gpu[0].client.platform_version)
        found["xla_cpu_target"] = target_features()
        return {name: " ".join(value.split()) for name, value in found.items()}

    def train(self, task: Task) -> Dict[str, Any]:
        if task.options["gradient"] == "auto" and task.options["update"] == "sequential":
            raise Unavailable("update=sequential needs gradient=manual")
        with jax.default_device(device(task.device)), wide(task.dtype):
            return train(Net(task), task)


def target_features() -> str:
    """The instruction sets that XLA compiled a function for; older versions do not tell."""
    compiled = jax.jit(lambda x: x + 1).lower(1.0).compile()
    client = jax.devices("cpu")[0].client
    executable = compiled.runtime_executable()
    try:
        told = executable.serialize() if hasattr(executable, "serialize") else client.serialize_executable(executable)
    except RuntimeError:  # JAX 0.4.13 cannot serialize what it compiles for a CPU
        told = b""
    found = {word.decode() for word in re.findall(rb"\+((?:avx|amx|fma|f16c|sse4)[a-z0-9_.-]*)", told)}
    return " ".join(sorted(found)) or "not told by this version"


def gpus() -> List[Any]:
    try:
        return list(jax.devices("cuda"))
    except RuntimeError:
        return []


def device(name: str) -> Any:
    if name == "cpu":
        return jax.devices("cpu")[0]
    index = int(name.partition(":")[2])
    if index >= len(gpus()):
        raise Unavailable(f"no device {name}: this JAX sees {len(gpus())} NVIDIA GPUs")
    return gpus()[index]


def wide(dtype: str) -> Any:
    """float64 switched on for one cell only; the public name of the switch moved."""
    if dtype != "float64":
        return contextlib.nullcontext()
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()


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
        h = self.sigmoid(self.affine(W1, self.x, self.b1))
        return h, self.sigmoid(self.affine(W2, h, self.b2))

    def loss(self, o: Any) -> Any:
        error = (self.t - o) ** 2
        return jnp.mean(error) if self.options["loss_form"] == "mean" else 0.5 * jnp.sum(error)

    def output_delta(self, o: Any) -> Any:
        error = self.scale * (o - self.t) if self.options["loss_form"] == "mean" else o - self.t
        return error * (o * (1 - o))


def auto_step(net: Net, W1: Any, W2: Any) -> Any:
    def objective(W1: Any, W2: Any) -> Any:
        o = net.forward(W1, W2)[1]
        return net.loss(o), o

    (loss, o), (g1, g2) = jax.value_and_grad(objective, argnums=(0, 1), has_aux=True)(W1, W2)
    return loss, o, W1 - net.learning_rate * g1, W2 - net.learning_rate * g2


def manual_step(net: Net, W1: Any, W2: Any) -> Any:
    h, o = net.forward(W1, W2)
    d2 = net.output_delta(o)
    new_W2 = W2 - net.learning_rate * net.outer(d2, h)
    # Sequential: the hidden gradient already sees the new output weights.
    d1 = net.back(new_W2 if net.options["update"] == "sequential" else W2, d2) * (h * (1 - h))
    return net.loss(o), o, W1 - net.learning_rate * net.outer(d1, net.x), new_W2


def train(net: Net, task: Task) -> Dict[str, Any]:
    written = auto_step if task.options["gradient"] == "auto" else manual_step

    def step(W1: Any, W2: Any) -> Any:
        return written(net, W1, W2)

    if task.options["compile"] == "jit":
        step = jax.jit(step)
    W1, W2 = net.W1, net.W2
    losses, predictions = [], []
    for _ in range(task.workload.steps):
        loss, o, W1, W2 = step(W1, W2)
        losses.append(float(loss))
        predictions.append(o.tolist())
    predictions.append(step(W1, W2)[1].tolist())
    return task.result(losses, predictions, W1.tolist(), W2.tolist())


if __name__ == "__main__":
    main(Jax())
