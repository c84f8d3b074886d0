"""The decoder block in PyTorch: modules, scaled_dot_product_attention and autograd, as people write it."""

import torch
from torch import nn
from torch.nn import functional

HEADS = 4


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.position = nn.Embedding(32, 32), nn.Embedding(16, 32)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(32), nn.LayerNorm(32), nn.LayerNorm(32)
        self.qkv, self.project = nn.Linear(32, 96, bias=False), nn.Linear(32, 32, bias=False)
        self.up, self.down = nn.Linear(32, 128, bias=False), nn.Linear(128, 32, bias=False)

    def forward(self, x):
        batch, length = x.shape
        stream = self.embedding(x) + self.position.weight
        query, key, value = self.qkv(self.norm1(stream)).split(32, dim=2)
        query, key, value = (part.view(batch, length, HEADS, -1).transpose(1, 2) for part in (query, key, value))
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        attended = attended.transpose(1, 2).reshape(batch, length, 32)
        stream = stream + self.project(attended)
        stream = stream + self.down(functional.gelu(self.up(self.norm2(stream))))
        return attended, stream, self.norm3(stream) @ self.embedding.weight.T


def train(task):
    torch.manual_seed(0)
    model = Block().to(getattr(torch, task.dtype)).to(task.device)
    rate, options = task.number("learning_rate"), {}
    if task.option("defaults") == "aligned":
        align(task, model)
        options = {"betas": (task.number("beta1"), task.number("beta2")), "eps": task.number("epsilon")}
        options["weight_decay"] = task.number("weight_decay")
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, **options)
    step = task.compile(forward)
    for number, tokens in enumerate(task.batches("tokens"), 1):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, number / task.number("warm_up"))
        optimizer.zero_grad()
        loss, values = step(model, tokens.long())
        loss.backward()
        gradients = {f"grad/{name}": tensor for name, tensor in named(model, "grad").items()}
        optimizer.step()
        task.record({**values, "loss": loss.detach(), **gradients}, state=named(model, "data"))


def forward(model, tokens):
    attended, stream, logits = model(tokens[:, :-1])
    loss = functional.cross_entropy(logits.reshape(-1, 32), tokens[:, 1:].reshape(-1))
    return loss, {"attended": attended.detach(), "stream": stream.detach(), "logits": logits.detach()}


@torch.no_grad()
def align(task, model):
    """Begin with the given numbers, and spell out what layer norm takes by default."""
    model.embedding.weight.copy_(task.tensor("embedding"))
    model.position.weight.copy_(task.tensor("position"))
    for name in ("qkv", "project", "up", "down"):
        getattr(model, name).weight.copy_(task.tensor(name).T)
    for norm in (model.norm1, model.norm2, model.norm3):
        norm.eps = task.number("norm_epsilon")


def named(model, what):
    """The parameters, or their gradients, under the names and in the layout that all frameworks share."""
    found = {name: getattr(getattr(model, name).weight, what) for name in ("embedding", "position")}
    found |= {name: getattr(getattr(model, name).weight, what).T for name in ("qkv", "project", "up", "down")}
    for number in (1, 2, 3):
        norm = getattr(model, f"norm{number}")
        found[f"gamma{number}"], found[f"beta{number}"] = getattr(norm.weight, what), getattr(norm.bias, what)
    return found
