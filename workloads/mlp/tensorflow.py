"""The perceptron in TensorFlow: variables that optimizers, written out by hand, update in place."""

import tensorflow as tf
from replay import Operations

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
    hidden_pre = add_bias(matmul(x, w1), b1)
    hidden = tf.tanh(hidden_pre)
    logits = add_bias(matmul(hidden, w2), b2)
    loss = cross_entropy(logits, y)
    return {"hidden_pre": hidden_pre, "hidden": hidden, "logits": logits, "loss": loss}


def matmul(x, w):
    return x @ w


def add_bias(p, b):
    return p + b


def cross_entropy(logits, y):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))


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
    error = cross_entropy_gradient(logits, y)
    hidden_error = tanh_gradient(hidden, input_gradient(error, parameters["w2"]))
    gradients = {"w2": weight_gradient(hidden, error), "b2": bias_gradient(error)}
    gradients.update({"w1": weight_gradient(x, hidden_error), "b1": bias_gradient(hidden_error)})
    return values, gradients


def cross_entropy_gradient(logits, y):
    return (tf.nn.softmax(logits) - tf.one_hot(y, logits.shape[1], dtype=logits.dtype)) / y.shape[0]


def tanh_gradient(a, e):
    return e * (1 - a * a)


def weight_gradient(x, d):
    return tf.matmul(x, d, transpose_a=True)


def input_gradient(d, w):
    return tf.matmul(d, w, transpose_b=True)


def bias_gradient(d):
    return tf.reduce_sum(d, axis=0)


class Sgd:
    def __init__(self, task, parameters):
        self.parameters, self.dtype, self.state = parameters, tf.as_dtype(task.dtype), {}
        self.rate = tf.constant(task.number("learning_rate"), self.dtype)

    def update(self, gradients):
        for name, gradient in gradients.items():
            self.parameters[name].assign_sub(self.scaled(gradient))

    def scaled(self, g):
        return self.rate * g


class Momentum(Sgd):
    def __init__(self, task, parameters):
        super().__init__(task, parameters)
        self.momentum = tf.constant(task.number("momentum"), self.dtype)
        self.state = {f"momentum/{name}": tf.Variable(tf.zeros_like(parameters[name])) for name in parameters}

    def update(self, gradients):
        for name, gradient in gradients.items():
            momentum = self.state[f"momentum/{name}"]
            momentum.assign(self.velocity(momentum, gradient))
        super().update({name: self.state[f"momentum/{name}"] for name in gradients})

    def velocity(self, m, g):
        return self.momentum * m + g


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
        biases = self.biases(self.steps)
        for name, gradient in gradients.items():
            first, second = self.state[f"first/{name}"], self.state[f"second/{name}"]
            first.assign(self.first_moment(first, gradient))
            second.assign(self.second_moment(second, gradient))
            self.parameters[name].assign_sub(self.change(first, second, *biases))

    def biases(self, steps):
        # In float64: in bfloat16 a beta of 0.999 is 1, and its bias 0.
        return tuple(tf.cast(1 - beta**steps, self.dtype) for beta in (self.beta1, self.beta2))

    def first_moment(self, m, g):
        return self.beta1 * m + (1 - self.beta1) * g

    def second_moment(self, v, g):
        return self.beta2 * v + (1 - self.beta2) * (g * g)

    def change(self, m, v, bias1, bias2):
        return self.rate * (m / bias1) / (tf.sqrt(v / bias2) + self.epsilon)


OPTIMIZERS = {"sgd": Sgd, "momentum": Momentum, "adam": Adam}


def operations(task):
    optimizer = OPTIMIZERS[task.option("optimizer")](task, {})
    made = TapeOperations if task.option("gradient") == "auto" else ManualOperations
    return made(optimizer, task)


class StepOperations(Operations):
    """What both ways to a gradient have in common; each operation is compiled alone where the step is."""

    def __init__(self, optimizer, task):
        super().__init__(task)
        alone = task.compile
        self.matmul, self.add_bias, self.tanh = alone(matmul), alone(add_bias), alone(tf.tanh)
        self.cross_entropy, self.update = alone(cross_entropy), alone(lambda w, g: w - optimizer.scaled(g))
        for name in ("velocity", "first_moment", "second_moment"):
            setattr(self, name, alone(getattr(optimizer, name)) if hasattr(optimizer, name) else None)
        if hasattr(optimizer, "change"):
            adam = alone(lambda w, m, v, steps: w - optimizer.change(m, v, *optimizer.biases(steps)))
            self.adam_update = lambda w, m, v, step: adam(w, m, v, tf.constant(float(step), tf.float64))


class ManualOperations(StepOperations):
    """Gradients by hand."""

    def __init__(self, optimizer, task):
        super().__init__(optimizer, task)
        alone = task.compile
        self.cross_entropy_gradient, self.weight_gradient = alone(cross_entropy_gradient), alone(weight_gradient)
        self.input_gradient, self.bias_gradient = alone(input_gradient), alone(bias_gradient)
        self.through_tanh = alone(tanh_gradient)

    def tanh_gradient(self, z, a, e):
        return self.through_tanh(a, e)


class TapeOperations(StepOperations):
    """Gradients by tf.GradientTape, one by one."""

    def __init__(self, optimizer, task):
        super().__init__(optimizer, task)
        alone = task.compile
        self.cross_entropy_gradient = alone(lambda o, y: pulled_back(lambda o: cross_entropy(o, y), o))
        # As the gradient that TensorFlow registers for its tanh: of the output.
        self.through_tanh = alone(lambda a, e: tf.raw_ops.TanhGrad(y=a, dy=e))
        self.weight_gradient, self.input_gradient = alone(by_weights), alone(by_input)
        self.bias_gradient = alone(by_bias)

    def tanh_gradient(self, z, a, e):
        return self.through_tanh(a, e)


def by_weights(x, d):
    # The gradient of a product by its weights takes no value of theirs.
    return pulled_back(lambda w: matmul(x, w), tf.zeros((x.shape[1], d.shape[1]), d.dtype), d)


def by_input(d, w):
    return pulled_back(lambda x: matmul(x, w), tf.zeros((d.shape[0], w.shape[0]), d.dtype), d)


def by_bias(d):
    return pulled_back(lambda b: add_bias(tf.zeros_like(d), b), tf.zeros_like(d[0]), d)


def pulled_back(function, at, cotangent=None):
    """What goes back through a function to where it is taken."""
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = function(at)
    return tape.gradient(value, at, output_gradients=cotangent)
