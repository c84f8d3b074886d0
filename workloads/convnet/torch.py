"""The convolutional network in PyTorch: modules and autograd, as people write it."""

import torch
from torch import nn
from torch.nn import functional

KERNELS = ("kernel1", "kernel2")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.linear = nn.Linear(144, 10)

    def forward(self, x):
        first = functional.max_pool2d(functional.relu(self.norm1(self.conv1(x))), 2)
        second = functional.max_pool2d(functional.relu(self.norm2(self.conv2(first))), 2)
        return first, second, self.linear(second.permute(0, 2, 3, 1).flatten(1))


def train(task):
    torch.manual_seed(0)
    model = Net().to(getattr(torch, task.dtype)).to(task.device)
    if task.option("defaults") == "aligned":
        align(task, model)
        betas = (task.number("beta1"), task.number("beta2"))
        optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=task.number("learning_rate"),
            betas=betas,
            eps=task.number("epsilon"),
            weight_decay=task.number("weight_decay"),
        )
    else:
        optimizer = torch.optim.AdamW(model.parameters(), lr=task.number("learning_rate"))
    step = task.compile(forward)
    for x, y in task.batches("x", "y"):
        optimizer.zero_grad()
        loss, values = step(model, x, y)
        loss.backward()
        gradients = {f"grad/{name}": tensor for name, tensor in named(model, "grad").items()}
        optimizer.step()
        task.record({**values, "loss": loss.detach(), **gradients}, state=named(model, "data") | statistics(model))


def forward(model, x, y):
    first, second, logits = model(x.permute(0, 3, 1, 2))
    loss = functional.cross_entropy(logits, y.long())
    return loss, {
        "first": first.detach().permute(0, 2, 3, 1),
        "second": second.detach().permute(0, 2, 3, 1),
        "logits": logits.detach(),
    }


@torch.no_grad()
def align(task, model):
    """Begin with the given numbers, and spell out what batch norm takes by default."""
    for name, layer in zip(KERNELS, (model.conv1, model.conv2)):
        layer.weight.copy_(task.tensor(name).permute(3, 2, 0, 1))
        layer.bias.zero_()
    model.linear.weight.copy_(task.tensor("weight").T)
    model.linear.bias.zero_()
    for norm in (model.norm1, model.norm2):
        norm.eps, norm.momentum = task.number("batch_norm_epsilon"), 1 - task.number("batch_norm_momentum")


def named(model, what):
    """The parameters, or their gradients, under the names and in the layout that all frameworks share."""
    found = {}
    for number in (1, 2):
        conv, norm = getattr(model, f"conv{number}"), getattr(model, f"norm{number}")
        found[f"kernel{number}"] = getattr(conv.weight, what).permute(2, 3, 1, 0)
        found[f"bias{number}"] = getattr(conv.bias, what)
        found[f"gamma{number}"], found[f"beta{number}"] = getattr(norm.weight, what), getattr(norm.bias, what)
    found["weight"], found["bias"] = getattr(model.linear.weight, what).T, getattr(model.linear.bias, what)
    return found


def statistics(model):
    norms = {1: model.norm1, 2: model.norm2}
    means = {f"mean{number}": norm.running_mean for number, norm in norms.items()}
    return means | {f"variance{number}": norm.running_var for number, norm in norms.items()}
