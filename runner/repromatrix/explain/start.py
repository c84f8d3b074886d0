"""What a cell's step is computed from, as its workload says it: the graph, the inputs and the numbers."""

import base64

from repromatrix import draw
from repromatrix.errors import UsageError
from repromatrix.graph import Graph, shapes
from repromatrix.job import options_of
from repromatrix.matrix.model import Input
from repromatrix.operations import soft, text
from repromatrix.operations.catalogue import Tensor
from repromatrix.operations.wiring import Start
from repromatrix.plan import Cell
from repromatrix.results.packed import unpack


def start_of(cell: Cell) -> Start:
    """Return what a cell's step is computed from.

    Raises:
        UsageError: its workload has no graph.
    """
    graph, workload, dtype = graph_of(cell), cell.workload, cell.variant.dtype
    known = {**{each.name: each.shape for each in workload.inputs}, **dict.fromkeys(dict(workload.numbers))}
    return Start(
        graph=graph,
        inputs={each.name: _tensor(each, cell) for each in workload.inputs if each.name in graph.inputs},
        numbers={name: float(soft.round_to(float(decimal), dtype)) for name, decimal in workload.numbers},
        shapes=shapes(graph.places(dict(options_of(cell))), known),
    )


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


def _tensor(given: Input, cell: Cell) -> Tensor:
    dtype = cell.variant.dtype
    texts = unpack(base64.b64encode(draw.bits(given, dtype, cell.member)).decode(), dtype)
    return text.rows(texts, given.shape) if len(given.shape) > 1 else text.flat(texts)
