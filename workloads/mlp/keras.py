"""The perceptron in Keras 3 on any of its backends: a compiled Sequential, trained batch by batch."""

import keras
from probe import Probe

PARAMETERS = ("w1", "b1", "w2", "b2")  # kernel and bias, layer by layer, as Keras has them
# Where the optimizers keep their state.
# Keras' momentum holds the learning rate, so it is no other framework's momentum.
SLOTS = {"sgd": {}, "momentum": {"velocity": "momentums"}, "adam": {"first": "_momentums", "second": "_velocities"}}

FUSED = "a graph computes product, bias and tanh in one kernel, unless what lies between is asked for"


def train(task):
    if task.option("compile") == "graph" and task.dtype != "float64":
        task.untraced("hidden_pre", FUSED)
    probe = Probe(task)
    model = build(task, probe)
    state = dict(zip(PARAMETERS, model.trainable_variables))
    for slot, attribute in SLOTS[task.option("optimizer")].items():
        state |= {f"{slot}/{name}": entry for name, entry in zip(PARAMETERS, getattr(model.optimizer, attribute))}
    for x, y in task.batches("x", "y"):
        model.reset_metrics()  # Keras 3.8 would report the mean of all steps
        with probe.taking():
            loss = float(model.train_on_batch(x, y))  # bfloat16 may still be a tensor
        values = {**probe.taken("hidden_pre", "hidden", "logits"), "loss": probe.exact(loss)}
        values |= probe.taken("grad/w2", "grad/b2", "grad/w1", "grad/b1")
        task.record(values, state=state)


def build(task, probe):
    w1, b1, w2, b2 = (task.tensor(name) for name in PARAMETERS)
    hidden = keras.layers.Dense(w1.shape[1], activation=probe.activation("tanh", "hidden_pre", "hidden"))
    logits = keras.layers.Dense(w2.shape[1], activation=probe.activation(None, after="logits"))
    model = keras.Sequential([keras.Input((w1.shape[0],)), hidden, logits])
    for variable, given in zip(model.trainable_variables, (w1, b1, w2, b2)):
        variable.assign(given)
    optimizer = OPTIMIZERS[task.option("optimizer")](task)
    optimizer.build(model.trainable_variables)
    model.compile(
        optimizer=probe.optimizer(optimizer, [f"grad/{name}" for name in PARAMETERS]),
        loss=probe.loss(keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        run_eagerly=task.option("compile") == "eager",
        jit_compile=task.option("compile") in ("xla", "jit", "inductor"),
    )
    return model


def sgd(task):
    return keras.optimizers.SGD(task.number("learning_rate"))


def momentum(task):
    return keras.optimizers.SGD(task.number("learning_rate"), momentum=task.number("momentum"))


def adam(task):
    return keras.optimizers.Adam(
        task.number("adam_learning_rate"),
        beta_1=task.number("beta1"),
        beta_2=task.number("beta2"),
        epsilon=task.number("epsilon"),
    )


OPTIMIZERS = {"sgd": sgd, "momentum": momentum, "adam": adam}
