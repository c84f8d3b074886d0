"""Which operations of two cells give other bits on equal inputs, and which only pass on what they are given. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from repromatrix.compare.trace import Value, index_of, value_of
from repromatrix.explain.judge.operations import (
    Anatomy,
    Example,
    Output,
    PlaceFinding,
    PrimitiveFinding,
    SideFinding,
)
from repromatrix.explain.judge.sources import Source, firsts, sources
from repromatrix.operations.catalogue import PLACES, PRIMITIVES, TENSORS
from repromatrix.operations.judgement import Arithmetic, Memo, arithmetic, constants_of, floats_of
from repromatrix.operations.text import flat
from repromatrix.results.replay import Nested, Replay, Sample
from repromatrix.results.studies import Study, Testimony

__all__ = ["Anatomy", "anatomy"]


def anatomy(study: Study, a: Testimony | None, b: Testimony | None, memo: Memo | None = None) -> Anatomy:
    """Hold the operations of a study's cells against each other.

    Args:
        study: whose.
        a: what the files say that its left end names.
        b: what those of the right end say.
        memo: what was judged before (`arithmetic`).

    Raises:
        ValueError: replays that do not belong together, or fresh inputs that this release makes otherwise.
    """
    if study.reason is not None or a is None or b is None:
        reason = study.reason or "a file that it stands on is not there; ask again: repromatrix explain"
        return _unanswered(study, reason)
    if not all(each.trace.tells_of(each.record) for each in (a, b)):
        return _unanswered(study, "tracing changes one of the cells, so its trace explains nothing")
    places = tuple(_place(name, a, b) for name in PLACES)
    left, right = _side(a, b), _side(b, a)
    return Anatomy(
        a=study.a,
        b=study.b,
        dtype=a.trace.cell.dtype,
        left=left,
        right=right,
        places=places,
        primitives=tuple(_primitives(places, a, b, memo)),
        wiring=tuple(_wiring(places, left, right)),
        options=tuple(_options(a.own, b.own)),
        reason=None,
    )


def _unanswered(study: Study, reason: str) -> Anatomy:
    return Anatomy(
        a=study.a,
        b=study.b,
        dtype=None,
        left=None,
        right=None,
        places=(),
        primitives=(),
        wiring=(),
        options=(),
        reason=reason,
    )


def _side(own: Testimony, other: Testimony) -> SideFinding:
    failed = next((each for each in (own.own, own.other) if not each.ok), None)
    fused: tuple[Source, ...] = ()
    foreign: tuple[Source, ...] = ()
    if failed is None:
        fused = tuple(firsts(sources(own.trace, own.own.steps)).values())
        foreign = tuple(firsts(sources(other.trace, own.other.steps)).values())
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


def _place(name: str, a: Testimony, b: Testimony) -> PlaceFinding:
    primitive = PLACES[name].primitive
    calls = tuple(_calls(name, a, b))
    differing = [call for call in calls if call[1] != call[2]]
    own = [each.own.steps for each in (a, b)]
    reason = _silence(primitive, a.recorded, b.recorded)
    return PlaceFinding(
        place=name,
        primitive=primitive,
        compared=len(calls),
        differing=len(differing),
        parted=any(one[name] != other[name] for one, other in zip(*own, strict=False)),
        example=_example(differing[0], a.recorded[primitive], b.recorded[primitive]) if differing else None,
        reason=reason or (None if calls else "no step of either cell has its inputs"),
    )


_Call = tuple[int, tuple[str, ...], tuple[str, ...]]


def _calls(place: str, a: Testimony, b: Testimony) -> Iterator[_Call]:
    """Yield the calls of a place, the earliest step first: where it stands among the inputs, and what each cell gave.

    Raises:
        ValueError: the two were given unequal inputs.
    """
    primitive = PLACES[place].primitive
    if _silence(primitive, a.recorded, b.recorded) is not None:
        return
    one, other = a.recorded[primitive], b.recorded[primitive]
    if one.inputs != other.inputs:
        raise ValueError(f"{primitive} of {a.trace.cell.id} and of {b.trace.cell.id} were given unequal inputs")
    here = [(origin.step, index) for index, origin in enumerate(one.origins) if origin.place == place]
    for _, index in sorted(here):
        yield index, one.values[index], other.values[index]


def _silence(primitive: str, a: Mapping[str, Replay], b: Mapping[str, Replay]) -> str | None:
    """Return why two cells cannot be compared in a primitive, or None."""
    if primitive not in a or primitive not in b:
        return "it was not replayed"
    reasons = [f"{e.cell.id}: {e.outcome.value}: {e.reason}" for e in (a[primitive], b[primitive]) if not e.ok]
    return "; ".join(reasons) or None


def _example(call: _Call, a: Replay, b: Replay) -> Example:
    from repromatrix.operations import truth  # noqa: PLC0415 - Arb costs time, and most pairs differ in few operations

    index, left, right = call
    origin, given, dtype = a.origins[index], a.samples[index], a.cell.dtype
    element = next(number for number, pair in enumerate(zip(left, right, strict=True)) if pair[0] != pair[1])
    place = index_of(element, _shape(a.operation, given, len(left)))
    try:
        true = truth.correct(a.operation, floats_of(given), dtype, constants_of(a))[element]
    except ValueError:  # an input is not finite
        correct = None
    else:
        correct = value_of(true.hex(), dtype)
    return Example(
        cell=origin.cell,
        step=origin.step,
        index=place,
        inputs=tuple(_taken(a.operation, given, place, dtype)),
        a=_output(a, index, element),
        b=_output(b, index, element),
        correct=correct,
    )


def _output(replay: Replay, index: int, element: int) -> Output:
    from repromatrix.operations import truth  # noqa: PLC0415

    values, dtype = replay.values[index], replay.cell.dtype
    inputs = floats_of(replay.samples[index])
    try:
        off = truth.ulps(replay.operation, inputs, flat(values), dtype, constants_of(replay))[element]
    except ValueError:  # an input is not finite
        return Output(value=value_of(values[element], dtype), ulps=None)
    return Output(value=value_of(values[element], dtype), ulps=off)


def _shape(primitive: str, given: Sample, count: int) -> tuple[int, ...]:
    if primitive == "loss":
        return ()
    inputs = dict(given)
    rows = {"outer": "d", "update": "W"}.get(primitive)
    return (count,) if rows is None else (len(inputs[rows]), count // len(inputs[rows]))


# Where an element's inputs stand: a letter for the first or the second index of the output, `*` for every index.
_TAKEN = {
    "product": {"W": "i*", "v": "*"},
    "loss": {"o": "*", "t": "*"},
    "outer": {"d": "i", "v": "j"},
    "back": {"W": "*i", "d": "*"},
    "update": {"W": "ij", "g": "ij"},
}


def _taken(primitive: str, given: Sample, place: Sequence[int], dtype: str) -> Iterator[tuple[str, Value]]:
    """Yield the numbers that an element is computed from, by name and index."""
    own = dict(zip("ij", place, strict=False))
    for name, entry in given:
        letters = _TAKEN.get(primitive, {}).get(name, "i")
        for index, text in _numbers(entry, ()):
            if all(letter == "*" or own[letter] == at for letter, at in zip(letters, index, strict=True)):
                yield name + "".join(f"[{at}]" for at in index), value_of(text, dtype)


def _numbers(entry: Nested, index: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    if isinstance(entry, str):
        yield index, entry
        return
    for at, each in enumerate(entry):
        yield from _numbers(each, (*index, at))


def _primitives(
    places: Sequence[PlaceFinding], a: Testimony, b: Testimony, memo: Memo | None
) -> Iterator[PrimitiveFinding]:
    for name in PRIMITIVES:
        reason = _silence(name, a.fresh, b.fresh)
        fresh = () if reason else tuple(zip(a.fresh[name].values, b.fresh[name].values, strict=True))
        apart = sum(x != y for one, other in fresh for x, y in zip(one, other, strict=True))
        differ = apart > 0 or any(each.source for each in places if each.primitive == name)
        yield PrimitiveFinding(
            primitive=name,
            fresh=sum(len(one) for one, _ in fresh),
            fresh_differing=apart,
            a=_arithmetic(name, a, memo) if differ else None,
            b=_arithmetic(name, b, memo) if differ else None,
            reason=reason,
        )


def _arithmetic(primitive: str, of: Testimony, memo: Memo | None) -> Arithmetic:
    known = [{name: each for name, each in some.items() if each.ok} for some in (of.recorded, of.fresh)]
    replays = [some[primitive] for some in known if primitive in some]
    sigmoids = [some["sigmoid"] for some in known if "sigmoid" in some]
    return arithmetic(primitive, replays, sigmoids, memo=memo)


def _wiring(places: Iterable[PlaceFinding], left: SideFinding, right: SideFinding) -> Iterator[str]:
    """Yield the tensors that differ from equal ones though no operation on the way to them does."""
    found = {each.place: each for each in places}
    for name in TENSORS:
        apart = any(
            name in {each.tensor for each in side.other} - {each.tensor for each in owner.fused}
            for side, owner in ((left, right), (right, left))
        )
        untraced = {tensor for side in (left, right) for tensor, _ in side.untraced}
        way = [found[each] for each in _way(name, untraced)]
        if apart and not any(each.source or each.reason for each in way):
            yield name


def _way(place: str, untraced: set[str]) -> list[str]:
    """Return the places from given tensors to this one: a step computes them from its own values."""
    found = [place]
    for source in PLACES[place].inputs.values():
        if source in PLACES and (source not in TENSORS or source in untraced):
            found += _way(source, untraced)
    return found
