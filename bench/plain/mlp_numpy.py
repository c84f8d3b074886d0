"""The workload `mlp` as a script without a harness: NumPy, plain gradient descent; prints the loss of each step."""

import sys
from pathlib import Path

import numpy as np

STEPS, BATCH, RATE = 200, 32, np.float32(0.1)

folder = Path(sys.argv[1])
x = np.fromfile(folder / "x", np.float32).reshape(512, 64)
y = np.fromfile(folder / "y", np.int32)
w1 = np.fromfile(folder / "w1", np.float32).reshape(64, 128)
b1 = np.fromfile(folder / "b1", np.float32)
w2 = np.fromfile(folder / "w2", np.float32).reshape(128, 10)
b2 = np.fromfile(folder / "b2", np.float32)

for step in range(STEPS):
    start = step * BATCH % len(x)
    inputs, labels = x[start : start + BATCH], y[start : start + BATCH]
    rows = np.arange(BATCH)
    hidden = np.tanh(inputs @ w1 + b1)
    logits = hidden @ w2 + b2
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    loss = -(shifted - np.log(sums))[rows, labels].mean()

    error = exponentials / sums
    error[rows, labels] -= 1
    error /= BATCH
    hidden_error = error @ w2.T * (1 - hidden * hidden)
    w2 = w2 - RATE * (hidden.T @ error)
    b2 = b2 - RATE * error.sum(axis=0)
    w1 = w1 - RATE * (inputs.T @ hidden_error)
    b1 = b1 - RATE * hidden_error.sum(axis=0)
    print(float(loss).hex())
