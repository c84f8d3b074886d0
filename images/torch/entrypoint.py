"""The workload in PyTorch: autograd, or gradients written out by hand."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
import backends
import compiler
from cell import Framework, Settings, Task, Unavailable, main
from tracing import Trace

torch: Any = None  # imported by load, after the process variables are set
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
        global torch
        if compiler.available():
            compiler.install(Path(tempfile.gettempdir()) / "repromatrix-compiler")
        import torch

        library.set_threads(settings.threads)

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        return {**library.kernels(devices), **compiler.described()}

    def threads(self) -> Dict[str, int]:
        return library.threads()

    def train(self, task: Task) -> Dict[str, Any]:
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
            net = Net(task)
            return train_auto(net, task) if options["gradient"] == "auto" else train_manual(net, task)


class Net:
    """The constants of the network and its matrix products, in the task's dtype and layout."""

    def __init__(self, task: Task) -> None:
        work, self.options = task.workload, task.options
        kind = {"dtype": getattr(torch, task.dtype), "device": task.device}
        self.x, self.t = torch.tensor(work.input, **kind), torch.tensor(work.target, **kind)
        self.W1, self.W2 = (torch.tensor(weights, **kind) for weights in task.weights())
        self.b1 = torch.full((len(work.hidden_weights),), work.hidden_bias, **kind)
        self.b2 = torch.full((len(work.target),), work.output_bias, **kind)
        self.learning_rate = torch.tensor(work.learning_rate, **kind)
        self.scale = 2 / len(work.target)

    def affine(self, W: Any, v: Any, b: Any) -> Any:
        return W @ v + b if self.options["layout"] == "out_in" else v @ W + b

    def back(self, W: Any, d: Any) -> Any:
        return W.T @ d if self.options["layout"] == "out_in" else d @ W.T

    def outer(self, d: Any, v: Any) -> Any:
        return torch.outer(d, v) if self.options["layout"] == "out_in" else torch.outer(v, d)

    def sigmoid(self, z: Any) -> Any:
        return 1 / (1 + torch.exp(-z)) if self.options["activation"] == "exp" else torch.sigmoid(z)

    def forward(self, W1: Any, W2: Any) -> Any:
        """Both layers, each before and after its sigmoid."""
        z1 = self.affine(W1, self.x, self.b1)
        h = self.sigmoid(z1)
        z2 = self.affine(W2, h, self.b2)
        return z1, h, z2, self.sigmoid(z2)

    def loss(self, o: Any) -> Any:
        error = (self.t - o) ** 2
        return torch.mean(error) if self.options["loss_form"] == "mean" else 0.5 * torch.sum(error)

    def output_delta(self, o: Any) -> Any:
        error = self.scale * (o - self.t) if self.options["loss_form"] == "mean" else o - self.t
        return error * (o * (1 - o))


def compiled(function: Any, task: Task) -> Any:
    if task.options["compile"] == "eager":
        return function
    torch.compiler.reset()  # another cell's compiled code is no part of this one
    return torch.compile(function, fullgraph=True, backend="inductor", dynamic=False)


def check_compiled(task: Task) -> None:
    # Scalar kernels can give eager bits: only the count shows that they were there.
    if task.options["compile"] == "inductor":
        from torch._inductor import metrics

        if not metrics.generated_kernel_count:
            raise RuntimeError("torch.compile gave no Inductor kernel: the cell ran eagerly")
        metrics.reset()


def train_auto(net: Net, task: Task) -> Dict[str, Any]:
    W1, W2, lr = net.W1.requires_grad_(), net.W2.requires_grad_(), net.learning_rate
    optimizer = None
    if task.options["optimizer"] == "sgd":
        optimizer = torch.optim.SGD([W1, W2], lr=task.workload.learning_rate)

    trace = Trace(task)

    def forward(W1: Any, W2: Any) -> Any:
        *inner, o = net.forward(W1, W2)
        # Nothing flows back through what is only looked at.
        return (net.loss(o), o, *(each.detach() for each in inner if trace.on))

    forward = compiled(forward, task)  # its backward pass is compiled with it
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
                W1 -= lr * W1.grad
                W2 -= lr * W2.grad
        trace.step(*inner, o, loss, W2.grad, W1.grad, W2, W1)
    predictions.append(forward(W1, W2)[1].tolist())
    check_compiled(task)
    return {**task.result(losses, predictions, W1.tolist(), W2.tolist()), **trace.told()}


def train_manual(net: Net, task: Task) -> Dict[str, Any]:
    W1, W2, lr, trace = net.W1, net.W2, net.learning_rate, Trace(task)

    def step(W1: Any, W2: Any) -> Any:
        z1, h, z2, o = net.forward(W1, W2)
        d2 = net.output_delta(o)
        g2 = net.outer(d2, h)
        new_W2 = W2 - lr * g2
        # Sequential: the hidden gradient already sees the new output weights.
        d1 = net.back(new_W2 if task.options["update"] == "sequential" else W2, d2) * (h * (1 - h))
        g1 = net.outer(d1, net.x)
        # A compiled step gives out nothing more than what is asked for: each output may change how it is fused.
        return (net.loss(o), o, W1 - lr * g1, new_W2, *((z1, h, z2, g2, g1) if trace.on else ()))

    step = compiled(step, task)
    losses, predictions = [], []
    for _ in range(task.workload.steps):
        loss, o, W1, W2, *more = step(W1, W2)
        losses.append(loss.item())
        predictions.append(o.tolist())
        trace.step(*more[:3], o, loss, *more[3:], W2, W1)
    predictions.append(step(W1, W2)[1].tolist())
    check_compiled(task)
    return {**task.result(losses, predictions, W1.tolist(), W2.tolist()), **trace.told()}


if __name__ == "__main__":
    main(PyTorch())
