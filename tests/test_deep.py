"""A workload with other names, widths and depth is replayed operation by operation, by its graph alone."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix.explain.start import start_of
from repromatrix.matrix.workload import load_workload
from repromatrix.operations import text
from repromatrix.operations.wiring import step_sample
from repromatrix.plan import Cell, Operation
from repromatrix.results.record import Description
from repromatrix.results.store import Store
from repromatrix.results.trace import Trace
from repromatrix.results.value import Trajectory
from tests import asked
from tests.test_stranger import repromatrix

DEEP = """\
format: 1
title: three layers of a sigmoid, 3-5-3-2
steps: 3
metrics: [regret]
dtypes: [float64, float32]
numbers: {lift: "0.25", sink: "-0.5", pace: "0.7"}
inputs:
  signal: {decimal: ["0.3", "-0.7", "0.11"]}
  wish: {decimal: ["0.2", "0.9"]}
  first: {shape: [5, 3], draw: normal, parameter: true}
  second: {shape: [3, 5], draw: normal, parameter: true}
  third: {shape: [2, 3], draw: uniform, low: "-1", high: "1", parameter: true}
graph:
  first/sum: product(first, signal)
  first/lifted: bias(first/sum, lift)
  a: sigmoid(first/lifted)
  second/sum: product(second, a)
  second/lifted: bias(second/sum, sink)
  b: sigmoid(second/lifted)
  third/sum: product(third, b)
  third/lifted: bias(third/sum, lift)
  shown: sigmoid(third/lifted)
  regret: loss(shown, wish)
  off: error(shown, wish)
  third/delta: sigmoid_gradient(third/lifted, shown, off)
  third/slope: outer(third/delta, b)
  b/off: back(third, third/delta)
  second/delta: sigmoid_gradient(second/lifted, b, b/off)
  second/slope: outer(second/delta, a)
  a/off: back(second, second/delta)
  first/delta: sigmoid_gradient(first/lifted, a, a/off)
  first/slope: outer(first/delta, signal)
  third: update(third, third/slope, pace)
  second: update(second, second/slope, pace)
  first: update(first, first/slope, pace)
"""
NUMPY = """\
import numpy as np
from replay import Operations


def train(task):
    step, own = Step(task), [task.tensor(name) for name in ("first", "second", "third")]
    signal, wish = task.tensor("signal"), task.tensor("wish")
    for _ in range(task.steps):
        values, into, kept = {}, signal, []
        for name, weights, shift in zip(("first", "second", "third"), own, ("lift", "sink", "lift")):
            lifted = step.bias(step.product(weights, into), np.full(len(weights), task.number(shift), into.dtype))
            out = step.sigmoid(lifted)
            kept.append((name, weights, into, out))
            values |= {f"{name}/lifted": lifted, {"first": "a", "second": "b", "third": "shown"}[name]: out}
            into = out
        values["regret"], error, own = step.loss(into, wish), step.error(into, wish), []
        for name, weights, into, out in reversed(kept):
            delta = through(out, error)
            error, slope = step.back(weights, delta), step.outer(delta, into)
            values |= {f"{name}/slope": slope}
            own.insert(0, step.update(weights, slope))
        task.record(values, state=dict(zip(("first", "second", "third"), own)))


def operations(task):
    return Step(task)


def through(a, e):
    return e * (a * (1 - a))


class Step(Operations):
    def product(self, W, v):
        return W @ v

    def bias(self, p, b):
        return p + b

    def sigmoid(self, z):
        return 1 / (1 + np.exp(-z))

    def loss(self, o, t):
        return (0.5 * ((t - o) ** 2).sum()).astype(o.dtype)

    def error(self, o, t):
        return o - t

    def sigmoid_gradient(self, z, a, e):
        return through(a, e)

    def outer(self, d, v):
        return np.outer(d, v)

    def back(self, W, d):
        return W.T @ d

    def update(self, W, g):
        return W - W.dtype.type(self.task.number("pace")) * g
"""
TORCH = """\
import torch
from derivatives import Derivatives


def train(task):
    step, own = Step(task), [task.tensor(name) for name in ("first", "second", "third")]
    signal, wish = task.tensor("signal"), task.tensor("wish")
    for _ in range(task.steps):
        values, into = {}, signal
        own = [weights.detach().requires_grad_() for weights in own]
        for name, weights, shift in zip(("first", "second", "third"), own, ("lift", "sink", "lift")):
            into_sum = step.product(weights, into)
            lifted = step.bias(into_sum, torch.full_like(into_sum.detach(), task.number(shift)))
            into = step.sigmoid(lifted)
            out = {"first": "a", "second": "b", "third": "shown"}[name]
            values |= {f"{name}/lifted": lifted.detach(), out: into.detach()}
        loss = step.loss(into, wish)
        loss.backward()
        slopes = [weights.grad for weights in own]
        own = [step.update(weights.detach(), slope) for weights, slope in zip(own, slopes)]
        names = ("first", "second", "third")
        values |= {"regret": loss.detach(), **{f"{name}/slope": slope for name, slope in zip(names, slopes)}}
        task.record(values, state=dict(zip(names, own)))


def operations(task):
    return Step(task)


class Step(Derivatives):
    def product(self, W, v):
        return W @ v

    def bias(self, p, b):
        return p + b

    def sigmoid(self, z):
        return torch.sigmoid(z)

    def loss(self, o, t):
        return 0.5 * torch.sum((t - o) ** 2)

    def update(self, W, g):
        return W - torch.tensor(self.task.number("pace"), dtype=W.dtype) * g
"""
MATRIX = """\
format: 1
environments:
  - {framework: numpy, flavour: cpu, versions: [1.26.4, 2.4.6], packages: ["numpy=={version}"]}
  - framework: torch
    flavour: cpu
    versions: [2.13.0]
    packages: ["torch=={version}+cpu", "numpy==2.4.6"]
    index: https://download.pytorch.org/whl/cpu
workloads: [./deep, ./bare]
settings: {default: {threads: 1}}
profiles: {default: {environments: ["numpy-*"]}}
tolerances:
  float64: {relative: 1.0e-7, absolute: 1.0e-7, source: somebody}
  float32: {relative: 1.3e-6, absolute: 1.0e-5, source: somebody}
noise: {members: 2}
"""
PLACES = re.findall(r"^  (\S+): [a-z_]+\(", DEEP, re.MULTILINE)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workload, beside the same one without its graph."""
    folder = tmp_path_factory.mktemp("deep")
    for name, told in (("deep", DEEP), ("bare", re.sub(r"(?ms)^graph:.*?(?=^\S|\Z)", "", DEEP))):
        (folder / name).mkdir()
        (folder / name / "workload.yaml").write_text(told)
        (folder / name / "numpy.py").write_text(NUMPY)
        (folder / name / "torch.py").write_text(TORCH)
    (folder / "matrix.yaml").write_text(MATRIX)
    return folder


def traced(cell: Cell) -> Trace:
    """What a cell records in the interpreter at hand, as a trace."""
    (found,) = asked.trained([cell], trace=True).values()
    assert found.trajectory is not None, found.reason
    told = dict.fromkeys(("framework", "version", "flavour", "python", "environment", "variant", "settings"), "")
    about = Description(
        id=cell.id, workload="deep", dtype=cell.variant.dtype, options=(), device="cpu", steps=cell.steps,
        task="", code="", **told,
    )  # fmt: skip
    return Trace(cell=about, key="k", trajectory=found.trajectory, untraced=())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_step_of_three_layers_gives_its_own_trace_back(deep: Path, dtype: str) -> None:
    work = load_workload(deep / "deep", "deep")
    cell = asked.cell(work, dtype=dtype)
    start, trace = start_of(cell), traced(cell)
    samples = [text.write(step_sample(trace, step, start)) for step in (1, 2, 3)]
    places = start.graph.places({})
    step = Operation(cell=cell, name="step", inputs="0" * 64, places=places, samples=samples)
    (line,) = asked.operated([step])
    assert line["outcome"] == "ok", line["reason"]
    assert [list(output) for output in line["outputs"]] == [PLACES] * 3
    columns = dict(trace.tensors)
    assert len(columns) == 13
    for name, rows in columns.items():
        assert [tuple(output[name]) for output in line["outputs"]] == list(rows), name


def test_a_value_that_a_trace_lacks_is_the_steps_own(deep: Path) -> None:
    work = load_workload(deep / "deep", "deep")
    cell = asked.cell(work)
    trace = traced(cell)
    kept = tuple(column for column in trace.trajectory.columns if column.role.value != "trace")
    bare = replace(trace, trajectory=Trajectory(columns=kept))
    start = start_of(cell)
    samples = [[text.write(step_sample(each, 2, start))] for each in (trace, bare)]
    assert set(samples[0][0]) - set(samples[1][0]) >= {"a", "b", "shown"}
    places = start.graph.places({})
    asked_for = [
        Operation(cell=cell, name="step", inputs=f"{number}" * 64, places=places, samples=each)
        for number, each in enumerate(samples)
    ]
    one, other = asked.operated(asked_for)
    assert one["outputs"] == other["outputs"]


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("others", [("numpy-1.26.4-cpu", "numpy-2.4.6-cpu"), ("numpy-2.4.6-cpu", "torch-2.13.0-cpu")])
def test_explain_tells_its_operations_in_real_environments(deep: Path, others: tuple[str, str]) -> None:
    cells = [f"deep/{name}/default" for name in others]
    done = repromatrix(deep, "explain", *cells, "--engine", "process", "--json")
    assert done.returncode in {0, 1}, done.stderr
    found = json.loads(done.stdout)["operations"]
    assert found["reason"] is None
    assert [place["place"] for place in found["places"]] == PLACES
    assert all(place["compared"] >= 3 and place["reason"] is None for place in found["places"])
    assert [side["separable"] for side in (found["left"], found["right"])] == [True, True]
    sources = {place["operation"] for place in found["places"] if place["differing"]}
    assert sources, "these environments compute the same"
    assert sources <= {"product", "back", "sigmoid", "sigmoid_gradient", "loss", "error"}
    index = Store(deep / "results").read_replay_index()
    assert (cells[0], cells[1]) in {(pair.a, pair.b) for pair in index.pairs}


@pytest.mark.network
@pytest.mark.slow
def test_without_a_graph_the_first_differing_value_is_told(deep: Path) -> None:
    cells = [f"bare/{name}/default" for name in ("numpy-1.26.4-cpu", "numpy-2.4.6-cpu")]
    done = repromatrix(deep, "explain", *cells, "--engine", "process")
    assert done.returncode in {0, 1}, done.stderr
    told = done.stdout.splitlines()[-1]
    number = r"-?[\d.e-]+ \(0x[0-9a-f]{16}\)"
    assert told.startswith("operations on the same inputs: not replayed, as the workload bare has no graph of its step")
    assert re.search(rf"the two differ first at step \d+ in \S+\[\d+\]: {number} against {number}, \d+ ULP of", told), (
        told
    )
