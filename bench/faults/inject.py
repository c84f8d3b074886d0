"""The injector: runs in an environment's own interpreter, puts a fault into each run and writes what it gave.

Two files come of it: the lines that any traced cell gives, which go to the explainer, and the truth, which only the
judge reads. A fault counts only if it changes a bit of a traced tensor, by the injector's own comparison; one that does
not is counted and drawn again.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from bench.faults import bits
from bench.faults.arithmetic import ARITHMETIC
from bench.faults.draw import WEIGHTS, Dice, Fault, Job
from bench.faults.frameworks import GROUNDS
from bench.faults.hooks import Run
from bench.faults.loops import Loop
from bench.faults.patched import Harness, UndecidedError

ATTEMPTS = 200
ROLES = {"loss": "metric", "output": "output", **dict.fromkeys(WEIGHTS, "state")}  # all else: trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What was done to a run.

    Attributes:
        causes: for each fault what names it: `factor NAME=VALUE`, or the places (`tensor`, steps) at which it shows.
        idle: how many faults were drawn before it that changed nothing, or that no observer could tell apart.
        losses: whether the losses alone show it, bit by bit.
    """

    seed: int
    clean: bool
    faults: tuple[Fault, ...]
    causes: tuple[Any, ...]
    idle: int
    losses: bool


def main() -> None:
    """Make the runs of some seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("framework", choices=sorted(GROUNDS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("--clean", action="store_true")
    options = parser.parse_args()
    with (
        (options.folder / "runs.jsonl").open("w", encoding="utf-8") as runs,
        (options.folder / "truth.jsonl").open("w", encoding="utf-8") as truths,
    ):
        for seed in range(options.first, options.last):
            job, lines, truth = (null if options.clean else faulty)(options.framework, seed)
            runs.write(json.dumps({"job": asdict(job), "lines": lines}) + "\n")
            truths.write(json.dumps(asdict(truth)) + "\n")


def null(framework: str, seed: int) -> tuple[Job, list[dict[str, Any]], Truth]:
    """A run with an armed hook that changes nothing."""
    dice = Dice(GROUNDS[framework], f"{framework}/clean/{seed}")
    job, fault = dice.job, dice.null()
    run = _train(framework, job, (fault,))
    truth = Truth(seed=seed, clean=True, faults=(fault,), causes=(), idle=0, losses=False)
    return job, _lines(seed, job, run), truth


def faulty(framework: str, seed: int) -> tuple[Job, list[dict[str, Any]], Truth]:
    """A run with a fault, or two, each of which changes something that the other does not."""
    for attempt in range(ATTEMPTS):
        dice = Dice(GROUNDS[framework], f"{framework}/faults/{seed}/{attempt}")
        faults = dice.faults()
        if not faults:
            continue
        try:
            run = _train(framework, dice.job, faults)
        except UndecidedError:
            continue
        causes = _causes(framework, dice.job, faults, run)
        if causes is None:
            continue
        clean = _train(framework, dice.job, ())
        losses = bits.text(run.losses) != bits.text(clean.losses)
        truth = Truth(seed=seed, clean=False, faults=faults, causes=causes, idle=attempt, losses=losses)
        return dice.job, _lines(seed, _changed(dice.job, faults), run), truth
    raise RuntimeError(f"no fault of seed {seed} has an effect")


def _causes(framework: str, job: Job, faults: Sequence[Fault], run: Run) -> tuple[Any, ...] | None:
    """What names each fault; None if one of them changes nothing that the others leave alone."""
    causes: list[Any] = []
    shown = iter(run.shown)
    for place, fault in enumerate(faults):
        if fault.factor:
            others = tuple(each for at, each in enumerate(faults) if at != place)
            if _bits(_train(framework, job, others)) == _bits(run):
                return None
            causes.append({"factor": fault.site, "value": fault.how})
        else:
            causes.append({"places": sorted(next(shown))})
    places = [{tuple(each) for each in cause["places"]} for cause in causes if "places" in cause]
    if not all(places) or (len(places) > 1 and (places[0] <= places[1] or places[1] <= places[0])):
        return None
    return tuple(causes)


def _changed(job: Job, faults: Sequence[Fault]) -> Job:
    """The job that the run really did."""
    for fault in faults:
        if fault.factor and fault.site == "dtype":
            job = replace(job, dtype=fault.how)
        elif fault.factor and fault.site == "steps":
            job = replace(job, workload={**job.workload, "steps": int(fault.how)})
        elif fault.factor:
            job = replace(job, options={**job.options, fault.site: fault.how})
    return job


def _train(framework: str, job: Job, faults: Sequence[Fault]) -> Run:
    done, others = _changed(job, faults), tuple(each for each in faults if not each.factor)
    if framework not in ARITHMETIC:
        return _harness(framework).train(done, others)
    return Loop(ARITHMETIC[framework](done), done, others).train()


@cache
def _harness(name: str) -> Harness:
    return Harness(name.partition("-")[0])


def _bits(run: Run) -> tuple[Any, ...]:
    steps = tuple(tuple((name, bits.text(values)) for name, values in step.items()) for step in run.steps)
    return steps, bits.text(run.prediction)


def _lines(seed: int, job: Job, run: Run) -> list[dict[str, Any]]:
    """The lines of a traced cell."""
    shapes, told = _shapes(job), [*run.steps, {"output": run.prediction}]
    lines: list[dict[str, Any]] = [
        {
            "line": "values",
            "id": str(seed),
            "step": at,
            "values": [
                [name, ROLES.get(name, "trace"), run.dtypes.get(name, job.dtype), shapes[name], bits.text(values)]
                for name, values in step.items()
            ],
        }
        for at, step in enumerate(told, start=1)
    ]
    return [*lines, {"line": "cell", "id": str(seed), "outcome": "ok", "reason": None, "untraced": {}}]


def _shapes(job: Job) -> dict[str, list[int]]:
    inputs, hidden, outputs = (len(job.workload[name]) for name in ("input", "hidden_weights", "target"))
    layers = {"hidden_pre": [hidden], "hidden": [hidden], "output_pre": [outputs], "output": [outputs], "loss": []}
    weights = {"hidden_weights": [hidden, inputs], "output_weights": [outputs, hidden]}
    return {**layers, **weights, **{f"grad_{name}": shape for name, shape in weights.items()}}


if __name__ == "__main__":
    main()
