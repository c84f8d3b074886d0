"""The injector: runs in an environment's own interpreter, puts a fault into each run and writes what it gave.

Two files come of it: the lines that any traced cell gives, which go to the explainer, and the truth, which only the
judge reads. What is due is found with the workload's own training code: the clean code is run on with the recorded
values of the faulty run forced on it, one after the other, and where it computes another bit than was recorded, there
the fault shows. A fault counts only if it does; one that does not is counted and drawn again.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.faults import bits
from bench.faults.draw import Dice, Fault, Job
from bench.faults.harness import Harness, Rows, Run, with_input
from bench.faults.hooks import Key
from bench.faults.survey import Survey, examined, grounds
from bench.faults.values import Shown, flat

ATTEMPTS = 400
ENOUGH = 8  # elements that an option changes on the same inputs: fewer may be another's by chance
PREDICTION = "prediction"  # the outputs after the last step
Places = dict[tuple[str, int], int]


class UndecidedError(Exception):
    """Where a fault shows cannot be told, or not from another fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What was done to a run.

    Attributes:
        causes: what names its faults: `{"factor", "value"}`, or `{"places"}` with names and steps.
        idle: how many faults were drawn before it that changed nothing, broke the run, or could not be told apart.
        losses: whether the losses alone show it, bit by bit.
    """

    seed: int
    clean: bool
    faults: tuple[Fault, ...]
    causes: tuple[Any, ...]
    idle: int
    losses: bool


class Injector:
    """Makes the runs of a ground."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Load the framework and the workload's module."""
        self.ground = grounds(document)
        self.harness = Harness(self.ground)
        self._surveys: dict[str, Survey | None] = {}

    def survey(self, options: Mapping[str, str]) -> Survey | None:
        """Return the survey of runs with these options; None: the framework does not have them."""
        key = repr(sorted(options.items()))
        if key not in self._surveys:
            try:
                self._surveys[key] = examined(self.harness, options)
            except self.harness.jobs.Unavailable:
                self._surveys[key] = None
        return self._surveys[key]

    def null(self, seed: int) -> tuple[Job, list[dict[str, Any]], Truth]:
        """A run with an armed hook that makes the same value anew."""
        for attempt in range(ATTEMPTS):
            dice = Dice(self.ground, f"{self.ground.name}/clean/{seed}/{attempt}")
            survey = self.survey(dice.job.options)
            faults = dice.null(survey.room) if survey is not None else ()
            try:
                run = self._run(dice.job, faults, survey) if survey is not None else None
            except self.harness.jobs.Unavailable:
                continue
            if run is not None:
                truth = Truth(seed=seed, clean=True, faults=faults, causes=(), idle=0, losses=False)
                return dice.job, lines_of(seed, run), truth
        raise RuntimeError(f"no clean run of seed {seed}")

    def faulty(self, seed: int) -> tuple[Job, list[dict[str, Any]], Truth]:
        """A run with a fault, or two, each of which changes something that the other does not."""
        for attempt in range(ATTEMPTS):
            dice = Dice(self.ground, f"{self.ground.name}/faults/{seed}/{attempt}")
            survey = self.survey(dice.job.options)
            faults = dice.faults(survey.room) if survey is not None else ()
            if survey is None or not faults:
                continue
            try:
                clean = self.harness.train(dice.job)
                run = self._run(dice.job, faults, survey)
                _same_form(clean, run, faults)
                causes = self._causes(dice.job, faults, run, survey)
            except ContradictionError:
                raise
            except Exception:  # noqa: BLE001, S112 - wrong code breaks in any way: no fault of numbers
                continue
            metric = self.ground.metrics[0]
            losses = [[rows.get(step, {}).get(metric) for step in sorted(rows)] for rows in (clean.rows, run.rows)]
            shown = [[each.texts for each in some if each is not None] for some in losses]
            truth = Truth(
                seed=seed, clean=False, faults=faults, causes=causes, idle=attempt, losses=shown[0] != shown[1]
            )
            return dice.job, lines_of(seed, run), truth
        raise RuntimeError(f"no fault of seed {seed} has an effect")

    def _run(self, job: Job, faults: Sequence[Fault], survey: Survey) -> Run:
        """Return the run of a job with faults."""
        values: dict[Key, Fault] = {}
        for fault in faults:
            if fault.at == "value":
                key = survey.sites[fault.site].key if isinstance(fault.site, str) else fault.site
                if not isinstance(fault.site, str) and not survey.can_use(key):
                    raise UndecidedError
                values[key] = fault
        wrong = {fault.site: fault for fault in faults if fault.at == "code"}
        begun = self._begun(self._changed(job, [fault for fault in faults if fault.at == "option"]), faults)
        others = [fault for fault in faults if fault.at != "option"]
        return self.harness.train(self._changed(begun, others), faults=values, wrong=wrong)

    def _changed(self, job: Job, faults: Iterable[Fault]) -> Job:
        """Return the job that the run really did: options, numbers and inputs."""
        for fault in faults:
            if fault.at == "option":
                job = _with_option(job, fault)
            elif fault.at == "number":
                job = replace(job, numbers={**job.numbers, fault.site: fault.wrong})
            elif fault.at == "input":
                job = self._with_input(job, fault)
        return job

    def _with_input(self, job: Job, fault: Fault) -> Job:
        entry = next(each for each in self.ground.inputs if each["name"] == fault.site)
        texts = flat(job.inputs[fault.site])
        if fault.how == "shuffled":
            place = (fault.element or 0) % len(texts)
            return with_texts(job, fault.site, texts[place:] + texts[:place])
        if entry["dtype"]:
            raise UndecidedError  # whole numbers are only shuffled
        values = [bits.rounded(float(text), job.dtype) for text in texts]
        at = (fault.element or 0) % len(values)
        changed = (
            values[at] * fault.amount if fault.how == "scale" else bits.moved(values[at], int(fault.amount), job.dtype)
        )
        values[at] = bits.rounded(changed, job.dtype)
        return with_input(job, fault.site, values)

    def _begun(self, job: Job, faults: Iterable[Fault]) -> Job:
        """Return the job with the parameters with which the run really began."""
        for fault in faults:
            if fault.at == "start" and fault.how == "ahead":
                left = self.harness.train(replace(job, steps=1)).rows[1]
                for name in self.ground.parameters:
                    job = with_input(job, name, left[name].numbers)
            elif fault.at == "start":
                job = _with_start(job, fault)
        return job

    def _causes(self, job: Job, faults: Sequence[Fault], run: Run, survey: Survey) -> tuple[Any, ...]:
        """Return what names each fault.

        Raises:
            UndecidedError: one of them changes nothing that the others leave alone.
        """
        options = [fault for fault in faults if fault.at == "option"]
        starts = [fault for fault in faults if fault.at == "start"]
        others = [fault for fault in faults if fault.at not in ("option", "start")]
        asked = self._changed(job, options)
        own = self._survey_of(asked)
        places = own.forced(self._begun(asked, starts), run.rows)
        if own.hidden:
            _decided(places, own, run.rows)
        causes: list[Any] = [{"places": [[name, step]]} for name, step in self._named(places, asked)]
        if bool(places) != bool(others):
            raise UndecidedError
        if len(others) > 1:
            self._apart(job, faults, others, survey)
        if len(faults) == 1 and others and not own.hidden:
            self._agrees(others[0], run, own, places)
        causes += [
            {"places": self._start(fault, starts, asked, run=run, survey=own, places=places)} for fault in starts
        ]
        for fault in options:
            if fault.site not in ("dtype", "steps"):
                self._shows(job, fault, options, starts=starts, run=run, places=places)
            causes.append({"factor": fault.site, "value": fault.how})
        return tuple(causes)

    def _survey_of(self, job: Job) -> Survey:
        found = self.survey(job.options)
        if found is None:
            raise UndecidedError
        return found

    def _named(self, places: Places, job: Job) -> list[tuple[str, int]]:
        """Return places, the outputs after the last step by their own name."""
        return sorted((PREDICTION if step > job.steps else name, step) for name, step in places)

    def _agrees(self, fault: Fault, run: Run, survey: Survey, places: Places) -> None:
        """Hold what a hook saw when it changed a recorded value against what forcing finds.

        Raises:
            ContradictionError: the two do not agree.
        """
        if fault.at == "value" and isinstance(fault.site, str):
            seen = {(fault.site, step) for key, step in run.changed if key == survey.sites[fault.site].key}
            # The forward pass after the last step is changed as well, and shows in what it gives.
            if {place for place in seen if place[1] in run.rows and place[0] in run.rows[place[1]]} - places.keys():
                raise ContradictionError(f"{fault} changed {seen}, and {sorted(places)} differ")
        # Code may record other parameters than it goes on with, which shows in the next step.
        last = fault.last + (fault.at == "code")
        late = [step for _, step in places if not fault.first <= step <= last]
        if fault.at in ("value", "code") and late:
            raise ContradictionError(f"{fault} shows at {sorted(places)}")

    def _apart(self, job: Job, faults: Sequence[Fault], others: Sequence[Fault], survey: Survey) -> None:
        rest = [fault for fault in faults if fault not in others]
        asked = self._changed(job, [fault for fault in rest if fault.at == "option"])
        found = []
        for fault in others:
            run = self._run(job, (*rest, fault), survey)
            found.append(self._survey_of(asked).forced(self._begun(asked, rest), run.rows).keys())
        if found[0] <= found[1] or found[1] <= found[0]:
            raise UndecidedError

    def _start(
        self, fault: Fault, starts: Sequence[Fault], asked: Job, *, run: Run, survey: Survey, places: Places
    ) -> list[list[Any]]:
        """Return where it shows that a parameter begins with other values, or that it does."""
        begun = self._begun(asked, starts)
        found: list[list[Any]] = []
        for name in self.ground.parameters if fault.site == "*" else [fault.site]:
            own = replace(begun, inputs={**begun.inputs, name: asked.inputs[name]})
            shown = survey.forced(own, run.rows).keys() - places.keys()
            pre = next((each for each in self.ground.sums[name] if each in run.rows[1]), "")
            if {(name, 1), (pre, 1)} <= shown:
                found.append([f"start_{name}", 1])
            elif survey.hidden:
                raise UndecidedError
            else:
                found += [list(place) for place in shown]
        if not found:
            raise UndecidedError
        return found

    def _shows(
        self, job: Job, fault: Fault, options: Sequence[Fault], *, starts: Sequence[Fault], run: Run, places: Places
    ) -> None:
        """Raise UndecidedError if an option changes too few elements to exclude chance."""
        without = self._changed(job, [each for each in options if each is not fault])
        survey = self._survey_of(without)
        found = survey.forced(self._begun(without, starts), run.rows)
        counts = {place: count for place, count in found.items() if place not in places}
        if survey.hidden:  # what follows within the step differs with it
            first: dict[int, int] = {}
            for step, row in run.rows.items():
                for name in row:
                    if (name, step) in counts:
                        first.setdefault(step, counts[name, step])
            total = sum(first.values())
        else:
            total = sum(counts.values())
        if total < ENOUGH:
            raise UndecidedError


class ContradictionError(RuntimeError):
    """Two ways to find where a fault shows do not agree."""


def _with_option(job: Job, fault: Fault) -> Job:
    if fault.site == "dtype":
        return replace(job, dtype=fault.how)
    if fault.site == "steps":
        return replace(job, steps=int(fault.how))
    return replace(job, options={**job.options, fault.site: fault.how})


def _with_start(job: Job, fault: Fault) -> Job:
    values = [bits.rounded(float(text), job.dtype) for text in flat(job.inputs[fault.site])]
    if fault.how == "scale":
        return with_input(job, fault.site, [bits.rounded(value * fault.amount, job.dtype) for value in values])
    rows = job.inputs[fault.site]
    if not isinstance(rows[0], list) or len(rows) != len(rows[0]):
        raise UndecidedError
    return replace(job, inputs={**job.inputs, fault.site: [list(column) for column in zip(*rows, strict=True)]})


def with_texts(job: Job, name: str, texts: Sequence[str]) -> Job:
    """Return a job with other numbers in an input, as text."""
    numbers = iter(texts)

    def fill(form: Any) -> Any:
        return [fill(each) for each in form] if isinstance(form, list) else next(numbers)

    return replace(job, inputs={**job.inputs, name: fill(job.inputs[name])})


def _same_form(clean: Run, run: Run, faults: Sequence[Fault]) -> None:
    """Raise UndecidedError if a fault changes the shape or the dtype of a value that is none of its own."""
    dtype = any(fault.at == "option" and fault.site == "dtype" for fault in faults)
    for name, shown in clean.rows[1].items():
        other: Shown | None = run.rows[1].get(name)
        if other is None or other.shape != shown.shape or (other.dtype != shown.dtype and not dtype):
            raise UndecidedError


def _decided(places: Places, survey: Survey, rows: Rows) -> None:
    """Raise UndecidedError if something differs that cannot be forced: what follows within the step differs with it."""
    for name, step in places:
        if name in survey.hidden and len([each for each, at in places if at == step]) > 1:
            raise UndecidedError
    if any(step not in rows for _, step in places):
        raise UndecidedError


def lines_of(seed: int, run: Run) -> list[dict[str, Any]]:
    """Return the lines of a traced cell, its values in full."""
    lines = [{**line, "id": str(seed)} for line in run.lines if line["line"] == "values"]
    return [*lines, {"line": "cell", "id": str(seed), "outcome": "ok", "reason": None, "untraced": {}}]


def main() -> None:
    """Make the runs of some seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ground", type=Path, help="a file with what jobs and faults are drawn from")
    parser.add_argument("folder", type=Path)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("--clean", action="store_true")
    options = parser.parse_args()
    injector = Injector(json.loads(options.ground.read_text(encoding="utf-8")))
    with (
        (options.folder / "runs.jsonl").open("w", encoding="utf-8") as runs,
        (options.folder / "truth.jsonl").open("w", encoding="utf-8") as truths,
    ):
        for seed in range(options.first, options.last):
            job, lines, truth = (injector.null if options.clean else injector.faulty)(seed)
            runs.write(json.dumps({"job": asdict(job), "lines": lines}) + "\n")
            truths.write(json.dumps(asdict(truth)) + "\n")


if __name__ == "__main__":
    main()
