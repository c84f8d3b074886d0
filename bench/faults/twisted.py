"""The injector of known operations: a side that computes one of them otherwise, and a condition that moves a side.

It draws the pairs and writes what each of their cells gives; asked for members of a pair (the same cells from inputs
that somebody else moved), it runs them likewise. The operation and the condition stand in the truth alone.

The condition computes another operation otherwise, on one side or on both. Among several the one is taken under which
the two sides record the same bits, if there is such a one: by chance, as it has nothing to do with the operation.
"""

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.faults.draw import Job, job_of
from bench.faults.harness import Run
from bench.faults.hooks import Key, Twist
from bench.faults.inject import PREDICTION, Injector, lines_of
from bench.faults.survey import Survey

ATTEMPTS = 200
CONDITIONS = 40  # that are drawn for a pair
SIDES = ("a", "b")
DENSITIES = (2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What is done to the two sides of a pair.

    Attributes:
        operation: what B computes otherwise.
        condition: what is computed otherwise under the condition.
        moved: the sides that the condition moves.
        lands: whether the two sides record the same under the condition, at one end or at both.
        causes: the places at which the operation shows.
    """

    seed: int
    operation: Twist
    condition: Twist
    moved: tuple[str, ...]
    lands: bool
    causes: tuple[Any, ...]
    idle: int


class Twister(Injector):
    """Makes pairs."""

    def pair(self, seed: int) -> tuple[Job, dict[str, list[dict[str, Any]]], Pair]:
        """Return a pair of a seed: its job, the lines of its four cells, and the truth."""
        for attempt in range(ATTEMPTS):
            throw = random.Random(f"{self.ground.name}/pairs/{seed}/{attempt}")  # noqa: S311
            job = job_of(self.ground, throw)
            try:
                survey = self.survey(job.options)
                found = self._pair(throw, job, survey, seed, attempt) if survey is not None else None
            except self.harness.jobs.Unavailable:
                continue
            if found is not None:
                return found
        raise RuntimeError(f"no operation of seed {seed} has an effect")

    def cells(self, job: Job, pair: Pair) -> dict[str, Run]:
        """Return the runs of a pair: each side as it is, and under the condition."""
        survey = self.survey(job.options)
        if survey is None:
            raise RuntimeError("no such options")
        own = {"a": [], "b": [pair.operation]}
        runs = {side: self._twisted(job, survey, own[side]) for side in SIDES}
        for side in SIDES:
            moved = [pair.condition] if side in pair.moved else []
            runs[f"{side}+"] = self._twisted(job, survey, [*own[side], *moved])
        return runs

    def _pair(
        self, throw: random.Random, job: Job, survey: Survey, seed: int, attempt: int
    ) -> tuple[Job, dict[str, list[dict[str, Any]]], Pair] | None:
        operations = sorted(self._traced(survey))
        known = self._twist(throw, throw.choice(operations))
        clean, other = (self._twisted(job, survey, twists) for twists in ([], [known]))
        if _told(clean) == _told(other):
            return None
        places = survey.forced(job, other.rows)
        causes = [{"places": [[PREDICTION if step > job.steps else name, step]]} for name, step in sorted(places)]
        moved = throw.choice((("a",), ("b",), ("a", "b")))
        chosen, lands = self._condition(throw, job, survey, known, moved=moved, sides=(clean, other))
        pair = Pair(
            seed=seed, operation=known, condition=chosen, moved=moved, lands=lands, causes=tuple(causes), idle=attempt
        )
        return job, {name: lines_of(seed, run) for name, run in self.cells(job, pair).items()}, pair

    def _condition(
        self,
        throw: random.Random,
        job: Job,
        survey: Survey,
        known: Twist,
        *,
        moved: tuple[str, ...],
        sides: tuple[Run, Run],
    ) -> tuple[Twist, bool]:
        """Return a condition, and whether the sides record the same under it."""
        others = [name for name in sorted(self._traced(survey)) if name != known.operation]
        own = [_told(side) for side in sides]
        twist, some = self._twist(throw, throw.choice(others)), None
        for _ in range(CONDITIONS):
            twist = self._twist(throw, throw.choice(others))
            a = _told(self._twisted(job, survey, [twist])) if "a" in moved else own[0]
            b = _told(self._twisted(job, survey, [known, twist])) if "b" in moved else own[1]
            if [a, b] == own:
                continue  # it moves nothing
            if a == b or a == own[1] or b == own[0]:
                return twist, True
            some = some or twist
        return some or twist, False

    def _traced(self, survey: Survey) -> set[str]:
        """Return the operations all of whose values are recorded, and can be reached."""
        ways: dict[str, set[str]] = {}
        for value, operation in self.ground.operations.items():
            ways.setdefault(operation, set()).add(value)
        return {operation for operation, values in ways.items() if values <= set(survey.sites)}

    def _twist(self, throw: random.Random, operation: str) -> Twist:
        return Twist(
            operation=operation,
            density=throw.choice(DENSITIES),
            seed=throw.randrange(1 << 30),
            places=throw.choice((-1, 1)),
        )

    def _twisted(self, job: Job, survey: Survey, twists: Sequence[Twist]) -> Run:
        found: dict[Key, list[Twist]] = {}
        for twist in twists:
            for value, operation in self.ground.operations.items():
                if operation == twist.operation:
                    found.setdefault(survey.sites[value].key, []).append(twist)
        return self.harness.train(job, twists=found)


def _told(run: Run) -> list[Any]:
    """Return what an untraced cell tells: its metrics and outputs, and the state after the last step."""
    last = max(line["step"] for line in run.lines if any(value[1] == "state" for value in line["values"]))
    return [
        (line["step"], value[0], value[4])
        for line in run.lines
        for value in line["values"]
        if value[1] in ("metric", "output") or (value[1] == "state" and line["step"] == last)
    ]


def pair_of(document: Mapping[str, Any]) -> Pair:
    """Return a pair from JSON data."""
    twists = {name: Twist(**document[name]) for name in ("operation", "condition")}
    return Pair(**{**document, **twists, "moved": tuple(document["moved"])})


def main() -> None:
    """Draw the pairs of some seeds, or run members of those that were drawn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ground", type=Path, help="a file with what jobs are drawn from")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", nargs=2, type=int, metavar=("FIRST", "LAST"))
    options = parser.parse_args()
    twister = Twister(json.loads(options.ground.read_text(encoding="utf-8")))
    folder: Path = options.folder
    if options.seeds:
        with (folder / "runs.jsonl").open("w") as runs, (folder / "truth.jsonl").open("w") as truths:
            for seed in range(*options.seeds):
                job, cells, pair = twister.pair(seed)
                runs.write(json.dumps({"seed": seed, "job": asdict(job), "cells": cells}) + "\n")
                truths.write(json.dumps(asdict(pair)) + "\n")
        return
    pairs = {each["seed"]: pair_of(each) for each in map(json.loads, (folder / "truth.jsonl").open())}
    with (folder / "answers.jsonl").open("w") as answers:
        for request in map(json.loads, (folder / "requests.jsonl").open()):
            found = twister.cells(Job(**request["job"]), pairs[request["seed"]])
            cells = {name: lines_of(request["seed"], run) for name, run in found.items()}
            answers.write(json.dumps({"seed": request["seed"], "member": request["member"], "cells": cells}) + "\n")


if __name__ == "__main__":
    main()
