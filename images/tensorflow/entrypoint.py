"""The workload in TensorFlow: its low-level API, or the Keras that it carries (Keras 2 or 3)."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
import backends
from cell import Framework, Primitives, Settings, Task, Unavailable, main
from knobs import version
from tracing import Trace

tf: Any = None  # imported by load, after the process variables are set
nets: Any = None
library = backends.TensorFlow()

# What it has of each factor; the first is the default.
OPTIONS = {
    "gradient": ("auto", "manual"),
    "update": ("parallel", "sequential"),
    "loop": ("rolled",),
    "layout": ("in_out", "out_in", "in_out_untransposed"),
    "loss_form": ("half_sum", "mean"),
    "activation": ("native", "exp"),
    "compile": ("eager", "graph", "xla"),
    "api": ("core", "keras"),
    "optimizer": ("plain", "sgd"),
    "final_forward": ("model", "numpy"),
    "tf32": backends.TF32,
}


class TensorFlow(Framework):
    dtypes = ("float32", "float64", "bfloat16", "float16")
    options = OPTIONS
    knobs = library.knobs

    def check(self, settings: Settings) -> None:
        self.knobs = library.obeyed(settings)
        self.uncapped_xla = settings.isa is not None and "XLA_FLAGS" not in self.knobs

    def load(self, settings: Settings) -> None:
        global tf, nets
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import nets
        import tensorflow as tf

        library.set_threads(settings.threads)

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        return {**library.kernels(devices), "tf_keras": keras_version()}

    def threads(self) -> Dict[str, int]:
        return library.threads()

    @contextlib.contextmanager
    def at(self, task: Task) -> Iterator[None]:
        """The device and the precision of a task that this entrypoint can run."""
        options = task.options
        if options["gradient"] == "auto" and options["update"] == "sequential":
            raise Unavailable("update=sequential needs gradient=manual")
        if options["gradient"] == "manual" and (options["api"] == "keras" or options["optimizer"] == "sgd"):
            raise Unavailable("gradient=manual needs api=core and optimizer=plain")
        if options["api"] == "keras" and options["layout"] == "out_in":
            raise Unavailable("api=keras stores its kernels in_out")
        if options["compile"] == "xla" and self.uncapped_xla:
            raise Unavailable("compile=xla cannot be capped: this TensorFlow does not know --xla_cpu_max_isa")
        device = "/CPU:0" if task.device == "cpu" else f"/GPU:{library.gpu_index(task.device)}"
        with tf.device(device), library.float32(task):
            yield

    def train(self, task: Task) -> Dict[str, Any]:
        with self.at(task):
            trace = Trace(task, library.untraced(task))
            return train(
                nets.KerasNet(task, trace) if task.options["api"] == "keras" else nets.CoreNet(task), task, trace
            )

    @contextlib.contextmanager
    def primitives(self, task: Task) -> Iterator[Primitives]:
        from primitives import CorePrimitives, KerasPrimitives

        with self.at(task):
            yield KerasPrimitives(task) if task.options["api"] == "keras" else CorePrimitives(task)


def keras_version() -> str:
    legacy = os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true") and version("tf-keras")
    return ".".join(str(part) for part in version("tf-keras" if legacy else "keras"))


def train(net: Any, task: Task, trace: Trace) -> Dict[str, Any]:
    kernels = [net.W1, net.W2]
    optimizer = None
    if task.options["optimizer"] == "sgd":
        optimizer = nets.sgd(task, kernels)

    def step() -> Any:
        manual = task.options["gradient"] == "manual"
        forward, loss, gradients = net.gradients() if manual else nets.tape_gradients(net)
        if optimizer is not None:
            optimizer.apply_gradients(zip(gradients, kernels))
        else:
            for kernel, gradient in zip(kernels, gradients):
                kernel.assign(nets.updated(net, kernel, gradient))
        # A compiled step gives out nothing more than what is asked for: each output may change how it is fused.
        return (loss, forward[-1], *(trace.only(*forward[:-1], None, None, *reversed(gradients)) if trace.on else ()))

    step = nets.compiled(step, task)
    losses, predictions = [], []
    for _ in range(task.workload.steps):
        loss, o, *more = step()
        losses.append(float(loss))
        predictions.append(o.numpy()[0].tolist())
        trace.step(*more[:3], o, loss, *more[5:], net.W2, net.W1)
    hidden, output = (kernel.numpy().copy() for kernel in kernels)
    if task.options["final_forward"] == "numpy":
        predictions.append(numpy_forward(task, hidden, output))
    else:
        predictions.append(step()[1].numpy()[0].tolist())
    return {**task.result(losses, predictions, hidden.tolist(), output.tolist()), **trace.told()}


def numpy_forward(task: Task, hidden: Any, output: Any) -> List[float]:
    """The forward pass on the trained kernels, in NumPy."""
    import numpy as np

    v = np.array([task.workload.input], hidden.dtype)
    for W, bias in ((hidden, task.workload.hidden_bias), (output, task.workload.output_bias)):
        kernel = W.T if task.options["layout"] == "out_in" else W
        v = 1 / (1 + np.exp(-(v @ kernel + np.array(bias, W.dtype))))
    return v[0].tolist()


if __name__ == "__main__":
    main(TensorFlow())
