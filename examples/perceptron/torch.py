"""The perceptron in PyTorch, as one writes it there."""

import torch
from torch.nn import functional

NAMES = ("w1", "b1", "w2", "b2", "w3", "b3")


def train(task):
    p = {name: task.tensor(name).requires_grad_() for name in NAMES}
    betas = task.number("beta1"), task.number("beta2")
    adam = torch.optim.Adam(p.values(), lr=task.number("rate"), betas=betas, eps=task.number("epsilon"))
    for x, y in task.batches("x", "y"):
        adam.zero_grad()
        h1 = torch.relu(x @ p["w1"] + p["b1"])
        h2 = torch.relu(h1 @ p["w2"] + p["b2"])
        logits = h2 @ p["w3"] + p["b3"]
        loss = functional.cross_entropy(logits, y.long())
        loss.backward()
        adam.step()
        grads = {f"grad/{n}": p[n].grad for n in NAMES}
        task.record({"h1": h1, "h2": h2, "probabilities": logits.softmax(1), "loss": loss, **grads}, state=p)
