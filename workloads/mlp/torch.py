"""The perceptron in PyTorch: autograd, or gradients written out by hand; torch.optim's optimizers."""

import torch
from replay import Operations
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
    hidden_pre = add_bias(matmul(x, w1), b1)
    hidden = torch.tanh(hidden_pre)
    logits = add_bias(matmul(hidden, w2), b2)
    loss = cross_entropy(logits, y)
    return loss, {"hidden_pre": hidden_pre.detach(), "hidden": hidden.detach(), "logits": logits.detach()}


def matmul(x, w):
    return x @ w


def add_bias(p, b):
    return p + b


def cross_entropy(logits, y):
    return functional.cross_entropy(logits, y.long())


@torch.no_grad()
def by_hand(parameters, x, y):
    """The loss and the gradients, and the values on the way to them."""
    loss, values = forward(parameters, x, y)
    hidden, logits, w2 = values["hidden"], values["logits"], parameters["w2"]
    error = cross_entropy_gradient(logits, y)
    hidden_error = tanh_gradient(hidden, input_gradient(error, w2))
    gradients = {"w2": weight_gradient(hidden, error), "b2": bias_gradient(error)}
    gradients.update({"w1": weight_gradient(x, hidden_error), "b1": bias_gradient(hidden_error)})
    return (loss, gradients), values


def cross_entropy_gradient(logits, y):
    return (logits.softmax(1) - functional.one_hot(y.long(), logits.shape[1])) / len(y)


def tanh_gradient(a, e):
    return e * (1 - a * a)


def weight_gradient(x, d):
    return x.T @ d


def input_gradient(d, w):
    return d @ w.T


def bias_gradient(d):
    return d.sum(0)


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


def operations(task):
    return AutoOperations(task) if task.option("gradient") == "auto" else ManualOperations(task)


class StepOperations(Operations):
    """What both ways to a gradient have in common; each is compiled alone where the step is, an optimizer never."""

    def __init__(self, task):
        super().__init__(task)
        alone = task.compile
        self.matmul, self.add_bias, self.tanh = alone(matmul), alone(add_bias), alone(torch.tanh)
        self.cross_entropy = alone(cross_entropy)

    def stepped(self, w, g, **state):
        """A parameter after a step of the optimizer that found this state, and what is left of the state."""
        w = w.clone().requires_grad_()
        optimizer, _ = optimizer_of(self.task, {"w": w})
        w.grad = g.clone()
        optimizer.state[w].update({name: each.clone() for name, each in state.items()})
        optimizer.step()
        return w.detach(), optimizer.state[w]

    def update(self, w, g):
        # With momentum, what the step leaves of it is what it scales: of g and no momentum before, that is g.
        return self.stepped(w, g)[0]

    def velocity(self, m, g):
        return self.stepped(torch.zeros_like(m), g, momentum_buffer=m)[1]["momentum_buffer"]

    def first_moment(self, m, g):
        state = {"exp_avg": m, "exp_avg_sq": torch.zeros_like(m), "step": torch.tensor(0.0)}
        return self.stepped(torch.zeros_like(m), g, **state)[1]["exp_avg"]

    def second_moment(self, v, g):
        state = {"exp_avg": torch.zeros_like(v), "exp_avg_sq": v, "step": torch.tensor(0.0)}
        return self.stepped(torch.zeros_like(v), g, **state)[1]["exp_avg_sq"]

    def adam_update(self, w, m, v, step):
        # torch.optim has no function for what follows the moments: these are its lines, for one tensor and no graph.
        rate, beta1, beta2 = (self.task.number(name) for name in ("adam_learning_rate", "beta1", "beta2"))
        root = v.sqrt() / (1 - beta2**step) ** 0.5
        return w.clone().addcdiv_(m, root.add_(self.task.number("epsilon")), value=-(rate / (1 - beta1**step)))


class ManualOperations(StepOperations):
    """Gradients by hand."""

    def __init__(self, task):
        super().__init__(task)
        alone = task.compile
        self.cross_entropy_gradient, self.weight_gradient = alone(cross_entropy_gradient), alone(weight_gradient)
        self.input_gradient, self.bias_gradient = alone(input_gradient), alone(bias_gradient)
        self.through_tanh = alone(tanh_gradient)

    def tanh_gradient(self, z, a, e):
        return self.through_tanh(a, e)


class AutoOperations(StepOperations):
    """Autograd of what goes forward, one by one."""

    def __init__(self, task):
        super().__init__(task)
        # What autograd calls for torch.tanh.
        self.through_tanh = task.compile(lambda a, e: torch.ops.aten.tanh_backward(e, a))

    def cross_entropy_gradient(self, logits, y):
        logits = leaf(logits)
        return torch.autograd.grad(self.cross_entropy(logits, y), logits)[0]

    def tanh_gradient(self, z, a, e):
        return self.through_tanh(a, e)

    def weight_gradient(self, x, d):
        # The gradient of a product by its weights takes no value of theirs.
        w = leaf(d.new_zeros((x.shape[1], d.shape[1])))
        return torch.autograd.grad(self.matmul(x, w), w, d)[0]

    def input_gradient(self, d, w):
        x = leaf(d.new_zeros((d.shape[0], w.shape[0])))
        return torch.autograd.grad(self.matmul(x, w), x, d)[0]

    def bias_gradient(self, d):
        b = leaf(d.new_zeros(d.shape[1]))
        return torch.autograd.grad(self.add_bias(torch.zeros_like(d), b), b, d)[0]


def leaf(tensor):
    """The tensor as one to differentiate by."""
    return tensor.detach().requires_grad_()
