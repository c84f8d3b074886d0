"""The answer of `impact` as a person reads it: one screen of text, or Markdown for a pull request. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from repromatrix.explain.impact.rows import Companion, Condition, Impact, TrainingRow, changed, most

_SHOWN = 12  # rows of a table on one screen
_NAMES = 8  # names in a list on one line
_WIDEST = 60  # characters of what a library says of itself
_DASH = "\N{EN DASH}"
_HEAD = ("training job", "verdict", "first difference", "largest ULP", "x noise floor")


def text(found: Impact) -> str:
    """Return the answer as text; its first line decides."""
    blocks = [[found.decision], _training(found), _companions(found.companions), _conditions(found), _next(found)]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def markdown(found: Impact) -> str:
    """Return the answer as Markdown."""
    lines = [f"**{found.level.words}**{found.decision.removeprefix(found.level.words)}"]
    rows = most(changed(found.training))
    if rows:
        lines += ["", *_grid(_HEAD, [_training_row(each) for each in rows[:_SHOWN]]), *_left(rows, "training jobs")]
        lines += ["", *(f"- {note}" for note in _notes(rows[:_SHOWN]))]
    if found.companions:
        table = [(each.name, each.kind, _short(each.a), _short(each.b)) for each in found.companions]
        lines += ["", "What else moved:", "", *_grid(("what", "kind", found.before, found.after), table)]
    lines += ["", *_conditions(found)] if found.conditions else []
    return "\n".join(lines)


def _training(found: Impact) -> list[str]:
    rows = most(changed(found.training))
    same = len(found.jobs) - len(rows)
    lines = list(_aligned([_HEAD, *(_training_row(each) for each in rows[:_SHOWN])])) if rows else []
    lines += _left(rows, "training jobs")
    if found.jobs:
        lines.append(f"{same} of {len(found.jobs)} training jobs: the same bits in metrics, outputs and state")
    return [*lines, *(f"  {note}" for note in _notes(rows[:_SHOWN]))]


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
    lines = [f"  {each.name}: {_short(each.a)} -> {_short(each.b)}" for each in found[:_SHOWN]]
    return ["what else moved:", *lines, *_left(found, "of these")]


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


def _left(rows: Sequence[object], what: str) -> list[str]:
    return [f"... and {len(rows) - _SHOWN} more {what} (--json has all)"] if len(rows) > _SHOWN else []


def _short(value: str | None) -> str:
    return _DASH if value is None else value if len(value) <= _WIDEST else f"{value[: _WIDEST - 4]} ..."


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for each in rows:
        yield "  ".join(part.ljust(width) for part, width in zip(each, widths, strict=True)).rstrip()


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for each in rows:
        cells = [part.replace("|", "\\|") for part in each]
        yield f"| {' | '.join(cells)} |"
