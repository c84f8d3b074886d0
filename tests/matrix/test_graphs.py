"""The step of a workload as a graph: what becomes of it, and that each mistake is told with its line and the next step."""

# ruff: noqa: E501 - a table of cases is read by its rows

from pathlib import Path

import pytest

from repromatrix.errors import MatrixError
from repromatrix.graph import Place, shapes
from repromatrix.matrix.workload import load_workload

NEURON = """\
format: 1
title: one neuron
steps: 2
metrics: [loss]
numbers: {shift: "0.25", rate: "0.5"}
inputs:
  x: {decimal: ["0.1", "0.2", "0.3"]}
  t: {decimal: ["0.01", "0.99"]}
  labels: {shape: [2], draw: integers, below: 10, dtype: int32}
  w: {shape: [2, 3], draw: normal, parameter: true}
  frozen: {shape: [2, 2], draw: normal, parameter: true}
factors: {update: [late, early]}
graph:
  sum: product(w, x)
  lifted: bias(sum, shift)
  out: sigmoid(lifted)
  loss: loss(out, t)
  error: error(out, t)
  delta: sigmoid_gradient(lifted, out, error)
  slope: outer(delta, x)
  w: update(w, slope, rate)
  back:
    update=early: back(w', delta)
    "*": back(w, delta)
"""
TRAIN = 'def train(task):\n    task.tensor("w")\n'


def folder(tmp_path: Path, *replacements: tuple[str, str]) -> Path:
    text = NEURON
    for old, new in replacements:
        assert text.count(old) == 1, f"{old!r} does not stand once in the file"
        text = text.replace(old, new)
    (tmp_path / "workload.yaml").write_text(text)
    (tmp_path / "numpy.py").write_text(TRAIN)
    return tmp_path


def test_a_graph_is_read_in_its_order_with_what_it_updates(tmp_path: Path) -> None:
    graph = load_workload(folder(tmp_path), "neuron").graph
    places = graph.places({"update": "late"})
    assert [place.value for place in places] == ["sum", "lifted", "out", "loss", "error", "delta", "slope", "w", "back"]
    assert places[0] == Place(value="sum", operation="product", arguments=("w", "x"))
    assert places[7].given == {"W": "w", "g": "slope"}
    assert places[7].numbers == {"rate": "rate"}
    assert (graph.parameters, graph.numbers("update", {"update": "late"})) == (("w",), {"rate": "rate"})
    assert graph.inputs == {"w", "x", "t", "shift"}
    known = {"w": (2, 3), "x": (3,), "t": (2,), "shift": None, "rate": None}
    assert list(shapes(places, known).values()) == [(2,), (2,), (2,), (), (2,), (2,), (2, 3), (2, 3), (3,)]


def test_an_option_decides_what_a_value_is_computed_from_wherever_the_rest_stands(tmp_path: Path) -> None:
    graph = load_workload(folder(tmp_path), "neuron").graph
    assert [graph.places({"update": each})[-1].arguments[0] for each in ("early", "late")] == ["w'", "w"]
    turned = (
        '    update=early: back(w\', delta)\n    "*": back(w, delta)',
        '    "*": back(w, delta)\n    update=early: back(w\', delta)',
    )
    assert load_workload(folder(tmp_path, turned), "neuron").graph == graph


def test_a_workload_without_a_graph_has_none(tmp_path: Path) -> None:
    text = NEURON[: NEURON.index("graph:")]
    folder(tmp_path)
    (tmp_path / "workload.yaml").write_text(text)
    assert load_workload(tmp_path, "neuron").graph is None


# (what stands in the graph, what replaces it; the line of the first HERE must be named), message, next step
BROKEN = {
    "no update": ("  w: update(w, slope, rate)\n", "", "no value is an update", "w: update(w, gradient, learning_rate)", "graph:"),
    "no call": ("product(w, x)", "w times x", "'w times x' is no operation with its arguments", r"write it so: sigmoid(hidden_pre)", "  sum:"),
    "an operation that there is not": ("sigmoid(lifted)", "sigmod(lifted)", "no operation 'sigmod'", "did you mean 'sigmoid'?", "  out:"),
    "an argument too many": ("sigmoid(lifted)", "sigmoid(lifted, x)", "sigmoid(lifted, x) has 2 arguments", "it takes 1: sigmoid(z)", "  out:"),
    "a value that there is not": ("bias(sum, shift)", "bias(sums, shift)", "no value, input or number 'sums'", "did you mean 'sum'?", "  lifted:"),
    "a value that is computed later": ("bias(sum, shift)", "bias(delta, shift)", "'lifted' is computed from delta, which is not computed before it", "in the order in which a step computes them", "  lifted:"),
    "a parameter after its update, before it": ("product(w, x)", "product(w', x)", "'sum' is computed from w', which is not computed before it", "in the order in which a step computes them", "  sum:"),
    "a rate that is no number": ("slope, rate)", "slope, rates)", "rates is none of the numbers", "did you mean 'rate'?", "  w: up"),
    "two rates": ("  w: update(w, slope, rate)\n", "  w: update(w, slope, rate)\n  frozen: update(frozen, frozen, shift)\n", "update takes rate above, and shift here", "an operation has the same numbers everywhere", "  frozen: up"),
    "weights that do not fit": ("product(w, x)", "product(w, t)", "t is 2 long, where 3 are due", "weights have a row per unit", "  sum:"),
    "a vector for weights": ("product(w, x)", "product(t, x)", "t is a vector, and product takes a matrix there", "weights have a row per unit", "  sum:"),
    "a number for weights": ("product(w, x)", "product(rate, x)", "rate is a number, and product takes a matrix there", "name an input", "  sum:"),
    "numbers alone": ("sigmoid(lifted)", "sigmoid(shift)", "out is computed from numbers alone", "name a value or an input", "  out:"),
    "an input of another dtype": ("loss(out, t)", "loss(out, labels)", "the input labels has a dtype of its own", "values of the cell's dtype", "  loss:"),
    "a value named like an input": ("  loss: loss", "  t: loss", "'t' is an input that no step updates", "parameter: true", "  t: loss"),
    "a value named like a number": ("  loss: loss", "  shift: loss", "'shift' is a number", "name the value otherwise", "  shift: loss"),
    "an update of another shape": ("  w: update(w, slope, rate)", "  w: update(frozen, frozen, rate)", "w comes out as [2, 2], where it is [2, 3]", "as large as it was", "  w: up"),
    "a factor that there is not": ("update=early", "updates=early", "no factor 'updates'", "did you mean 'update'?", "    updates"),
    "an option that there is not": ("update=early", "update=erly", "no update=erly", "did you mean 'early'?", "    update=erly"),
    "an update not for every option": ("  w: update(w, slope, rate)", "  w: {update=early: 'update(w, slope, rate)'}", "'w' is not said for every option", 'add what it is otherwise: "*": ...', "  w: {u"),
    "from what this option does not compute": ('    "*": back(w, delta)\n', "  more: sigmoid(back)\n", "'more' is computed from back, which is not computed with update=late", "say both for one option", "  more:"),
    "a label that is no whole number": ("  loss: loss(out, t)", "  more: outer(out, t)\n  loss: cross_entropy(more, t)", "cross_entropy takes whole numbers there, and t is none", "with a dtype of its own, or step", "  loss:"),
    "a value called step": ("  loss: loss", "  step: loss", "'step' is the number of the step", "name the value", "graph:"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
def test_a_mistake_in_a_graph_is_told_with_its_line_and_the_next_step(tmp_path: Path, case: tuple[str, ...]) -> None:
    old, new, what, hint, stands_at = case
    place = folder(tmp_path, (old, new))
    lines = (place / "workload.yaml").read_text().splitlines()
    number = next(index for index, line in enumerate(lines, start=1) if line.startswith(stands_at))
    with pytest.raises(MatrixError) as caught:
        load_workload(place, "neuron")
    told = f"{caught.value.where}: {caught.value.what} {caught.value.hint}"
    assert f"workload.yaml:{number}: " in told
    assert what in told
    assert hint in told
