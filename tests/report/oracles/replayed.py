"""Two replayed cells -> which operations differ on the same inputs, by another way than the report's own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from repromatrix.graph import Place
from repromatrix.operations.catalogue import CATALOGUE
from repromatrix.report.sections.operations import distance_in_ulps
from repromatrix.report.verify.bits import stored
from repromatrix.report.verify.due import Due
from repromatrix.report.verify.traces import tells
from repromatrix.results.replay import Replay
from repromatrix.results.replays import CellReplays, ReplayedPair
from tests.report.oracles.arithmetics import Arithmetics, floats_of
from tests.report.oracles.kinds import OperationPair, OperationSource
from tests.report.oracles.truths import off, rounded, truths

_GONE = "a file that it stands on is not there; ask again: repromatrix explain"
_CHANGED = "tracing changes one of the cells, so its trace explains nothing"
Sides = tuple[CellReplays, CellReplays]


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """A place: its calls on equal inputs as (number among the inputs, outputs of both), the earliest step first."""

    operation: str
    calls: tuple[tuple[int, Sequence[str], Sequence[str]], ...]
    parted: bool
    reason: str | None

    @property
    def differing(self) -> list[tuple[int, Sequence[str], Sequence[str]]]:
        """The calls whose outputs differ."""
        return [each for each in self.calls if tuple(each[1]) != tuple(each[2])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the files say of a pair; `places` is empty without an answer.

    Attributes:
        dtype: of both cells.
        fused: of the two cells, those whose own trace is not given back.
    """

    reason: str | None
    dtype: str | None
    places: Mapping[str, At]
    wiring: tuple[str, ...]
    fused: tuple[str, ...]

    @property
    def sources(self) -> tuple[tuple[str, str], ...]:
        """The places that differ on equal inputs, with their operations."""
        return tuple((name, each.operation) for name, each in self.places.items() if each.differing)

    @property
    def passing(self) -> tuple[str, ...]:
        """The places that give equal bits on equal inputs, and others in the two runs."""
        return tuple(n for n, each in self.places.items() if each.parted and each.reason is None and not each.differing)


def found(pair: ReplayedPair, sides: tuple[CellReplays | None, CellReplays | None]) -> Found:
    """Judge a replayed pair by its files."""
    a, b = sides
    if pair.reason is not None or a is None or b is None:
        return Found(reason=pair.reason or _GONE, dtype=None, places={}, wiring=(), fused=())
    if not all(tells(each.trace, each.record) for each in (a, b)):
        return Found(reason=_CHANGED, dtype=None, places={}, wiring=(), fused=())
    places = {place.value: _at(place.value, place.operation, a, b) for place in a.own.places}
    odd = [_strange(each, each.own.outputs if each.own.ok else None) for each in (a, b)]
    whole = [each.own.ok and each.other.ok for each in (a, b)]
    return Found(
        reason=None,
        dtype=a.trace.cell.dtype,
        places=places,
        wiring=tuple(_wired(places, (a, b), odd, whole)),
        fused=tuple(each.trace.cell.id for each, able, own in zip((a, b), whole, odd, strict=True) if not able or own),
    )


def _strange(traced: CellReplays, outputs: Any) -> set[str]:
    """Return the traced tensors that a replay of the trace's steps does not give back."""
    if outputs is None:
        return set()
    given = dict(outputs)
    return {name for name, steps in traced.trace.tensors if name in given and tuple(given[name]) != tuple(steps)}


def _wired(places: Mapping[str, At], sides: Sides, odd: Sequence[set[str]], whole: Sequence[bool]) -> Iterator[str]:
    """Yield the tensors of the other's trace that come out otherwise though no operation on the way to them does."""
    a, b = sides
    strange = [
        _strange(owner, mine.other.outputs) if able else set()
        for mine, owner, able in ((a, b, whole[0]), (b, a, whole[1]))
    ]
    # A side whose own step could not be replayed says nothing of what it does not give back itself.
    own = [each if able else set() for each, able in zip(odd, whole, strict=True)]
    apart = (strange[0] - own[1]) | (strange[1] - own[0])
    known = set(dict(a.trace.tensors)) & set(dict(b.trace.tensors))
    for name in places:
        way = {each for side in sides for each in _before(name, side.own.places, known)}
        if name in apart and not any(places[each].differing or places[each].reason for each in way):
            yield name


def _before(name: str, step: Sequence[Place], known: set[str]) -> Iterable[str]:
    yield name
    (place,) = (each for each in step if each.value == name)
    for argument in place.arguments:
        source = argument.rstrip("'")
        if source != name and source not in known and source in {each.value for each in step}:
            yield from _before(source, step, known)


def _at(name: str, operation: str, a: CellReplays, b: CellReplays) -> At:
    reason = silent(operation, a.recorded, b.recorded)
    parted = any(x[name] != y[name] for x, y in zip(a.own.steps, b.own.steps, strict=False))
    calls: list[tuple[int, Sequence[str], Sequence[str]]] = []
    if reason is None:
        one, other = a.recorded[operation], b.recorded[operation]
        if one.inputs != other.inputs:
            raise ValueError(f"{operation} of {one.cell.id} and of {other.cell.id} were given unequal inputs")
        numbers = sorted((each.step, number) for number, each in enumerate(one.origins) if each.place == name)
        calls = [(number, one.values[number], other.values[number]) for _, number in numbers]
    nowhere = None if calls else "no step of either cell has its inputs"
    return At(operation=operation, calls=tuple(calls), parted=parted, reason=reason or nowhere)


def silent(operation: str, a: Mapping[str, Replay], b: Mapping[str, Replay]) -> str | None:
    """Return why two cells have no answers of an operation to compare, or None."""
    both = [a.get(operation), b.get(operation)]
    if None in both:
        return "it was not replayed"
    lost = [f"{e.cell.id}: {e.outcome.value}: {e.reason}" for e in both if e is not None and not e.ok]
    return "; ".join(lost) or None


def details(judged: Found, sides: Sides, arithmetics: Arithmetics) -> Iterable[Due]:
    """Return what must be said of the operations of two replayed cells."""
    a, b = sides
    cells, dtype = (a.trace.cell.id, b.trace.cell.id), a.trace.cell.dtype
    for name, operation in judged.sources:
        at = judged.places[name]
        yield _source(name, cells, at, (a.recorded[operation], b.recorded[operation]))
    for operation in [each for each in CATALOGUE if each in a.fresh or each in b.fresh]:
        reason = silent(operation, a.fresh, b.fresh)
        pairs: list[tuple[Sequence[str], Sequence[str]]] = []
        if reason is None:
            pairs = list(zip(a.fresh[operation].values, b.fresh[operation].values, strict=True))
        apart = sum(x != y for one, other in pairs for x, y in zip(one, other, strict=True))
        if apart or operation in {own for _, own in judged.sources}:
            hows = [arithmetics.how(operation, _answers(operation, s), _answers("sigmoid", s)) for s in (a, b)]
            yield OperationPair(
                cells=cells,
                dtype=dtype,
                operation=operation,
                fresh=sum(len(one) for one, _ in pairs),
                fresh_differing=apart,
                reason=reason,
                a=hows[0],
                b=hows[1],
            )


def _answers(operation: str, side: CellReplays) -> list[Replay]:
    each = [some.get(operation) for some in (side.recorded, side.fresh)]
    return [one for one in each if one is not None and one.ok]


def _source(name: str, cells: tuple[str, str], at: At, replays: tuple[Replay, Replay]) -> Due:
    number, left, right = at.differing[0]
    one = replays[0]
    origin, given, dtype = one.origins[number], dict(one.samples[number]), one.cell.dtype
    element = next(place for place, (x, y) in enumerate(zip(left, right, strict=True)) if x != y)
    index = _index(one.operation, given, element, len(left))
    # The form of the loss is each cell's own, and so is its truth; the correct value is the first's.
    true = [truths(one.operation, floats_of(given), each) for each in replays]
    offs = [
        distance_in_ulps(off(float.fromhex(text), each[element], dtype)) if each else None
        for text, each in zip((left[element], right[element]), true, strict=True)
    ]
    correct = rounded(true[0][element], dtype).hex() if true[0] else None
    return OperationSource(
        cells=(*cells, origin.cell),
        dtype=dtype,
        place=name,
        operation=one.operation,
        compared=len(at.calls),
        differing=len(at.differing),
        step=origin.step,
        index=index,
        inputs=tuple(_taken(one.operation, given, index)),
        a=left[element],
        a_bits=stored(left[element], dtype),
        a_off=offs[0],
        b=right[element],
        b_bits=stored(right[element], dtype),
        b_off=offs[1],
        correct=correct,
        correct_bits=stored(correct, dtype) if correct else None,
    )


def _index(operation: str, given: Mapping[str, Any], element: int, count: int) -> tuple[int, ...]:
    if operation == "loss":
        return ()
    if operation in ("outer", "update"):
        return divmod(element, count // len(given["d" if operation == "outer" else "W"]))
    return (element,)


def _taken(operation: str, given: Mapping[str, Any], index: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Yield the numbers that enter into an element, by name and index."""
    for name in sorted(given):
        matrix = isinstance(given[name][0], tuple)
        shape = (range(len(given[name])), range(len(given[name][0]))) if matrix else (range(len(given[name])),)
        for place in product(*shape):
            if _enters(operation, name, place, index):
                number = given[name]
                for each in place:
                    number = number[each]
                yield name + "".join(f"[{each}]" for each in place), number


def _enters(operation: str, name: str, place: Sequence[int], index: Sequence[int]) -> bool:
    if operation == "loss" or (operation, name) in (("product", "v"), ("back", "d")):
        return True
    if (operation, name) == ("back", "W"):
        return place[1] == index[0]
    if operation == "update":
        return tuple(place) == tuple(index)
    return place[0] == index[1 if (operation, name) == ("outer", "v") else 0]
