"""A published table's final predictions -> rows of text, with the digits marked that nothing reproduces."""

from collections.abc import Sequence
from dataclasses import dataclass

from repromatrix.published.figures import Check
from repromatrix.published.predictions import Passes, PredictionCheck
from repromatrix.report import wording

_ANSWERS = {True: "yes", False: "no", None: "not computed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PassText:
    """One forward pass: each output's digits with those marked that differ from the printed ones."""

    convention: str
    outputs: tuple[tuple[wording.Mark, ...], ...]
    errors: tuple[str, ...]
    hex: str
    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantText:
    """Both forward passes of one variant; none, with a reason, where it has no trajectory."""

    name: str
    dtype: str
    reason: str
    passes: tuple[PassText, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRow:
    """A printed final prediction beside what one setup computes; `reproduced`: yes, no, or not computed."""

    column: str
    setup: str
    newest: bool
    published: tuple[str, ...]
    published_errors: tuple[str, ...]
    contradicted: tuple[bool, ...]
    reproduced: str
    which: str
    variants: tuple[VariantText, ...]


def predictions(check: Check, *, newest: bool) -> tuple[PredictionRow, ...]:
    """Return the final predictions of the newest setups, or those of all others."""
    ruled_out = {(name, figure.printed.name) for figure in check.contradictions for name in figure.columns}
    return tuple(_prediction(each, ruled_out) for each in check.predictions if each.newest is newest)


def _prediction(check: PredictionCheck, ruled_out: set[tuple[str, str]]) -> PredictionRow:
    printed = check.printed
    shown = [check.own] if check.own == check.by else [check.own, check.by]
    agreeing = check.by.agreeing
    return PredictionRow(
        column=printed.column,
        setup=wording.setup(check.setup),
        newest=check.newest,
        published=printed.prediction or (),
        published_errors=printed.error or (),
        contradicted=tuple(
            (printed.column, f"error of output {place}") in ruled_out
            for place in range(1, len(printed.error or ()) + 1)
        ),
        reproduced=_ANSWERS[check.reproduced],
        which=agreeing.convention.value if agreeing else wording.NOTHING,
        variants=tuple(_variant(each, printed.prediction or ()) for each in shown),
    )


def _variant(passes: Passes, published: Sequence[str]) -> VariantText:
    texts = tuple(
        PassText(
            convention=each.convention.value,
            # Where one of the two passes is the printed one, the other is not expected to be.
            outputs=tuple(
                (wording.Mark(text=text, differs=False),) if passes.agreeing else wording.marks(text, other)
                for text, other in zip(each.texts, published, strict=False)
            ),
            errors=each.errors,
            hex=" ".join(each.hex),
            agrees=each.agrees,
        )
        for each in passes.forwards
    )
    return VariantText(
        name=passes.variant, dtype=passes.dtype or wording.NOTHING, reason=passes.reason or "", passes=texts
    )
