"""A cell's workload as the network whose step is taken apart, operation by operation."""

from repromatrix.errors import UsageError
from repromatrix.matrix import Workload
from repromatrix.operations.wiring import Network
from repromatrix.plan import Cell


def network(workload: Workload) -> Network | None:
    """Return the network that a workload is, None where its step cannot be taken apart."""
    inputs = {each.name: each.decimal for each in workload.inputs}
    return Network.of(inputs, dict(workload.numbers))


def network_of(cell: Cell) -> Network:
    """Return the network of a cell.

    Raises:
        UsageError: its workload is another job, whose step cannot be taken apart.
    """
    found = network(cell.workload)
    if found is None:
        raise UsageError(
            f"the step of the workload {cell.workload.name} cannot be taken apart: no operations of it are known",
            hint=f"see which value differs first: repromatrix trace {cell.id} OTHER",
        )
    return found
