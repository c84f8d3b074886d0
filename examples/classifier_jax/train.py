"""Train a small classifier on drawn points. Usage: python train.py --steps 100 --lr 0.01."""

import argparse
import csv
from functools import partial

import jax
import jax.numpy as jnp
from jax import random


def points(count, seed):
    labels_key, centres_key, noise_key = random.split(random.PRNGKey(seed), 3)
    labels = random.randint(labels_key, (count,), 0, 4)
    centres = 2 * random.normal(centres_key, (4, 16))
    return centres[labels] + random.normal(noise_key, (count, 16)), labels


def start(seed):
    first, second = random.split(random.PRNGKey(seed))
    return {
        "w1": random.normal(first, (16, 64)) / 4,
        "b1": jnp.zeros(64),
        "w2": random.normal(second, (64, 4)) / 8,
        "b2": jnp.zeros(4),
    }


def loss_of(params, inputs, labels):
    hidden = jax.nn.relu(inputs @ params["w1"] + params["b1"])
    log_probabilities = jax.nn.log_softmax(hidden @ params["w2"] + params["b2"])
    return -jnp.take_along_axis(log_probabilities, labels[:, None], axis=1).mean()


@partial(jax.jit, static_argnames="lr")
def adam(params, means, squares, step, inputs, labels, lr):
    loss, gradients = jax.value_and_grad(loss_of)(params, inputs, labels)
    means = jax.tree_util.tree_map(lambda m, g: 0.9 * m + 0.1 * g, means, gradients)
    squares = jax.tree_util.tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, squares, gradients)
    params = jax.tree_util.tree_map(
        lambda p, m, v: p - lr * (m / (1 - 0.9**step)) / (jnp.sqrt(v / (1 - 0.999**step)) + 1e-8),
        params,
        means,
        squares,
    )
    return params, means, squares, loss


def batches(inputs, labels, size, seed):
    for epoch in range(1_000_000):
        order = random.permutation(random.PRNGKey(seed + epoch), len(inputs))
        for begin in range(0, len(inputs) - size + 1, size):
            rows = order[begin : begin + size]
            yield inputs[rows], labels[rows]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    params = start(options.seed)
    means = squares = jax.tree_util.tree_map(jnp.zeros_like, params)
    with open("log.csv", "w", newline="") as file:
        log = csv.writer(file)
        log.writerow(["step", "loss"])
        for step, batch in enumerate(batches(*points(2048, options.seed), 32, options.seed), start=1):
            params, means, squares, loss = adam(params, means, squares, step, *batch, options.lr)
            if step % 10 == 0:
                print(f"step {step} loss {loss:.4f}")
                log.writerow([step, float(loss)])
            if step == options.steps:
                break


if __name__ == "__main__":
    main()
