"""The step of the worked example, for tests: its places, and what a trace of it has."""

from repromatrix.graph import Place
from repromatrix.operations.catalogue import CATALOGUE
from tests import asked

GRAPH = asked.workload("mazur").graph
PLACES: dict[str, Place] = {place.value: place for place in GRAPH.places({})}
SEQUENTIAL: dict[str, Place] = {place.value: place for place in GRAPH.places({"update": "sequential"})}
# What it is made of, in the order of the catalogue.
OPERATIONS = tuple(name for name in CATALOGUE if name in {place.operation for place in PLACES.values()})
# Those places that a trace has.
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
