"""An environment in plain Python floats: it trains, traces and replays as an entrypoint does, in ways to choose."""

import base64
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repromatrix.graph import Place
from repromatrix.operations.catalogue import CATALOGUE
from tests import fakes as say
from tests.worked import PLACES, SEQUENTIAL, TENSORS

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

    def step(self, places: Sequence[Mapping[str, Any]], sample: Mapping[str, Any]) -> dict[str, Any]:
        do, found = {**PLAIN, **self.changes}, {}
        for place in places:
            given = [sample[name] if name in sample else found[name.rstrip("'")] for name, *_ in place["takes"]]
            size = next((len(each) for each in given if isinstance(each, list)), 1)
            given = [each if isinstance(each, list) else [each] * size for each in given]
            found[place["value"]] = do[place["operation"]](*given)
        return found

    def train(self, cell: Mapping[str, Any]) -> bytes:
        return say.ok(dict(cell), told=self.told(cell))

    def told(self, cell: Mapping[str, Any]) -> dict[str, list[Any]]:
        """What a cell tells at each step, by name; of a traced one everything."""
        work = network(cell)
        w1, w2 = work["hidden_weights"], work["output_weights"]
        told: dict[str, list[Any]] = {}
        places = in_words(PLACES if cell["options"].get("update") != "sequential" else SEQUENTIAL)
        for _ in range(cell["steps"]):
            found = self.step(places, work | {"hidden_weights": w1, "output_weights": w2})
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
            found = self.step(asked["places"], {key: numbers(entry) for key, entry in sample.items()})
            outputs.append({place: texts(value) for place, value in found.items()})
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
    return [numbers(each) for each in entry] if isinstance(entry, list) else float.fromhex(entry)


def in_words(places: Mapping[str, Place]) -> list[dict[str, Any]]:
    """Places as a job has them."""
    return [
        {
            "value": place.value,
            "operation": place.operation,
            "takes": [[name, CATALOGUE[place.operation].takes[own], None] for own, name in place.given.items()],
            "gives": CATALOGUE[place.operation].gives,
        }
        for place in places.values()
    ]
