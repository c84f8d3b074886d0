"""The answer of `impact` as a person reads it: one screen of text, or Markdown for a pull request. Pure."""

from collections.abc import Iterator, Sequence

from repromatrix import harmless
from repromatrix.explain.impact.rows import (
    Companion,
    Condition,
    Impact,
    OperationRow,
    TrainingRow,
    changed,
    most,
    names_of,
)
from repromatrix.operations.results import ELEMENTWISE_BOUND
from repromatrix.tables import aligned, grid

_SHOWN = 12  # rows of a table on one screen
_SHOWN_OPERATIONS = 24
_NAMES = 8  # names in a list on one line
_WIDEST = 60  # characters of what a library says of itself
_DASH = "\N{EN DASH}"
_MANY = 9999
_OPERATIONS = ("operation", "dtype", "verdict", "changed", "largest ULP", "scaled", "largest error", "it became")
_HEAD = ("training job", "verdict", "first difference", "largest ULP", "x noise floor")


def text(found: Impact) -> str:
    """Return the answer as text; its first line decides."""
    blocks = [
        [found.decision],
        _training(found),
        _operations(found),
        _companions(found.companions),
        list(_blames(found)),
        _conditions(found),
        _next(found),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def markdown(found: Impact) -> str:
    """Return the answer as Markdown."""
    decision = harmless.markdown(found.decision.removeprefix(found.level.words))
    lines = [f"**{found.level.words}**{decision}"]
    rows = most(changed(found.training))
    if rows:
        lines += ["", *grid(_HEAD, [_training_row(each) for each in rows[:_SHOWN]]), *_left(rows, "training jobs")]
        lines += ["", *(f"- {harmless.markdown(note)}" for note in _notes(rows[:_SHOWN]))]
    groups = _groups(found)
    if groups:
        lines += [
            "",
            *grid(_OPERATIONS, map(_group_row, groups[:_SHOWN_OPERATIONS])),
            *_left(groups, "operations", _SHOWN_OPERATIONS),
        ]
    lines += ["", *(f"- {harmless.markdown(line.strip())}" for line in _lost(found))] if any(_lost(found)) else []
    if found.companions:
        table = [(each.name, each.kind, _short(each.a), _short(each.b)) for each in found.companions]
        lines += ["", "What else moved:", "", *grid(("what", "kind", found.before, found.after), table)]
    if found.blames:
        lines += ["", *(f"- {harmless.markdown(line)}" for line in _blames(found))]
    lines += ["", *map(harmless.markdown, _conditions(found))] if found.conditions else []
    return "\n".join(lines)


def _training(found: Impact) -> list[str]:
    rows = most(changed(found.training))
    same = len(found.jobs) - len(rows)
    lines = aligned([_HEAD, *(_training_row(each) for each in rows[:_SHOWN])]) if rows else []
    lines += _left(rows, "training jobs")
    if found.jobs:
        lines.append(f"{same} of {len(found.jobs)} training jobs: the same bits in metrics, outputs and state")
    return [*lines, *(f"  {note}" for note in _notes(rows[:_SHOWN]))]


def _operations(found: Impact) -> list[str]:
    if not found.operations:
        return []
    groups = _groups(found)
    lines = aligned([_OPERATIONS, *map(_group_row, groups[:_SHOWN_OPERATIONS])]) if groups else []
    lines += _left(groups, "operations", _SHOWN_OPERATIONS)
    same = len(found.names) - len(names_of(changed(found.operations))) - len(found.unknown)
    lines.append(f"{same} of {len(found.names)} operations: the same bits in every case and dtype")
    if found.unknown:
        share = f"{len(found.unknown)} of {len(found.names)} operations"
        lines.append(f"{share}: not deterministic in some case, so nothing is known there: {_names(found.unknown)}")
    return [*lines, *_lost(found)]


def _lost(found: Impact) -> Iterator[str]:
    """Yield what is absent or fails on one side, in a line each."""
    for verdict in ("fails", "absent"):
        rows = [each for each in changed(found.operations) if each.verdict == verdict]
        if rows:
            yield f"  {verdict} on one side: {_names([_case(each) for each in rows])}"
            yield from (f"    {note}" for note in dict.fromkeys(each.note for each in rows[:2] if each.note))


def _groups(found: Impact) -> list[list[OperationRow]]:
    """Return what changed in a value, those of an operation and a verdict together, the largest first."""
    groups: dict[tuple[str, str], list[OperationRow]] = {}
    for each in most([row for row in changed(found.operations) if row.verdict not in ("absent", "fails")]):
        groups.setdefault((each.operation, each.verdict), []).append(each)
    return list(groups.values())


def _group_row(rows: Sequence[OperationRow]) -> tuple[str, ...]:
    """Return one line for the results of an operation: the one that changed the most, and how many there are."""
    first = rows[0]
    kinds = ", ".join(dict.fromkeys(each.dtype for each in rows))
    if first.dtype_a != first.dtype_b:
        kinds = f"{first.dtype}: {first.dtype_a} -> {first.dtype_b}"
    more = f" (+{len(rows) - 1})" if len(rows) > 1 else ""
    return (
        f"{_case(first)}{more}",
        kinds,
        first.verdict,
        f"{first.changed} of {first.size}",
        _ulp(first),
        _DASH if first.scaled is None else f"{first.scaled:.2g}",
        _errors(first),
        _better(rows),
    )


def _ulp(row: OperationRow) -> str:
    if row.max_ulp is None:
        return "signs of 0" if row.scaled == 0 else _DASH
    return f"over {_MANY}" if row.max_ulp > _MANY else str(row.max_ulp)


def _better(rows: Sequence[OperationRow]) -> str:
    sides = {each.better for each in rows}
    if {"a", "b"} <= sides:
        return "some better, some worse"
    side = next(each for each in ("b", "a", "same", "unknown") if each in sides)
    word = {"b": "better", "a": "worse", "same": "as good", "unknown": "no exact result"}[side]
    first, _, last = _errors(rows[0]).partition(" -> ")
    return f"{word} on average" if side in ("a", "b") and first == last.partition(" ")[0] else word


def _errors(row: OperationRow) -> str:
    """Return the largest error before and after: in ULP, or over the largest value where ULP tell nothing."""
    ulp, scaled = (row.error_a, row.error_b), (row.scaled_error_a, row.scaled_error_b)
    if None in ulp or row.dtype_a != row.dtype_b or max(filter(None, ulp), default=0.0) > ELEMENTWISE_BOUND:
        return _DASH if None in scaled else f"{scaled[0]:.2g} -> {scaled[1]:.2g} scaled"
    return f"{ulp[0]:.3g} -> {ulp[1]:.3g} ULP"


def _case(each: OperationRow) -> str:
    name = "/".join(filter(None, (each.operation, each.case, "gradient" if each.gradient and not each.case else "")))
    return name if each.mode == "eager" else f"{name} {each.mode}"


def _training_row(each: TrainingRow) -> tuple[str, ...]:
    place = _DASH if each.first_step is None else f"step {each.first_step}, {each.first_value}"
    ulp = _DASH if each.max_ulp is None else str(each.max_ulp)
    growth = _DASH if each.growth is None else f"{each.growth:.2g}"
    return f"{each.workload}/{each.variant}", each.verdict, place, ulp, growth


def _notes(rows: Sequence[TrainingRow]) -> Iterator[str]:
    """Yield each note once, with the jobs that it is about."""
    by_note: dict[str, list[str]] = {}
    for each in rows:
        for note in each.notes:
            by_note.setdefault(note, []).append(f"{each.workload}/{each.variant}")
    for note, names in by_note.items():
        yield f"{note}: {_names(names)}"


def _companions(found: Sequence[Companion]) -> list[str]:
    if not found:
        return []
    telling = [each for each in found if each.computes]
    tools = len(found) - len(telling)
    return [
        "what else moved:",
        *(f"  {each.name}: {_short(each.a)} -> {_short(each.b)}" for each in telling[:_SHOWN]),
        *_left(telling, "of these"),
        *([f"  and {tools} packages that compute nothing (--json has all)"] if tools else []),
    ]


def _blames(found: Impact) -> Iterator[str]:
    """Yield which package made what changed, in a line or more for each experiment."""
    framework = found.after.partition("-")[0]
    for each in found.blames:
        pins = ", ".join(each.held)
        if each.unresolved:
            yield f"which package it was cannot be told with {pins}: {each.unresolved}"
            continue
        count = len(each.framework) + len(each.companions) + len(each.both)
        made = f": made by {framework} itself" if each.framework else ""
        yield f"with {pins} held as before, {len(each.framework)} of {count} that changed change all the same{made}"
        if each.companions:
            yield f"  they keep their old bits, so what was held made the change: {_names(each.companions)}"
        if each.both:
            yield f"  they change to something else then, so it takes both: {_names(each.both)}"
        if each.untested:
            yield f"  they do not run there: {_names(each.untested)}"


def _conditions(found: Impact) -> list[str]:
    return [line for each in found.conditions for line in _condition(each)]


def _condition(found: Condition) -> Iterator[str]:
    tried = len(found.gone) + len(found.stays)
    if tried:
        yield f"in the settings {found.settings}: {len(found.gone)} of {tried} that changed are the same on both sides"
    if found.same_change:
        yield f"the settings {found.settings} make the same change as the upgrade in {_names(found.same_change)}"
    if found.untested:
        yield f"in the settings {found.settings} cannot run: {_names(found.untested)}"


def _next(found: Impact) -> list[str]:
    rows = [each for each in most(changed(found.training)) if each.first_step is not None]
    return [f"next: repromatrix explain {rows[0].a} {rows[0].b}"] if rows else []


def _left(rows: Sequence[object], what: str, shown: int = _SHOWN) -> list[str]:
    return [f"... and {len(rows) - shown} more {what} (--json has all)"] if len(rows) > shown else []


def _short(value: str | None) -> str:
    return _DASH if value is None else value if len(value) <= _WIDEST else f"{value[: _WIDEST - 4]} ..."


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more
