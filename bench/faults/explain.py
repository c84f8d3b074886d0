"""The explainer's side: clean entrypoints compute what `repromatrix.explain.traces` asks for; no truth is read here.

Of every run it gets the job as it was asked for and the traced line that came back, nothing else.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.faults.clean import Asked, Environment, Line, answers, trace_of
from repromatrix.explain.judge.sites import Outputs, Task, TraceExplanation
from repromatrix.explain.traces import Case, Steps, explained
from repromatrix.operations import text


def explain(environment: Environment, runs: Iterable[Mapping[str, Any]]) -> dict[str, TraceExplanation]:
    """Return what is found in each run (its job and the lines that it gave), by the lines' id.

    Raises:
        RuntimeError: the clean environment cannot run a job that the other side ran.
    """
    asked = {run["lines"][-1]["id"]: run for run in runs}
    clean = clean_lines(environment, {name: run["job"] for name, run in asked.items()})
    cases = {
        name: Case(
            a=trace_of(clean[name]),
            b=trace_of(run["lines"]),
            task=_task(environment, run["job"]),
            values=environment.values,
        )
        for name, run in asked.items()
    }

    def compute(wanted: Sequence[Steps]) -> list[Outputs | None]:
        given = [
            Asked(
                name=each.case,
                job=asked[each.case]["job"],
                flips=each.flips,
                samples=[text.write(one) for one in each.samples],
                suffix=("own",) if each.of is cases[each.case].a else (),
            )
            for each in wanted
        ]
        lines = answers(environment, given)
        return [_outputs(lines[each.id]) for each in given]

    return explained(cases, compute)


def clean_lines(environment: Environment, jobs: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Line]]:
    """Return the lines of clean jobs, which run traced in the order given."""
    return answers(environment, [Asked(name=name, job=job) for name, job in jobs.items()])


def _task(environment: Environment, job: Mapping[str, Any]) -> Task:
    return Task(
        starts={dtype: environment.start(job, dtype) for dtype in {job["dtype"], *environment.values["dtype"]}},
        output=next(iter(environment.workload.outputs), None),
        dtype=job["dtype"],
        options=environment.options(job),
    )


def _outputs(lines: Sequence[Line]) -> Outputs | None:
    (line,) = lines
    outputs: Outputs | None = line["outputs"] if line["outcome"] == "ok" else None
    return outputs
