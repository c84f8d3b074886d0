"""Series -> all their pairs; where there are many, one pair for each two classes of equal series.

Series of one class have the same losses, dtype and workload, so what is measured for two of them holds for all of
the two classes. Time and memory grow with the number of series and of steps, and with the square of the classes alone.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import combinations

from repromatrix.compare.allowance import Allowances
from repromatrix.compare.difference import Verdict
from repromatrix.compare.groups import Group, classes_of, describe
from repromatrix.compare.pair import Pair, Side, Terms, pair, side
from repromatrix.compare.series import Rule, Series
from repromatrix.errors import UsageError

MOST_PAIRS = 5_000  # of classes; beyond, each class is held against the largest alone


class Mode(StrEnum):
    """Which pairs are looked at: all, each against the first, or the same cell in two results folders."""

    ALL = "all"
    FIRST = "first"
    SAME_ID = "same-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that a comparison shows.

    Attributes:
        by_class: whether `pairs` are of the classes in `groups`.
        total: how many pairs of series are judged.
        verdicts: verdict -> how many of them; fewer in all than `total` where not all classes were compared.
        notes: what else the reader must know, in words.
    """

    mode: Mode
    by_class: bool
    series: tuple[Series, ...]
    groups: tuple[Group, ...]
    pairs: tuple[Pair, ...]
    total: int
    verdicts: Mapping[Verdict, int]
    notes: tuple[str, ...]

    def passes(self, terms: Terms) -> bool:
        """Whether every pair that was asked for is known to pass."""
        compared = sum(self.verdicts.values()) == self.total
        listed = sum(each.stands_for for each in self.pairs if each.rule is not Rule.SHOWN) == self.total
        there = listed or not self.verdicts.get(Verdict.MISSING) or Verdict.MISSING in terms.verdicts
        return compared and there and all(each.passes(terms) for each in self.pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """Pairs of places; in two sources the cells that they are of."""

    places: tuple[tuple[int, int], ...]
    cells: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Tally:
    """How many pairs of series a pair of classes speaks for, of which cells, and how their weights are."""

    count: int = 0
    cells: list[str] = field(default_factory=list)
    states: set[bool | None] = field(default_factory=set)

    def of(self, found: Pair) -> Pair:
        """Return the classes' pair as the one of these series."""
        if not self.states:  # all pairs of the two classes: their own say is right
            return replace(found, stands_for=self.count)
        same = next(iter(self.states)) if len(self.states) == 1 else None
        difference = replace(found.difference, same_state=same)
        return replace(
            found,
            difference=difference,
            other_state=False in self.states,
            stands_for=self.count,
            cells=tuple(self.cells),
        )


def compare(
    series: Sequence[Series],
    mode: Mode,
    allowed: Allowances,
    *,
    limit: int,
    dtype: str | None = None,
    common_steps: bool = False,
) -> Comparison:
    """Compare series, all of different names, each with those of its group.

    Args:
        series: at least two, of different names.
        mode: which pairs.
        allowed: judges pairs of one workload; its tolerances judge all others.
        limit: more pairs than that are given by class.
        dtype: what numbers of no stated dtype are read in; None: the other side's if they can be, else float64.
        common_steps: whether logs of other steps are compared at those that both have.

    Raises:
        UsageError: the same cells are asked for, and there are no two sources of cells.
    """
    notes: list[str] = []
    wanted: _Wanted | None = None
    if mode is Mode.SAME_ID:
        series, wanted = _same_ids(series, notes)
    elif mode is Mode.FIRST:
        wanted = _Wanted(places=tuple((each[0], place) for each in _groups(series) for place in each[1:]))
    many = _count(series) if wanted is None else len(wanted.places)
    total = _count(series, judged=True) if wanted is None else _judged(series, wanted.places)
    if many <= limit:
        places = tuple(both for each in _groups(series) for both in combinations(each, 2))
        places = places if wanted is None else wanted.places
        cells = wanted.cells if wanted else ()
        pairs = [
            pair(side([series[a]]), side([series[b]]), allowed, dtype, common_steps=common_steps) for a, b in places
        ]
        if cells:
            pairs = [replace(each, cells=(cell,)) for each, cell in zip(pairs, cells, strict=True)]
        return _comparison(mode, series, (), pairs, total=total, notes=notes)
    classes = classes_of(series)
    groups = describe(series, classes)
    tallies = _tallies_of_all(series, classes, notes) if wanted is None else _tallies(wanted, series, classes)
    notes.insert(0, f"{many:,} pairs are more than {limit:,} (--limit): given by class, a pair for each two classes")
    sides = _sides(series, classes, groups)
    pairs = [
        each.of(pair(sides[a], sides[b], allowed, dtype, common_steps=common_steps)) for (a, b), each in tallies.items()
    ]
    return _comparison(mode, series, groups, pairs, total=total, notes=notes)


def _groups(series: Sequence[Series]) -> list[list[int]]:
    """Return the places of the series of each group, those that are judged first."""
    found: dict[str, list[int]] = {}
    for place, each in enumerate(series):
        found.setdefault(each.group, []).append(place)
    return sorted(found.values(), key=lambda each: series[each[0]].rule is Rule.SHOWN)


def _count(series: Sequence[Series], *, judged: bool = False) -> int:
    """Return how many pairs there are within the groups, or those that are judged."""
    chosen = [each for each in series if not (judged and each.rule is Rule.SHOWN)]
    return sum(size * (size - 1) // 2 for size in Counter(each.group for each in chosen).values())


def _judged(series: Sequence[Series], places: Sequence[tuple[int, int]]) -> int:
    return sum(series[a].rule is not Rule.SHOWN for a, _ in places)


def _comparison(
    mode: Mode,
    series: Sequence[Series],
    groups: tuple[Group, ...],
    pairs: Sequence[Pair],
    *,
    total: int,
    notes: Sequence[str],
) -> Comparison:
    verdicts: Counter[Verdict] = Counter()
    for each in pairs:
        if each.rule is not Rule.SHOWN:
            verdicts[each.difference.verdict] += each.stands_for
    if groups and mode is Mode.ALL:  # what has no trajectory is in no class
        verdicts[Verdict.MISSING] += total - _count([each for each in series if not each.absent], judged=True)
    return Comparison(
        mode=mode,
        by_class=bool(groups),
        series=tuple(series),
        groups=groups,
        pairs=tuple(pairs),
        total=total,
        verdicts={each: verdicts[each] for each in Verdict if verdicts[each]},
        notes=tuple(notes),
    )


def _same_ids(series: Sequence[Series], notes: list[str]) -> tuple[tuple[Series, ...], _Wanted]:
    """Pair each cell of the first source with itself in every other; what only one has is paired with its absence."""
    sources: dict[str, dict[str, int]] = {}
    for place, each in enumerate(series):
        if each.cell_id:
            sources.setdefault(each.source, {})[each.cell_id] = place
    if len(sources) < 2:  # noqa: PLR2004
        raise UsageError(
            "the same cells are to be compared, and there are no two sources of cells",
            hint="name two results folders, or type --pairs all",
        )
    every, places, cells, idle = list(series), [], [], 0
    (first, base), *others = sources.items()
    for source, ids in others:
        for cell_id in dict.fromkeys((*base, *ids)):
            ends = []
            for where, known in ((first, base), (source, ids)):
                if cell_id not in known:
                    known[cell_id] = len(every)
                    every.append(
                        Series(
                            name=f"{where}:{cell_id}",
                            source=where,
                            cell_id=cell_id,
                            absent=f"{where} has no record of it",
                        )
                    )
                ends.append(known[cell_id])
            if all(every[each].left_out for each in ends):
                idle += 1
                continue
            places.append((ends[0], ends[1]))
            cells.append(cell_id)
    if idle:
        notes.append(f"{idle} {'cell' if idle == 1 else 'cells'} could not run on either side: left out")
    return tuple(every), _Wanted(places=tuple(places), cells=tuple(cells))


def _sides(series: Sequence[Series], classes: Sequence[Sequence[int]], groups: Sequence[Group]) -> list[Side]:
    names: Iterator[str] = iter([each.name for each in groups])
    return [
        side([series[each] for each in places], None if series[places[0]].absent else next(names)) for places in classes
    ]


def _tallies(
    wanted: _Wanted, series: Sequence[Series], classes: Sequence[Sequence[int]]
) -> dict[tuple[int, int], _Tally]:
    """Count the wanted pairs by the classes of their sides."""
    class_of = {place: number for number, places in enumerate(classes) for place in places}
    found: dict[tuple[int, int], _Tally] = {}
    for number, (a, b) in enumerate(wanted.places):
        tally = found.setdefault((class_of[a], class_of[b]), _Tally())
        tally.count += 1
        tally.cells += wanted.cells[number : number + 1]
        states = (series[a].state, series[b].state)
        tally.states.add(None if None in states else states[0] == states[1])
    return found


def _tallies_of_all(
    series: Sequence[Series], classes: Sequence[Sequence[int]], notes: list[str]
) -> dict[tuple[int, int], _Tally]:
    """Count the pairs of all series that have a trajectory by class, without going through them."""
    found: dict[tuple[int, int], _Tally] = {}
    present: dict[str, list[int]] = {}
    for number, places in enumerate(classes):
        if not series[places[0]].absent:
            present.setdefault(series[places[0]].group, []).append(number)
            if len(places) > 1:
                found[number, number] = _Tally(count=len(places) * (len(places) - 1) // 2)
    pairs = sum(len(each) * (len(each) - 1) // 2 for each in present.values())
    if pairs > MOST_PAIRS:
        chosen = [(each[0], other) for each in present.values() for other in each[1:]]
        notes.append(
            f"{pairs:,} pairs of classes are more than {MOST_PAIRS:,}: each class is compared with C1 alone, the rest "
            "is not known and does not pass"
        )
    else:
        chosen = [both for each in present.values() for both in combinations(each, 2)]
    absent = sum(bool(each.absent) for each in series)
    if absent:
        notes.append(f"{absent} series have no trajectory and are in no class: each of their pairs is missing")
    return found | {(a, b): _Tally(count=len(classes[a]) * len(classes[b])) for a, b in chosen}
