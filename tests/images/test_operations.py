"""An operation of the worked example gives what its training step gives: alone, and `step` on a trace's tensors."""

import importlib.util
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from repromatrix.matrix.model import Input
from repromatrix.operations import catalogue
from repromatrix.plan import Cell, Operation
from repromatrix.results.replay import PLACES
from tests import asked
from tests.asked import cell, operated, steps_of, trained

ROOT = Path(__file__).resolve().parents[2]
WORKLOAD = asked.workload("mazur", steps=3)
MATRICES = ("hidden_weights", "output_weights")
OTHERS = {
    "input": ("0.05", "0.10", "-0.7"),
    "hidden_weights": (
        ("0.15", "0.20", "-0.3"),
        ("0.25", "0.30", "0.9"),
        ("-1.5", "0.7", "0.35"),
        ("0.1", "0.2", "0.3"),
    ),
    "output_weights": (("0.40", "0.45", "0.1", "-0.9"), ("0.50", "0.55", "-0.6", "0.8")),
}


def with_inputs(**decimals) -> tuple[Input, ...]:
    """The inputs of the worked example, some of them others."""

    def shape(rows):
        return (len(rows), len(rows[0])) if isinstance(rows[0], tuple) else (len(rows),)

    return tuple(
        replace(each, decimal=rows, shape=shape(rows)) if (rows := decimals.get(each.name)) else each
        for each in WORKLOAD.inputs
    )


UNEQUAL = replace(WORKLOAD, name="unequal", inputs=with_inputs(**OTHERS))
# In numbers that every dtype holds: the inputs of each primitive and its one right output.
SMALL = {
    "product": ({"W": [[1, 2], [3, 4]], "v": [1, -2]}, [-3, -5]),
    "bias": ({"p": [1, 2], "b": [0.5, -0.25]}, [1.5, 1.75]),
    "sigmoid": ({"z": [0, 0]}, [0.5, 0.5]),
    "loss": ({"o": [1, 0.5], "t": [0, 1.5]}, [1]),
    "error": ({"o": [1, 0.5], "t": [0, 1.5]}, [1, -1]),
    "sigmoid_gradient": ({"z": [0, 0], "a": [0.5, 0.5], "e": [2, -4]}, [0.5, -1]),
    "outer": ({"d": [1, 2], "v": [3, 4]}, [3, 4, 6, 8]),
    "back": ({"W": [[1, 2], [3, 4]], "d": [1, -1]}, [-2, -2]),
    "update": ({"W": [[1, 2], [3, 4]], "g": [[2, 0], [-2, 4]]}, [0, 2, 4, 2]),
}
TALL = {
    "product": ({"W": [[1, 2], [3, 4], [5, 6]], "v": [1, -2]}, [-3, -5, -7]),
    "outer": ({"d": [1, 2, 5], "v": [3, 4]}, [3, 4, 6, 8, 15, 20]),
    "back": ({"W": [[1, 2], [3, 4], [5, 6]], "d": [1, -1, 2]}, [8, 10]),
    "update": ({"W": [[1, 2], [3, 4], [5, 6]], "g": [[2, 0], [-2, 4], [0, 0]]}, [0, 2, 4, 2, 5, 6]),
}
TENSORS = catalogue.TENSORS


def written(value):
    return [written(each) for each in value] if isinstance(value, list) else float(value).hex()


def operation(of_cell: Cell, name: str, *samples) -> Operation:
    return Operation(cell=of_cell, name=name, inputs="00" * 32, samples=samples)


def table(entries, of_cell):
    """Ask for each primitive of a table, twice the same sample."""
    return [
        operation(of_cell, name, *[{key: written(value) for key, value in inputs.items()}] * 2)
        for name, (inputs, _) in entries.items()
    ]


def check_table(entries, lines):
    assert [line["operation"] for line in lines] == list(entries)
    for line, (_, expected) in zip(lines, entries.values(), strict=True):
        assert line["outcome"] == "ok", line["reason"]
        assert line["outputs"] == [written([float(each) for each in expected])] * 2, line


def initial(of_cell: Cell):
    """The weights before the first step, as `W[out][in]`."""
    decimals = {each.name: each.decimal for each in of_cell.workload.inputs}
    both = [[list(map(float, row)) for row in decimals[name]] for name in MATRICES]
    if dict(asked.jobs.options_of(of_cell))["layout"] == "in_out_untransposed":
        both = [[list(column) for column in zip(*rows, strict=True)] for rows in both]
    return [written(rows) for rows in both]


def replayed(of_cell: Cell, told) -> Operation:
    """Ask for `step` with every tensor that a cell's own trace has."""
    samples = []
    for index in range(of_cell.steps):
        before = [list(told[name][index - 1]) for name in MATRICES] if index else initial(of_cell)
        given = {name: list(told[name][index]) for name in catalogue.GIVEN if name in told}
        given["new_output_weights"] = list(told["output_weights"][index])
        samples.append({"hidden_weights": before[0], "output_weights": before[1], **given})
    return operation(of_cell, "step", *samples)


def check_step(line, told, of_cell):
    """Hold what `step` gives against the trace that it was given; it must have all of the bits."""
    assert line["outcome"] == "ok", line["reason"]
    for name, steps in told.items():
        assert [tuple(output[name]) for output in line["outputs"]] == list(steps[: of_cell.steps]), (line["id"], name)


def places():
    """The places of a step as the workload's code names them."""
    path = ROOT / "workloads" / "mazur" / "operations.py"
    spec = importlib.util.spec_from_file_location("operations_alone", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PLACES


def test_workload_results_and_the_catalogue_name_the_same_places_in_the_same_order():
    assert tuple(places()) == PLACES == tuple(catalogue.PLACES)


@pytest.fixture(scope="module")
def numpy_cells():
    """All that NumPy can do, and what it told of it, traced."""
    factors = product(
        ("float64", "float32", "float16"),
        ("parallel", "sequential"),
        ("out_in", "in_out", "in_out_untransposed"),
        ("half_sum", "mean"),
        (WORKLOAD, UNEQUAL),
    )
    cells = [
        cell(work, name=str(number), dtype=dtype, update=update, layout=layout, loss_form=form)
        for number, (dtype, update, layout, form, work) in enumerate(factors)
        if layout != "in_out_untransposed" or work is WORKLOAD
    ]
    cells.append(cell(replace(WORKLOAD, steps=2), name="unrolled", loop="unrolled"))
    return [(each, steps_of(found)) for each, found in zip(cells, trained(cells, trace=True).values(), strict=True)]


def test_a_step_on_the_own_trace_gives_that_trace_back(numpy_cells):
    lines = operated([replayed(each, told) for each, told in numpy_cells])
    for line, (of_cell, told) in zip(lines, numpy_cells, strict=True):
        assert set(told) == set(TENSORS)
        check_step(line, told, of_cell)


def test_a_step_gives_every_place_in_the_order_of_the_computation(numpy_cells):
    (line,) = operated([replayed(*numpy_cells[0])])
    assert [tuple(output) for output in line["outputs"]] == [places()] * 3
    assert {name: len(value) for name, value in line["outputs"][0].items() if name in ("loss", "hidden_error")} == {
        "loss": 1,
        "hidden_error": 2,
    }


def test_a_step_uses_its_own_values_where_the_sample_has_none(numpy_cells):
    operations = [replayed(each, told) for each, told in numpy_cells]
    bare = [
        replace(each, samples=[{name: sample[name] for name in MATRICES} for sample in each.samples])
        for each in operations
    ]
    for line, (of_cell, told) in zip(operated(bare), numpy_cells, strict=True):
        check_step(line, told, of_cell)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("hidden_pre", {"hidden"}),  # by hand, the activation's derivative takes its output
        ("hidden", {"output_product", "output_pre", "grad_output_weights", "hidden_delta", "grad_hidden_weights"}),
        ("output_pre", {"output"}),
        (
            "output",
            {
                "loss",
                "output_error",
                "output_delta",
                "grad_output_weights",
                "hidden_error",
                "hidden_delta",
                "grad_hidden_weights",
            },
        ),
        ("grad_output_weights", {"output_weights"}),
        ("grad_hidden_weights", {"hidden_weights"}),
        ("new_output_weights", set()),
    ],
)
def test_a_foreign_tensor_changes_only_what_is_computed_from_it(name, changed):
    of_cell = cell(WORKLOAD, dtype="float32")
    (found,) = trained([of_cell], trace=True).values()
    own = replayed(of_cell, steps_of(found))
    first, *rest = own.samples
    moved = {**first, name: [(float.fromhex(each) * 1.25).hex() for each in first[name]]}
    plain, foreign = operated([own, replace(own, inputs="11" * 32, samples=[moved, *rest])])
    differing = {place for place in places() if foreign["outputs"][0][place] != plain["outputs"][0][place]}
    assert foreign["outputs"][1:] == plain["outputs"][1:]
    assert differing == changed


def test_a_sequential_step_takes_the_updated_weights_back():
    of_cell = cell(WORKLOAD, update="sequential")
    (found,) = trained([of_cell], trace=True).values()
    own = replayed(of_cell, steps_of(found))
    first, *rest = own.samples
    (line,) = operated([replace(own, samples=[{**first, "new_output_weights": written([[1, 0], [0, 1]])}, *rest])])
    assert line["outputs"][0]["hidden_error"] == line["outputs"][0]["output_delta"]


@pytest.mark.parametrize("form", ["half_sum", "mean"])
@pytest.mark.parametrize("layout", ["out_in", "in_out", "in_out_untransposed"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_a_primitive_gives_one_output_a_sample_with_weights_as_rows_per_unit(dtype, layout, form):
    small, tall = (cell(WORKLOAD, name=name, dtype=dtype, layout=layout, loss_form=form) for name in ("a", "b"))
    lines = operated([*table(SMALL, small), *table(TALL, tall)])
    check_table(SMALL, lines[: len(SMALL)])
    check_table(TALL, lines[len(SMALL) :])


def test_what_no_number_is_goes_through():
    sample = {"p": ["inf", "nan"], "b": ["-inf", "0x1.0p+0"]}
    (line,) = operated([operation(cell(WORKLOAD), "bias", sample)])
    assert all(math.isnan(float.fromhex(value)) for value in line["outputs"][0])
    assert line["outputs"] == [["nan", "nan"]]


def test_an_operation_is_told_with_what_it_takes_and_the_factors_of_its_cell():
    of_cell = cell(WORKLOAD, layout="in_out")
    line = operated(table(SMALL, of_cell))[0]
    assert set(line) == {"line", "id", "operation", "outcome", "reason", "dtype", "options", "outputs", "takes"}
    assert (line["operation"], line["takes"], line["dtype"]) == ("product", ["W", "v"], "float64")
    assert line["options"] == dict(asked.jobs.options_of(of_cell))


def test_by_hand_the_derivative_takes_the_output_of_the_activation():
    line = operated(table(SMALL, cell(WORKLOAD)))[5]
    assert (line["operation"], line["takes"]) == ("sigmoid_gradient", ["a", "e"])


@pytest.mark.parametrize(
    ("of_cell", "reason"),
    [
        (replace(cell(WORKLOAD), device="cuda:0"), "NumPy has no device cuda:0"),
        (cell(WORKLOAD, dtype="bfloat16"), "no dtype bfloat16 here"),
        (cell(UNEQUAL, layout="in_out_untransposed"), "layout=in_out_untransposed needs square weights"),
    ],
)
def test_what_a_cell_cannot_be_its_operations_cannot_either(of_cell, reason):
    line = operated(table(SMALL, of_cell))[0]
    assert line["outcome"] == "unavailable"
    assert line["reason"].startswith(reason)
    assert "outputs" not in line


BEFORE = {"hidden_weights": written([[1, 2], [3, 4]]), "output_weights": written([[1, 2], [3, 4]])}
MALFORMED = [
    ("cube", [{}], "no operation 'cube' here, only product, bias"),
    ("bias", [], "no samples"),
    ("bias", [[]], "samples[0] is no object of lists"),
    ("bias", [{}], "samples[0] has no list 'p'"),
    ("bias", [{"p": ["0x1p+0"]}], "samples[0] has no list 'b'"),
    ("bias", [{"p": ["0x1p+0"], "b": []}], "samples[0].b is empty"),
    ("bias", [{"p": ["0x1p+0"], "b": ["0.5"]}], "samples[0].b is not hexadecimal text: '0.5'"),
    ("bias", [{"p": ["0x1p+0"], "b": [0.5]}], "samples[0].b is not hexadecimal text"),
    ("bias", [{"p": ["0x1p+0"], "b": ["0x1p+0", "0x1p+0"]}], "samples[0].b: 2 entries where 1 are due"),
    ("bias", [{"p": [["0x1p+0"]], "b": ["0x1p+0"]}], "samples[0].p has rows, expected a list of numbers"),
    ("bias", [{"p": ["0x1p+0"], "b": ["0x1p+0"], "c": []}], "samples[0] has the unknown 'c', expected p, b"),
    ("loss", [{"o": ["0x1p+0"], "t": ["0x1p+0"]}], "samples[0].o: 1 entries where 2 are due"),
    ("update", [{"W": ["0x1p+0"], "g": ["0x1p+0"]}], "samples[0].W is a list of numbers, expected rows"),
    ("step", [{**BEFORE, "hidden_weights": []}], "samples[0].hidden_weights has 0 numbers"),
    ("step", [{**BEFORE, "hidden": ["nan"]}], "samples[0].hidden: 1 entries where 2 are due"),
    ("step", [{**BEFORE, "loss": ["nan"]}], "samples[0] has the unknown 'loss'"),
]


def test_a_malformed_sample_is_refused_with_its_place_and_the_next_operation_is_answered():
    wrong = [
        Operation(cell=cell(WORKLOAD), name=name, inputs=f"{number:064x}"[::-1], samples=samples)
        for number, (name, samples, _) in enumerate(MALFORMED)
    ]
    *lines, last = operated([*wrong, table(SMALL, cell(WORKLOAD, name="y"))[0]])
    assert last["outcome"] == "ok"
    for line, (_, _, place) in zip(lines, MALFORMED, strict=True):
        assert line["outcome"] == "failed"
        assert line["reason"].startswith("mazur/operations.py:")
        assert f": ValueError: {place}" in line["reason"]
        assert "outputs" not in line


@pytest.fixture
def laid_out(environment_name, interpreter, tmp_path, monkeypatch):
    """The cells of an environment, and where they are to run: laid out as its image has it."""
    python = interpreter(environment_name)
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path / "cache"))
    environment = asked.matrix().environment(environment_name)
    cells = asked.cells_of(environment, asked.workload("mazur"))
    if not cells:
        pytest.skip(f"the worked example has no module for {environment.framework}")
    return cells, {"framework": environment.framework, "python": python, "folder": tmp_path / "image"}


def mode(of_cell: Cell) -> str:
    """How a cell's step is compiled."""
    return dict(asked.jobs.options_of(of_cell))["compile"]


@pytest.mark.slow
def test_a_framework_gives_its_traces_back_op_by_op_and_each_primitive_is_right_however_it_is_compiled(laid_out):
    """A compiled step may be fused, and need not be what its parts are; its primitives are right in small numbers."""
    cells, where = laid_out
    eager = [each for each in cells if mode(each) == "eager"]
    one_of_each = {(mode(each), each.variant.dtype): each for each in reversed(cells)}
    chosen = [each for (how, dtype), each in one_of_each.items() if how == "eager" or dtype == "float32"]
    told = {name: steps_of(found) for name, found in trained(eager, trace=True, **where).items()} if eager else {}
    primitives = [each for of_cell in chosen for each in table(SMALL, of_cell)]
    lines = operated([*(replayed(each, told[each.id]) for each in eager), *primitives], **where)  # in one process
    for line, of_cell in zip(lines[: len(eager)], eager, strict=True):
        assert line["options"]["compile"] == "eager"
        check_step(line, told[of_cell.id], of_cell)
    assert len(lines) == len(eager) + len(primitives)
    for start in range(len(eager), len(lines), len(SMALL)):
        check_table(SMALL, lines[start : start + len(SMALL)])
