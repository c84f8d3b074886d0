"""The perceptron in TensorFlow: variables that optimizers, written out by hand, update in place."""

import tensorflow as tf

PARAMETERS = ("w1", "b1", "w2", "b2")
ONE_KERNEL = "a graph computes product, bias and tanh in one kernel, unless what lies between is asked for"


def train(task):
    parameters = {name: tf.Variable(task.tensor(name)) for name in PARAMETERS}
    optimizer = OPTIMIZERS[task.option("optimizer")](task, parameters)
    derive = by_tape if task.option("gradient") == "auto" else by_hand
    if task.option("compile") == "graph" and task.dtype != "float64":
        task.untraced("hidden_pre", ONE_KERNEL)

    def step(x, y):
        values, gradients = derive(parameters, x, y)
        optimizer.update(gradients)
        values.update({f"grad/{name}": gradients[name] for name in gradients})
        return None, values

    step = task.compile(step)
    for x, y in task.batches("x", "y"):
        _, values = step(x, y)
        task.record(values, state={**parameters, **optimizer.state})


def forward(parameters, x, y):
    """Both layers and the loss: the values on the way."""
    w1, b1, w2, b2 = (parameters[name] for name in PARAMETERS)
    hidden_pre = x @ w1 + b1
    hidden = tf.tanh(hidden_pre)
    logits = hidden @ w2 + b2
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    return {"hidden_pre": hidden_pre, "hidden": hidden, "logits": logits, "loss": loss}


def by_tape(parameters, x, y):
    """Values and gradients, by automatic differentiation."""
    with tf.GradientTape() as tape:
        values = forward(parameters, x, y)
    names = ("w2", "b2", "w1", "b1")
    return values, dict(zip(names, tape.gradient(values["loss"], [parameters[name] for name in names])))


def by_hand(parameters, x, y):
    """Values and gradients, backward through both layers."""
    values = forward(parameters, x, y)
    hidden, logits = values["hidden"], values["logits"]
    error = (tf.nn.softmax(logits) - tf.one_hot(y, logits.shape[1], dtype=logits.dtype)) / x.shape[0]
    hidden_error = tf.matmul(error, parameters["w2"], transpose_b=True) * (1 - hidden * hidden)
    gradients = {"w2": tf.matmul(hidden, error, transpose_a=True), "b2": tf.reduce_sum(error, axis=0)}
    gradients.update({"w1": tf.matmul(x, hidden_error, transpose_a=True), "b1": tf.reduce_sum(hidden_error, axis=0)})
    return values, gradients


class Sgd:
    def __init__(self, task, parameters):
        self.parameters, self.dtype, self.state = parameters, tf.as_dtype(task.dtype), {}
        self.rate = tf.constant(task.number("learning_rate"), self.dtype)

    def update(self, gradients):
        for name, gradient in gradients.items():
            self.parameters[name].assign_sub(self.rate * gradient)


class Momentum(Sgd):
    def __init__(self, task, parameters):
        super().__init__(task, parameters)
        self.momentum = tf.constant(task.number("momentum"), self.dtype)
        self.state = {f"momentum/{name}": tf.Variable(tf.zeros_like(parameters[name])) for name in parameters}

    def update(self, gradients):
        for name, gradient in gradients.items():
            momentum = self.state[f"momentum/{name}"]
            momentum.assign(self.momentum * momentum + gradient)
        super().update({name: self.state[f"momentum/{name}"] for name in gradients})


class Adam(Sgd):
    def __init__(self, task, parameters):
        super().__init__(task, parameters)
        self.rate = tf.constant(task.number("adam_learning_rate"), self.dtype)
        self.beta1, self.beta2, self.epsilon = (task.number(name) for name in ("beta1", "beta2", "epsilon"))
        self.steps = tf.Variable(0.0, dtype=tf.float64)
        for moment in ("first", "second"):
            for name in parameters:
                self.state[f"{moment}/{name}"] = tf.Variable(tf.zeros_like(parameters[name]))

    def update(self, gradients):
        self.steps.assign_add(1.0)
        # In float64: in bfloat16 a beta of 0.999 is 1, and its bias 0.
        bias1, bias2 = (tf.cast(1 - beta**self.steps, self.dtype) for beta in (self.beta1, self.beta2))
        for name, gradient in gradients.items():
            first, second = self.state[f"first/{name}"], self.state[f"second/{name}"]
            first.assign(self.beta1 * first + (1 - self.beta1) * gradient)
            second.assign(self.beta2 * second + (1 - self.beta2) * (gradient * gradient))
            size = tf.sqrt(second / bias2) + self.epsilon
            self.parameters[name].assign_sub(self.rate * (first / bias1) / size)


OPTIMIZERS = {"sgd": Sgd, "momentum": Momentum, "adam": Adam}
