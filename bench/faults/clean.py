"""The explainer's way to ask the real entrypoints: jobs of the contract out, traces and operations back."""

import base64
import json
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

from repromatrix import draw, job, resources
from repromatrix.explain.judge.sites import Flips
from repromatrix.explain.start import Training, begin
from repromatrix.graph import STEP, Graph
from repromatrix.matrix.model import Input, Workload
from repromatrix.operations.wiring import Start
from repromatrix.results.packed import unpack
from repromatrix.results.record import Description
from repromatrix.results.trace import Trace, full
from repromatrix.results.value import INLINE, Role, Trajectory, check, columns

SEPARATOR = " "  # between a run's name and what is flipped in it
Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where clean cells run.

    Attributes:
        framework: as it is written in the name of a run.
        entrypoint: the folder of its entrypoint.
        flavour: of the environment.
        title: its name, with the framework's version.
        python: the interpreter.
        workload: whose code the cells run, each with inputs of its own.
        values: option -> its values, as far as they are tried; `dtype` among them.
        variables: of the process.
    """

    framework: str
    entrypoint: str
    flavour: str
    title: str
    python: str
    workload: Workload
    values: Mapping[str, tuple[str, ...]]
    variables: Mapping[str, str] = field(default_factory=dict)

    def options(self, job: Mapping[str, Any]) -> dict[str, str]:
        """Return every option of a job, with its value."""
        defaults = {name: values[0] for name, values in self.workload.options(self.entrypoint, self.flavour).items()}
        return defaults | job["options"]

    def inputs(self, job: Mapping[str, Any]) -> list[Input]:
        """Return the inputs of a job, of whatever size."""
        return [_given(each, job["inputs"][each.name]) for each in self.workload.inputs]

    def start(self, job: Mapping[str, Any], dtype: str) -> Start:
        """Return what a job's steps are computed from in a dtype."""
        numbers = list(job["numbers"].items())
        return begin(self.graph, Training(inputs=self.inputs(job), numbers=numbers, options=self.options(job)), dtype)

    @property
    def graph(self) -> Graph:
        """The step of the workload."""
        if self.workload.graph is None:
            raise RuntimeError(f"the workload {self.workload.name} has no graph of its step")
        return self.workload.graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A cell: the job of a run, with options flipped; or its operation `step` on samples.

    Attributes:
        name: the run's.
        samples: of `step`; None: the traced cell is asked for.
        suffix: what tells it from others of the same run and flips.
    """

    name: str
    job: Mapping[str, Any]
    flips: Flips = ()
    samples: Sequence[Mapping[str, Any]] | None = None
    suffix: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What it is called between the job and its answer."""
        return SEPARATOR.join((self.name, *(f"{option}={value}" for option, value in self.flips), *self.suffix))


def answers(environment: Environment, asked: Sequence[Asked]) -> dict[str, list[Line]]:
    """Return the lines of cells and operations, which run in one process in the order given, by id.

    Raises:
        RuntimeError: the entrypoint does not take the job.
    """
    if not asked:
        return {}
    entrypoint = resources.folder("images") / environment.entrypoint / "entrypoint.py"
    with tempfile.TemporaryDirectory(prefix="repromatrix-faults-") as scratch:
        done = subprocess.run(
            [environment.python, str(entrypoint)],
            input=json.dumps(_document(environment, asked)),
            capture_output=True,
            text=True,
            check=False,
            env={**environment.variables, "TMPDIR": scratch},
        )
    if done.returncode:
        raise RuntimeError(f"the clean entrypoint of {environment.framework} failed:\n{done.stderr[-2000:]}")
    found: dict[str, list[Line]] = {each.id: [] for each in asked}
    for line in map(json.loads, done.stdout.splitlines()):
        if line["line"] in ("values", "cell", "operation"):
            found[line["id"]].append(line)
    return found


def _document(environment: Environment, asked: Sequence[Asked]) -> dict[str, Any]:
    """Return the job document; all cells share the workload's code."""
    work, data = environment.workload, {}
    code = f"{work.name}:{work.code(environment.entrypoint)}"
    entries = []
    for each in asked:
        options, dtype = {**environment.options(each.job), **dict(each.flips)}, each.job["dtype"]
        dtype = options.pop("dtype", dtype)
        inputs = {each.name: each for each in environment.inputs(each.job)}
        dtypes = {name: one.dtype or dtype for name, one in inputs.items()}
        names = {name: f"{each.name}/{name}/{dtype}" for name in inputs}
        data |= {names[name]: base64.b64encode(draw.bits(inputs[name], dtype)).decode() for name in inputs}
        entry = {
            "id": each.id,
            "device": "cpu",
            "workload": code,
            "steps": each.job["steps"],
            "batch": work.batch,
            "dtype": dtype,
            "options": options,
            "numbers": each.job["numbers"],
            "inputs": {
                name: {"dtype": dtypes[name], "shape": list(inputs[name].shape), "data": names[name]} for name in inputs
            },
            "metrics": list(work.metrics),
            "outputs": list(work.outputs),
            "trace": each.samples is None,
            "fetch": _large(environment, inputs.values(), options, each.job["steps"]),
        }
        step = {
            "operation": STEP,
            "places": job.entries(environment.graph.places(options), work),
            "samples": each.samples,
        }
        entries.append(entry if each.samples is None else {**entry, **step})
    return {
        "format": job.FORMAT,
        "settings": {"name": "default", "threads": 1, "isa": None, "env": {}},
        "workloads": {code: {"name": work.name, "files": work.modules(environment.entrypoint)}},
        "data": data,
        "cells": [each for each in entries if "samples" not in each],
        "operations": [each for each in entries if "samples" in each],
    }


def _large(
    environment: Environment, inputs: Iterable[Input], options: Mapping[str, str], steps: int
) -> list[tuple[int, str]]:
    """Return every value of every step, if some are too large to be told in full without being asked for."""
    if all(prod(each.shape) <= INLINE for each in inputs):
        return []
    names = [place.value for place in environment.graph.places(options)]
    return [(step, name) for step in range(1, steps + 1) for name in names]


def _given(like: Input, texts: Any) -> Input:
    shape, inner = [], texts
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0]
    return replace(like, shape=tuple(shape), decimal=_frozen(texts), draw=None)


def _frozen(texts: Any) -> Any:
    return tuple(map(_frozen, texts)) if isinstance(texts, list) else texts


def trace_of(lines: Iterable[Line]) -> Trace:
    """Return the trace that the lines of a cell tell.

    Raises:
        RuntimeError: it has not ended well.
        ValueError: the lines contradict each other.
    """
    *told, end = lines
    if end["outcome"] != "ok":
        raise RuntimeError(f"run {end['id']} is {end['outcome']}: {end['reason']}")
    entries, elements = [], {}
    for line in told:
        for name, role, dtype, shape, texts, *sent in line["values"]:
            entries.append((line["step"], name, role, dtype, tuple(shape), texts))
            if sent and isinstance(texts, str):
                elements[texts] = unpack(sent[0], dtype)
    trajectory = Trajectory(columns=columns(entries))
    check(trajectory, len(trajectory.losses))
    names = ("framework", "version", "flavour", "python", "environment", "variant", "settings", "task", "code")
    cell = Description(
        **dict.fromkeys(names, ""),
        id=end["id"],
        workload="random",
        device="cpu",
        options=(),
        dtype=trajectory.of(Role.STATE)[0].dtype,
        steps=len(trajectory.losses),
    )
    found = Trace(cell=cell, key="", trajectory=trajectory, untraced=tuple(sorted(end["untraced"].items())))
    return full(found, elements) if elements else found


def read(path: Path) -> list[dict[str, Any]]:
    """Return the runs of a file, one a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
