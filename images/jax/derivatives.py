"""What JAX differentiates the operations of a step to, one by one, each jitted alone where the step is."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from replay import Operations


class Derivatives(Operations):
    """The gradients of `product`, `sigmoid` and `loss`, functions of a step as they are before they are compiled."""

    def __init__(self, task: Any, product: Any, sigmoid: Any, loss: Any) -> None:
        super().__init__(task)
        self.plain_product, self.plain_sigmoid, alone = product, sigmoid, task.compile
        self.error = alone(jax.grad(loss))
        self.outer, self.back = alone(self.outer_by_vjp), alone(self.back_by_vjp)
        self.through_sigmoid = alone(self.sigmoid_by_vjp)

    def sigmoid_gradient(self, z: Any, a: Any, e: Any) -> Any:
        return self.through_sigmoid(z, e)  # it differentiates its sigmoid at its input

    def sigmoid_by_vjp(self, z: Any, e: Any) -> Any:
        return jax.vjp(self.plain_sigmoid, z)[1](e)[0]

    def outer_by_vjp(self, d: Any, v: Any) -> Any:
        # The gradient of a product by its weights takes no value of theirs.
        W = jnp.zeros((len(v), len(d)) if self.turned else (len(d), len(v)), d.dtype)
        return jax.vjp(lambda W: self.plain_product(W, v), W)[1](d)[0]

    def back_by_vjp(self, W: Any, d: Any) -> Any:
        v = jnp.zeros(W.shape[0] if self.turned else W.shape[1], d.dtype)
        return jax.vjp(lambda v: self.plain_product(W, v), v)[1](d)[0]
