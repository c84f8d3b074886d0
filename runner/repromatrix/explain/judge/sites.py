"""A cell and somebody's trace of the same task -> the options, or operations and steps, that make the difference. Pure.

The trace is a black box: of it only the tensors are known. The cell A is asked what it makes of them step by step
(`step`, docs/architecture.md), as it is and with one option after the other set to another value. A place is a traced
tensor at a step; it is a source if A differs on the same inputs. An option is to blame if with its other
value fewer places are sources and no other ones, and if the places that vanish hold as many elements as exclude chance
(`judge.chance`); what then remains is in the operations. Nothing here reads values that the two sides do not show.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from repromatrix.compare import arrays
from repromatrix.compare.size import sized
from repromatrix.explain.judge.chance import ENOUGH, worth
from repromatrix.explain.judge.sources import sources
from repromatrix.explain.judge.starts import starts
from repromatrix.floats import coarser
from repromatrix.operations.catalogue import Tensor
from repromatrix.operations.wiring import Given, Start, begun, left, step_sample
from repromatrix.results.trace import Trace

Place: TypeAlias = tuple[str, int]  # a value of the step, or `PREDICTION`, and a step, from 1
Flips: TypeAlias = tuple[tuple[str, str], ...]  # options of A (or `dtype`) with their other values, sorted
Outputs: TypeAlias = Sequence[Mapping[str, Sequence[str]]]  # what `step` gave for each of `samples`

PREDICTION = "prediction"  # the forward pass after the last update
DEEPEST = 3  # options that are flipped at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What both sides were asked to do, and how A does it.

    Attributes:
        starts: by dtype, what A's steps are computed from in it.
        options: all of A's, with their values.
        output: the value that is recorded once more after the last update; None: none is.
    """

    starts: Mapping[str, Start]
    dtype: str
    options: Mapping[str, str]
    output: str | None

    @property
    def start(self) -> Start:
        """What A's steps are computed from."""
        return self.starts[self.dtype]

    @property
    def computed(self) -> frozenset[str]:
        """The values of a step, whatever the options."""
        return frozenset(place.value for choices in self.start.graph.values for _, place in choices)

    @property
    def values(self) -> tuple[str, ...]:
        """The values of a step, in order."""
        return tuple(place.value for place in self.start.graph.places(self.options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of A with some options flipped; made by `tried`.

    Attributes:
        outputs: what `step` gave for each of `samples`, None if it cannot be computed apart.
        left: the places that it leaves unexplained, each with for how many elements it counts; None: nothing can be
            said.
    """

    outputs: Outputs | None
    left: Mapping[Place, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation that differs on the same inputs.

    Attributes:
        tensor: what it computes: a value of the step, or `PREDICTION`.
        steps: all steps at which it does so, from 1.
        size: by how much at most, in words; empty: it is not measured.
    """

    tensor: str
    steps: tuple[int, ...]
    size: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceExplanation:
    """What makes a trace differ from a cell.

    Attributes:
        detected: whether any bit of it differs.
        factors: options with the value that the trace was made with; `steps` if it has another number of them.
        equals: other flips of as many options that explain exactly as much.
        by_chance: flips that would explain more, of too few elements to exclude chance; each with how many.
        starts: the parameters that begin with other values.
        operations: what the options leave unexplained, in the order in which a step computes it.
        size: by how much the losses differ, in words; empty: they are the same, or not to be compared.
        untold: tensors of which nothing can be said, as A's own step cannot be computed apart there.
    """

    detected: bool
    factors: Flips = ()
    equals: tuple[Flips, ...] = ()
    by_chance: tuple[tuple[Flips, int], ...] = ()
    starts: tuple[str, ...] = ()
    operations: tuple[Operation, ...] = ()
    untold: tuple[str, ...] = ()
    size: str = ""

    @property
    def explained(self) -> bool:
        """Whether the difference has a name."""
        return bool(self.factors or self.starts or self.operations)


def detected(a: Trace, b: Trace) -> bool:
    """Whether two traces differ in a bit, a step or the dtype."""
    return (a.cell.dtype, a.columns) != (b.cell.dtype, b.columns)


def samples(a: Trace, b: Trace, task: Task, flips: Flips) -> list[Given]:
    """Return the samples of `step` for a trace.

    There is one for each of its steps, one for the forward pass after them, and the first step again from parameters
    with which somebody may have begun instead: the matrices transposed, and A's own after the first step, as they are
    and as the layout takes inputs.

    Args:
        a: the cell's own trace.
        b: the trace that is to be computed again.
        task: A's.
        flips: A's layout says from which weights the first step begins.

    Raises:
        KeyError: the trace lacks what a step begins with.
    """
    start, count = task.starts[dict(flips).get("dtype", task.dtype)], len(b.trajectory.losses)
    # The state that a step begins with is another one with another optimizer.
    flipped = {name: value for name, value in flips if name != "dtype"}
    shapes = {**{name: b.shape(name) for name in b.columns}, **start.shapes}
    start = replace(start, options={**start.options, **flipped}, shapes=shapes)
    untransposed = dict(flips).get("layout", task.options.get("layout")) == "in_out_untransposed"
    found = [step_sample(b, step, start) for step in range(1, count + 1)]
    found[0] |= _parameters(start, transposed=untransposed)
    others = [_parameters(start, transposed=not untransposed)]
    if "dtype" not in dict(flips) and set(start.graph.parameters) <= set(dict(a.tensors)):
        after_one = left(a, 1, task.start)
        kept = {name: after_one[name] for name in start.graph.parameters}
        others.append(kept)
        if untransposed:  # somebody may have given them as a job's inputs are given, which this layout turns
            others.append({name: _turned(rows) for name, rows in kept.items()})
    after = begun(start) | left(b, count, start)
    return [*found, after, *(found[0] | each for each in others)]


def places(b: Trace, outputs: Outputs, output: str | None, known: frozenset[str] = frozenset()) -> dict[Place, int]:
    """Return the places at which a trace differs from what was computed from its own tensors, each with what it counts.

    An element counts for one, or for more where it is far off (`worth`). What the trace has of the step and the cell
    with its options does not compute, such as the state of another optimizer, differs at every step.

    Raises:
        ValueError: outputs of another number of samples, or of other shapes.
    """
    count = len(b.trajectory.losses)
    found: Counter[Place] = Counter()
    for name in known & b.columns.keys() - outputs[0].keys():
        found |= dict.fromkeys(((name, step) for step in b.columns[name].at if step <= count), ENOUGH)
    for each in sources(b, outputs[:count]):
        if found[each.tensor, each.step] < ENOUGH:  # more would say nothing more
            found[each.tensor, each.step] += worth(each.expected, each.found, b.cell.dtype)
    shown = b.trajectory.predictions
    if output is None:
        return dict(found)
    after = [tuple(step) for name, steps in b.tensors if name == output for step in steps]
    after = [*(after or shown[:count]), tuple(outputs[count][output])]
    for at, row in enumerate(shown, start=1):
        if row != after[at - 1]:
            found[PREDICTION, at] = sum(one != other for one, other in zip(row, after[at - 1], strict=True))
    return dict(found)


def tried(b: Trace, outputs: Outputs | None, task: Task, *, same: bool) -> Tried:
    """Judge an attempt.

    Args:
        b: the trace.
        outputs: what `step` gave for each of `samples`, None if it cannot be computed apart.
        task: A's.
        same: whether the cell, run as a whole, has every bit of the trace.
    """
    if same:
        return Tried(outputs=outputs, left={})
    return Tried(outputs=outputs, left=None if outputs is None else places(b, outputs, task.output, task.computed))


def to_try(asked: Mapping[Flips, Tried], values: Mapping[str, Sequence[str]], task: Task) -> tuple[Flips, ...]:
    """Return what is to be asked of A next; nothing if it would not tell more.

    Args:
        asked: what was asked so far.
        values: option -> all values that A's framework has; `dtype` is one of them.
        task: A's.
    """
    if () not in asked:
        return ((),)
    chain = _chain(asked)
    if asked[chain[-1]].left == {} or len(chain[-1]) == DEEPEST:
        return ()
    own, base = {**task.options, "dtype": task.dtype}, chain[-1]
    free = [name for name in sorted(values) if name not in dict(base)]
    longer = (
        tuple(sorted((*base, (name, value)))) for name in free for value in values[name] if value != own.get(name)
    )
    return tuple(each for each in longer if each not in asked)


def explanation_of(
    a: Trace, b: Trace, asked: Mapping[Flips, Tried], task: Task, own: Outputs | None
) -> TraceExplanation:
    """Say what makes a trace differ from a cell's.

    Args:
        a: the cell's own trace.
        b: the other.
        asked: what came of all that `to_try` asks for.
        task: A's.
        own: what A's `step` gives for its own trace; None if it cannot be computed apart.
    """
    if not detected(a, b):
        return TraceExplanation(detected=False)
    flips = _chain(asked)[-1]
    outputs, unexplained = asked[flips].outputs, asked[flips].left
    options = {**task.options, "dtype": task.dtype, **dict(flips)}
    known = frozenset(task.values)
    order = tuple(dict.fromkeys((*(each.value for each in task.start.graph.places(options)), *task.values, PREDICTION)))
    fused = known if own is None else frozenset(tensor for tensor, _ in places(a, own, task.output))
    remaining = frozenset(unexplained or ())
    begins = starts(b, remaining, outputs, task.starts[options["dtype"]], options) if outputs else {}
    remaining -= frozenset().union(*begins.values())
    counts = [len(each.trajectory.losses) for each in (a, b)]
    steps: Flips = (("steps", str(counts[1])),) if counts[0] != counts[1] else ()
    return TraceExplanation(
        detected=True,
        factors=tuple(sorted((*flips, *steps))),
        equals=tuple(other for other in asked if _equal(other, flips) and asked[other].left == unexplained),
        by_chance=_by_chance(asked, flips),
        starts=tuple(begins),
        operations=_operations(remaining, fused, order, _measured(b, outputs)),
        size=_size(list(zip(a.trajectory.losses, b.trajectory.losses, strict=False)), a, b),
        untold=tuple(name for name in task.values if name in fused and name in b.columns),
    )


def _equal(other: Flips, flips: Flips) -> bool:
    """Whether other flips are as many."""
    return bool(flips) and len(other) == len(flips) and other != flips


def sentences(found: TraceExplanation) -> tuple[str, ...]:
    """Return what was found, in words made from the values alone."""
    if not found.detected:
        return ("every bit of every traced tensor is the same",)
    rest = ", together with what follows" if found.starts or found.operations else ""
    told = [f"the losses differ by up to {found.size}" if found.size else "every loss is the same"]
    told += [f"{name}={value} makes the difference{rest}" for name, value in found.factors]
    told += [f"{name} begins with other values" for name in found.starts]
    told += [
        f"{each.tensor} differs on the same inputs at step{'s' * (len(each.steps) > 1)} {_ranges(each.steps)}"
        + (f", by up to {each.size}" if each.size else "")
        for each in found.operations
    ]
    told += [
        f"{_said(flips)} would explain more, which counts for {elements} elements: so few agree by chance"
        for flips, elements in found.by_chance
    ]
    return tuple(told) if len(told) > 1 else (*told, "unexplained: no option and no operation of a step explains it")


def _said(flips: Flips) -> str:
    return " and ".join(f"{name}={value}" for name, value in flips)


def _chain(asked: Mapping[Flips, Tried]) -> list[Flips]:
    """Return flips, one option more at a time, that each explain more than those before; first: none."""
    chain: list[Flips] = [()]
    while True:
        better = _better(asked, chain[-1])
        sure = [(len(asked[flips].left or ()), flips) for flips, elements in better.items() if elements >= ENOUGH]
        if not sure:
            return chain
        chain.append(min(sure)[1])


def _better(asked: Mapping[Flips, Tried], base: Flips) -> dict[Flips, float]:
    """Return what explains more than `base` with one option more, each with how many elements more it makes equal."""
    before = asked[base].left
    found: dict[Flips, float] = {}
    for flips, each in asked.items():
        if each.left is None or len(flips) != len(base) + 1 or not set(base) <= set(flips):
            continue
        # Fewer places and none that was none; where nothing is known of what was before, the whole trace is given back.
        if before is None:
            if not each.left:
                found[flips] = math.inf
        elif each.left.keys() < before.keys():
            found[flips] = sum(count for place, count in before.items() if place not in each.left)
    return found


def _by_chance(asked: Mapping[Flips, Tried], flips: Flips) -> tuple[tuple[Flips, int], ...]:
    """Return what would explain more than `flips`, of too few elements."""
    better = _better(asked, flips)
    return tuple((more, int(elements)) for more, elements in better.items() if elements < ENOUGH)


def _parameters(start: Start, *, transposed: bool) -> dict[str, Tensor]:
    """Return A's first parameters."""
    given = {name: start.inputs[name] for name in start.graph.parameters}
    return {name: _turned(rows) if transposed else rows for name, rows in given.items()}


def _turned(rows: Tensor) -> Tensor:
    """Return a square matrix transposed; another tensor keeps its rows, it fits in no other way."""
    every = rows if isinstance(rows, list) else []
    square = [row for row in every if isinstance(row, list) and len(row) == len(every)]
    return [list(column) for column in zip(*square, strict=True)] if square else rows


def _measured(b: Trace, outputs: Outputs | None) -> dict[str, str]:
    """Return by how much the values of each name differ at most, in words."""
    found: dict[str, list[tuple[str, str]]] = {}
    for each in sources(b, outputs[: len(b.trajectory.losses)]) if outputs else ():
        found.setdefault(each.tensor, []).append((each.expected, each.found))
    return {name: _size(pairs, b, b) for name, pairs in found.items()}


def _size(pairs: Sequence[tuple[str, str]], a: Trace, b: Trace) -> str:
    """Return by how much the two numbers of pairs differ at most, in words."""
    dtype = coarser(a.cell.dtype, b.cell.dtype)
    left, right = (arrays.decode([pair[side] for pair in pairs]) for side in (0, 1))
    measure = arrays.measure(left, right, dtype)
    if measure.first_difference is None:
        return ""
    if measure.max_abs is None:
        return "more than can be measured: one is not finite"
    return sized(measure.max_abs, ulps=measure.max_ulp, dtype=dtype, relative=measure.max_rel, first=None)


def _operations(
    remaining: Iterable[Place], fused: Iterable[str], order: Sequence[str], sizes: Mapping[str, str]
) -> tuple[Operation, ...]:
    steps: dict[str, list[int]] = {}
    for tensor, step in sorted(remaining, key=lambda place: (order.index(place[0]), place[1])):
        if tensor not in fused:
            steps.setdefault(tensor, []).append(step)
    return tuple(
        Operation(tensor=tensor, steps=tuple(each), size=sizes.get(tensor, "")) for tensor, each in steps.items()
    )


def _ranges(steps: Sequence[int]) -> str:
    """Return steps as `1-3, 5`."""
    told: list[list[int]] = []
    for step in steps:
        if told and step == told[-1][1] + 1:
            told[-1][1] = step
        else:
            told.append([step, step])
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in told)
