"""The perceptron in NumPy, the gradients written out."""

import numpy as np

NAMES = ("w1", "b1", "w2", "b2", "w3", "b3")


def train(task):
    p = {name: task.tensor(name) for name in NAMES}
    m = {name: np.zeros_like(each) for name, each in p.items()}
    v = {name: np.zeros_like(each) for name, each in p.items()}
    kind = p["w1"].dtype.type
    rate, beta1, beta2, epsilon = (kind(task.number(each)) for each in ("rate", "beta1", "beta2", "epsilon"))
    for t, (x, y) in enumerate(task.batches("x", "y"), start=1):
        h1 = np.maximum(x @ p["w1"] + p["b1"], 0)
        h2 = np.maximum(h1 @ p["w2"] + p["b2"], 0)
        logits = h2 @ p["w3"] + p["b3"]
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = shifted / shifted.sum(axis=1, keepdims=True)
        rows = np.arange(len(y))
        loss = -np.log(probabilities[rows, y]).mean()
        d = probabilities.copy()
        d[rows, y] -= 1
        d /= len(y)
        g = {"w3": h2.T @ d, "b3": d.sum(axis=0)}
        d = (d @ p["w3"].T) * (h2 > 0)
        g |= {"w2": h1.T @ d, "b2": d.sum(axis=0)}
        d = (d @ p["w2"].T) * (h1 > 0)
        g |= {"w1": x.T @ d, "b1": d.sum(axis=0)}
        for name in NAMES:
            m[name] = beta1 * m[name] + (1 - beta1) * g[name]
            v[name] = beta2 * v[name] + (1 - beta2) * g[name] ** 2
            p[name] = p[name] - rate * (m[name] / (1 - beta1**t)) / (np.sqrt(v[name] / (1 - beta2**t)) + epsilon)
        grads = {f"grad/{name}": g[name] for name in NAMES}
        task.record({"h1": h1, "h2": h2, "probabilities": probabilities, "loss": loss, **grads}, state=p)
