"""Experiments and records -> what is due about why cells differ, by another way."""

from collections.abc import Iterable, Mapping, Sequence

from repromatrix.report.verify.due import Due, due
from repromatrix.report.verify.flips import JudgedPair, Line, Seen, judged_pair
from repromatrix.report.verify.measure import Judges
from repromatrix.results.experiments import Condition, Experiments, Flip, Pair
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Record

_WINNING = ("cause", "cause together")


def explained(
    experiments: Experiments,
    manifest: Manifest,
    records: Mapping[str, Record],
    judges: Judges,
    classes: Sequence[Due],
) -> Iterable[Due]:
    """Return the verdict on every flip and condition, and what they show of each pair.

    Args:
        experiments: what was tried.
        manifest: names the cells of the run.
        records: by key, what the experiments stand on.
        judges: who tells rounding from more.
        classes: what is due about classes, as recomputed.
    """
    for pair in judged_pairs(experiments, manifest, records, judges):
        if pair.before.verdict != "identical":
            yield _conclusion(pair, classes)
            yield from _lines(pair)


def judged_pairs(
    experiments: Experiments, manifest: Manifest, records: Mapping[str, Record], judges: Judges
) -> list[JudgedPair]:
    """Return the pairs of this run, judged again."""
    keys = {each.id: each.key for each in manifest.entries if each.key is not None}
    own = [pair for pair in experiments.pairs if _of_this_run(pair, keys)]
    found = [judged_pair(pair, records, judges) for pair in own]
    return [pair for pair in found if pair is not None]


def _of_this_run(pair: Pair, keys: Mapping[str, str]) -> bool:
    known = [run for run in (pair.a, pair.b) if run.id in keys]
    return all(keys[run.id] == run.key for run in known) and (len(known) == len("ab") or "asked" in pair.of)


def _conclusion(found: JudgedPair, classes: Sequence[Due]) -> Due:
    pair, tested = found.pair, (*found.singles, *found.sets)
    cells = (pair.a.id, pair.b.id)
    words = [word for word in dict.fromkeys(line.finding for line in tested) if word not in _WINNING]
    values = {
        "workload": pair.a.id.split("/")[0],
        "classes": [next((one.values["name"] for one in classes if cell in one.cells), None) for cell in cells],
        "of": pair.of,
        "verdict": found.before.verdict,
        "first_difference": found.before.first,
        "max_abs": found.before.hexadecimal,
        "max_ulp": found.before.ulps,
        "findings": {word: [_name(line) for line in tested if line.finding == word] for word in words},
        "conditions": [(_name(line), line.finding) for line in found.conditions],
    }
    where = f"{pair.a.id}/{pair.b.id}"
    if not found.explained:
        return due("unexplained", f"unexplained/{where}", cells, **values, budget=pair.budget, exhausted=pair.exhausted)
    return due(
        "explained",
        f"explained/{where}",
        cells,
        **values,
        causes=[(names, line.a.verdict, line.b.verdict) for names, line in found.causes],
        untested=tuple(dict.fromkeys(_smaller(found))),
        dissolved=[(_name(each), _left(each.a), _left(each.b), _left(each.both)) for each in found.dissolving],
        only=bool(found.causes) and len(pair.factors) == 1,
    )


def _smaller(found: JudgedPair) -> Iterable[tuple[str, ...]]:
    """Return the causes with one factor left out, of those that no experiment flipped without it."""
    seen = [
        set(line.change.factors)
        for line in (*found.singles, *found.sets)
        if isinstance(line.change, Flip) and line.tested
    ]
    for names, _ in found.causes:
        for dropped in reversed(names):
            rest = tuple(name for name in names if name != dropped)
            if rest and set(rest) not in seen:
                yield rest


def _left(seen: Seen | None) -> str | None:
    if seen and seen.beyond:
        return None
    return seen.verdict if seen and seen.share and float.fromhex(seen.share) == 1 else None


def _lines(found: JudgedPair) -> Iterable[Due]:
    values = {each.name: (each.name, each.a, each.b) for each in found.pair.factors}
    where = f"{found.pair.a.id}/{found.pair.b.id}"
    for line in (*found.singles, *found.sets, *found.conditions):
        changed = [each.cell for each in (line.a, line.b) if each.cell]
        cells = tuple(dict.fromkeys([found.pair.a.id, found.pair.b.id, *changed]))
        change = line.change
        if isinstance(change, Flip):
            factors = tuple(values[name] for name in change.factors)
            name = f"factor/{where}/{'+'.join(change.factors)}"
            yield due("factor_verdict", name, cells, factors=factors, finding=line.finding, a=line.a, b=line.b)
        elif line.both is not None:
            yield due(
                "condition_verdict", f"condition/{where}/{change.name}", cells,
                name=change.name, changes=change.changes, finding=line.finding, a=line.a, b=line.b, both=line.both,
            )  # fmt: skip


def _name(line: Line) -> str:
    return line.change.name if isinstance(line.change, Condition) else " + ".join(line.change.factors)
