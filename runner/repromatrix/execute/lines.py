"""The lines that an entrypoint prints, parsed at the border: bytes in, frozen values out, or `BadLineError`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repromatrix.execute.answers import outputs_of
from repromatrix.plan import Cell, Operation
from repromatrix.results import document as documents
from repromatrix.results.record import Outcome, Trajectory, exact
from repromatrix.results.trace import Steps, tensors_of, untraced_of


class BadLineError(Exception):
    """A line that the contract does not know; the process cannot be trusted any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The environment as seen from inside."""

    content: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A cell begins."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A cell or an operation ended: `ok` with a trajectory or with outputs, or another outcome with a reason.

    Attributes:
        options: every option of the entrypoint with the value that it used, sorted.
        tensors: what a traced cell computed on the way; None unless it was traced.
        untraced: the tensors that it could not tell, with the reasons.
        outputs: what an operation gave, name -> its values for each sample; None unless it is one.
    """

    id: str
    outcome: Outcome
    reason: str | None
    trajectory: Trajectory | None
    options: tuple[tuple[str, str], ...] = ()
    tensors: tuple[tuple[str, Steps], ...] | None = None
    untraced: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, Steps], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The job is done."""


Line = Fingerprint | Started | Finished | End


def parse(line: bytes, asked: Mapping[str, Cell | Operation]) -> Line:
    """Read one line; `asked` are the cells and operations of the job, by id.

    Raises:
        BadLineError: not JSON, an unknown kind, what was not asked for, or a damaged result.
    """
    try:
        document = documents.read(line)
        match document["line"]:
            case "fingerprint":
                return Fingerprint(content=dict(document["fingerprint"]))
            case "start":
                return Started(id=asked[document["id"]].id)
            case "cell" | "operation" as kind:
                return _result(kind, document, asked[document["id"]])
            case "end":
                return End()
            case other:
                raise BadLineError(f"an unknown kind of line: {other!r}")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise BadLineError(f"not a line of the contract ({error}): {line[:80]!r}") from error


def _result(kind: str, document: dict[str, Any], asked: Cell | Operation) -> Finished:
    if isinstance(asked, Operation) != (kind == "operation"):
        raise BadLineError(f"a line of the kind {kind} for {asked.id}")
    return _answered(document, asked) if isinstance(asked, Operation) else _finished(document, asked)


def _answered(document: dict[str, Any], asked: Operation) -> Finished:
    outcome, dtype = Outcome(document["outcome"]), asked.cell.variant.dtype
    if document["operation"] != asked.name:
        raise BadLineError(f"{asked.id} answers as {document['operation']!r}")
    if outcome is not Outcome.OK:
        return Finished(id=asked.id, outcome=outcome, reason=str(document["reason"])[:2000], trajectory=None)
    if document["dtype"] != dtype:
        raise BadLineError(f"{asked.id} answers in {document['dtype']}, asked for {dtype}")
    return Finished(
        id=asked.id,
        outcome=outcome,
        reason=None,
        trajectory=None,
        options=_options(document.get("options", {})),
        outputs=outputs_of(document["outputs"], asked),
    )


def _finished(document: dict[str, Any], cell: Cell) -> Finished:
    outcome = Outcome(document["outcome"])
    if outcome is not Outcome.OK:
        return Finished(id=cell.id, outcome=outcome, reason=str(document["reason"])[:2000], trajectory=None)
    if document["dtype"] != cell.variant.dtype:
        raise BadLineError(f"{cell.id} answers in {document['dtype']}, asked for {cell.variant.dtype}")
    trajectory = Trajectory(
        losses=_floats(document["losses"], cell.steps),
        predictions=_rows(document["predictions"], cell.steps + 1, len(cell.workload.target)),
        hidden_weights=_rows(
            document["weights"]["hidden"], len(cell.workload.hidden_weights), len(cell.workload.input)
        ),
        output_weights=_rows(
            document["weights"]["output"], len(cell.workload.output_weights), len(cell.workload.hidden_weights)
        ),
    )
    tensors = tensors_of(document["trace"], trajectory) if "trace" in document else None
    return Finished(
        id=cell.id,
        outcome=outcome,
        reason=None,
        trajectory=trajectory,
        options=_options(document.get("options", {})),
        tensors=tensors,
        untraced=() if tensors is None else untraced_of(document.get("untraced", {}), tensors),
    )


def _options(entry: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    if not all(isinstance(value, str) for value in entry.values()):
        raise BadLineError(f"options that are no texts: {entry!r}"[:200])
    return tuple(sorted(entry.items()))


def _floats(values: Sequence[str], count: int) -> tuple[str, ...]:
    found = exact(values)
    if len(found) != count:
        raise BadLineError(f"{len(found)} values where {count} are due")
    return found


def _rows(rows: Sequence[Sequence[str]], count: int, width: int) -> tuple[tuple[str, ...], ...]:
    if len(rows) != count:
        raise BadLineError(f"{len(rows)} rows where {count} are due")
    return tuple(_floats(row, width) for row in rows)
