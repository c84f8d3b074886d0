"""The workload `mlp` as a script without a harness: PyTorch, autograd and SGD; prints the loss of each step."""

import sys
from pathlib import Path

import torch
from torch.nn import functional

STEPS, BATCH, RATE = 200, 32, 0.1

torch.set_num_threads(1)
folder = Path(sys.argv[1])


def read(name: str, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return a tensor of the folder."""
    return torch.frombuffer(bytearray((folder / name).read_bytes()), dtype=dtype).reshape(shape)


x, y = read("x", 512, 64), read("y", 512, dtype=torch.int32)
w1, b1, w2, b2 = read("w1", 64, 128), read("b1", 128), read("w2", 128, 10), read("b2", 10)
parameters = [each.requires_grad_() for each in (w1, b1, w2, b2)]
optimizer = torch.optim.SGD(parameters, lr=RATE)

for step in range(STEPS):
    start = step * BATCH % len(x)
    inputs, labels = x[start : start + BATCH], y[start : start + BATCH]
    optimizer.zero_grad()
    loss = functional.cross_entropy(torch.tanh(inputs @ w1 + b1) @ w2 + b2, labels.long())
    loss.backward()
    optimizer.step()
    print(loss.item().hex())
