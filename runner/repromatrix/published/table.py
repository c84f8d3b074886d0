"""A published table's JSON content -> frozen values, every figure still the text that was printed.

The form is that of workloads/mazur/published.json: `losses` by column, `final_predictions`, `claims`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import InvalidOperation
from typing import Any

from repromatrix.errors import ResultsError
from repromatrix.published import assertions
from repromatrix.published.assertions import Difference, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedPrediction:
    """One row of the final predictions; None where the document prints nothing."""

    column: str
    prediction: tuple[str, ...] | None
    target: tuple[str, ...]
    error: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A published table.

    Attributes:
        source: the document's name.
        losses: column title -> printed losses, one an iteration.
        statements: all that it claims beside them.
    """

    source: str
    losses: Mapping[str, tuple[str, ...]]
    predictions: tuple[PrintedPrediction, ...]
    statements: tuple[Statement, ...]

    @property
    def claims(self) -> tuple[Difference, ...]:
        """The statements that are figures."""
        return tuple(each.test for each in self.statements if isinstance(each.test, Difference))


def parse(data: Mapping[str, Any], workload: str, titles: Sequence[str]) -> Table:
    """Read a published table; its columns in the order of `titles`, those not named there last.

    Raises:
        ResultsError: the content is not of this form.
    """
    try:
        rows = data.get("final_predictions", {})
        return Table(
            source=str(data.get("source", workload)),
            losses={title: _decimals(data["losses"][title]) for title in _ordered(data["losses"], titles)},
            predictions=tuple(_prediction(title, rows[title]) for title in _ordered(rows, titles)),
            statements=_statements(data.get("claims", []), data["losses"]),
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
    return tuple(map(assertions.figure, texts))


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


def _statements(claims: Sequence[Mapping[str, Any]], losses: Mapping[str, list[str]]) -> tuple[Statement, ...]:
    found = tuple(assertions.read(each, losses) for each in claims)
    names = [each.id for each in found]
    if len(set(names)) < len(names):
        raise ValueError(f"claim {next(name for name in names if names.count(name) > 1)} stands there twice")
    return found
