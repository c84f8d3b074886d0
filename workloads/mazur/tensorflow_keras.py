"""The worked example in the Keras that TensorFlow carries (Keras 2 or 3): a Sequential of two Dense layers."""

import tensorflow as tf
from workload.tensorflow import Net


class KerasNet(Net):
    """The given kernels in Dense layers, which store them in_out."""

    def __init__(self, task):
        if task.option("layout") == "out_in":
            raise task.Unavailable("api=keras stores its kernels in_out")
        super().__init__(task)
        self.seen = []
        if task.option("activation") == "native":
            self.sigmoid = tf.keras.activations.get("sigmoid")
        given = ((self.W1, self.b1), (self.W2, self.b2))
        layers = [tf.keras.layers.Dense(len(b), activation=self.seeing, dtype=task.dtype) for _, b in given]
        self.model = tf.keras.Sequential([tf.keras.Input((self.x.shape[1],), dtype=task.dtype), *layers])
        for layer, (W, b) in zip(layers, given):
            layer.kernel.assign(W)
            layer.bias.assign(b)
        self.W1, self.W2 = (layer.kernel for layer in layers)

    def seeing(self, z):
        """The activation, which also shows what goes in and what comes out."""
        a = self.sigmoid(z)
        self.seen.extend((z, a))
        return a

    def forward(self):
        """Both layers, each before and after its sigmoid."""
        self.seen.clear()  # of what building the model has put there
        o = self.model(self.x)
        return (*self.seen[:-1], o)
