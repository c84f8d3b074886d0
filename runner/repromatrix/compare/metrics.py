"""The columns of logs -> series: which is the loss, which are runs, what is compared with what, and how it counts.

Numbers of one name are held against each other, training against training, validation against validation. The loss of
a log is what its columns say most plainly; it is compared with the loss of another log, whatever either calls it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

from repromatrix.compare import series
from repromatrix.compare.series import LOSS, Rule, Series
from repromatrix.errors import UsageError
from repromatrix.results.logs import columns, words
from repromatrix.results.logs.columns import Column, Log

_SHOWN_FILES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A log with what the command line says of it.

    Attributes:
        name: what it is called in the comparison.
        source: its path.
        chosen: the columns that were asked for; empty: all.
    """

    name: str
    source: str
    log: Log
    chosen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a metric counts, as the command line says: a name or a shell pattern, and a rule."""

    name: str
    rule: Rule

    def fits(self, column: str) -> bool:
        """Whether it is of a column: by its name, its last part, a pattern, or words that stand in it."""
        names = {column.lower(), words.leaf(column).lower(), words.canonical(column)}
        if any(fnmatchcase(each, self.name.lower()) for each in names):
            return True
        own = words.tokens(self.name)
        return bool(own) and {*own} <= {*words.tokens(column)} and not words.loss(column)


@dataclass(slots=True, kw_only=True)
class Named:
    """A column with what it is: of which run, and in which group it is compared."""

    column: Column
    run: str
    group: str
    rule: Rule


def of_logs(reads: Sequence[Read], wishes: Sequence[Wish], *, others: bool) -> tuple[list[list[Series]], list[str]]:
    """Return the series of every log, and what was read and left out in words.

    Args:
        reads: the logs.
        wishes: which metrics count and how, beside the losses.
        others: whether cells or published columns are compared too.

    Raises:
        UsageError: a column that is not there, or nothing that two of them share; with the candidates.
    """
    found: list[list[Named]] = []
    ignored: list[tuple[str, ...]] = []
    for read in reads:
        own, left = named(read, wishes, {name for each in reads for name in each.chosen if len(each.chosen) == 1})
        found.append(own)
        ignored.append(left)
    check_wishes(wishes, reads)
    by_run(found, others=others)
    counts = Counter(each.group for own in found for each in own)
    kept = [[each for each in own if counts[each.group] > 1 or (others and each.group == LOSS)] for own in found]
    alone = [[each.column.name for each in own if each not in some] for own, some in zip(found, kept, strict=True)]
    if len(reads) > 1 and not any(kept):
        raise _nothing_shared(reads, found)
    if len(reads) == 1 and not kept[0] and not others and len(found[0]) > 1:
        raise _one_log(reads[0], found[0])
    kept = kept if any(kept) or others else found
    if not any(words.loss(each.column.name) or each.group == LOSS for own in kept for each in own):
        for each in (each for own in kept for each in own if each.rule is Rule.SHOWN):
            each.rule = Rule.JUDGED  # nothing else would be
    said = notes(reads, kept, ignored, alone)
    return [[series_of(each, read, own) for each in own] for read, own in zip(reads, kept, strict=True)], said


def named(
    read: Read, wishes: Sequence[Wish], asked: set[str], otherwise: Rule = Rule.SHOWN
) -> tuple[list[Named], tuple[str, ...]]:
    """Return the columns of a log that are compared, and those that are measured or ignored.

    Args:
        read: the log.
        wishes: which metrics count and how.
        asked: the names of single columns that other logs are read at.
        otherwise: how a metric counts that is no loss, and that no wish names.

    Raises:
        UsageError: a column that is not there, or nothing but what is measured.
    """
    every = read.log.columns
    chosen = read.chosen or tuple(each for each in asked if len(asked) == 1 and any(one.name == each for one in every))
    if chosen:
        found = [_find(name, read) for name in chosen]
        return [
            Named(
                column=each,
                run="",
                group=LOSS if len(chosen) == 1 else words.canonical(each.name),
                rule=_rule(each.name, wishes, Rule.JUDGED),
            )
            for each in found
        ], ()
    rules = {
        each.name: _rule(each.name, wishes, Rule.IGNORE if words.measured(each.name) else otherwise) for each in every
    }
    kept = [each for each in every if rules[each.name] is not Rule.IGNORE]
    ignored = tuple(each.name for each in every if rules[each.name] is Rule.IGNORE)
    if not kept:
        raise UsageError(
            f"only times and the like: {columns.names(ignored)}",
            where=read.source,
            hint=f"name one to compare it all the same: {read.source}::{ignored[0]}",
        )
    return [each for run, own in _runs(kept).items() for each in _of_run(run, own, wishes, rules)], ignored


def _rule(name: str, wishes: Sequence[Wish], otherwise: Rule) -> Rule:
    """Return how a metric counts: by the last wish that fits it, by default a loss is judged."""
    fitting = [each.rule for each in wishes if each.fits(name)]
    return fitting[-1] if fitting else Rule.JUDGED if words.loss(name) else otherwise


def _find(name: str, read: Read) -> Column:
    """Return a column by its name.

    Raises:
        UsageError: there is none.
    """
    every = {each.name: each for each in read.log.columns}
    same = [each for each in every if name in (each, words.leaf(each))] or [
        each for each in every if words.canonical(each) == words.canonical(name)
    ]
    if name in every or len(same) == 1:
        return every[name if name in every else same[0]]
    near = get_close_matches(name, same or list(every), n=1, cutoff=0.3) or list(every)
    raise UsageError(
        f"no column {name}; there are: {columns.names(every)}",
        where=read.source,
        hint=f"name one of them: {read.source}::{near[0]}",
    )


def _runs(every: Sequence[Column]) -> dict[str, list[tuple[Column, str]]]:
    """Return the columns by run, each with its name within the run; one run has no name."""
    parted = [_parted(each.name) for each in every]
    leaves: dict[str, set[str]] = {}
    for run, inner in parted:
        leaves.setdefault(run, set()).add(inner)
    alike = len(leaves) > 1 and len({frozenset(each) for each in leaves.values()}) == 1
    found: dict[str, list[tuple[Column, str]]] = {}
    for column, (run, inner) in zip(every, parted, strict=True):
        single = len(leaves) == 1 and run and " - " in column.name
        found.setdefault(run if alike else "", []).append((column, inner if alike or single else column.name))
    return found


def _parted(name: str) -> tuple[str, str]:
    """Split the name of a run from that of its numbers: `run-3 - train/loss`, `torch/losses`."""
    run, dash, inner = name.rpartition(" - ")
    if dash and words.known(inner):
        return run, inner
    parts = name.split("/")
    outer = [each for each in parts[:-1] if words.split(each) is None]
    return "/".join(outer), "/".join([*(each for each in parts[:-1] if each not in outer), parts[-1]])


def _of_run(run: str, own: Sequence[tuple[Column, str]], wishes: Sequence[Wish], rules: dict[str, Rule]) -> list[Named]:
    main = {whose: _main(own, whose) for whose in (words.TRAIN, words.VALIDATION, words.TEST)}
    any_loss = any(words.loss(inner) for _, inner in own)
    if not any_loss and (len(own) == 1 or not any(words.known(inner) for _, inner in own)):  # named after what ran
        return [
            Named(
                column=each,
                run=_joined(run, inner if len(own) > 1 else ""),
                group=LOSS,
                rule=_rule(each.name, wishes, Rule.JUDGED),
            )
            for each, inner in own
        ]
    groups = {id(each): LOSS if whose == words.TRAIN else f"{whose} {LOSS}" for whose, each in main.items() if each}
    found = []
    for each, inner in own:
        group = groups.get(id(each)) or words.canonical(inner)
        group = f"{inner} " if group == LOSS and id(each) not in groups else group
        rule = rules[each.name]
        if id(each) in groups and rule is Rule.SHOWN:
            rule = _rule(each.name, wishes, Rule.JUDGED)
        found.append(Named(column=each, run=run, group=group, rule=rule))
    return found


def _joined(run: str, inner: str) -> str:
    return f"{run}/{inner}" if run and inner else run or inner


def _main(own: Sequence[tuple[Column, str]], whose: str) -> Column | None:
    """Return the column that is the loss of training, or of validation; None: none is, or several are alike."""
    ranked = sorted(
        ((words.preference(inner), -len(each.values), place) for place, (each, inner) in enumerate(own)
         if words.loss(inner) and (words.split(inner) or words.TRAIN) == whose),
    )  # fmt: skip
    if not ranked or (len(ranked) > 1 and ranked[0][:2] == ranked[1][:2]):
        return None
    return own[ranked[0][2]][0]


def by_run(named: Sequence[list[Named]], *, others: bool) -> None:
    """Where all logs have the same runs, hold each run against itself."""
    runs = [{each.run for each in own} for own in named]
    if len(named) > 1 and not others and len(runs[0]) > 1 and all(each == runs[0] for each in runs):
        for own in named:
            for each in own:
                each.group = f"{each.group} of {each.run}"


def check_wishes(wishes: Sequence[Wish], reads: Sequence[Read]) -> None:
    """Refuse a wish that fits no metric.

    Raises:
        UsageError: there is one; with the candidates.
    """
    every = list(dict.fromkeys(each.name for read in reads for each in read.log.columns))
    for wish in wishes:
        if wish.rule is not Rule.IGNORE and not any(wish.fits(each) for each in every):
            near = get_close_matches(wish.name, every, n=1, cutoff=0.3) or every[:1]
            raise UsageError(
                f"no log has a metric {wish.name}; there are: {columns.names(every)}",
                hint=f"name one of them: --metric {near[0] if near else 'loss'}",
            )


def _nothing_shared(reads: Sequence[Read], named: Sequence[Sequence[Named]]) -> UsageError:
    listed = [
        f"{read.name} has {columns.names(each.column.name for each in own)}"
        for read, own in zip(reads, named, strict=True)
    ]
    pair = " ".join(f"'{read.source}::{own[0].column.name}'" for read, own in zip(reads[:2], named[:2], strict=True))
    return UsageError(f"nothing of one name to compare: {'; '.join(listed[:4])}", hint=f"name a column of each: {pair}")


def _one_log(read: Read, own: Sequence[Named]) -> UsageError:
    names = [each.column.name for each in own]
    both = " ".join(f"'{read.source}::{each}'" for each in names[:2])
    return UsageError(
        f"one log, with {columns.names(names)}: which of them are to be compared?",
        where=read.source,
        hint=f"name another log, or two of its columns: {both}",
    )


def series_of(named: Named, read: Read, own: Sequence[Named]) -> Series:
    """Return a column as a series: its file's name alone where that says which it is."""
    mains = [each for each in own if each.group.startswith(LOSS)]
    plain = named in mains and len(mains) == 1
    inner = named.run if named.run and len(mains) > 1 and named in mains else named.column.name
    name = read.name if plain and not read.chosen else f"{read.name}::{inner}"
    found = series.of_log(named.column, name, read.source)
    return replace(found, group=named.group, rule=named.rule)


def notes(
    reads: Sequence[Read],
    kept: Sequence[Sequence[Named]],
    ignored: Sequence[Sequence[str]],
    alone: Sequence[Sequence[str]],
) -> list[str]:
    """Return what was read as what, a line for all logs that are alike."""
    said: dict[str, list[str]] = {}
    for read, own, measured, single in zip(reads, kept, ignored, alone, strict=True):
        left_out = [
            *(
                [f"{columns.names(measured)} (ignored: measured, not computed; --metric NAME compares one)"]
                if measured
                else []
            ),
            *([f"{columns.names(single)} (no other log has it)"] if single else []),
            *read.log.left_out,
        ]
        counted = sorted({" and ".join(each.column.axis) or "their places" for each in own})
        names = columns.names(each.column.name for each in own)
        text = f"read as {read.log.form}: {names} by {' or '.join(counted) or 'nothing'}"
        said.setdefault(text + (f"; left out: {'; '.join(left_out)}" if left_out else ""), []).append(read.name)
    return [f"{_files(names)}: {text}" for text, names in said.items()][:20]


def _files(names: Iterable[str]) -> str:
    every = list(dict.fromkeys(names))
    more = len(every) - _SHOWN_FILES
    return ", ".join(every[:_SHOWN_FILES]) + (f" and {more:,} more" if more > 0 else "")
