"""The perceptron in PyTorch: autograd, or gradients written out by hand; torch.optim's optimizers."""

import torch
from torch.nn import functional

PARAMETERS = ("w1", "b1", "w2", "b2")


def train(task):
    parameters = {name: task.tensor(name).requires_grad_() for name in PARAMETERS}
    optimizer, buffers = optimizer_of(task, parameters)
    auto = task.option("gradient") == "auto"
    step = task.compile(forward if auto else by_hand)
    for x, y in task.batches("x", "y"):
        optimizer.zero_grad()
        if auto:
            loss, values = step(parameters, x, y)
            loss.backward()
        else:
            (loss, gradients), values = step(parameters, x, y)
            for name, gradient in gradients.items():
                parameters[name].grad = gradient
        optimizer.step()
        gradients = {f"grad/{name}": parameters[name].grad for name in ("w2", "b2", "w1", "b1")}
        state = {**parameters, **state_of(optimizer, parameters, buffers)}
        task.record({**values, "loss": loss, **gradients}, state=state)


def forward(parameters, x, y):
    """The loss, and the values on the way to it."""
    w1, b1, w2, b2 = (parameters[name] for name in PARAMETERS)
    hidden_pre = x @ w1 + b1
    hidden = torch.tanh(hidden_pre)
    logits = hidden @ w2 + b2
    loss = functional.cross_entropy(logits, y.long())
    return loss, {"hidden_pre": hidden_pre.detach(), "hidden": hidden.detach(), "logits": logits.detach()}


@torch.no_grad()
def by_hand(parameters, x, y):
    """The loss and the gradients, and the values on the way to them."""
    loss, values = forward(parameters, x, y)
    hidden, logits, w2 = values["hidden"], values["logits"], parameters["w2"]
    error = (logits.softmax(1) - functional.one_hot(y.long(), logits.shape[1])) / len(y)
    hidden_error = error @ w2.T * (1 - hidden * hidden)
    gradients = {"w2": hidden.T @ error, "b2": error.sum(0), "w1": x.T @ hidden_error, "b1": hidden_error.sum(0)}
    return (loss, gradients), values


def optimizer_of(task, parameters):
    """The optimizer, and which of its buffers are kept under which name."""
    if task.option("optimizer") == "adam":
        rate, betas = task.number("adam_learning_rate"), (task.number("beta1"), task.number("beta2"))
        adam = torch.optim.Adam(parameters.values(), lr=rate, betas=betas, eps=task.number("epsilon"))
        return adam, {"first": "exp_avg", "second": "exp_avg_sq"}
    rate = task.number("learning_rate")
    if task.option("optimizer") == "momentum":
        sgd = torch.optim.SGD(parameters.values(), lr=rate, momentum=task.number("momentum"))
        return sgd, {"momentum": "momentum_buffer"}
    return torch.optim.SGD(parameters.values(), lr=rate), {}


def state_of(optimizer, parameters, buffers):
    return {
        f"{kept}/{name}": optimizer.state[parameter][buffer]
        for kept, buffer in buffers.items()
        for name, parameter in parameters.items()
    }
