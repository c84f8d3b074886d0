"""The claims about operations -> rows of text for the pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from repromatrix.report import wording
from repromatrix.report.claims.base import Claim, of_kind
from repromatrix.report.claims.forms import OperationForm, OperationPair, where_in_words
from repromatrix.report.claims.operations import AnatomyOf, OperationSource, sources_in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class AnatomyRow:
    """A pair of cells and what their operations do on equal inputs.

    Attributes:
        replayed: the cells that stand for them where they are others, else empty.
        sources: the operations that give other bits, with their places; `passing`: the places that pass one on.
        notes: why there is no answer, and what else to beware of.
        examples: the first equal inputs on which each operation differs, a sentence each.
        forms: how each of the two cells computes it, likewise.
    """

    a_cell: str
    b_cell: str
    replayed: tuple[str, ...]
    dtype: str
    sources: str
    passing: str
    notes: str
    examples: tuple[str, ...]
    forms: tuple[str, ...]


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


def anatomies(claims: Sequence[Claim]) -> tuple[AnatomyRow, ...]:
    """Return every replayed pair as a row; what was replayed for several pairs is told with the first of them."""
    sources: dict[tuple[str, ...], list[str]] = {}
    pairs: dict[tuple[str, ...], list[str]] = {}
    for source in of_kind(claims, OperationSource):
        sources.setdefault(source.cells[:2], []).append(source.text)
    for pair in of_kind(claims, OperationPair):
        pairs.setdefault(pair.cells[:2], []).append(pair.text)
    return tuple(
        _anatomy(each, tuple(sources.pop(each.replayed, ())), tuple(pairs.pop(each.replayed, ())))
        for each in of_kind(claims, AnatomyOf)
    )


def _anatomy(found: AnatomyOf, examples: tuple[str, ...], forms: tuple[str, ...]) -> AnatomyRow:
    notes = [found.reason] if found.reason else []
    notes += [f"joined in another way: {', '.join(found.wiring)}"] if found.wiring else []
    notes += [f"not known of {place}: {reason}" for place, reason in found.unknown]
    notes += [f"the step of {cell} cannot be taken apart" for cell in found.fused]
    nothing = wording.NOTHING if found.reason else "none"
    return AnatomyRow(
        a_cell=found.cells[0],
        b_cell=found.cells[1],
        replayed=found.replayed if found.replayed != found.cells else (),
        dtype=found.dtype or wording.NOTHING,
        sources=sources_in_words(found.sources) or nothing,
        passing=", ".join(found.passing) or nothing,
        notes="; ".join(notes),
        examples=examples,
        forms=forms,
    )


def forms(claims: Sequence[Claim]) -> tuple[FormRow, ...]:
    """Return the catalogue, a row for each way in which an operation of a dtype is computed."""
    return tuple(
        FormRow(
            operation=each.operation,
            dtype=each.dtype,
            where=where_in_words(each.where),
            forms=each.how.brief,
            fits=bool(each.how.forms),
            correct="" if each.how.correct is None else f"{each.how.correct:,} of {each.how.values:,}",
            worst=each.how.worst or "",
        )
        for each in of_kind(claims, OperationForm)
    )
