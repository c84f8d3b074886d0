"""The explainer's side of pairs that differ for a known operation: the product's search, and its traces.

It asks for the cells of a pair under a condition, and for members of the one-ULP ensemble where something worked once;
the cells come from a process that computes one operation otherwise on one side. No truth is read here.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from bench.faults.clean import Environment, Line, trace_of
from bench.faults.explain import explain
from repromatrix import draw, resources
from repromatrix.compare.allowance import Allowances, tolerances
from repromatrix.execute.records import describe
from repromatrix.explain.factors import Flips
from repromatrix.explain.judge.explanation import Explanation, judged
from repromatrix.explain.judge.findings import Finding
from repromatrix.explain.judge.sites import TraceExplanation
from repromatrix.explain.search import Question, Search
from repromatrix.explain.space import Space
from repromatrix.matrix import Matrix, Settings, Variant
from repromatrix.matrix.load import load
from repromatrix.plan import Cell
from repromatrix.results.packed import unpack
from repromatrix.results.record import Outcome, Record

CONDITION = "moved"
# The two versions that the sides are said to be; both are this environment, B with its operation.
FRAMEWORK = "numpy"
Member = tuple[str, int, Mapping[str, Any]]  # of which pair, its number, the job with its inputs
Ask = Callable[[Sequence[Member]], Mapping[tuple[str, int], Mapping[str, list[Line]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is found in a pair.

    Attributes:
        named: what the traces of the two sides show.
        condition: what the condition is found to be.
        factors: the factors that are called causes.
    """

    named: TraceExplanation
    condition: str
    factors: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class _Case:
    """A pair under way."""

    job: Mapping[str, Any]
    search: Search
    sides: Mapping[str, str]  # cell id without its member -> a, b, a+ or b+
    allowed: Allowances
    records: dict[str, Record]


def explain_pairs(environment: Environment, runs: Sequence[Mapping[str, Any]], ask: Ask) -> dict[str, Found]:
    """Return what is found in pairs (their jobs, and the lines of their cells), by seed.

    Args:
        environment: where the clean cells run.
        runs: `seed`, `job`, and `cells`: `a`, `b`, and both under the condition, `a+` and `b+`.
        ask: runs members of pairs: (seed, number, the job with its inputs) -> the lines of their cells.
    """
    cells = {(str(run["seed"]), 0): run["cells"] for run in runs}
    cases = {str(run["seed"]): _case(environment, run) for run in runs}
    while waiting := {seed: case for seed, case in cases.items() if case.search.wanted}:
        missing = {
            (seed, cell.member): cell
            for seed, case in waiting.items()
            for cell in case.search.wanted
            if (seed, cell.member) not in cells
        }
        wanted = [(seed, number, _moved(environment, cases[seed].job, number)) for seed, number in missing]
        cells |= ask(wanted) if wanted else {}
        for seed, case in waiting.items():
            heard = {cell.id: _record(case, cell, cells[seed, cell.member]) for cell in case.search.wanted}
            case.records |= {record.key: record for record in heard.values()}
            case.search.hear(heard)
    told = [{"job": run["job"], "lines": run["cells"]["b"]} for run in runs]
    named = explain(environment, told)
    return {seed: _found(case, named[seed]) for seed, case in cases.items()}


def _case(environment: Environment, run: Mapping[str, Any]) -> _Case:
    job, matrix = run["job"], _matrix()
    work = replace(
        environment.workload,
        inputs=tuple(environment.inputs(job)),
        numbers=tuple(job["numbers"].items()),
        steps=job["steps"],
        written=(),
        published=None,
    )
    variant = Variant(
        framework=FRAMEWORK,
        name="pair",
        dtype=job["dtype"],
        steps=None,
        flavours=(),
        devices=(),
        options=tuple(sorted(environment.options(job).items())),
    )
    matrix = replace(matrix, workloads=(work,))
    default = matrix.settings["default"]
    a, b = (
        Cell(workload=work, environment=each, variant=variant, device="cpu", settings=default)
        for each in matrix.environments
    )
    flips = Flips(matrix, a, b, space=Space(matrix, work))
    (change,) = flips.conditions
    under = {side: flips.under(side, change) for side in ("a", "b")}
    sides = {a.id: "a", b.id: "b"} | {cell.id: f"{side}+" for side, cell in under.items() if isinstance(cell, Cell)}
    stated = Allowances(tolerances=tolerances(matrix.stated))
    search = Search(Question(flips=flips, of=("asked",)), stated)
    return _Case(job=job, search=search, sides=sides, allowed=stated, records={})


@cache
def _matrix() -> Matrix:
    """Return a matrix of two versions, and one condition."""
    whole = load(resources.matrix())
    two = [each for each in whole.environments if each.framework == FRAMEWORK and not each.suffix][:2]
    settings = {"default": whole.settings["default"], CONDITION: Settings(name=CONDITION, variables=(("MOVED", "1"),))}
    return replace(whole, environments=tuple(two), settings=settings, include=(), exclude=(), profiles={})


def _record(case: _Case, cell: Cell, cells: Mapping[str, list[Line]]) -> Record:
    side = case.sides[replace(cell, member=0).id]
    trajectory = trace_of(cells[side]).trajectory.untraced()
    return Record(
        cell=describe(cell),
        key=hashlib.sha256(cell.id.encode()).hexdigest(),
        outcome=Outcome.OK,
        reason=None,
        log=None,
        repeats=1,
        trajectories=(trajectory,),
        fingerprint={},
        provenance=None,
    )


def _found(case: _Case, named: TraceExplanation) -> Found:
    explanation: Explanation = judged(case.search.pair, case.records, case.allowed)
    finding = next((row.finding for row in explanation.conditions), Finding.NOT_TESTABLE)
    factors = tuple(name for row in explanation.causes for name in row.factors)
    return Found(named=named, condition=finding.value, factors=factors)


def _moved(environment: Environment, job: Mapping[str, Any], member: int) -> dict[str, Any]:
    """Return a job whose parameters are moved by one ULP, as the product moves those of a member."""
    inputs = dict(job["inputs"])
    for each in environment.inputs(job):
        if each.parameter:
            packed = base64.b64encode(draw.bits(each, job["dtype"], member)).decode()
            texts = [repr(float.fromhex(text)) for text in unpack(packed, job["dtype"])]
            inputs[each.name] = _nested(texts, each.shape)
    return {**job, "inputs": inputs}


def _nested(texts: Sequence[str], shape: Sequence[int]) -> Any:
    if not shape:
        return texts[0]
    size = len(texts) // shape[0]
    return [_nested(texts[place * size : (place + 1) * size], shape[1:]) for place in range(shape[0])]


def read_answers(path: Path) -> dict[tuple[str, int], Mapping[str, list[Line]]]:
    """Return the lines of members, by seed and number."""
    lines: Iterable[str] = path.read_text(encoding="utf-8").splitlines()
    return {(str(each["seed"]), each["member"]): each["cells"] for each in map(json.loads, lines)}
