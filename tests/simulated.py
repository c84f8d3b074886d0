"""An environment in plain Python floats: it trains, traces and replays as an entrypoint does, in ways to choose."""

import base64
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repromatrix.operations.catalogue import CATALOGUE, TENSORS
from tests import fakes as say

Vector = list[float]


def _product(rows: list[Vector], v: Vector) -> Vector:
    return [sum(w * x for w, x in zip(row, v, strict=True)) for row in rows]


def sigmoid(z: Vector) -> Vector:
    return [1 / (1 + math.exp(-each)) for each in z]


def nudged(z: Vector) -> Vector:
    """The sigmoid, its first element too large by 2**-40, some thousand ULP."""
    first, *rest = sigmoid(z)
    return [first + 2.0**-40, *rest]


PLAIN: Mapping[str, Callable[..., Any]] = {
    "product": _product,
    "bias": lambda p, b: [x + y for x, y in zip(p, b, strict=True)],
    "sigmoid": sigmoid,
    "loss": lambda o, t: [sum(0.5 * (y - x) ** 2 for x, y in zip(o, t, strict=True))],
    "error": lambda o, t: [x - y for x, y in zip(o, t, strict=True)],
    "sigmoid_gradient": lambda _, a, e: [y * (x * (1 - x)) for x, y in zip(a, e, strict=True)],
    "outer": lambda d, v: [[x * y for y in v] for x in d],
    "back": lambda w, d: _product([list(column) for column in zip(*w, strict=True)], d),
    "update": lambda w, g: [[x - 0.5 * y for x, y in zip(*rows, strict=True)] for rows in zip(w, g, strict=True)],
}


@dataclass
class Environment:
    """`changes`: operations computed in another way; `fused`: tensors that the traced step has twice as large."""

    changes: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    fused: tuple[str, ...] = ()
    unavailable: tuple[str, ...] = ()

    def step(self, cell: Mapping[str, Any], w1: Any, w2: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        work, do = network(cell), {**PLAIN, **self.changes}
        x, t = work["input"], work["target"]
        b1, b2 = [work["hidden_bias"]] * len(w1), [work["output_bias"]] * len(w2)
        p1 = do["product"](w1, x)
        z1 = do["bias"](p1, b1)
        h = do["sigmoid"](given.get("hidden_pre", z1))
        seen_z1, seen_h = given.get("hidden_pre", z1), given.get("hidden", h)
        p2 = do["product"](w2, seen_h)
        z2 = do["bias"](p2, b2)
        seen_z2 = given.get("output_pre", z2)
        o = do["sigmoid"](seen_z2)
        seen_o = given.get("output", o)
        loss, e2 = do["loss"](seen_o, t), do["error"](seen_o, t)
        d2 = do["sigmoid_gradient"](seen_z2, seen_o, e2)
        g2 = do["outer"](d2, seen_h)
        new2 = do["update"](w2, given.get("grad_output_weights", g2))
        sequential = cell["options"].get("update") == "sequential"
        e1 = do["back"](given.get("new_output_weights", new2) if sequential else w2, d2)
        d1 = do["sigmoid_gradient"](seen_z1, seen_h, e1)
        g1 = do["outer"](d1, x)
        new1 = do["update"](w1, given.get("grad_hidden_weights", g1))
        names = ("hidden_product", "hidden_pre", "hidden", "output_product", "output_pre", "output", "loss")
        names += ("output_error", "output_delta", "grad_output_weights", "hidden_error", "hidden_delta")
        names += ("grad_hidden_weights", "output_weights", "hidden_weights")
        values = (p1, z1, h, p2, z2, o, loss, e2, d2, g2, e1, d1, g1, new2, new1)
        return dict(zip(names, values, strict=True))

    def train(self, cell: Mapping[str, Any]) -> bytes:
        return say.ok(dict(cell), told=self.told(cell))

    def told(self, cell: Mapping[str, Any]) -> dict[str, list[Any]]:
        """What a cell tells at each step, by name; of a traced one everything."""
        work = network(cell)
        w1, w2 = work["hidden_weights"], work["output_weights"]
        told: dict[str, list[Any]] = {}
        for _ in range(cell["steps"]):
            found = self.step(cell, w1, w2, {})
            for name in self.fused:
                found[name] = [2 * each for each in found[name]]
            w1, w2 = found["hidden_weights"], found["output_weights"]
            for name in TENSORS:
                told.setdefault(name, []).append(texts(found[name]))
        told["output"].append(told["output"][-1])
        if not cell["trace"]:
            for name in ("hidden_weights", "output_weights"):
                told[name][:-1] = [None] * (len(told[name]) - 1)
        shown = {"loss", "output", "hidden_weights", "output_weights"}
        return {name: rows for name, rows in told.items() if cell["trace"] or name in shown}

    def operate(self, asked: Mapping[str, Any]) -> bytes:
        """The lines of an operation, from its start on."""
        name = asked["operation"]
        if name in self.unavailable:
            last = {"line": "operation", "id": asked["id"], "operation": name}
            return b"\n".join([say.start(dict(asked)), say.line(**last, outcome="unavailable", reason="not alone")])
        outputs: list[Any] = []
        for sample in asked["samples"]:
            inputs = {key: numbers(entry) for key, entry in sample.items()}
            if name == "step":
                w1, w2 = inputs.pop("hidden_weights"), inputs.pop("output_weights")
                outputs.append({place: texts(value) for place, value in self.step(asked, w1, w2, inputs).items()})
            else:
                outputs.append(texts({**PLAIN, **self.changes}[name](*(inputs[each] for each in CATALOGUE[name]))))
        return say.replayed(dict(asked), outputs=outputs)


def install(bench: say.Bench, environments: Mapping[str, Environment]) -> None:
    """Have the engine of a bench compute as these, by the cell's id without its operation; any other is plain."""

    def of(asked: Mapping[str, Any]) -> Environment:
        return environments.get(asked["id"].split(":")[0], Environment())

    bench.engine.answer = lambda cells, _: ([of(each).train(each) for each in cells], say.CLEAN)
    bench.engine.operate = lambda asked: operated(asked, of)


def operated(asked: Sequence[Mapping[str, Any]], of: Callable[[Mapping[str, Any]], Environment]) -> say.Answer:
    """The lines of operations, each computed by the environment that `of` names for it."""
    return [of(each).operate(each) for each in asked], say.CLEAN


def network(cell: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs and numbers of a job's cell as floats; `inputs` holds the bits as the fake engine hands them over."""
    found = {name: unpacked(given) for name, given in cell["inputs"].items()}
    return found | {name: float(text) for name, text in cell["numbers"].items()}


def unpacked(given: Mapping[str, Any]) -> Any:
    """An input's floats, in rows where it has two dimensions."""
    code = {"float64": "d", "float32": "f", "float16": "e"}[given["dtype"]]
    data = base64.b64decode(given["bits"])
    values = list(struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data))
    if len(given["shape"]) < 2:
        return values
    width = given["shape"][1]
    return [values[place : place + width] for place in range(0, len(values), width)]


def texts(value: Any) -> list[str]:
    """Numbers, or rows of them, as hexadecimal text laid flat."""
    return [text for each in value for text in (texts(each) if isinstance(each, list) else [each.hex()])]


def numbers(entry: Any) -> Any:
    return [numbers(each) if isinstance(each, list) else float.fromhex(each) for each in entry]
