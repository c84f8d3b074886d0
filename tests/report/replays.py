"""Replays of simulated cells as a results folder has them, for reports on operations."""

import base64
import hashlib
import json
import struct
from dataclasses import replace

from repromatrix.graph import alone, shapes
from repromatrix.operations import fresh
from repromatrix.operations.catalogue import OWN_SIGMOID
from repromatrix.operations.wiring import Start, inputs_at, step_sample
from repromatrix.report.replayed import Replayed
from repromatrix.results.record import Outcome
from repromatrix.results.replay import Origin, Replay, digest, sample
from repromatrix.results.replays import CellReplays, ListedCell, ReplayedCell, ReplayedPair, ReplayIndex
from repromatrix.results.trace import Trace
from repromatrix.results.value import Trajectory, columns
from tests import values, worked
from tests.simulated import Environment, in_words, nudged

STEPS = 3
INPUTS = {
    "input": ("0.05", "0.10"),
    "target": ("0.01", "0.99"),
    "hidden_weights": (("0.15", "0.20"), ("0.25", "0.30")),
    "output_weights": (("0.40", "0.45"), ("0.50", "0.55")),
}
NUMBERS = {"hidden_bias": "0.35", "output_bias": "0.60", "learning_rate": "0.5"}


def _floats(entry):
    if isinstance(entry, str):
        return float.fromhex(entry) if "0x" in entry else float(entry)
    return [_floats(each) for each in entry]


START = Start(
    graph=worked.GRAPH,
    inputs={name: _floats(entry) for name, entry in INPUTS.items()},
    numbers={name: float(text) for name, text in NUMBERS.items()},
    shapes=shapes(
        tuple(worked.PLACES.values()),
        {"input": (2,), "target": (2,), "hidden_weights": (2, 2), "output_weights": (2, 2), **dict.fromkeys(NUMBERS)},
    ),
    options={},
)


def key(*words):
    return hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()


def asked(name, options, *, trace):
    """A cell of a job as the engine in memory hands it over."""
    given = {}
    for each, texts in INPUTS.items():
        numbers = [float(text) for text in values.flat(texts)]
        bits = base64.b64encode(struct.pack(f"<{len(numbers)}d", *numbers)).decode()
        given[each] = {"dtype": "float64", "shape": [2, 2] if len(numbers) > 2 else [2], "bits": bits}
    words = {"dtype": "float64", "steps": STEPS, "options": dict(options), "numbers": NUMBERS, "metrics": ["loss"]}
    return {"id": name, "trace": trace, "inputs": given} | words


def trained(builder, name, environment, **options):
    """The record and the trace of a simulated cell."""
    found = run(environment, asked(name, options, trace=True))
    place = name.split("/")[1]
    plain = builder.record((0.5,) * STEPS, id=name, environment=place, options=tuple(sorted(options.items())))
    record = replace(plain, trajectories=(run(environment, asked(name, options, trace=False)),))
    return record, Trace(cell=record.cell, key=key("trace", name), trajectory=found, untraced=())


def run(environment, cell):
    """What a simulated cell records."""
    lines = [json.loads(line) for line in environment.train(cell).split(b"\n")]
    told = ((line["step"], *value) for line in lines if line["line"] == "values" for value in line["values"])
    return Trajectory(columns=columns(told))


def replay(cell, environment, operation, given, **words):
    """What a simulated cell gives for an operation on its inputs, floats in lists."""
    operate = asked(cell.id, cell.options, trace=False) | {"operation": operation}
    operate["samples"] = [{name: _hex(each) for name, each in one.items()} for one in given]
    places = worked.GRAPH.places(dict(cell.options)) if operation == "step" else alone(operation)
    operate["places"] = in_words({place.value: place for place in places})
    line = json.loads(environment.operate(operate).split(b"\n")[-1])
    ok = line["outcome"] == "ok"
    outputs = line.get("outputs") or []
    if not ok:
        kept = ()
    elif operation == "step":
        kept = tuple((place, tuple(tuple(each[place]) for each in outputs)) for place in outputs[0])
    else:
        kept = ((operation, tuple(tuple(each[operation]) for each in outputs)),)
    whole = {
        "trace": None,
        "begin": 1 if "trace" in words else None,
        "origins": (),
        "samples": (),
        "seed": None,
    } | words
    return Replay(
        cell=cell,
        key=key(cell.id, operation, words, operate["samples"]),
        operation=operation,
        inputs=digest([sample(each) for each in given]),
        places=places if operation == "step" else (),
        numbers=(("rate", NUMBERS["learning_rate"]),) if operation == "update" else (),
        outcome=Outcome.OK if ok else Outcome.UNAVAILABLE,
        reason=line.get("reason"),
        options=cell.options,
        outputs=kept,
        **whole,
    )


def _hex(tensor):
    return [_hex(each) for each in tensor] if isinstance(tensor, list) else tensor.hex()


def pair(builder, a, b, sides, known=worked.OPERATIONS):
    """The pair of two cells that stand for a and b, and what its ends name; `sides`: (id, environment, options).

    `known`: operations that are replayed on fresh inputs too.
    """
    made = [(*trained(builder, name, environment, **options), environment) for name, environment, options in sides]
    given = [[step_sample(trace, step, START) for step in range(1, STEPS + 1)] for _, trace, _ in made]
    steps = {
        (cell, of): replay(
            made[cell][0].cell, made[cell][2], "step", given[of], trace=(made[of][1].cell.id, made[of][1].key)
        )
        for cell in (0, 1)
        for of in (0, 1)
    }
    recorded = {name: {} for name in worked.OPERATIONS}
    for number, (record, _, _) in enumerate(made):
        for step, outputs in enumerate(steps[number, number].steps, start=1):
            for place in worked.GRAPH.places(dict(record.cell.options)):
                taken = inputs_at(place, given[number][step - 1], outputs, START.shapes)
                if taken is not None:
                    inputs = sample({name: each for name, each in taken.items() if name != OWN_SIGMOID})
                    found = (inputs, Origin(cell=record.cell.id, place=place.value, step=step))
                    recorded[place.operation].setdefault((place.value, inputs), found)
    ends, cells_replays = [], []
    for number, (record, trace, environment) in enumerate(made):
        of_steps = {
            name: replay(
                record.cell,
                environment,
                name,
                [{key: _floats(each) for key, each in inputs} for inputs, _ in found.values()],
                samples=tuple(inputs for inputs, _ in found.values()),
                origins=tuple(origin for _, origin in found.values()),
            )
            for name, found in recorded.items()
            if found
        }
        fresh_ones = freshly(record.cell, environment, known)
        own, other = steps[number, number], steps[number, 1 - number]
        ends.append(
            ReplayedCell(
                cell=record.cell.id,
                record=record.key,
                trace=trace.key,
                own=own.key,
                other=other.key,
                recorded=tuple((name, each.key) for name, each in of_steps.items()),
                fresh=tuple((name, each.key) for name, each in fresh_ones.items()),
            )
        )
        cells_replays.append(
            CellReplays(record=record, trace=trace, own=own, other=other, recorded=of_steps, fresh=fresh_ones)
        )
    found = ReplayedPair(a=a, b=b, left=ends[0], right=ends[1], reason=None)
    return found, dict(zip(ends, cells_replays, strict=True))


def freshly(cell, environment, known=worked.OPERATIONS):
    """The replays of operations on the fresh inputs of seed 0."""
    return {name: replay(cell, environment, name, list(fresh.samples(name, "float64", 0)), seed=0) for name in known}


def replayed(builder, a, b, c, known=worked.OPERATIONS):
    """Operations of which a report has something of every kind to say; a, b, c: ids of cells of the run.

    `known`: operations that are replayed on fresh inputs too; these take seconds to judge, so without them the
    catalogue has an operation that cannot be done alone.
    """
    plain, other = Environment(), Environment(changes={"sigmoid": nudged})
    lame = Environment(fused=("hidden_pre",), unavailable=("back",))
    pairs = [
        pair(builder, a, b, (("mazur/x-1/v", plain, {}), ("mazur/x-2/v", other, {})), known),
        pair(builder, a, c, (("mazur/x-1/v", plain, {}), ("mazur/x-3/v", plain, {"update": "sequential"})), known),
        pair(builder, b, c, (("mazur/x-1/v", plain, {}), ("mazur/x-4/v", lame, {})), known),
    ]
    again = replace(pairs[0][0], a=c, b=b)
    refused = ReplayedPair(a=c, b=a, left=None, right=None, reason="float64 against float32")
    outdated = replace(pairs[0][0], a="mazur/gone/v", b="mazur/gone/w")
    cells = [builder.record(id=f"mazur/{env}/{v}", environment=env, options=(("gradient", v),)).cell
             for env, v in (("x-1", "auto"), ("x-1", "manual"), ("x-2", "auto"))]  # fmt: skip
    listed = {
        cell.id: freshly(cell, other if cell.id == "mazur/x-1/manual" else plain, known)
        if known
        else {"back": replay(cell, lame, "back", [{"W": [[1.0]], "d": [1.0]}], seed=0)}
        for cell in cells
    }
    gone = ListedCell(cell="mazur/x-5/v", environment="x-5", fresh=())
    return Replayed(
        index=ReplayIndex(
            pairs=(*(each for each, _ in pairs), again, refused, outdated),
            listed=(*(ListedCell(cell=each.id, environment=each.environment, fresh=()) for each in cells), gone),
        ),
        ends={end: each for _, ends in pairs for end, each in ends.items()},
        listed=listed,
    )
