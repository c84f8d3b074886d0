"""The job in PyTorch."""

import torch
from torch.nn import functional


def train(task):
    w1, w2 = task.tensor("w1").requires_grad_(), task.tensor("w2").requires_grad_()
    optimizer = torch.optim.SGD([w1, w2], lr=task.number("rate"))
    for x, y in task.batches("x", "y"):
        optimizer.zero_grad()
        hidden = torch.tanh(x @ w1)
        loss = functional.mse_loss(hidden @ w2, y)
        loss.backward()
        optimizer.step()
        task.record(
            {"hidden": hidden.detach(), "loss": loss.detach(), "grad/w2": w2.grad, "grad/w1": w1.grad},
            state={"w1": w1.detach(), "w2": w2.detach()},
        )
