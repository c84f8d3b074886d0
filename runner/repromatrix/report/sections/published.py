"""A published table, recomputed: which printed losses and predictions are reproduced, and what contradicts itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from repromatrix.published.contradictions import Contradiction
from repromatrix.published.figures import Check, ColumnCheck, LossCheck
from repromatrix.published.predictions import Forward, Passes, PredictionCheck
from repromatrix.published.setups import Setup
from repromatrix.report import section as base
from repromatrix.report import wording
from repromatrix.report.run import Run, Table
from repromatrix.report.section import Brief, Headline, Hex, Part, Section
from repromatrix.report.sections import statements
from repromatrix.report.sentence import Sentence, sentence

PLACE = 90
_ANSWERS = {True: "yes", False: "no", None: "not computed"}
_COUNTED = (
    ("differing", "loss differs", "losses differ"),
    ("not_computed", "loss was not computed", "losses were not computed"),
    ("not_pinned", "of these losses by no pinned environment", "of these losses by no pinned environment"),
    ("predictions_differing", "prediction differs", "predictions differ"),
    ("predictions_not_computed", "prediction was not computed", "predictions were not computed"),
)


class PlacePart(Part, frozen=True, kw_only=True):
    """Where a figure was recomputed."""

    environment: str
    framework: str
    version: str
    flavour: str
    device: str
    settings: str
    pinned: bool


class MismatchPart(PlacePart, frozen=True, kw_only=True):
    """A printed loss that a setup does not reproduce."""

    column: str
    iteration: int
    published: str
    computed: str
    hex: Hex


class NotComputedPart(Part, frozen=True, kw_only=True):
    """A column without a trajectory, and why."""

    column: str
    losses: int
    reason: str | None


class NoPredictionPart(Part, frozen=True, kw_only=True):
    """A printed prediction that was not computed, and why."""

    column: str
    reason: str | None


class ByEnvironmentPart(PlacePart, frozen=True, kw_only=True):
    """What one setup reproduces."""

    newest: bool
    columns: list[str]
    total: int
    reproduced: int
    mismatches: list[MismatchPart]


class ColumnPart(PlacePart, frozen=True, kw_only=True):
    """One printed column in one setup."""

    column: str
    newest: bool
    cell: str | None
    dtype: str | None
    reason: str | None
    losses: list[LossCheck]


class LossesPart(Part, frozen=True, kw_only=True):
    """The printed losses; total = reproduced + mismatches + not computed, by the newest version of each framework."""

    total: int
    reproduced: int
    not_pinned: Annotated[int, msgspec.Meta(description="of the reproduced ones, by no pinned environment")]
    mismatches: list[MismatchPart]
    not_computed: list[NotComputedPart]
    by_environment: list[ByEnvironmentPart]
    columns: list[ColumnPart]


class ForwardPart(Part, frozen=True, kw_only=True):
    """A forward pass that a printed prediction can mean."""

    which: str
    texts: list[str]
    hex: list[Hex]
    errors: list[str]
    agrees: bool


class PassesPart(Part, frozen=True, kw_only=True):
    """The forward passes of a variant."""

    variant: str
    cell: str | None
    dtype: str | None
    reason: str | None
    forwards: list[ForwardPart]


class PredictionPart(PlacePart, frozen=True, kw_only=True):
    """A printed final prediction in one setup; `by`: the variant that answers for it."""

    column: str
    newest: bool
    published: list[str]
    target: list[str]
    error: list[str]
    reproduced: Annotated[bool | None, msgspec.Meta(description="null: not computed")]
    which: str | None
    own: PassesPart
    by: PassesPart


class PredictionsPart(Part, frozen=True, kw_only=True):
    """The printed final predictions."""

    total: int
    reproduced: int
    mismatches: list[PredictionPart]
    not_computed: list[NoPredictionPart]
    rows: list[PredictionPart]


class TablePart(Part, frozen=True, kw_only=True):
    """A published table; `claims`: the verdict on each of its statements."""

    workload: str
    source: str
    losses: LossesPart
    predictions: PredictionsPart
    contradictions: list[Contradiction]
    claims: list[statements.VerdictPart]


class Document(Part, frozen=True, kw_only=True):
    """The published tables."""

    published: Annotated[TablePart | None, msgspec.Meta(description="the first table; null: the matrix has none")]
    other_published: list[TablePart]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossText:
    """One computed loss; without a value all is empty."""

    marks: tuple[wording.Mark, ...]
    hex: str
    published: str
    agrees: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationRow:
    """One iteration over all columns; None: the document prints nothing there."""

    iteration: int
    losses: tuple[LossText | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupRow:
    """One setup over all columns; None: the column is not this framework's, or its variant was not run here."""

    name: str
    newest: bool
    reproduced: int
    total: int
    columns: tuple[ColumnCheck | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MismatchRow:
    """A printed loss that a setup does not reproduce."""

    column: str
    setup: str
    newest: bool
    iteration: int
    published: str
    computed: tuple[wording.Mark, ...]
    hex: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How much of a table the newest version of each framework reproduces.

    Attributes:
        not_pinned: those of the reproduced losses that no pinned environment answers for.
    """

    losses: int
    reproduced: int
    differing: int
    not_computed: int
    not_pinned: int
    predictions: int
    predictions_reproduced: int
    predictions_differing: int
    predictions_not_computed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """One published table as the page shows it."""

    check: Check
    totals: Totals
    iterations: tuple[IterationRow, ...]
    setups: tuple[SetupRow, ...]
    mismatches: tuple[MismatchRow, ...]
    predictions: tuple[PredictionRow, ...]
    other_predictions: tuple[PredictionRow, ...]

    @property
    def complete(self) -> bool:
        """Whether there are printed losses, and pinned environments reproduce each and every printed prediction."""
        found, pinned = self.totals, all(column.setup.pinned for column in self.check.newest)
        return pinned and found.reproduced == found.losses > 0 and found.predictions_reproduced == found.predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTables(Section):
    """All published tables."""

    tables: tuple[TableView, ...]


def build(run: Run) -> PublishedTables:
    """Make the section."""
    views = tuple(_view(table.check) for table in run.tables)
    parts = [_table(view, table) for view, table in zip(views, run.tables, strict=True)]
    return PublishedTables(
        part=Document(published=parts[0] if parts else None, other_published=parts[1:]),
        sentences=tuple(each for view in views for each in _sentences(view)),
        links=tuple(link for place, view in enumerate(views, start=1) for link in _links(f"p{place}", view)),
        headlines=tuple(line for place, view in enumerate(views, start=1) for line in _headlines(f"p{place}", view)),
        briefs=tuple(each for view in views for each in _briefs(view)),
        tables=views,
    )


def _view(check: Check) -> TableView:
    return TableView(
        check=check,
        totals=totals(check),
        iterations=_iterations(check),
        setups=_setups(check),
        mismatches=tuple(_mismatch_rows(check)),
        predictions=_predictions(check, newest=True),
        other_predictions=_predictions(check, newest=False),
    )


def totals(check: Check) -> Totals:
    """Count how much of a table the newest version of each framework reproduces."""
    losses = [loss for column in check.newest for loss in column.losses]
    total = sum(map(len, check.table.losses.values()))
    reproduced, differing = (sum(loss.agrees is answer for loss in losses) for answer in (True, False))
    newest = [each for each in check.predictions if each.newest]
    printed = sum(each.prediction is not None for each in check.table.predictions)
    right, wrong = (sum(each.reproduced is answer for each in newest) for answer in (True, False))
    return Totals(
        losses=total,
        reproduced=reproduced,
        differing=differing,
        not_computed=total - reproduced - differing,
        not_pinned=sum(column.reproduced for column in check.newest if not column.setup.pinned),
        predictions=printed,
        predictions_reproduced=right,
        predictions_differing=wrong,
        predictions_not_computed=printed - right - wrong,
    )


def counted(found: Totals) -> str:
    """Return what is not as it should be, in words, each after a semicolon."""
    counts = [(getattr(found, name), one, many) for name, one, many in _COUNTED]
    return "".join(f"; {count} {one if count == 1 else many}" for count, one, many in counts if count)


def _sentences(view: TableView) -> Iterable[Sentence]:
    check, found = view.check, view.totals
    text = (
        f"{found.reproduced} of {found.losses} published losses and {found.predictions_reproduced} of "
        f"{found.predictions} final predictions of {check.table.source} are reproduced to the last printed digit by "
        f"the newest version of each framework{counted(found)}"
    )
    cells = tuple(column.cell for column in check.newest if column.cell)
    values = {name: getattr(found, name) for name in Totals.__dataclass_fields__}
    yield sentence(
        "published_totals", f"published/{check.workload}", text, cells,
        workload=check.workload, source=check.table.source, **values,
    )  # fmt: skip
    yield from (_losses(column, check.workload) for column in check.columns)
    yield from (_prediction(each, check.workload) for each in check.predictions)
    yield from (_contradiction(each, check.workload) for each in check.contradictions)


def _place(setup: Setup, *, newest: bool) -> dict[str, Any]:
    return {"environment": setup.environment, "device": setup.device, "settings": setup.settings, "newest": newest}


def _where(setup: Setup) -> str:
    return f"{setup.environment}/{setup.device}/{setup.settings}"


def _losses(column: ColumnCheck, workload: str) -> Sentence:
    """Say how many losses of a printed column one setup reproduces; those that differ with both texts."""
    good = sum(loss.agrees is True for loss in column.losses)
    absent = sum(loss.agrees is None for loss in column.losses)
    place = wording.place(column.setup.environment, column.setup.device, column.setup.settings)
    said = [f"{column.title} in {place}: {good} of {len(column.losses)} printed losses reproduced"]
    said += [
        f"iteration {loss.iteration}: {loss.published} printed, {loss.computed} computed"
        for loss in column.losses
        if loss.agrees is False
    ]
    said += [f"{absent} not computed{': ' + column.reason if column.reason else ''}"] if absent else []
    return sentence(
        "published_losses",
        f"losses/{workload}/{column.title}/{_where(column.setup)}",
        "; ".join(said),
        (column.cell,) if column.cell else (),
        shown=False,
        workload=workload,
        column=column.title,
        **_place(column.setup, newest=column.newest),
        reason=column.reason,
        losses=[
            {"printed": loss.published, "computed": loss.computed, "hex": loss.hex, "agrees": loss.agrees}
            for loss in column.losses
        ],
    )


def _prediction(found: PredictionCheck, workload: str) -> Sentence:
    """Say whether a printed final prediction is reproduced in one setup, and by which forward pass."""
    shown = [found.own] if found.own == found.by else [found.own, found.by]
    agreeing, printed = found.by.agreeing, found.printed.prediction or ()
    which = agreeing.convention.value if agreeing else None
    answer = {True: f"reproduced {which}", False: "not reproduced", None: "not computed"}[found.reproduced]
    place = wording.place(found.setup.environment, found.setup.device, found.setup.settings)
    return sentence(
        "published_prediction",
        f"prediction/{workload}/{found.printed.column}/{_where(found.setup)}",
        f"{found.printed.column} in {place}: the printed prediction {', '.join(printed)} is {answer}",
        tuple(each.cell for each in shown if each.cell),
        shown=False,
        workload=workload,
        column=found.printed.column,
        **_place(found.setup, newest=found.newest),
        printed=printed,
        by=found.by.variant,
        reproduced=found.reproduced,
        which=which,
        passes=[_pass(passes.variant, forward) for passes in shown for forward in passes.forwards],
    )


def _pass(variant: str, forward: Forward) -> dict[str, Any]:
    which, texts = forward.convention.value, forward.texts
    return {"variant": variant, "which": which, "texts": texts, "hex": forward.hex, "agrees": forward.agrees}


def _contradiction(found: Contradiction, workload: str) -> Sentence:
    """Say that the document's other figures rule a printed one out; no cell enters."""
    return sentence(
        "contradiction",
        f"contradiction/{workload}/{'+'.join(found.columns)}/{found.printed.name}",
        found.sentence,
        workload=workload,
        of=found.kind.value,
        columns=found.columns,
        printed=(found.printed.name, found.printed.text),
        against=[(figure.name, figure.text) for figure in found.against],
        implied=found.implied,
    )


def _iterations(check: Check) -> tuple[IterationRow, ...]:
    """Return the iteration table as the newest version of each framework gives it."""
    last = max((len(column.losses) for column in check.newest), default=0)
    return tuple(
        IterationRow(
            iteration=number + 1,
            losses=tuple(
                _loss(column.losses[number]) if number < len(column.losses) else None for column in check.newest
            ),
        )
        for number in range(last)
    )


def _loss(loss: LossCheck) -> LossText:
    return LossText(
        marks=wording.marks(loss.computed, loss.published) if loss.computed else (),
        hex=loss.hex or "",
        published=loss.published,
        agrees=loss.agrees,
    )


def _setups(check: Check) -> tuple[SetupRow, ...]:
    """Return one row for each setup: per column how many losses it reproduces."""
    titles = [column.title for column in check.newest]
    rows: dict[str, list[ColumnCheck]] = {}
    for column in check.columns:
        rows.setdefault(wording.setup(column.setup), []).append(column)
    return tuple(
        SetupRow(
            name=name,
            newest=any(column.newest for column in columns),
            reproduced=sum(column.reproduced for column in columns),
            total=sum(len(column.losses) for column in columns),
            columns=tuple(next((each for each in columns if each.title == title), None) for title in titles),
        )
        for name, columns in rows.items()
    )


def _mismatch_rows(check: Check) -> Iterable[MismatchRow]:
    """Yield every loss of every setup that was computed and does not agree."""
    for column in check.columns:
        for loss in column.losses:
            if loss.agrees is False:
                yield MismatchRow(
                    column=column.title,
                    setup=wording.setup(column.setup),
                    newest=column.newest,
                    iteration=loss.iteration,
                    published=loss.published,
                    computed=wording.marks(loss.computed or "", loss.published),
                    hex=loss.hex or wording.NOTHING,
                )


def _predictions(check: Check, *, newest: bool) -> tuple[PredictionRow, ...]:
    """Return the final predictions of the newest setups, or those of all others."""
    ruled_out = {(name, figure.printed.name) for figure in check.contradictions for name in figure.columns}
    return tuple(_prediction_row(each, ruled_out) for each in check.predictions if each.newest is newest)


def _prediction_row(check: PredictionCheck, ruled_out: set[tuple[str, str]]) -> PredictionRow:
    printed = check.printed
    shown = [check.own] if check.own == check.by else [check.own, check.by]
    agreeing = check.by.agreeing
    places = range(1, len(printed.error or ()) + 1)
    return PredictionRow(
        column=printed.column,
        setup=wording.setup(check.setup),
        newest=check.newest,
        published=printed.prediction or (),
        published_errors=printed.error or (),
        contradicted=tuple((printed.column, f"error of output {place}") in ruled_out for place in places),
        reproduced=_ANSWERS[check.reproduced],
        which=agreeing.convention.value if agreeing else wording.NOTHING,
        variants=tuple(_variant(passes, printed.prediction or ()) for passes in shown),
    )


def _variant(passes: Passes, published: Sequence[str]) -> VariantText:
    texts = tuple(
        PassText(
            convention=forward.convention.value,
            # Where one of the two passes is the printed one, the other is not expected to be.
            outputs=tuple(
                (wording.Mark(text=text, differs=False),) if passes.agreeing else wording.marks(text, other)
                for text, other in zip(forward.texts, published, strict=False)
            ),
            errors=forward.errors,
            hex=" ".join(forward.hex),
            agrees=forward.agrees,
        )
        for forward in passes.forwards
    )
    return VariantText(
        name=passes.variant, dtype=passes.dtype or wording.NOTHING, reason=passes.reason or "", passes=texts
    )


def _table(view: TableView, table: Table) -> TablePart:
    check, found = view.check, view.totals
    newest = [each for each in check.predictions if each.newest]
    return TablePart(
        workload=check.workload,
        source=check.table.source,
        losses=_losses_part(view),
        predictions=PredictionsPart(
            total=found.predictions,
            reproduced=found.predictions_reproduced,
            mismatches=[_prediction_part(each) for each in newest if each.reproduced is False],
            not_computed=_no_predictions(check),
            rows=[_prediction_part(each) for each in check.predictions],
        ),
        contradictions=list(check.contradictions),
        claims=[statements.part(judged) for judged in table.judged],
    )


def _losses_part(view: TableView) -> LossesPart:
    check = view.check
    return LossesPart(
        total=view.totals.losses,
        reproduced=view.totals.reproduced,
        not_pinned=view.totals.not_pinned,
        mismatches=[each for column in check.newest for each in _mismatches(column)],
        not_computed=_not_computed(check),
        by_environment=_by_environment(check),
        columns=[
            ColumnPart(
                column=column.title,
                **_setup(column.setup),
                newest=column.newest,
                cell=column.cell,
                dtype=column.dtype,
                reason=column.reason,
                losses=list(column.losses),
            )
            for column in check.columns
        ],
    )


def _mismatches(column: ColumnCheck) -> list[MismatchPart]:
    return [
        MismatchPart(
            column=column.title,
            iteration=loss.iteration,
            published=loss.published,
            computed=loss.computed or "",
            hex=loss.hex or "",
            **_setup(column.setup),
        )
        for loss in column.losses
        if loss.agrees is False
    ]


def _not_computed(check: Check) -> list[NotComputedPart]:
    absent = [
        (column.title, column.reason, sum(loss.agrees is None for loss in column.losses)) for column in check.newest
    ]
    absent += [(column.title, column.reason, len(check.table.losses[column.title])) for column in check.not_run]
    return [NotComputedPart(column=title, losses=losses, reason=reason) for title, reason, losses in absent if losses]


def _no_predictions(check: Check) -> list[NoPredictionPart]:
    absent = [each for each in check.predictions if each.newest and each.reproduced is None]
    printed = {each.column for each in check.table.predictions if each.prediction is not None}
    return [
        *(NoPredictionPart(column=each.printed.column, reason=each.by.reason) for each in absent),
        *(NoPredictionPart(column=each.title, reason=each.reason) for each in check.not_run if each.title in printed),
    ]


def _by_environment(check: Check) -> list[ByEnvironmentPart]:
    setups: dict[Setup, list[ColumnCheck]] = {}
    for column in check.columns:
        setups.setdefault(column.setup, []).append(column)
    return [
        ByEnvironmentPart(
            **_setup(setup),
            newest=any(column.newest for column in columns),
            columns=[column.title for column in columns],
            total=sum(len(column.losses) for column in columns),
            reproduced=sum(column.reproduced for column in columns),
            mismatches=[each for column in columns for each in _mismatches(column)],
        )
        for setup, columns in setups.items()
    ]


def _prediction_part(check: PredictionCheck) -> PredictionPart:
    agreeing = check.by.agreeing
    return PredictionPart(
        column=check.printed.column,
        **_setup(check.setup),
        newest=check.newest,
        published=list(check.printed.prediction or ()),
        target=list(check.printed.target),
        error=list(check.printed.error or ()),
        reproduced=check.reproduced,
        which=agreeing.convention.value if agreeing else None,
        own=_passes_part(check.own),
        by=_passes_part(check.by),
    )


def _passes_part(passes: Passes) -> PassesPart:
    forwards = [
        ForwardPart(
            which=forward.convention.value,
            texts=list(forward.texts),
            hex=list(forward.hex),
            errors=list(forward.errors),
            agrees=forward.agrees,
        )
        for forward in passes.forwards
    ]
    return PassesPart(
        variant=passes.variant, cell=passes.cell, dtype=passes.dtype, reason=passes.reason, forwards=forwards
    )


def _setup(setup: Setup) -> dict[str, Any]:
    return {name: getattr(setup, name) for name in Setup.__dataclass_fields__}


def _links(prefix: str, view: TableView) -> Iterable[tuple[str, str]]:
    yield f"{prefix}-losses", "Published"
    if view.predictions:
        yield f"{prefix}-predictions", "Predictions"
    if view.check.contradictions:
        yield f"{prefix}-contradictions", "Contradictions"


def _headlines(prefix: str, view: TableView) -> Iterable[Headline]:
    found, losses, predictions = view.totals, f"{prefix}-losses", f"{prefix}-predictions"
    for reproduced, total, differing, what, link in (
        (found.reproduced, found.losses, found.differing, "published losses", losses),
        (
            found.predictions_reproduced,
            found.predictions,
            found.predictions_differing,
            "final predictions",
            predictions,
        ),
    ):
        look = "good" if reproduced == total else "bad" if differing else "note"
        more = " reproduced to the last printed digit"
        yield Headline(group="agrees", count=f"{reproduced} of {total}", words=what, link=link, more=more, look=look)
    older = len(view.mismatches) - found.differing
    for number, one, many, link, look in (
        (found.differing, "published loss differs", "published losses differ", losses, "bad"),
        (older, "published loss differs in older versions or other settings",
         "published losses differ in older versions or other settings", f"{prefix}-mismatches", "note"),
        (found.not_computed, "published loss not computed", "published losses not computed", losses, "note"),
        (found.predictions_differing, "prediction differs", "predictions differ", predictions, "bad"),
        (found.predictions_not_computed, "prediction not computed", "predictions not computed", predictions, "note"),
        (len(view.check.contradictions), "contradiction inside the document", "contradictions inside the document",
         f"{prefix}-contradictions", "note"),
    ):  # fmt: skip
        if number:
            words = one if number == 1 else many
            yield Headline(group="differs", count=str(number), words=words, link=link, look=look)


def _briefs(view: TableView) -> Iterable[Brief]:
    check = view.check
    yield from base.brief("The published table", [next(iter(_sentences(view)))])
    rows = [(row.name, f"{row.reproduced} of {row.total}", "newest" if row.newest else "") for row in view.setups]
    yield from base.table("Published losses by environment", ("environment", "reproduced", ""), rows)
    wrong = [
        (row.column, row.setup, str(row.iteration), row.published, "".join(mark.text for mark in row.computed))
        for row in view.mismatches
    ]
    head = ("column", "environment", "iteration", "published", "computed")
    yield from base.table("Losses that do not agree", head, wrong)
    finals = [
        (row.column, ", ".join(row.published), row.which if row.reproduced == "yes" else row.reproduced)
        for row in view.predictions
    ]
    yield from base.table("Final predictions", ("column", "published", "reproduced"), finals)
    absent = [(each.title, each.reason) for each in check.not_run]
    yield from base.table("Columns that were not computed at all", ("column", "reason"), absent, most=40)
    yield from base.brief(
        "Contradictions inside the document", [_contradiction(each, check.workload) for each in check.contradictions]
    )
