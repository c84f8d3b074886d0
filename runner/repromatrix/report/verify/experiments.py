"""Whether experiments are what they are said to be: two cells with these factors, and one side with some of them."""

from collections.abc import Collection, Iterable, Mapping

from repromatrix.report.verify.complaint import Complaint, shown
from repromatrix.results.experiments import Condition, Experiments, Flip, Pair, Run
from repromatrix.results.factors import option_factors
from repromatrix.results.record import Record

_PLACES = ("workload", "steps", "framework", "version", "flavour", "python", "device", "dtype")
_WITH_FRAMEWORK = ("framework", "version", "flavour")
_SETTINGS = ("threads", "isa")
_NOT_SET = "none"


def honest(experiments: Experiments, records: Mapping[str, Record]) -> Iterable[Complaint]:
    """Return each factor that the two cells do not have so, and each experiment that differs in more than was flipped.

    What a record states is compared: its environment, device, dtype and length, and every option that it really used.
    Threads, caps and variables are no part of that; a sign in the fingerprint has to tell of them.

    Args:
        experiments: what was tried.
        records: by key.
    """
    for pair in experiments.pairs:
        yield from _pair(pair, records)
        sides = (pair.a, pair.b), (pair.b, pair.a)
        changes: tuple[Flip | Condition, ...] = (*pair.flips, *pair.conditions)
        for change in changes:
            for end, (own, other) in zip((change.a, change.b), sides, strict=True):
                if end.run is not None:
                    yield from _checked(change, end.run, records, own, other)


def _pair(pair: Pair, records: Mapping[str, Record]) -> Iterable[Complaint]:
    """Return in which factors a pair differs otherwise than it is said to."""
    a, b = (records.get(run.key) for run in (pair.a, pair.b))
    if a is None or b is None:
        return
    told = {each.name: (each.a, each.b) for each in pair.factors}
    due = _differing(a, b)
    options = {*option_factors(a.factors), *option_factors(b.factors)}
    open_ = _open(pair, options if a.factors and b.factors else None)
    for name in dict.fromkeys((*due, *told)):
        if told.get(name) != due.get(name) and name not in open_:
            yield Complaint(
                where=f"experiments/{pair.a.id} and {pair.b.id}: {name}",
                says=_values(told.get(name)),
                records=_values(due.get(name)),
            )
    alone = {each.factors for each in pair.flips if len(each.factors) == 1}
    for each in pair.factors:
        if pair.flips and (each.name,) not in alone:  # what is cause with others may be the cause without them
            yield Complaint(
                where=f"experiments/{pair.a.id} and {pair.b.id}: {each.name}",
                says="never flipped alone, nor told why not",
                records="a factor of the pair",
            )
        if each.name in ({*_PLACES, *options} if each.silent else _SETTINGS):
            yield Complaint(
                where=f"experiments/{pair.a.id} and {pair.b.id}: {each.name}",
                says="may be ignored silently" if each.silent else "is never ignored",
                records="an option or a part of the environment" if each.silent else "a setting",
            )


def _differing(a: Record, b: Record) -> dict[str, tuple[str, str]]:
    left, right = _stated(a), _stated(b)
    if not (a.factors and b.factors):  # one of them does not say what it used
        left, right = ({name: each[name] for name in _PLACES} for each in (left, right))
    names = [name for name in dict.fromkeys((*left, *right)) if left.get(name) != right.get(name)]
    found = {name: (left.get(name, _NOT_SET), right.get(name, _NOT_SET)) for name in names}
    if "framework" in found:  # versions and flavours of two frameworks are no values of one factor
        one, other = (" ".join(side[name] for name in _WITH_FRAMEWORK) for side in (left, right))
        found = {name: each for name, each in found.items() if name not in _WITH_FRAMEWORK}
        return {"framework": (one, other)} | found
    return found


def _open(pair: Pair, options: Collection[str] | None) -> set[str]:
    """Return the factors of which no record tells: settings, and options if a record does not say what it used."""
    unknown = [each for each in pair.factors if each.name not in {*_PLACES, *(options or ())}]
    return {each.name for each in unknown if options is None or each.silent or each.name in _SETTINGS}


def _values(found: tuple[str, str] | None) -> str:
    return "the same in both" if found is None else f"{found[0]} against {found[1]}"


def _checked(
    change: Flip | Condition, run: Run, records: Mapping[str, Record], own: Run, other: Run
) -> Iterable[Complaint]:
    found, mine, theirs = (records.get(each.key) for each in (run, own, other))
    if found is None or mine is None or theirs is None:
        return
    if found.cell.id != run.id:
        yield Complaint(where=f"experiments/{run.id}", says=run.id, records=found.cell.id)
        return
    due = _due(change, mine, theirs)
    stated = _stated(found)
    for name in stated.keys() & due.keys():
        if stated[name] != due[name]:
            what = change.name if isinstance(change, Condition) else " + ".join(change.factors)
            yield Complaint(
                where=f"experiments/{own.id} with {what}: {name}", says=shown(due[name]), records=shown(stated[name])
            )


def _due(change: Flip | Condition, mine: Record, theirs: Record) -> dict[str, str]:
    """Return what the changed cell has to state."""
    due, other = _stated(mine), _stated(theirs)
    if isinstance(change, Condition):
        return due | option_factors(change.changes) if change.kind == "option" else due
    flipped = {part for name in change.factors for part in (_WITH_FRAMEWORK if name == "framework" else (name,))}
    # An option that only one framework has is stated by no side that lacks it.
    return {name: value for name, value in due.items() if name not in flipped} | {
        name: value for name, value in other.items() if name in flipped
    }


def _stated(record: Record) -> dict[str, str]:
    return {name: str(getattr(record.cell, name)) for name in _PLACES} | option_factors(record.factors)
