"""The convolutional network in TensorFlow: its own operations where all is spelt out, tf.keras where all is default."""

import tensorflow as tf

SIZES = (("1", 8), ("2", 16))


def train(task):
    job = (Own if task.option("defaults") == "own" else Aligned)(task)
    step = task.compile(job.step)
    for number, (x, y) in enumerate(task.batches("x", "y"), 1):
        job.count(number)
        _, values = step(x, y)
        task.record(values, state=job.state())


class Aligned:
    def __init__(self, task):
        self.task, self.dtype = task, tf.as_dtype(task.dtype)
        self.parameters = {}
        for i, size in SIZES:
            self.parameters[f"kernel{i}"] = tf.Variable(task.tensor(f"kernel{i}"))
            for name, start in (("bias", 0), ("gamma", 1), ("beta", 0)):
                self.parameters[f"{name}{i}"] = tf.Variable(tf.fill([size], tf.cast(start, self.dtype)))
        self.parameters["weight"] = tf.Variable(task.tensor("weight"))
        self.parameters["bias"] = tf.Variable(tf.zeros([10], self.dtype))
        self.first = {name: tf.Variable(tf.zeros_like(value)) for name, value in self.parameters.items()}
        self.second = {name: tf.Variable(tf.zeros_like(value)) for name, value in self.parameters.items()}
        self.statistics = {f"mean{i}": tf.Variable(tf.zeros([size], self.dtype)) for i, size in SIZES}
        self.statistics |= {f"variance{i}": tf.Variable(tf.ones([size], self.dtype)) for i, size in SIZES}
        self.corrections = [tf.Variable(tf.ones([], self.dtype)) for _ in range(2)]

    def count(self, number):
        for beta, correction in zip(("beta1", "beta2"), self.corrections):
            correction.assign(tf.cast(1 - self.task.number(beta) ** number, self.dtype))

    def step(self, x, y):
        with tf.GradientTape() as tape:
            values, moments = self.forward(x, y)
        names = list(self.parameters)
        gradients = dict(zip(names, tape.gradient(values["loss"], [self.parameters[name] for name in names])))
        kept = self.task.number("batch_norm_momentum")
        for name, value in moments.items():
            self.statistics[name].assign(kept * self.statistics[name] + (1 - kept) * value)
        for name, gradient in gradients.items():
            self.update(name, gradient)
        return None, {**values, **{f"grad/{name}": gradients[name] for name in gradients}}

    def forward(self, x, y):
        taken, values, moments, parameters = x, {}, {}, self.parameters
        for name, (i, _) in zip(("first", "second"), SIZES):
            taken = tf.nn.conv2d(taken, parameters[f"kernel{i}"], 1, "SAME") + parameters[f"bias{i}"]
            mean, variance = tf.nn.moments(taken, [0, 1, 2])
            count = taken.shape[0] * taken.shape[1] * taken.shape[2]
            moments[f"mean{i}"], moments[f"variance{i}"] = mean, variance * (count / (count - 1))
            deviation = tf.sqrt(variance + self.task.number("batch_norm_epsilon"))
            taken = (taken - mean) / deviation * parameters[f"gamma{i}"] + parameters[f"beta{i}"]
            taken = values[name] = tf.nn.max_pool2d(tf.nn.relu(taken), 2, 2, "VALID")
        logits = tf.reshape(taken, [taken.shape[0], -1]) @ parameters["weight"] + parameters["bias"]
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
        return {**values, "logits": logits, "loss": loss}, moments

    def update(self, name, gradient):
        number, parameter = self.task.number, self.parameters[name]
        first, second, rate = self.first[name], self.second[name], number("learning_rate")
        first.assign(number("beta1") * first + (1 - number("beta1")) * gradient)
        second.assign(number("beta2") * second + (1 - number("beta2")) * gradient * gradient)
        change = (first / self.corrections[0]) / (tf.sqrt(second / self.corrections[1]) + number("epsilon"))
        parameter.assign(parameter - rate * number("weight_decay") * parameter - rate * change)

    def state(self):
        return {**self.parameters, **self.statistics}


class Own:
    """Layers and optimizer of tf.keras, with nothing said that they have a default for."""

    def __init__(self, task):
        tf.keras.utils.set_random_seed(0)
        layers, options = tf.keras.layers, {"dtype": task.dtype}
        self.convs = [layers.Conv2D(size, 3, padding="same", **options) for _, size in SIZES]
        self.norms = [layers.BatchNormalization(**options) for _ in SIZES]
        self.linear = layers.Dense(10, **options)
        self.convs[0].build((None, 12, 12, 3))
        self.norms[0].build((None, 12, 12, 8))
        self.convs[1].build((None, 6, 6, 8))
        self.norms[1].build((None, 6, 6, 16))
        self.linear.build((None, 144))
        self.parameters = {}
        for (i, _), conv, norm in zip(SIZES, self.convs, self.norms):
            self.parameters |= {f"kernel{i}": conv.kernel, f"bias{i}": conv.bias}
            self.parameters |= {f"gamma{i}": norm.gamma, f"beta{i}": norm.beta}
        self.parameters |= {"weight": self.linear.kernel, "bias": self.linear.bias}
        self.optimizer = tf.keras.optimizers.AdamW(task.number("learning_rate"))
        self.optimizer.build(list(self.parameters.values()))

    def count(self, number):
        """Keras counts by itself."""

    def step(self, x, y):
        values, taken = {}, x
        with tf.GradientTape() as tape:
            for name, conv, norm in zip(("first", "second"), self.convs, self.norms):
                taken = tf.nn.max_pool2d(tf.nn.relu(norm(conv(taken), training=True)), 2, 2, "VALID")
                values[name] = taken
            logits = self.linear(tf.reshape(taken, [taken.shape[0], -1]))
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
        variables = [each if isinstance(each, tf.Variable) else each.value for each in self.parameters.values()]
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply_gradients(zip(gradients, self.parameters.values()))
        told = {f"grad/{name}": gradient for name, gradient in zip(self.parameters, gradients)}
        return None, {**values, "logits": logits, "loss": loss, **told}

    def state(self):
        statistics = {f"mean{i}": norm.moving_mean for (i, _), norm in zip(SIZES, self.norms)}
        statistics |= {f"variance{i}": norm.moving_variance for (i, _), norm in zip(SIZES, self.norms)}
        found = {**self.parameters, **statistics}
        return {name: tf.convert_to_tensor(value) for name, value in found.items()}
