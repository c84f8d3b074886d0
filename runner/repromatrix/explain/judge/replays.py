"""Which operations of two cells differ on the same inputs, and which only pass on what they are given. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from repromatrix.compare.trace import Value, index_of, value_of
from repromatrix.explain.judge.operations import (
    Example,
    OperationFinding,
    Output,
    PairFinding,
    PlaceFinding,
    SideFinding,
)
from repromatrix.explain.judge.sources import Source, firsts, sources
from repromatrix.graph import AFTER, Place, alone, sizes_at
from repromatrix.operations.catalogue import CATALOGUE, narrowed, sized, spelt
from repromatrix.operations.judgement import Arithmetic, Memo, arithmetic, constants_of, floats_of
from repromatrix.results.replay import Nested, Replay, Sample
from repromatrix.results.replays import CellReplays, ReplayedPair

__all__ = ["PairFinding", "pair_finding"]


def pair_finding(
    pair: ReplayedPair, a: CellReplays | None, b: CellReplays | None, memo: Memo | None = None
) -> PairFinding:
    """Hold the operations of a replayed pair's cells against each other.

    Args:
        pair: whose.
        a: what the files say that its left end names.
        b: what those of the right end say.
        memo: what was judged before (`arithmetic`).

    Raises:
        ValueError: replays that do not belong together, or fresh inputs that this release makes otherwise.
    """
    if pair.reason is not None or a is None or b is None:
        reason = pair.reason or "a file that it stands on is not there; ask again: repromatrix explain"
        return _unanswered(pair, reason)
    if not all(each.trace.tells_of(each.record) for each in (a, b)):
        return _unanswered(pair, "tracing changes one of the cells, so its trace explains nothing")
    places = tuple(_place(each, a, b) for each in a.own.places)
    left, right = _side(a, b), _side(b, a)
    return PairFinding(
        a=pair.a,
        b=pair.b,
        dtype=a.trace.cell.dtype,
        left=left,
        right=right,
        places=places,
        operations=tuple(_operations(places, a, b, memo)),
        wiring=tuple(_wiring(places, a, b, left, right)),
        options=tuple(_options(a.own, b.own)),
        reason=None,
        step=a.own.begin if len(a.own.steps) < len(a.trace.trajectory.losses) else None,
    )


def _unanswered(pair: ReplayedPair, reason: str) -> PairFinding:
    return PairFinding(
        a=pair.a,
        b=pair.b,
        dtype=None,
        left=None,
        right=None,
        places=(),
        operations=(),
        wiring=(),
        options=(),
        reason=reason,
    )


def _side(own: CellReplays, other: CellReplays) -> SideFinding:
    failed = next((each for each in (own.own, own.other) if not each.ok), None)
    fused: tuple[Source, ...] = ()
    foreign: tuple[Source, ...] = ()
    if failed is None:
        order = [place.value for place in own.own.places]
        fused = tuple(firsts(sources(own.trace, own.own.steps, own.own.begin), order).values())
        foreign = tuple(firsts(sources(other.trace, own.other.steps, own.other.begin), order).values())
    return SideFinding(
        cell=own.trace.cell.id,
        separable=None if failed else not fused,
        fused=fused,
        other=foreign,
        untraced=own.trace.untraced,
        reason=f"{failed.outcome.value}: {failed.reason}" if failed else None,
    )


def _options(a: Replay, b: Replay) -> Iterator[tuple[str, str, str]]:
    one, other = dict(a.options), dict(b.options)
    for name in sorted(one.keys() & other.keys()):
        if one[name] != other[name]:
            yield name, one[name], other[name]


def _place(place: Place, a: CellReplays, b: CellReplays) -> PlaceFinding:
    name, operation = place.value, place.operation
    own = [each.own.steps for each in (a, b)]
    other = {each.value: each.operation for each in b.own.places}.get(name, "")
    reason = _silence(operation, a.recorded, b.recorded)
    if other != operation:
        reason = f"{b.trace.cell.id} computes it by {other}" if other else f"{b.trace.cell.id} does not compute it"
    calls = tuple(_calls(place, a, b)) if other == operation else ()
    differing = [call for call in calls if call[1] != call[2]]
    return PlaceFinding(
        place=name,
        operation=operation,
        compared=len(calls),
        differing=len(differing),
        parted=any(one[name] != other.get(name) for one, other in zip(*own, strict=False)),
        example=_example(differing[0], a.recorded[operation]) if differing else None,
        reason=reason or (None if calls else "no step of either cell has its inputs"),
        other=None if other == operation else other,
    )


_Call = tuple[int, tuple[str, ...], tuple[str, ...]]


def _calls(place: Place, a: CellReplays, b: CellReplays) -> Iterator[_Call]:
    """Yield the calls of a place, the earliest step first: where it stands among the inputs, and what each cell gave.

    Raises:
        ValueError: the two were given unequal inputs.
    """
    operation = place.operation
    if _silence(operation, a.recorded, b.recorded) is not None:
        return
    one, other = a.recorded[operation], b.recorded[operation]
    if one.inputs != other.inputs:
        raise ValueError(f"{operation} of {a.trace.cell.id} and of {b.trace.cell.id} were given unequal inputs")
    here = [(origin.step, index) for index, origin in enumerate(one.origins) if origin.place == place.value]
    for _, index in sorted(here):
        yield index, one.values[index], other.values[index]


def _silence(operation: str, a: Mapping[str, Replay], b: Mapping[str, Replay]) -> str | None:
    """Return why two cells cannot be compared in an operation, or None."""
    if operation not in a or operation not in b:
        return "it was not replayed"
    reasons = [f"{e.cell.id}: {e.outcome.value}: {e.reason}" for e in (a[operation], b[operation]) if not e.ok]
    return "; ".join(reasons) or None


def _example(call: _Call, a: Replay) -> Example:
    index, left, right = call
    origin, given, dtype = a.origins[index], a.samples[index], a.cell.dtype
    element = next(number for number, pair in enumerate(zip(left, right, strict=True)) if pair[0] != pair[1])
    place = index_of(element, _shape(a.operation, given))
    correct, off = _truth(a, given, place, (left[element], right[element]))
    one, other = (
        Output(value=value_of(text, dtype), ulps=ulps)
        for text, ulps in zip((left[element], right[element]), off, strict=True)
    )
    return Example(
        cell=origin.cell,
        step=origin.step,
        index=place,
        inputs=tuple(_taken(a.operation, given, place, dtype)),
        a=one,
        b=other,
        correct=correct,
    )


def _truth(
    replay: Replay, given: Sample, place: tuple[int, ...], values: Sequence[str]
) -> tuple[Value | None, tuple[float | None, ...]]:
    """Return the correctly rounded element at a place, and how far each of some values is from the truth."""
    from repromatrix.operations import truth  # noqa: PLC0415 - Arb costs time, and most pairs differ in few operations

    operation, dtype, constants = replay.operation, replay.cell.dtype, constants_of(replay)
    few, at = narrowed(operation, floats_of(given), place)
    try:
        correct = truth.correct(operation, few, dtype, constants)
        all_alike = [[float.fromhex(text)] * len(correct) for text in values]
        off = tuple(truth.ulps(operation, few, alike, dtype, constants)[at] for alike in all_alike)
    except ValueError:  # an input is not finite
        return None, (None,) * len(values)
    return value_of(correct[at].hex(), dtype), off


def _shape(operation: str, given: Sample) -> tuple[int, ...]:
    """Return the shape of what an operation gives for recorded inputs."""
    (place,) = alone(operation)
    sizes = sizes_at(place, {name: tuple(_sizes(entry)) for name, entry in given})
    return sized(CATALOGUE[operation].gives, sizes)


def _sizes(entry: Nested) -> Iterator[int]:
    while not isinstance(entry, str):
        yield len(entry)
        entry = entry[0]


def _taken(operation: str, given: Sample, index: Sequence[int], dtype: str) -> Iterator[tuple[str, Value]]:
    """Yield the numbers that an element is computed from, by name and index."""
    row = CATALOGUE[operation]
    own = dict(zip(spelt(row.gives, len(index)), index, strict=True))
    own = {letter: place for letter, place in own.items() if letter not in row.together}
    for name, entry in given:
        whole = name in row.whole
        for at, text in _numbers(entry, ()):
            letters = row.letters(name, len(at))
            if all(own.get(letter, place) == place for letter, place in zip(letters, at, strict=True)):
                value = value_of(text, "float64" if whole else dtype)
                yield name + "".join(f"[{each}]" for each in at), value


def _numbers(entry: Nested, index: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    if isinstance(entry, str):
        yield index, entry
        return
    for at, each in enumerate(entry):
        yield from _numbers(each, (*index, at))


def _operations(
    places: Sequence[PlaceFinding], a: CellReplays, b: CellReplays, memo: Memo | None
) -> Iterator[OperationFinding]:
    for name in [each for each in CATALOGUE if each in a.fresh or each in b.fresh]:
        reason = _silence(name, a.fresh, b.fresh)
        fresh = () if reason else tuple(zip(a.fresh[name].values, b.fresh[name].values, strict=True))
        apart = sum(x != y for one, other in fresh for x, y in zip(one, other, strict=True))
        differ = apart > 0 or any(each.source for each in places if each.operation == name)
        yield OperationFinding(
            operation=name,
            fresh=sum(len(one) for one, _ in fresh),
            fresh_differing=apart,
            a=_arithmetic(name, a, memo) if differ else None,
            b=_arithmetic(name, b, memo) if differ else None,
            reason=reason,
        )


def _arithmetic(operation: str, of: CellReplays, memo: Memo | None) -> Arithmetic:
    known = [{name: each for name, each in some.items() if each.ok} for some in (of.recorded, of.fresh)]
    replays = [some[operation] for some in known if operation in some]
    sigmoids = [some["sigmoid"] for some in known if "sigmoid" in some]
    return arithmetic(operation, replays, sigmoids, memo=memo)


def _wiring(
    places: Iterable[PlaceFinding], a: CellReplays, b: CellReplays, left: SideFinding, right: SideFinding
) -> Iterator[str]:
    """Yield the values that differ though all that they are computed from is the same, and no operation differs."""
    found = {each.place: each for each in places}
    untraced = {name for side in (left, right) for name, _ in side.untraced}
    traced = a.trace.columns.keys() & b.trace.columns.keys() - untraced
    ways = _ways(a.own.places, traced), _ways(b.own.places, traced)
    for name in found:
        apart = any(
            name in {each.tensor for each in side.other} - {each.tensor for each in owner.fused}
            for side, owner in ((left, right), (right, left))
        )
        # What only one of the two steps computes is known of neither.
        way = {each for steps in ways for each in steps.get(name, {name})}
        if apart and way <= found.keys() and not any(found[each].source or found[each].reason for each in way):
            yield name


def _ways(places: Sequence[Place], traced: set[str]) -> dict[str, set[str]]:
    """Return for each place those from given values to it: a step computes what no trace has from its own values."""
    found: dict[str, set[str]] = {}
    for place in places:
        above = {name.removesuffix(AFTER) for name in place.arguments if name in found or name.endswith(AFTER)}
        found[place.value] = {place.value}.union(*(found[name] for name in above - traced))
    return found
