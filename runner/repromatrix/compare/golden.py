"""A golden file, or a cell, and runs -> a `Comparison`: every metric of the golden, at every step that it has.

What a run has beside that is not looked at. What it lacks does not pass.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from repromatrix.compare import arrays, digits, metrics, printed, series, steps
from repromatrix.compare.allowance import Allowances
from repromatrix.compare.difference import Verdict
from repromatrix.compare.metrics import Named, Read, Wish
from repromatrix.compare.pair import Pair, pair, side
from repromatrix.compare.pairs import Comparison, Mode
from repromatrix.compare.series import Rule, Series
from repromatrix.compare.sources import Sources
from repromatrix.errors import NothingSelectedError, UsageError
from repromatrix.results.logs import columns, figures, spelling, words


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A golden or a run.

    Attributes:
        read: the log that it was read from; None: of a cell.
        metrics: its metrics, each in its group.
    """

    name: str
    read: Read | None
    metrics: tuple[Series, ...]

    def steps(self, metric: str) -> int:
        """Return how many numbers a metric has."""
        return next((each.steps for each in self.metrics if each.metric == metric), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A golden and a run beside each other, metric by metric.

    Attributes:
        pairs: of each metric of the golden its series and the run's, which may be absent.
        notes: what was read as what.
    """

    golden: Side
    run: Side
    pairs: tuple[tuple[Series, Series], ...]
    notes: tuple[str, ...]


def held(sources: Sources, golden: str, runs: Sequence[str], wishes: Sequence[Wish]) -> tuple[Held, ...]:
    """Return each run beside the golden.

    Args:
        sources: resolves the arguments.
        golden: a file, a record or a cell.
        runs: files, records, cells or patterns of cells.
        wishes: how metrics count; all that a golden holds do, but for what is measured.

    Raises:
        UsageError: a file that cannot be used, a golden of several runs, a metric that no log has.
        NothingSelectedError: an argument that names nothing.
    """
    expected = sources.one(golden)
    if len(expected) != 1:
        listed = columns.names(each.name for each in expected)
        raise UsageError(f"{golden} names several cells: {listed}", hint="name the one that is the golden")
    others = [each for run in runs for each in sources.one(run)]
    if not others:
        raise NothingSelectedError("no run is named", hint="name a log or a cell behind the golden")
    metrics.check_wishes(wishes, [each for each in (*expected, *others) if isinstance(each, Read)])
    return tuple(_held(expected[0], other, wishes) for other in others)


def _held(expected: Read | Series, other: Read | Series, wishes: Sequence[Wish]) -> Held:
    both = (expected, other)
    reads = [each for each in both if isinstance(each, Read)]
    asked = {each.chosen[0] for each in reads if len(each.chosen) == 1}
    found = [metrics.named(each, wishes, asked, Rule.JUDGED) for each in reads]
    metrics.by_run([own for own, _ in found], others=len(reads) == 1)
    rest = iter(found)
    sides, notes = [], []
    for each in both:
        own, ignored = next(rest) if isinstance(each, Read) else ([], ())
        sides.append(_side(each, own))
        notes += metrics.notes([each], [own], [ignored], [()]) if isinstance(each, Read) else []
    golden, run = sides
    _refuse_several(golden, golden.metrics)
    pairs = [(each, _of_group(run, each)) for each in golden.metrics]
    more = columns.names(each.metric or "" for each in run.metrics if each.group not in {a.group for a, _ in pairs})
    notes += [f"{run.name} has {more} too, which the golden has not: not checked"] if more else []
    return Held(golden=golden, run=run, pairs=tuple(pairs), notes=tuple(dict.fromkeys(notes)))


def _side(source: Read | Series, own: Sequence[Named]) -> Side:
    if isinstance(source, Series):
        return Side(name=source.name, read=None, metrics=_of_cell(source))
    made = (metrics.series_of(each, source, own).named(f"{source.name}::{each.column.name}") for each in own)
    return Side(name=source.name, read=source, metrics=tuple(made))


def _of_cell(cell: Series) -> tuple[Series, ...]:
    """Return the metrics of a cell, each a series of its own."""
    others = tuple(
        replace(
            cell,
            name=f"{cell.name}::{each.name}",
            dtype=each.dtype,
            values=arrays.decode(each.texts),
            metrics=(),
            metric=each.name,
            group=words.canonical(each.name),
        )
        for each in cell.metrics
    )
    return (replace(cell, metrics=()), *others)


def _refuse_several(of: Side, same: Sequence[Series]) -> None:
    """Refuse a side that has two series where one is due.

    Raises:
        UsageError: it has.
    """
    counts = Counter(each.group for each in same)
    several = [each for each in same if counts[each.group] > 1]
    if several:
        raise UsageError(
            f"several columns of one kind: {columns.names(each.metric or each.name for each in several)}",
            where=of.name,
            hint=f"name the one that counts: '{of.read.source if of.read else of.name}::{several[0].metric}'",
        )


def _of_group(run: Side, golden: Series) -> Series:
    """Return the metric of a run that is held against one of the golden; one that it lacks is absent."""
    same = [each for each in run.metrics if each.group == golden.group]
    _refuse_several(run, same)
    if same:
        return same[0]
    name = golden.metric or series.LOSS
    there = columns.names(each.metric or series.LOSS for each in run.metrics)
    return Series(
        name=f"{run.name}::{name}", source=run.name, metric=golden.metric, group=golden.group,
        absent=f"it has no {name}; it has {there}",
    )  # fmt: skip


def moved(one: Held, dtype: str | None = None) -> dict[str, dict[int, str]]:
    """Return what a run moves in a golden's file: column -> place -> the new number, spelt as the file spells its own.

    Raises:
        UsageError: a metric or a step that the run lacks, a number that is not finite, or one of fewer digits.
    """
    if one.golden.read is None:
        raise UsageError(
            "a cell is no file that could be updated", where=one.golden.name, hint="accept a run: repromatrix accept"
        )
    found: dict[str, dict[int, str]] = {}
    for golden, run in one.pairs:
        if golden.rule is not Rule.SHOWN:
            found[golden.metric or ""] = _moved(golden, _whole(golden, run), dtype)
    return {name: places for name, places in found.items() if places}


def _whole(golden: Series, run: Series) -> Series:
    """Return the numbers of a run at all steps of a golden.

    Raises:
        UsageError: it lacks some.
    """
    if run.absent:
        raise _not_updated(golden, run, run.absent)
    own, other, lacking = within(golden, run)
    if other is None or lacking:
        raise _not_updated(golden, run, f"it lacks {steps.label(golden, lacking[0])}")
    if other.steps < golden.steps:
        raise _not_updated(golden, run, f"it lacks {steps.label(golden, other.steps)}")
    if said := steps.parted(own, other):
        raise _not_updated(golden, run, said)
    return other


def _not_updated(golden: Series, run: Series, why: str) -> UsageError:
    hint = "update from a run that has all of the golden"
    return UsageError(f"{golden.name} cannot be updated from {run.name}: {why}", hint=hint)


def _moved(golden: Series, run: Series, dtype: str | None) -> dict[int, str]:
    if golden.values is None or run.values is None:
        return {}
    if not np.isfinite(run.values).all():
        at = int(np.flatnonzero(~np.isfinite(run.values))[0])
        raise UsageError(
            f"{run.name} is {run.values[at]} at {steps.label(run, at)}: not to be expected of a golden",
            hint="mend the run, then update",
        )
    differing = ~printed.agree(golden, run, golden.steps)
    if golden.texts is None:
        kept = arrays.rounded(run.values, golden.dtype or dtype or "float64")
        return {int(at): kept[at].hex() for at in np.flatnonzero(~arrays.same_bits(golden.values, kept))}
    own = spelling.style(golden.texts)
    same = run.texts is not None and spelling.style(run.texts) == own
    found = {}
    for at in np.flatnonzero(differing).tolist():
        text = printed.written(run, at)
        value = Decimal(text) if text is not None else Decimal(float(run.values[at]))
        new = text if same and text is not None else own.spell(value)
        found[at] = new
    if not same and found:
        _require_digits(golden, run, found)
    return found


def _require_digits(golden: Series, run: Series, found: Mapping[int, str]) -> None:
    """Refuse numbers that the golden would show more digits of than any of the run does.

    Raises:
        UsageError: it would.
    """
    if run.texts is None or spelling.style(run.texts).whole:
        return
    shown = series.shown(run)
    most, last = int(shown.significant.max()), int(shown.last_place.min())
    for at, new in found.items():
        if "x" in new or (figures.significant(new) > most and digits.last_place(new) < last):
            shows = f"{run.name} shows {printed.written(run, at)} at {steps.label(run, at)}"
            raise UsageError(
                f"{shows}, fewer digits than {golden.name}",
                hint="print as many digits as the golden has",
            )


def check(every: Sequence[Held], allowed: Allowances, dtype: str | None = None) -> Comparison:
    """Compare each metric of the golden with that of each run, at the golden's steps.

    Args:
        every: runs beside the golden.
        allowed: judges what is not identical.
        dtype: what numbers of no stated dtype are read in; None: the other side's if they can be, else float64.
    """
    notes = [each for one in every for each in one.notes]
    pairs = []
    for one in every:
        for golden, run in one.pairs:
            pairs.append(_pair(golden, run, allowed, dtype, notes))
    judged = [each for each in pairs if each.rule is not Rule.SHOWN]
    if not judged:
        raise UsageError(
            "nothing of the golden counts", where=every[0].golden.name, hint="leave one metric judged: --metric loss"
        )
    verdicts = Counter(each.difference.verdict for each in judged)
    return Comparison(
        mode=Mode.FIRST,
        by_class=False,
        series=tuple(dict.fromkeys(each for one in every for both in one.pairs for each in both)),
        groups=(),
        pairs=tuple(pairs),
        total=len(judged),
        verdicts={each: verdicts[each] for each in Verdict if verdicts[each]},
        notes=tuple(dict.fromkeys(notes)),
    )


def _pair(golden: Series, run: Series, allowed: Allowances, dtype: str | None, notes: list[str]) -> Pair:
    if golden.absent or run.absent:
        return pair(side([golden]), side([run]), allowed, dtype)
    own, other, lacking = within(golden, run)
    if other is None:
        said = f"it has none of the golden's {golden.steps:,} steps, not {steps.label(golden, 0)}"
        return pair(side([golden]), side([replace(run, absent=said)]), allowed, dtype)
    if other.steps < run.steps and not lacking:
        over = run.steps - other.steps
        notes.append(f"{run.source} has {over:,} more step{'' if over == 1 else 's'} than the golden: not checked")
    found = pair(side([own]), side([other]), allowed, dtype)
    found = replace(found, untold=_untold(own, other) if found.untold else 0)
    if not lacking:
        return _with_step(found)
    more = f" and {len(lacking) - 1:,} more" if len(lacking) > 1 else ""
    measure = found.difference.measure
    parted = (
        ""
        if measure is None or not measure.steps
        else (
            "; at the others there is no difference"
            if measure.first_difference is None
            else f"; at the others they part at {_label(found)}"
        )
    )
    reason = f"the run lacks {steps.label(golden, lacking[0])}{more} of the golden's {golden.steps:,}{parted}"
    return replace(found, difference=replace(found.difference, verdict=Verdict.INCOMPARABLE, reason=reason))


def _untold(golden: Series, run: Series) -> int:
    """Return at how many steps the run shows too few digits; all that a golden asks for are its own."""
    if run.joined is None:
        return 0
    count = min(golden.steps, run.steps)
    fewer = series.shown(run).last_place[:count] > (series.shown(golden).last_place[:count] if golden.joined else -400)
    return int((fewer & printed.agree(golden, run, count) & ~_equal(golden, run, count)).sum())


def _equal(a: Series, b: Series, count: int) -> arrays.Bools:
    left, right = a.values, b.values
    return arrays.same_bits(left[:count], right[:count]) if left is not None and right is not None else np.ones(0, bool)


def _label(found: Pair) -> str:
    return "another place" if found.first is None else found.first.label or f"step {found.first.step}"


def _with_step(found: Pair) -> Pair:
    """Say from which step of the logs two metrics differ, where that is not its place."""
    difference = found.difference
    if found.first is None or found.first.label is None or difference.verdict is Verdict.INCOMPARABLE:
        return found
    said = f"from {found.first.label}"
    reason = said if difference.reason is None else f"{said}; {difference.reason}"
    return replace(found, difference=replace(difference, reason=reason))


def within(golden: Series, run: Series) -> tuple[Series, Series | None, tuple[int, ...]]:
    """Return a golden and a run at the golden's steps that the run has, and the places of those that it lacks.

    The run is None where it has none of them.
    """
    if golden.logged is None or run.logged is None or golden.logged.shape[1] != run.logged.shape[1]:
        if run.steps <= golden.steps:
            return golden, run, ()
        return golden, steps.at(run, np.arange(golden.steps)), ()
    known = {tuple(row) for row in run.logged.tolist()}
    lacking = tuple(at for at, row in enumerate(golden.logged.tolist()) if tuple(row) not in known)
    both = steps.common(golden, run)
    return (golden, None, lacking) if both is None else (*both, lacking)
