"""The explainer's side: clean entrypoints answer what `repromatrix.explain.judge.sites` asks; no truth is read here.

Of every run it gets the job as it was asked for and the traced line that came back, nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.faults.clean import Asked, Environment, Line, answers, trace_of
from repromatrix.explain.judge.sites import (
    Flips,
    Task,
    TraceExplanation,
    Tried,
    detected,
    explanation_of,
    samples,
    to_try,
    tried,
)
from repromatrix.results.trace import Trace

OWN = "own"


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


def explain(environment: Environment, runs: Iterable[Mapping[str, Any]]) -> dict[str, TraceExplanation]:
    """Return what is found in each run (its job and the lines that it gave), by the lines' id.

    Raises:
        RuntimeError: the clean environment cannot run a job that the other side ran.
    """
    cases = {run["lines"][-1]["id"]: _case(environment, run) for run in runs}
    for name, lines in clean_lines(environment, {name: case.job for name, case in cases.items()}).items():
        cases[name].a = trace_of(lines)
    while True:
        differing = {name: case for name, case in cases.items() if detected(_clean(case), case.b)}
        wanted = {
            (name, flips)
            for name, case in differing.items()
            for flips in to_try(case.asked, environment.values, case.task)
        }
        if not wanted and all(case.own_asked for case in differing.values()):
            break
        _own_and(environment, differing, sorted(wanted))
    return {name: explanation_of(_clean(case), case.b, case.asked, case.task, case.own) for name, case in cases.items()}


def clean_lines(environment: Environment, jobs: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Line]]:
    """Return the lines of clean jobs, which run traced in the order given."""
    return answers(environment, [Asked(name=name, job=job) for name, job in jobs.items()])


def _case(environment: Environment, run: Mapping[str, Any]) -> _Case:
    job = run["job"]
    work = job["workload"]
    task = Task(
        input=work["input"],
        hidden_weights=work["hidden_weights"],
        output_weights=work["output_weights"],
        dtype=job["dtype"],
        options=environment.options(job),
    )
    return _Case(job=job, task=task, b=trace_of(run["lines"]))


def _clean(case: _Case) -> Trace:
    if case.a is None:
        raise RuntimeError(f"no clean trace of run {case.b.cell.id}")
    return case.a


def _own_and(environment: Environment, cases: Mapping[str, _Case], wanted: Sequence[tuple[str, Flips]]) -> None:
    """Run each with its flips as `step` on the other's trace, or, where that cannot be had, as a whole.

    Once also A's own `step` on its own trace.
    """
    own = {name: _step(name, case, (), own=True) for name, case in cases.items() if not case.own_asked}
    steps = {(name, flips): _step(name, cases[name], flips) for name, flips in wanted}
    outputs = _outputs(answers(environment, [*own.values(), *steps.values()]))
    for name, asked in own.items():
        cases[name].own, cases[name].own_asked = outputs.get(asked.id), True
    whole = [
        Asked(name=name, job=cases[name].job, flips=flips)
        for (name, flips), asked in steps.items()
        if not (cases[name].own and asked.id in outputs)
    ]
    ran = {name: lines for name, lines in answers(environment, whole).items() if lines[-1]["outcome"] == "ok"}
    for (name, flips), asked in steps.items():
        b = cases[name].b
        same = asked.id in ran and not detected(trace_of(ran[asked.id]), b)
        cases[name].asked[flips] = tried(b, outputs.get(asked.id), same=same)


def _outputs(told: Mapping[str, Sequence[Line]]) -> dict[str, Any]:
    """Return what operations gave, by id."""
    return {name: line["outputs"] for name, (line,) in told.items() if line["outcome"] == "ok"}


def _step(name: str, case: _Case, flips: Flips, *, own: bool = False) -> Asked:
    """Ask for `step` on the other's trace, or on A's own."""
    a = _clean(case)
    given = samples(a, a if own else case.b, case.task, flips)
    return Asked(name=name, job=case.job, flips=flips, samples=given, suffix=(OWN,) if own else ())
