"""A published table's JSON content -> frozen values, every figure still the text that was printed.

The form is that of docs/published/mazur.json: `losses` by column, `final_predictions`, `claims`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from runner.errors import ResultsError


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedPrediction:
    """One row of the final predictions; None where the document prints nothing."""

    column: str
    prediction: tuple[str, ...] | None
    target: tuple[str, ...]
    error: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The document's statement that two columns differ by `value` at an iteration (from 1)."""

    id: str
    a: str
    b: str
    iteration: int
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A published table.

    Attributes:
        source: the document's name.
        losses: column title -> printed losses, one an iteration.
        claims: the claims that are figures.
        worded_claims: how many claims are sentences; figures cannot contradict those.
    """

    source: str
    losses: Mapping[str, tuple[str, ...]]
    predictions: tuple[PrintedPrediction, ...]
    claims: tuple[Claim, ...]
    worded_claims: int


def parse(data: Mapping[str, Any], workload: str, titles: Sequence[str]) -> Table:
    """Read a published table; its columns in the order of `titles`, those not named there last.

    Raises:
        ResultsError: the content is not of this form.
    """
    try:
        rows = data.get("final_predictions", {})
        figures = [each for each in data.get("claims", []) if each["kind"] == "difference"]
        return Table(
            source=str(data.get("source", workload)),
            losses={title: _decimals(data["losses"][title]) for title in _ordered(data["losses"], titles)},
            predictions=tuple(_prediction(title, rows[title]) for title in _ordered(rows, titles)),
            claims=tuple(_claim(each, data["losses"]) for each in figures),
            worded_claims=len(data.get("claims", [])) - len(figures),
        )
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise ResultsError(
            f"the published table of {workload} is not readable ({type(error).__name__}: {error})",
            where="manifest.json",
            hint="mend its data file, then run again: make matrix",
        ) from error


def _ordered(found: Mapping[str, Any], titles: Sequence[str]) -> list[str]:
    # A manifest's JSON has sorted keys, so the document's order comes from the list of columns.
    return [title for title in dict.fromkeys((*titles, *found)) if title in found]


def _decimals(texts: list[str]) -> tuple[str, ...]:
    for text in texts:
        if not Decimal(text).is_finite():
            raise ValueError(f"{text} is not a figure")
    return tuple(texts)


def _prediction(title: str, row: Mapping[str, Any]) -> PrintedPrediction:
    prediction, error = row["prediction"], row["error"]
    found = PrintedPrediction(
        column=title,
        prediction=None if prediction is None else _decimals(prediction),
        target=_decimals(row["target"]),
        error=None if error is None else _decimals(error),
    )
    if any(each is not None and len(each) != len(found.target) for each in (found.prediction, found.error)):
        raise ValueError(f"{title}: prediction, target and error have different lengths")
    return found


def _claim(entry: Mapping[str, Any], losses: Mapping[str, list[str]]) -> Claim:
    found = Claim(
        id=entry["id"],
        a=entry["a"],
        b=entry["b"],
        iteration=int(entry["iteration"]),
        value=_decimals([entry["value"]])[0],
    )
    if not all(1 <= found.iteration <= len(losses[column]) for column in (found.a, found.b)):
        raise ValueError(f"claim {found.id}: no iteration {found.iteration}")
    return found
