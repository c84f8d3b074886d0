"""Operations on the same inputs: which one computes differently, and how each environment computes each of them.

Distances from the exact result are in units in the last place, to three decimals, or three significant digits from a
million on; `inf` and `nan` are said as such.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from repromatrix.compare.trace import Value
from repromatrix.errors import ResultsError
from repromatrix.explain.judge.operations import OperationFinding, Output, PairFinding, PlaceFinding
from repromatrix.explain.judge.replays import pair_finding
from repromatrix.floats import FORMS
from repromatrix.operations.catalogue import CATALOGUE
from repromatrix.operations.judgement import Arithmetic, Memo
from repromatrix.operations.listing import Entry as Listed
from repromatrix.operations.listing import entries
from repromatrix.report import section as base
from repromatrix.report import wording
from repromatrix.report.replayed import Replayed
from repromatrix.report.run import Run
from repromatrix.report.section import Nothing, Section
from repromatrix.report.sentence import Sentence, sentence
from repromatrix.results.manifest import Entry
from repromatrix.results.record import Description
from repromatrix.results.replays import ReplayedCell, ReplayedPair

PLACE = 60
Document = Nothing
NOT_THERE = "a file that it stands on is not there; ask again: repromatrix operations"
_FEW = 4  # forms that are named
_FAR = 1e6  # from here on three significant digits are enough
# The options by which a catalogue tells cells of an environment and dtype apart.
_VARIED = ("gradient", "activation")

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How an operation is computed, as far as its values tell.

    Attributes:
        values: how many were looked at.
        forms: those that give every one of them; several: each is sufficient, none is shown to be the one used.
        nearest: where none does, the form that gives most of them, `agreeing` in number.
        correct: how many values are the correctly rounded ones; None: not measured.
        worst: the largest distance from the exact result; None: not measured.
        reason: why there is no answer, else None.
    """

    values: int
    forms: Names
    tried: int
    nearest: str | None
    agreeing: int
    correct: int | None
    worst: str | None
    reason: str | None

    @property
    def text(self) -> str:
        """The forms in words."""
        if self.reason is not None:
            return self.reason
        if not self.forms:
            nearest = f", the nearest, {self.nearest}, {wording.count(self.agreeing)}" if self.nearest else ""
            return f"none of {self.tried} forms gives all {wording.count(self.values)} values{nearest}"
        sufficient = "" if len(self.forms) == 1 else ", each of them sufficient"
        return f"{self._named} (all {wording.count(self.values)} values{sufficient})"

    @property
    def brief(self) -> str:
        """The forms alone, or why there is none."""
        if self.reason is not None or not self.forms:
            return self.text
        return f"{self._named}{'' if len(self.forms) == 1 else ' (each sufficient)'}"

    @property
    def accuracy(self) -> str:
        """How near to the exact result, in words; nothing where that was not measured."""
        if self.correct is None or self.worst is None:
            return ""
        return f"{wording.count(self.correct)} correctly rounded, the worst {self.worst} ULP off"

    @property
    def _named(self) -> str:
        more = f" and {len(self.forms) - _FEW} more" if len(self.forms) > _FEW else ""
        return f"{', '.join(self.forms[:_FEW])}{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A pair of cells and what their operations do on the same inputs.

    Attributes:
        replayed: the cells that stand for them where they are others, else empty.
        sources: the operations that differ, with their places; `passing`: the places that pass a difference on.
        notes: why there is no answer, and what else to beware of.
        examples: the first inputs on which each operation differs, a sentence each.
        forms: how each of the two cells computes it, likewise.
    """

    a_cell: str
    b_cell: str
    replayed: Names
    dtype: str
    sources: str
    passing: str
    notes: str
    examples: Names
    forms: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRow:
    """How some environments compute an operation in a dtype; `correct` and `worst` are empty where not measured."""

    operation: str
    dtype: str
    where: str
    forms: str
    fits: bool
    correct: str
    worst: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations(Section):
    """What was replayed.

    Attributes:
        totals: what the pairs show, in words.
        not_listed: cells of the catalogue of which nothing can be said, and why.
    """

    totals: Names = ()
    pairs: tuple[PairRow, ...] = ()
    forms: tuple[FormRow, ...] = ()
    not_listed: Names = ()


def build(run: Run) -> Operations:
    """Make the section.

    Raises:
        ResultsError: replays that do not belong together, or fresh inputs that this release makes otherwise.
    """
    return told(run.evidence.replayed, run.evidence.manifest.entries, run.memo)


def told(replayed: Replayed, manifest: Iterable[Entry], memo: Memo) -> Operations:
    """Make the section of what was replayed; `manifest`: the entries of the run."""
    try:
        return _told(replayed, manifest, memo)
    except ValueError as error:
        raise ResultsError(
            f"the replays of operations cannot be judged: {error}",
            where="replays.json",
            hint="ask again: repromatrix operations, repromatrix explain A B",
        ) from error


def _told(replayed: Replayed, manifest: Iterable[Entry], memo: Memo) -> Operations:
    keys = {entry.id: entry.key for entry in manifest}
    current = [pair for pair in replayed.index.pairs if pair.is_of(keys)]
    found = _judged(current, replayed, memo)
    outdated = len(replayed.index.pairs) - len(current)
    totals = (*([_total(found, outdated)] if replayed.index.pairs else ()), *_sources(found))
    pairs = tuple(_pair(each) for each in found)
    details = tuple(_details(found))
    forms = tuple(_forms(replayed, memo))
    lost = tuple(_not_listed(each.cell) for each in replayed.index.listed if each.cell not in replayed.listed)
    form_texts = tuple(text for text, _ in forms)
    return Operations(
        sentences=(*totals, *pairs, *details, *form_texts, *lost),
        links=(("operations", "Operations"),),
        briefs=(
            *base.brief("Operations, computed again on the same inputs", [*totals, *pairs, *lost]),
            *base.brief("How each operation is computed", form_texts),
        ),
        totals=tuple(each.text for each in totals),
        pairs=_rows(found, details),
        forms=tuple(row for _, row in forms),
        not_listed=tuple(each.text for each in lost),
    )


def _judged(pairs: Iterable[ReplayedPair], replayed: Replayed, memo: Memo) -> tuple[PairFinding, ...]:
    """Judge each pair; many are replayed as the same two cells, which are judged once."""
    judged: dict[tuple[ReplayedCell | None, ReplayedCell | None], PairFinding] = {}
    found = []
    for pair in pairs:
        ends = pair.left, pair.right
        if None in ends or ends not in judged:
            a, b = (replayed.ends.get(end) if end else None for end in ends)
            judged[ends] = pair_finding(pair, a, b, memo)
        found.append(replace(judged[ends], a=pair.a, b=pair.b))
    return tuple(found)


def _total(found: Sequence[PairFinding], outdated: int) -> Sentence:
    answered = [each for each in found if each.reason is None]
    apart = sum(bool(each.sources) for each in answered)
    joined = sum(bool(each.wiring) and not each.sources for each in answered)
    whole = [each for each in answered if each.separable and not any(place.reason for place in each.places)]
    same = sum(not each.sources and not each.wiring for each in whole)
    unclear, lost = len(answered) - apart - joined - same, len(found) - len(answered)
    rest = [
        (same, "all operations agree and are combined in the same way"),
        (unclear, "no operation is seen to differ, as far as the steps can be taken apart"),
    ]
    said = [f"in {wording.count(apart)} an operation computes differently"]
    said += [f"in {wording.count(joined)} the operations agree and are combined in another order"]
    said += [f"in {wording.count(count)} {what}" for count, what in rest if count]
    said += [f"{wording.pairs(lost)} could not be replayed"] if lost else []
    said += [f"{wording.pairs(outdated)} of an earlier run left out"] if outdated else []
    text = f"We computed the operations of {wording.pairs(len(answered))} again on the same inputs: {'; '.join(said)}"
    return sentence(
        "operation_totals", "operations", text, _cells(found),
        apart=apart, joined=joined, same=same, unclear=unclear, not_replayed=lost, outdated=outdated,
    )  # fmt: skip


def _sources(found: Iterable[PairFinding]) -> Iterable[Sentence]:
    """Say of each operation in how many pairs it differs on the same inputs, or only passes a difference on."""
    answered = [each for each in found if each.reason is None]
    for name in dict.fromkeys(place.operation for each in answered for place in each.places):
        apart = [each for each in answered if any(place.operation == name for place in each.sources)]
        passing = [each for each in answered if each not in apart and any(p.operation == name for p in each.passing)]
        if apart:
            text = (
                f"{name} computes differently in {wording.count(len(apart))} of {wording.pairs(len(answered))}, and "
                f"only passes a difference on in {wording.count(len(passing))}"
            )
            yield sentence(
                "source_totals", f"operations/{name}", text, _cells(apart),
                operation=name, apart=len(apart), passing=len(passing), among=len(answered),
            )  # fmt: skip


def _pair(found: PairFinding) -> Sentence:
    replayed = tuple(side.cell for side in (found.left, found.right) if side is not None)
    pair = f"{found.a} and {found.b}"
    other = f", replayed as {' and '.join(replayed)}" if replayed != (found.a, found.b) else ""
    said = f"{pair}{other}, {found.dtype}: {_conclusion(found)}"
    text = said if found.reason is None else f"{pair}: operations not replayed: {found.reason}"
    return sentence(
        "operations_of",
        f"operations-of/{found.a}/{found.b}",
        text,
        (found.a, found.b),
        replayed=replayed,
        dtype=found.dtype,
        sources=_named(found.sources),
        passing=[place.place for place in found.passing],
        wiring=found.wiring,
        unknown=_unknown(found),
        fused=_fused(found),
        reason=found.reason,
    )


def _conclusion(found: PairFinding) -> str:
    """Return what the operations show, in words."""
    unknown, fused, passing = _unknown(found), _fused(found), [place.place for place in found.passing]
    parts = [f"{_in_words(found.sources)} computes differently on the same inputs"] if found.sources else []
    if not parts:
        parts.append("no operation is seen to differ" if unknown else "every operation gives the same bits")
    if found.wiring:
        parts.append(f"the steps combine their operations in another order at {', '.join(found.wiring)}")
    if passing:
        parts.append(f"only passed on by {', '.join(passing)}")
    if unknown:
        parts.append(f"not known of {', '.join(place for place, _ in unknown)} ({unknown[0][1]})")
    if fused:
        parts.append(f"the step of {' and of '.join(fused)} cannot be taken apart")
    return "; ".join(parts)


def _named(places: Iterable[PlaceFinding]) -> list[tuple[str, str]]:
    return [(place.place, place.operation) for place in places]


def _unknown(found: PairFinding) -> list[tuple[str, str]]:
    return [(place.place, place.reason) for place in found.places if place.reason]


def _fused(found: PairFinding) -> list[str]:
    """Return the replayed cells whose step cannot be taken apart, so that its operations need not make it differ."""
    return [side.cell for side in (found.left, found.right) if side is not None and side.separable is not True]


def _in_words(places: Iterable[PlaceFinding]) -> str:
    """Return operations with the places where they differ: `sigmoid (hidden, output), outer (grad_hidden_weights)`."""
    found: dict[str, list[str]] = {}
    for place, operation in _named(places):
        found.setdefault(operation, []).append(place)
    return ", ".join(f"{operation} ({', '.join(at)})" for operation, at in found.items())


def _details(found: Iterable[PairFinding]) -> Iterable[Sentence]:
    """Yield what is said of each two cells that were replayed, once."""
    done: set[tuple[str, str]] = set()
    for each in found:
        if each.left is None or each.right is None or each.dtype is None:
            continue
        pair = each.left.cell, each.right.cell
        if pair in done:
            continue
        done.add(pair)
        yield from (_source(place, pair, each.dtype) for place in each.sources)
        yield from (text for found in each.operations for text in _operation(found, pair, each.dtype))


def _source(found: PlaceFinding, pair: tuple[str, str], dtype: str) -> Sentence:
    """Say on which inputs an operation first differs; `cells`: the two that were replayed, then whose inputs."""
    example = found.example
    if example is None:
        raise ValueError(f"{found.place} differs, and no call of it does")
    (a, a_off), (b, b_off) = _given(example.a), _given(example.b)
    index = "".join(f"[{place}]" for place in example.index)
    given = ", ".join(f"{name} = {value.hexadecimal}" for name, value in example.inputs)
    off = [f", {far} ULP off" if far is not None else "" for far in (a_off, b_off)]
    right = example.correct
    correct = f", correctly rounded {right.hexadecimal} ({right.bits})" if right else ""
    text = (
        f"{found.operation} at {found.place}{index} of {pair[0]} and {pair[1]} differs on "
        f"{wording.count(found.differing)} of {wording.count(found.compared)} inputs, first on those of step "
        f"{example.step} of {example.cell}: {a.hexadecimal} ({a.bits}{off[0]}) against {b.hexadecimal} "
        f"({b.bits}{off[1]}){correct}, from {given}"
    )
    return sentence(
        "operation_source",
        f"operation/{pair[0]}/{pair[1]}/{found.place}",
        text,
        (*pair, example.cell),
        shown=False,
        dtype=dtype,
        place=found.place,
        operation=found.operation,
        compared=found.compared,
        differing=found.differing,
        step=example.step,
        index=example.index,
        inputs=[(name, value.hexadecimal) for name, value in example.inputs],
        a=a.hexadecimal,
        a_bits=a.bits,
        a_off=a_off,
        b=b.hexadecimal,
        b_bits=b.bits,
        b_off=b_off,
        correct=right.hexadecimal if right else None,
        correct_bits=right.bits if right else None,
    )


def _given(output: Output) -> tuple[Value, str | None]:
    return output.value, distance_in_ulps(output.ulps)


def _operation(found: OperationFinding, pair: tuple[str, str], dtype: str) -> Iterable[Sentence]:
    """Say how two cells compute an operation that differs."""
    if found.a is None or found.b is None:
        return
    a, b = how(found.a), how(found.b)
    fresh = found.reason or f"{wording.count(found.fresh_differing)} of {wording.count(found.fresh)} values differ"
    text = (
        f"{found.operation} of {pair[0]} and {pair[1]} in {dtype}: on fresh inputs {fresh}; the first: {a.text}; the "
        f"second: {b.text}"
    )
    yield sentence(
        "operation_pair",
        f"operation-pair/{pair[0]}/{pair[1]}/{found.operation}",
        text,
        pair,
        shown=False,
        dtype=dtype,
        operation=found.operation,
        fresh=found.fresh,
        fresh_differing=found.fresh_differing,
        reason=found.reason,
        a=a,
        b=b,
    )


def _rows(found: Iterable[PairFinding], details: Iterable[Sentence]) -> tuple[PairRow, ...]:
    """Return every replayed pair as a row; what was replayed for several pairs is told with the first of them."""
    texts: dict[tuple[str, Names], list[str]] = {}
    for each in details:
        texts.setdefault((each.kind, each.cells[:2]), []).append(each.text)
    rows = []
    for pair in found:
        replayed = tuple(side.cell for side in (pair.left, pair.right) if side is not None)
        examples, forms = (tuple(texts.pop((kind, replayed), ())) for kind in ("operation_source", "operation_pair"))
        rows.append(_row(pair, replayed, examples, forms))
    return tuple(rows)


def _row(found: PairFinding, replayed: Names, examples: Names, forms: Names) -> PairRow:
    notes = [found.reason] if found.reason else []
    notes += [f"combined in another order: {', '.join(found.wiring)}"] if found.wiring else []
    notes += [f"not known of {place}: {reason}" for place, reason in _unknown(found)]
    notes += [f"the step of {cell} cannot be taken apart" for cell in _fused(found)]
    nothing = wording.NOTHING if found.reason else "none"
    return PairRow(
        a_cell=found.a,
        b_cell=found.b,
        replayed=replayed if replayed != (found.a, found.b) else (),
        dtype=found.dtype or wording.NOTHING,
        sources=_in_words(found.sources) or nothing,
        passing=", ".join(place.place for place in found.passing) or nothing,
        notes="; ".join(notes),
        examples=examples,
        forms=forms,
    )


def _forms(replayed: Replayed, memo: Memo) -> Iterable[tuple[Sentence, FormRow]]:
    """Yield the catalogue: for each way in which an operation of a dtype is computed, by which cells."""
    every = [
        entry for listing in replayed.index.listed for entry in entries(replayed.listed.get(listing.cell, {}), memo)
    ]
    groups: dict[tuple[str, str, How], list[Listed]] = {}
    for entry in every:
        groups.setdefault((entry.operation, entry.cell.dtype, how(entry.how)), []).append(entry)
    names, dtypes = tuple(CATALOGUE), tuple(FORMS)

    def order(key: tuple[str, str, How]) -> tuple[int, int]:
        return names.index(key[0]), dtypes.index(key[1])

    for key in sorted(groups, key=order):
        operation, dtype, _ = key
        siblings = [entry.cell for entry in every if (entry.operation, entry.cell.dtype) == (operation, dtype)]
        yield _form(key, [entry.cell for entry in groups[key]], siblings)


def _form(
    key: tuple[str, str, How], cells: Sequence[Description], siblings: Sequence[Description]
) -> tuple[Sentence, FormRow]:
    operation, dtype, way = key
    where = tuple(_where(cells, siblings))
    said = ", ".join(f"{name} ({' or '.join(options)})" if options else name for name, options in where)
    accuracy = f"; {way.accuracy}" if way.accuracy else ""
    row = FormRow(
        operation=operation,
        dtype=dtype,
        where=said,
        forms=way.brief,
        fits=bool(way.forms),
        correct="" if way.correct is None else f"{way.correct:,} of {way.values:,}",
        worst=way.worst or "",
    )
    text = sentence(
        "operation_form",
        f"operation-form/{operation}/{dtype}/{cells[0].id}",
        f"{operation} in {dtype}, {said}: {way.text}{accuracy}",
        tuple(cell.id for cell in cells),
        shown=False,
        operation=operation,
        dtype=dtype,
        where=where,
        how=way,
    )
    return text, row


def _where(cells: Sequence[Description], siblings: Sequence[Description]) -> Iterable[tuple[str, Names]]:
    """Yield environments, with the options where not all cells of theirs are meant."""
    for name in dict.fromkeys(map(_environment, cells)):
        own, every = ([cell for cell in some if _environment(cell) == name] for some in (cells, siblings))
        yield name, () if len(own) == len(every) else tuple(map(_options, own))


def _environment(cell: Description) -> str:
    return cell.environment if cell.device == "cpu" else f"{cell.environment}@{cell.device}"


def _options(cell: Description) -> str:
    return " ".join(f"{name}={value}" for name, value in cell.options if name in _VARIED) or cell.variant


def _not_listed(cell: str) -> Sentence:
    text = f"{cell} is not in the catalogue of operations: {NOT_THERE}"
    return sentence("not_listed", f"not-listed/{cell}", text, (cell,), reason=NOT_THERE)


def how(found: Arithmetic) -> How:
    """Return how an operation is computed, as the report has it."""
    return How(
        values=found.values,
        forms=found.forms,
        tried=found.tried,
        nearest=found.nearest,
        agreeing=found.agreeing,
        correct=found.correct,
        worst=distance_in_ulps(found.worst),
        reason=found.reason,
    )


def distance_in_ulps(value: float | None) -> str | None:
    """Return a distance from the exact result as the report has it."""
    if value is None:
        return None
    return f"{value:.3f}" if value < _FAR else wording.distance(value)


def _cells(found: Iterable[PairFinding]) -> Names:
    return tuple(dict.fromkeys(cell for each in found for cell in (each.a, each.b)))
