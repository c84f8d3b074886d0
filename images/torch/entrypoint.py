"""The workload in PyTorch: autograd, or gradients written out by hand."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
import backends
import compiler
from cell import Framework, Primitives, Settings, Task, Unavailable, main
from tracing import Trace

torch: Any = None  # imported by load, after the process variables are set
nets: Any = None
library = backends.Torch()

# What it has of each factor; the first is the default.
OPTIONS = {
    "gradient": ("auto", "manual"),
    "update": ("parallel", "sequential"),
    "loop": ("rolled",),
    "layout": ("out_in", "in_out", "in_out_untransposed"),
    "loss_form": ("half_sum", "mean"),
    "activation": ("native", "exp"),
    "compile": ("eager", "inductor"),
    "api": ("core",),
    "optimizer": ("plain", "sgd"),
    "final_forward": ("model",),
    "tf32": backends.TF32,
}


class PyTorch(Framework):
    dtypes = ("float32", "float64", "bfloat16", "float16")
    options = OPTIONS
    knobs = library.knobs

    def load(self, settings: Settings) -> None:
        global torch, nets
        if compiler.available():
            compiler.install(Path(tempfile.gettempdir()) / "repromatrix-compiler")
        import nets
        import torch

        library.set_threads(settings.threads)

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        return {**library.kernels(devices), **compiler.described()}

    def threads(self) -> Dict[str, int]:
        return library.threads()

    @contextlib.contextmanager
    def net(self, task: Task) -> Iterator[Any]:
        """The network of a task that this entrypoint can run, at the precision of its products."""
        options = task.options
        if task.device != "cpu":
            library.gpu_index(task.device)
        if options["gradient"] == "auto" and options["update"] == "sequential":
            raise Unavailable("update=sequential needs gradient=manual")
        if options["gradient"] == "manual" and options["optimizer"] == "sgd":
            raise Unavailable("optimizer=sgd needs gradient=auto")
        if options["compile"] == "inductor":
            backends.need_compiler()
        with library.float32(task):
            yield nets.Net(task)

    def train(self, task: Task) -> Dict[str, Any]:
        with self.net(task) as net:
            return train_auto(net, task) if task.options["gradient"] == "auto" else train_manual(net, task)

    @contextlib.contextmanager
    def primitives(self, task: Task) -> Iterator[Primitives]:
        from primitives import Auto, Manual

        with self.net(task) as net:
            yield Auto(net, task) if task.options["gradient"] == "auto" else Manual(net, task)


def train_auto(net: Any, task: Task) -> Dict[str, Any]:
    W1, W2 = net.W1.requires_grad_(), net.W2.requires_grad_()
    optimizer = None
    if task.options["optimizer"] == "sgd":
        optimizer = torch.optim.SGD([W1, W2], lr=task.workload.learning_rate)

    trace = Trace(task)

    def forward(W1: Any, W2: Any) -> Any:
        *inner, o = net.forward(W1, W2)
        # Nothing flows back through what is only looked at.
        return (net.loss(o, net.t), o, *(each.detach() for each in inner if trace.on))

    forward = nets.compiled(forward, task)  # its backward pass is compiled with it
    losses, predictions = [], []
    for _ in range(task.workload.steps):
        loss, o, *inner = forward(W1, W2)
        losses.append(loss.item())
        predictions.append(o.tolist())
        W1.grad = W2.grad = None
        loss.backward()
        if optimizer is not None:
            optimizer.step()
        else:
            with torch.no_grad():
                net.update_in_place(W1, W1.grad)
                net.update_in_place(W2, W2.grad)
        trace.step(*inner, o, loss, W2.grad, W1.grad, W2, W1)
    predictions.append(forward(W1, W2)[1].tolist())
    nets.check_compiled(task)
    return {**task.result(losses, predictions, W1.tolist(), W2.tolist()), **trace.told()}


def train_manual(net: Any, task: Task) -> Dict[str, Any]:
    W1, W2, trace = net.W1, net.W2, Trace(task)

    def step(W1: Any, W2: Any) -> Any:
        z1, h, z2, o = net.forward(W1, W2)
        d2 = net.output_delta(o)
        g2 = net.outer(d2, h)
        new_W2 = net.update(W2, g2)
        # Sequential: the hidden gradient already sees the new output weights.
        e1 = net.back(new_W2 if task.options["update"] == "sequential" else W2, d2)
        d1 = nets.sigmoid_gradient(h, e1)
        g1 = net.outer(d1, net.x)
        # A compiled step gives out nothing more than what is asked for: each output may change how it is fused.
        return (net.loss(o, net.t), o, net.update(W1, g1), new_W2, *((z1, h, z2, g2, g1) if trace.on else ()))

    step = nets.compiled(step, task)
    losses, predictions = [], []
    for _ in range(task.workload.steps):
        loss, o, W1, W2, *more = step(W1, W2)
        losses.append(loss.item())
        predictions.append(o.tolist())
        trace.step(*more[:3], o, loss, *more[3:], W2, W1)
    predictions.append(step(W1, W2)[1].tolist())
    nets.check_compiled(task)
    return {**task.result(losses, predictions, W1.tolist(), W2.tolist()), **trace.told()}


if __name__ == "__main__":
    main(PyTorch())
