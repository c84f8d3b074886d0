"""The explainer's side: clean entrypoints answer what `repromatrix.compare.attribution` asks; no truth is read here.

Of every run it gets the job as it was asked for and the traced line that came back, nothing else.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repromatrix import resources
from repromatrix.compare.attribution import Attribution, Flips, Task, Tried, attribute, detected, samples, to_try, tried
from repromatrix.results.record import Description, Trajectory, exact
from repromatrix.results.trace import Trace, tensors_of, untraced_of

OWN = "own"
SEPARATOR = " "  # between a run's name and what is flipped in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where clean cells run.

    Attributes:
        framework: as it is written in the name of a run.
        entrypoint: the folder of its entrypoint.
        title: its name, with the framework's version.
        python: the interpreter.
        values: option -> its values, as far as they are tried; `dtype` among them.
        variables: of the process.
    """

    framework: str
    entrypoint: str
    title: str
    python: str
    values: Mapping[str, tuple[str, ...]]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class _Case:
    """A run under examination."""

    job: Mapping[str, Any]
    task: Task
    b: Trace
    a: Trace | None = None
    own: Sequence[Mapping[str, Sequence[str]]] | None = None
    own_asked: bool = False
    asked: dict[Flips, Tried] = field(default_factory=dict)


def explain(environment: Environment, runs: Iterable[Mapping[str, Any]]) -> dict[str, Attribution]:
    """Return what is found in each run (its job and the line that it gave), by the line's id.

    Raises:
        RuntimeError: the clean environment cannot run a job that the other side ran.
    """
    cases = {run["cell"]["id"]: _case(run) for run in runs}
    _clean(environment, cases)
    while True:
        differing = {name: case for name, case in cases.items() if case.a is not None and detected(case.a, case.b)}
        wanted = {
            (name, flips)
            for name, case in differing.items()
            for flips in to_try(case.asked, environment.values, case.task)
        }
        if not wanted and all(case.own_asked for case in differing.values()):
            break
        _own_and(environment, differing, sorted(wanted))
    found = {}
    for name, case in cases.items():
        if case.a is None:
            raise RuntimeError(f"no clean trace of run {name}")
        found[name] = attribute(case.a, case.b, case.asked, case.task, case.own)
    return found


def clean_lines(environment: Environment, jobs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the traced lines of clean jobs, which run in the order given."""
    cells = [{**_entry(name, job, ()), "trace": True} for name, job in jobs.items()]
    return {line["id"]: line for line in _run(environment, {"cells": cells}) if line["line"] == "cell"}


def _case(run: Mapping[str, Any]) -> _Case:
    job = run["job"]
    work = job["workload"]
    task = Task(
        input=work["input"],
        hidden_weights=work["hidden_weights"],
        output_weights=work["output_weights"],
        dtype=job["dtype"],
        options=job["options"],
    )
    return _Case(job=job, task=task, b=_trace(run["cell"]))


def _clean(environment: Environment, cases: Mapping[str, _Case]) -> None:
    """Run every cell as it should be."""
    for name, line in clean_lines(environment, {name: case.job for name, case in cases.items()}).items():
        cases[name].a = _trace(line)


def _own_and(environment: Environment, cases: Mapping[str, _Case], wanted: Sequence[tuple[str, Flips]]) -> None:
    """Run each with its flips as `step` on the other's trace, or, where that cannot be had, as a whole.

    Once also A's own `step` on its own trace.
    """
    own = {f"{name}{SEPARATOR}{OWN}": case for name, case in cases.items() if not case.own_asked}
    operations = [{**_operation("", case, (), own=True), "id": full} for full, case in own.items()]
    operations += [_operation(name, cases[name], flips) for name, flips in wanted]
    outputs = _outputs(_run(environment, {"cells": [], "operations": operations}))
    for full, case in own.items():
        case.own, case.own_asked = outputs.get(full), True
    whole = [(name, flips) for name, flips in wanted if not (cases[name].own and _named(name, flips) in outputs)]
    cells = [{**_entry(name, cases[name].job, flips), "trace": True} for name, flips in whole]
    ran = _run(environment, {"cells": cells})
    traces = {line["id"]: _trace(line) for line in ran if line.get("outcome") == "ok" and line["line"] == "cell"}
    for name, flips in wanted:
        full, b = _named(name, flips), cases[name].b
        same = full in traces and not detected(traces[full], b)
        cases[name].asked[flips] = tried(b, outputs.get(full), same=same)


def _outputs(told: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what operations gave, by id."""
    return {line["id"]: line["outputs"] for line in told if line["line"] == "operation" and line["outcome"] == "ok"}


def _named(name: str, flips: Flips) -> str:
    return SEPARATOR.join((name, *(f"{option}={value}" for option, value in flips)))


def _entry(name: str, job: Mapping[str, Any], flips: Flips) -> dict[str, Any]:
    options, dtype = {**job["options"], **dict(flips)}, dict(flips).get("dtype", job["dtype"])
    options.pop("dtype", None)
    variant = {"name": "evaluated", "dtype": dtype, "options": options}
    return {"id": _named(name, flips), "device": "cpu", "workload": job["workload"], "variant": variant}


def _operation(name: str, case: _Case, flips: Flips, *, own: bool = False) -> dict[str, Any]:
    """Ask for `step` on the other's trace, or on A's own."""
    if case.a is None:
        raise RuntimeError(f"no clean trace of run {name}")
    return {
        **_entry(name, case.job, flips),
        "operation": "step",
        "samples": samples(case.a, case.a if own else case.b, case.task, flips),
    }


def _run(environment: Environment, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not asked["cells"] and not asked.get("operations"):
        return []
    settings = {"name": "default", "threads": 1, "isa": None, "env": {}}
    entrypoint = resources.folder("images") / environment.entrypoint / "entrypoint.py"
    done = subprocess.run(
        [environment.python, str(entrypoint)],
        input=json.dumps({"format": 1, "settings": settings, **asked}),
        capture_output=True,
        text=True,
        check=False,
        env=dict(environment.variables),
    )
    if done.returncode:
        raise RuntimeError(f"the clean entrypoint of {environment.framework} failed:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _trace(line: Mapping[str, Any]) -> Trace:
    if line["outcome"] != "ok":
        raise RuntimeError(f"run {line['id']} is {line['outcome']}: {line['reason']}")
    trajectory = Trajectory(
        losses=exact(line["losses"]),
        predictions=tuple(map(exact, line["predictions"])),
        hidden_weights=tuple(map(exact, line["weights"]["hidden"])),
        output_weights=tuple(map(exact, line["weights"]["output"])),
    )
    tensors = tensors_of(line["trace"], trajectory)
    cell = Description(
        **dict.fromkeys(("framework", "version", "flavour", "python", "environment", "variant", "settings"), ""),
        id=line["id"],
        workload="random",
        device="cpu",
        options=(),
        dtype=line["dtype"],
        steps=len(trajectory.losses),
    )
    return Trace(
        cell=cell, key="", trajectory=trajectory, tensors=tensors, untraced=untraced_of(line["untraced"], tensors)
    )


def read(path: Path) -> list[dict[str, Any]]:
    """Return the runs of a file, one a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
