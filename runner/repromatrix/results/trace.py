"""What a cell computed on the way: the named tensors of every step, and its JSON form (schemas/trace.json, format 1).

A trace comes from a run of its own, so it carries that run's trajectory: only where the record has the same bits does
the trace tell how they came about.
"""

from dataclasses import dataclass
from typing import Any

from repromatrix.errors import NewerFormatError, ResultsError
from repromatrix.results import document as documents
from repromatrix.results.record import (
    Description,
    Record,
    Trajectory,
    exact,
    read_description,
    read_trajectory,
    write_description,
    write_trajectory,
)

FORMAT = 1
# In the order in which a step computes them; weights are those after its update.
TENSORS = (
    "hidden_pre",
    "hidden",
    "output_pre",
    "output",
    "loss",
    "grad_output_weights",
    "grad_hidden_weights",
    "output_weights",
    "hidden_weights",
)
Steps = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The tensors of a traced cell.

    Attributes:
        key: SHA-256 over everything that can change the numbers, the tracing included.
        trajectory: what the traced run gave.
        tensors: name -> its values at each step, laid flat row by row, weights as `W[out][in]`; in order of `TENSORS`.
        untraced: name -> why it could not be had without changing the computation.
    """

    cell: Description
    key: str
    trajectory: Trajectory
    tensors: tuple[tuple[str, Steps], ...]
    untraced: tuple[tuple[str, str], ...]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor; a number has none."""
        rows = {"hidden": self.trajectory.hidden_weights, "output": self.trajectory.output_weights}
        layer = next((layer for layer in rows if layer in name), None)
        if layer is None:
            return ()
        return (len(rows[layer]), len(rows[layer][0])) if name.endswith("weights") else (len(rows[layer]),)

    def tells_of(self, record: Record) -> bool:
        """Whether the traced run has the bits of the record: tracing a compiled step may change how it is fused."""
        return any(_same(self.trajectory, each) for each in record.trajectories)


def _same(a: Trajectory, b: Trajectory) -> bool:
    weights = (a.hidden_weights, a.output_weights) == (b.hidden_weights, b.output_weights)
    predicted = not (a.predictions and b.predictions) or a.predictions == b.predictions  # a store may leave them out
    return a.losses == b.losses and weights and predicted


def tensors_of(entry: Any, trajectory: Trajectory) -> tuple[tuple[str, Steps], ...]:
    """Return the tensors of JSON data in order, each checked against the shapes and the steps of the trajectory.

    Raises:
        ValueError: a name that no trace has, a value that is not exact, or another number of values than are due.
        TypeError: another shape.
    """
    if unknown := sorted(set(entry) - set(TENSORS)):
        raise ValueError(f"an unknown tensor: {unknown[0][:40]!r}")
    return tuple((name, _steps(entry[name], name, trajectory)) for name in TENSORS if name in entry)


def untraced_of(entry: Any, tensors: tuple[tuple[str, Steps], ...]) -> tuple[tuple[str, str], ...]:
    """Return why tensors are left out, as JSON data has it; each is either there or left out with a reason.

    Raises:
        ValueError: a tensor that is both or neither.
    """
    found = tuple((name, str(entry[name])[:500]) for name in TENSORS if name in entry)
    if sorted([*entry, *(name for name, _ in tensors)]) != sorted(TENSORS):
        raise ValueError("a trace tells each tensor once, or why not")
    return found


def encode(trace: Trace) -> bytes:
    """Return the trace as canonical JSON: sorted keys, one trailing newline."""
    document = {
        "format": FORMAT,
        "cell": write_description(trace.cell),
        "key": trace.key,
        "trajectory": write_trajectory(trace.trajectory),
        "tensors": dict(trace.tensors),
        "untraced": dict(trace.untraced),
    }
    return documents.write(document)


def decode(data: bytes, where: str) -> Trace:
    """Read a trace; `where` is its path in messages.

    Raises:
        ResultsError: damaged, or written by a newer release.
    """
    try:
        document = documents.read(data)
        found = document["format"]
        if found != FORMAT:
            raise NewerFormatError(
                f"a trace of format {found}, this release reads format {FORMAT}",
                where=where,
                hint="update repromatrix, or run the cells again into another --results folder",
            )
        trajectory = read_trajectory(document["trajectory"])
        tensors = tensors_of(document["tensors"], trajectory)
        return Trace(
            cell=read_description(document["cell"]),
            key=str(document["key"]),
            trajectory=trajectory,
            tensors=tensors,
            untraced=untraced_of(document["untraced"], tensors),
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ResultsError(
            f"not a readable trace ({type(error).__name__}: {error})",
            where=where,
            hint="delete that file and run again: repromatrix run --trace",
        ) from error


def _steps(entry: Any, name: str, trajectory: Trajectory) -> Steps:
    width = _width(name, trajectory)
    if not isinstance(entry, list) or len(entry) != len(trajectory.losses):
        raise ValueError(f"{name} does not have {len(trajectory.losses)} steps")
    steps = tuple(exact(values) for values in entry)
    if any(len(values) != width for values in steps):
        raise ValueError(f"{name} does not have {width} values at every step")
    return steps


def _width(name: str, trajectory: Trajectory) -> int:
    hidden, output = len(trajectory.hidden_weights), len(trajectory.output_weights)
    if name.endswith("hidden_weights"):
        return sum(map(len, trajectory.hidden_weights))
    if name.endswith("output_weights"):
        return sum(map(len, trajectory.output_weights))
    return {"hidden": hidden, "hidden_pre": hidden, "output": output, "output_pre": output}.get(name, 1)
