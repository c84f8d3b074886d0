"""The operations of each framework as its hand-written training code spells them, for the injector's own loop."""

from collections.abc import Callable
from typing import Any, Protocol

from bench.faults.draw import Job

Tensor = Any  # a framework's own


class Arithmetic(Protocol):
    """One framework's operations in one dtype, layout and form of the loss."""

    dtype: str
    turned: bool  # whether matrices are stored as W[in][out]
    rate: float

    def tensor(self, values: Any) -> Tensor: ...  # noqa: D102
    def host(self, value: Tensor) -> Any: ...  # noqa: D102
    def affine(self, weights: Tensor, vector: Tensor, bias: Tensor) -> Tensor: ...  # noqa: D102
    def sigmoid(self, value: Tensor) -> Tensor: ...  # noqa: D102
    def loss(self, output: Tensor, target: Tensor) -> Tensor: ...  # noqa: D102
    def output_delta(self, output: Tensor, target: Tensor) -> Tensor: ...  # noqa: D102
    def back(self, weights: Tensor, delta: Tensor) -> Tensor: ...  # noqa: D102
    def hidden_delta(self, error: Tensor, hidden: Tensor) -> Tensor: ...  # noqa: D102
    def outer(self, delta: Tensor, vector: Tensor) -> Tensor: ...  # noqa: D102
    def update(self, weights: Tensor, gradient: Tensor, rate: float) -> Tensor: ...  # noqa: D102


class _ByHand:
    """What all spell alike, with plain operators on vectors."""

    lib: Any  # what has `mean`, `sum` and `outer`

    def __init__(self, job: Job) -> None:
        self.dtype = job.dtype
        self.turned = job.options["layout"] != "out_in"
        self.mean = job.options["loss_form"] == "mean"
        self.scale: Any = 2 / len(job.workload["target"])
        self.half: Any = 0.5
        self.rate = float(job.workload["learning_rate"])

    def tensor(self, values: Any) -> Tensor:
        raise NotImplementedError

    def host(self, value: Tensor) -> Any:
        return value.tolist()

    def affine(self, weights: Tensor, vector: Tensor, bias: Tensor) -> Tensor:
        return (vector @ weights if self.turned else weights @ vector) + bias

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        squares = (target - output) ** 2
        return self.lib.mean(squares) if self.mean else self.half * self.lib.sum(squares)

    def output_delta(self, output: Tensor, target: Tensor) -> Tensor:
        error = self.scale * (output - target) if self.mean else output - target
        return self.hidden_delta(error, output)

    def hidden_delta(self, error: Tensor, hidden: Tensor) -> Tensor:
        return error * (hidden * (1 - hidden))

    def back(self, weights: Tensor, delta: Tensor) -> Tensor:
        return delta @ weights.T if self.turned else weights.T @ delta

    def outer(self, delta: Tensor, vector: Tensor) -> Tensor:
        return self.lib.outer(vector, delta) if self.turned else self.lib.outer(delta, vector)

    def update(self, weights: Tensor, gradient: Tensor, rate: float) -> Tensor:
        return weights - self.tensor(rate) * gradient


class _NumPy(_ByHand):
    def __init__(self, job: Job) -> None:
        import numpy as np  # noqa: PLC0415

        super().__init__(job)
        self.lib, self.kind = np, np.dtype(job.dtype).type
        self.scale, self.half = self.kind(self.scale), self.kind(self.half)
        np.seterr(all="ignore")

    def tensor(self, values: Any) -> Tensor:
        return self.lib.array(values, self.kind) if isinstance(values, list) else self.kind(values)

    def sigmoid(self, value: Tensor) -> Tensor:
        return 1 / (1 + self.lib.exp(-value))


class _Torch(_ByHand):
    def __init__(self, job: Job) -> None:
        import torch  # noqa: PLC0415

        super().__init__(job)
        torch.set_num_threads(1)
        self.lib, self.kind = torch, getattr(torch, job.dtype)

    def tensor(self, values: Any) -> Tensor:
        return self.lib.tensor(values, dtype=self.kind)

    def sigmoid(self, value: Tensor) -> Tensor:
        return self.lib.sigmoid(value)


class _Jax(_ByHand):
    def __init__(self, job: Job) -> None:
        import jax  # noqa: PLC0415
        import jax.numpy as jnp  # noqa: PLC0415

        super().__init__(job)
        jax.config.update("jax_enable_x64", job.dtype == "float64")
        self.jax, self.lib, self.kind = jax, jnp, jnp.dtype(job.dtype)

    def tensor(self, values: Any) -> Tensor:
        return self.lib.array(values, self.kind)

    def sigmoid(self, value: Tensor) -> Tensor:
        return self.jax.nn.sigmoid(value)


class _TensorFlow(_ByHand):
    """Op by op; vectors are rows of one sample."""

    def __init__(self, job: Job) -> None:
        import tensorflow as tf  # noqa: PLC0415

        super().__init__(job)
        self.tf, self.kind = tf, tf.as_dtype(job.dtype)

    def tensor(self, values: Any) -> Tensor:
        vector = isinstance(values, list) and not isinstance(values[0], list)
        return self.tf.constant([values] if vector else values, self.kind)

    def host(self, value: Tensor) -> Any:
        return value.numpy().tolist()

    def affine(self, weights: Tensor, vector: Tensor, bias: Tensor) -> Tensor:
        return self.tf.matmul(vector, weights, transpose_b=not self.turned) + bias[0]

    def sigmoid(self, value: Tensor) -> Tensor:
        return self.tf.sigmoid(value)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        squares = self.tf.square(target - output)
        return self.tf.reduce_mean(squares) if self.mean else self.half * self.tf.reduce_sum(squares)

    def back(self, weights: Tensor, delta: Tensor) -> Tensor:
        return self.tf.matmul(delta, weights, transpose_b=self.turned)

    def outer(self, delta: Tensor, vector: Tensor) -> Tensor:
        first, second = (vector, delta) if self.turned else (delta, vector)
        return self.tf.matmul(first, second, transpose_a=True)


ARITHMETIC: dict[str, Callable[[Job], Any]] = {"numpy": _NumPy, "torch": _Torch, "jax": _Jax, "tensorflow": _TensorFlow}
