"""What a cell's step is computed from, as its workload says it: the graph, the inputs and the numbers."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repromatrix import draw
from repromatrix.errors import UsageError
from repromatrix.graph import STEP, Graph, Shape, shapes
from repromatrix.job import options_of
from repromatrix.matrix.model import Input
from repromatrix.operations import soft, text
from repromatrix.operations.catalogue import Tensor
from repromatrix.operations.wiring import Start
from repromatrix.plan import Cell
from repromatrix.results.packed import unpack
from repromatrix.results.value import INTEGERS, WIDTHS, element


def start_of(cell: Cell, dtype: str | None = None) -> Start:
    """Return what a cell's step is computed from, in its own dtype or another.

    Raises:
        UsageError: its workload has no graph.
    """
    work = cell.workload
    given = Training(inputs=work.inputs, numbers=work.numbers, options=dict(options_of(cell)), member=cell.member)
    return begin(graph_of(cell), given, dtype or cell.variant.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a training job is given; numbers are decimal text, `member` is that of the ensemble."""

    inputs: Sequence[Input]
    numbers: Sequence[tuple[str, str]]
    options: Mapping[str, str]
    member: int = 0


def begin(graph: Graph, given: Training, dtype: str) -> Start:
    """Return what the steps of a job are computed from in a dtype."""
    known: dict[str, Shape | None] = {each.name: _rows(each, graph) for each in given.inputs}
    known |= {**dict.fromkeys(dict(given.numbers)), STEP: ()}
    return Start(
        graph=graph,
        inputs={each.name: _tensor(each, dtype, given.member) for each in given.inputs if each.name in graph.inputs},
        numbers={name: float(soft.round_to(float(decimal), dtype)) for name, decimal in given.numbers},
        shapes=shapes(graph.places(given.options), known),
        options=given.options,
    )


def _rows(given: Input, graph: Graph) -> Shape:
    """Return the shape in which a step takes an input: of one that comes in batches, that of a batch."""
    return given.shape if given.parameter or not graph.batch else (graph.batch, *given.shape[1:])


def graph_of(cell: Cell) -> Graph:
    """Return the step of a cell's workload.

    Raises:
        UsageError: the workload does not say it.
    """
    if cell.workload.graph is None:
        raise UsageError(
            f"the workload {cell.workload.name} has no graph of its step, so it cannot be replayed by operations",
            hint=f"see which value differs first: repromatrix trace {cell.id} OTHER",
        )
    return cell.workload.graph


def _tensor(given: Input, dtype: str, member: int) -> Tensor:
    dtype = given.dtype or dtype
    bits = draw.bits(given, dtype, member)
    if dtype in INTEGERS:
        width = WIDTHS[dtype]
        return [float(element(bits[at : at + width], dtype)) for at in range(0, len(bits), width)]
    texts = unpack(base64.b64encode(bits).decode(), dtype)
    return text.rows(texts, given.shape) if len(given.shape) > 1 else text.flat(texts)
