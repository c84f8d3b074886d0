"""The decoder block in TensorFlow: its own operations where all is spelt out, tf.keras where all is default."""

import tensorflow as tf

HEADS = 4
WEIGHTS = ("embedding", "position", "qkv", "project", "up", "down")


def train(task):
    job = (Own if task.option("defaults") == "own" else Aligned)(task)
    step = task.compile(job.step)
    for number, tokens in enumerate(task.batches("tokens"), 1):
        job.schedule(number, task.number("learning_rate") * min(1.0, number / task.number("warm_up")))
        _, values = step(tokens)
        task.record(values, state=job.state())


class Block:
    """What both ways share: the step, over layers that each of them makes."""

    def step(self, tokens):
        with tf.GradientTape() as tape:
            values = self.forward(tokens[:, :-1], tokens[:, 1:])
        variables = [each if isinstance(each, tf.Variable) else each.value for each in self.parameters.values()]
        gradients = [tf.convert_to_tensor(each) for each in tape.gradient(values["loss"], variables)]
        self.update(dict(zip(self.parameters, gradients)))
        return None, {**values, **{f"grad/{name}": each for name, each in zip(self.parameters, gradients)}}

    def forward(self, x, y):
        batch, length = x.shape
        stream = self.embed(x) + self.parameters["position"]
        parts = tf.split(self.dense("qkv", self.norm(1, stream)), 3, axis=2)
        query, key, value = (tf.transpose(tf.reshape(part, [batch, length, HEADS, -1]), [0, 2, 1, 3]) for part in parts)
        scores = tf.matmul(query, key, transpose_b=True) * (query.shape[-1] ** -0.5)
        mask = tf.linalg.band_part(tf.ones([length, length], tf.bool), -1, 0)
        scores = tf.where(mask, scores, tf.cast(float("-inf"), scores.dtype))
        attended = tf.reshape(tf.transpose(tf.nn.softmax(scores) @ value, [0, 2, 1, 3]), [batch, length, 32])
        stream = stream + self.dense("project", attended)
        stream = stream + self.dense("down", tf.nn.gelu(self.dense("up", self.norm(2, stream))))
        logits = tf.matmul(self.norm(3, stream), self.parameters["embedding"], transpose_b=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
        return {"attended": attended, "stream": stream, "logits": logits, "loss": loss}

    def state(self):
        return {name: tf.convert_to_tensor(value) for name, value in self.parameters.items()}


class Aligned(Block):
    def __init__(self, task):
        self.number, dtype = task.number, tf.as_dtype(task.dtype)
        self.parameters = {name: tf.Variable(task.tensor(name)) for name in WEIGHTS}
        for number in (1, 2, 3):
            self.parameters[f"gamma{number}"] = tf.Variable(tf.ones([32], dtype))
            self.parameters[f"beta{number}"] = tf.Variable(tf.zeros([32], dtype))
        self.first = {name: tf.Variable(tf.zeros_like(value)) for name, value in self.parameters.items()}
        self.second = {name: tf.Variable(tf.zeros_like(value)) for name, value in self.parameters.items()}
        self.rate, self.bias1, self.bias2 = (tf.Variable(tf.ones([], dtype)) for _ in range(3))

    def schedule(self, number, rate):
        self.rate.assign(tf.cast(rate, self.rate.dtype))
        self.bias1.assign(tf.cast(1 - self.number("beta1") ** number, self.rate.dtype))
        self.bias2.assign(tf.cast(1 - self.number("beta2") ** number, self.rate.dtype))

    def embed(self, x):
        return tf.gather(self.parameters["embedding"], x)

    def dense(self, name, x):
        return x @ self.parameters[name]

    def norm(self, number, x):
        mean = tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(x - mean), -1, keepdims=True)
        scaled = (x - mean) / tf.sqrt(variance + self.number("norm_epsilon"))
        return scaled * self.parameters[f"gamma{number}"] + self.parameters[f"beta{number}"]

    def update(self, gradients):
        beta1, beta2 = self.number("beta1"), self.number("beta2")
        for name, gradient in gradients.items():
            parameter, first, second = self.parameters[name], self.first[name], self.second[name]
            first.assign(beta1 * first + (1 - beta1) * gradient)
            second.assign(beta2 * second + (1 - beta2) * gradient * gradient)
            change = (first / self.bias1) / (tf.sqrt(second / self.bias2) + self.number("epsilon"))
            parameter.assign(parameter - self.rate * self.number("weight_decay") * parameter - self.rate * change)


class Own(Block):
    """Layers and optimizer of tf.keras, with nothing said that they have a default for."""

    def __init__(self, task):
        tf.keras.utils.set_random_seed(0)
        layers, options = tf.keras.layers, {"dtype": task.dtype}
        self.tokens, positions = layers.Embedding(32, 32, **options), layers.Embedding(16, 32, **options)
        self.layers = {name: layers.Dense(size, use_bias=False, **options) for name, size in SIZES.items()}
        self.norms = {number: layers.LayerNormalization(**options) for number in (1, 2, 3)}
        for layer in (self.tokens, positions):
            layer.build(None)
        for name, layer in self.layers.items():
            layer.build((None, 128 if name == "down" else 32))
        for layer in self.norms.values():
            layer.build((None, 16, 32))
        self.parameters = {"embedding": self.tokens.embeddings, "position": positions.embeddings}
        self.parameters |= {name: layer.kernel for name, layer in self.layers.items()}
        for number, layer in self.norms.items():
            self.parameters |= {f"gamma{number}": layer.gamma, f"beta{number}": layer.beta}
        self.optimizer = tf.keras.optimizers.AdamW(task.number("learning_rate"))
        self.optimizer.build(list(self.parameters.values()))

    def schedule(self, _, rate):
        self.optimizer.learning_rate.assign(rate)

    def embed(self, x):
        return self.tokens(x)

    def dense(self, name, x):
        return self.layers[name](x)

    def norm(self, number, x):
        return self.norms[number](x)

    def update(self, gradients):
        self.optimizer.apply_gradients(zip(gradients.values(), self.parameters.values()))


SIZES = {"qkv": 96, "project": 32, "up": 128, "down": 32}
