"""An operation of the worked example gives what its training step gives: alone, and `step` on a trace's tensors."""

from dataclasses import replace
from itertools import product

import pytest

from repromatrix import floats, graph
from repromatrix.explain.start import start_of
from repromatrix.matrix.model import Input
from repromatrix.operations import text, wiring
from repromatrix.plan import Cell, Operation
from tests import asked, worked
from tests.asked import cell, operated, steps_of, trained

WORKLOAD = asked.workload("mazur", steps=3)
MATRICES = ("hidden_weights", "output_weights")
BEFORE = (*MATRICES, "input", "target", "hidden_bias", "output_bias")
GIVEN = ("hidden_pre", "hidden", "output_pre", "output", "grad_output_weights", "grad_hidden_weights")
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
# In numbers that every dtype holds: the inputs of each operation and its one right output.
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


def written(value):
    return [written(each) for each in value] if isinstance(value, list) else float(value).hex()


def operation(of_cell: Cell, name: str, *samples) -> Operation:
    return Operation(cell=of_cell, name=name, inputs="00" * 32, places=graph.alone(name), samples=samples)


def table(entries, of_cell):
    """Ask for each operation of a table, twice the same sample."""
    return [
        operation(of_cell, name, *[{key: written(value) for key, value in inputs.items()}] * 2)
        for name, (inputs, _) in entries.items()
    ]


def check_table(entries, lines):
    assert [line["operation"] for line in lines] == list(entries)
    for line, (name, (_, expected)) in zip(lines, entries.items(), strict=True):
        assert line["outcome"] == "ok", line["reason"]
        assert line["outputs"] == [{name: written([float(each) for each in expected])}] * 2, line


def begun(of_cell: Cell):
    """What a cell's first step is given."""
    start = start_of(of_cell)
    given = wiring.begun(start)
    if dict(asked.jobs.options_of(of_cell))["layout"] == "in_out_untransposed":
        given |= {name: [list(column) for column in zip(*given[name], strict=True)] for name in MATRICES}
    return given


def replayed(of_cell: Cell, told) -> Operation:
    """Ask for `step` with every tensor that a cell's own trace has."""
    samples = []
    for index in range(of_cell.steps):
        given = text.write(begun(of_cell))
        for name in MATRICES:
            if index:
                given[name] = rows(told, name, index - 1)
        given |= {name: rows(told, name, index) for name in GIVEN if name in told}
        given["output_weights'"] = rows(told, "output_weights", index)
        samples.append(given)
    places = of_cell.workload.graph.places(dict(asked.jobs.options_of(of_cell)))
    return Operation(cell=of_cell, name="step", inputs="00" * 32, places=places, samples=samples)


def rows(told, name, index):
    """A value of a trace, weights in rows."""
    flat = list(told[name][index])
    if "weights" not in name:
        return flat
    width = len(told["hidden"][0]) if "output" in name else len(flat) // len(told["hidden"][0])
    return [flat[start : start + width] for start in range(0, len(flat), width)]


def check_step(line, told, of_cell):
    """Hold what `step` gives against the trace that it was given; it must have all of the bits."""
    assert line["outcome"] == "ok", line["reason"]
    for name, steps in told.items():
        assert [tuple(output[name]) for output in line["outputs"]] == list(steps[: of_cell.steps]), (line["id"], name)


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
        assert set(told) == set(worked.TENSORS)
        check_step(line, told, of_cell)


def test_a_step_gives_every_place_in_the_order_of_the_computation(numpy_cells):
    (line,) = operated([replayed(*numpy_cells[0])])
    assert [list(output) for output in line["outputs"]] == [list(worked.PLACES)] * 3
    assert {name: len(value) for name, value in line["outputs"][0].items() if name in ("loss", "hidden_error")} == {
        "loss": 1,
        "hidden_error": 2,
    }


def test_a_step_uses_its_own_values_where_the_sample_has_none(numpy_cells):
    operations = [replayed(each, told) for each, told in numpy_cells]
    bare = [
        replace(each, samples=[{name: sample[name] for name in sample if name in BEFORE} for sample in each.samples])
        for each in operations
    ]
    for line, (of_cell, told) in zip(operated(bare), numpy_cells, strict=True):
        check_step(line, told, of_cell)


def larger(entry):
    return (
        [larger(each) for each in entry]
        if isinstance(entry, list)
        else floats.nearest(str(float.fromhex(entry) * 1.25), "float32").hex()
    )


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
        ("output_weights'", set()),
    ],
)
def test_a_foreign_tensor_changes_only_what_is_computed_from_it(name, changed):
    of_cell = cell(WORKLOAD, dtype="float32")
    (found,) = trained([of_cell], trace=True).values()
    own = replayed(of_cell, steps_of(found))
    first, *rest = own.samples
    moved = {**first, name: larger(first[name])}
    plain, foreign = operated([own, replace(own, inputs="11" * 32, samples=[moved, *rest])])
    differing = {place for place in worked.PLACES if foreign["outputs"][0][place] != plain["outputs"][0][place]}
    assert foreign["outputs"][1:] == plain["outputs"][1:]
    assert differing == changed


def test_a_sequential_step_takes_the_updated_weights_back():
    of_cell = cell(WORKLOAD, update="sequential")
    (found,) = trained([of_cell], trace=True).values()
    own = replayed(of_cell, steps_of(found))
    first, *rest = own.samples
    (line,) = operated([replace(own, samples=[{**first, "output_weights'": written([[1, 0], [0, 1]])}, *rest])])
    assert line["outputs"][0]["hidden_error"] == line["outputs"][0]["output_delta"]


@pytest.mark.parametrize("form", ["half_sum", "mean"])
@pytest.mark.parametrize("layout", ["out_in", "in_out", "in_out_untransposed"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_an_operation_gives_one_output_a_sample_with_weights_as_rows_per_unit(dtype, layout, form):
    small, tall = (cell(WORKLOAD, name=name, dtype=dtype, layout=layout, loss_form=form) for name in ("a", "b"))
    lines = operated([*table(SMALL, small), *table(TALL, tall)])
    check_table(SMALL, lines[: len(SMALL)])
    check_table(TALL, lines[len(SMALL) :])


def test_what_no_number_is_goes_through():
    sample = {"p": ["inf", "nan"], "b": ["-inf", "0x1.0p+0"]}
    (line,) = operated([operation(cell(WORKLOAD), "bias", sample)])
    assert line["outputs"] == [{"bias": ["nan", "nan"]}]


def test_an_operation_is_told_with_its_outputs_alone():
    line = operated(table(SMALL, cell(WORKLOAD, layout="in_out")))[0]
    assert set(line) == {"line", "id", "operation", "outcome", "reason", "dtype", "outputs"}
    assert (line["operation"], line["dtype"]) == ("product", "float64")


def test_by_hand_the_derivative_takes_the_output_of_the_activation():
    sample = {"z": ["0x1.0p+3"], "a": ["0x1.0p-1"], "e": ["0x1.0p+0"]}
    (line,) = operated([operation(cell(WORKLOAD), "sigmoid_gradient", sample)])
    assert line["outputs"] == [{"sigmoid_gradient": [(0.25).hex()]}]


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


MALFORMED = [
    ("bias", [], "no samples"),
    ("bias", [[]], "samples[0] is no object of lists"),
    ("bias", [{}], "samples[0] has no 'p'"),
    ("bias", [{"p": ["0x1p+0"]}], "samples[0] has no 'b'"),
    ("bias", [{"p": ["0x1p+0"], "b": []}], "samples[0].b is empty"),
    ("bias", [{"p": ["0x1p+0"], "b": ["0.5"]}], "samples[0].b is not hexadecimal text: '0.5'"),
    ("bias", [{"p": ["0x1p+0"], "b": [0.5]}], "samples[0].b is not hexadecimal text"),
    ("bias", [{"p": ["0x1p+0"], "b": ["0x1p+0", "0x1p+0"]}], "samples[0].b: 2 entries where 1 are due"),
    ("bias", [{"p": [["0x1p+0"]], "b": ["0x1p+0"]}], "samples[0].p has 2 dimensions where 1 are due"),
    ("bias", [{"p": ["0x1.00000000000001p+0"] * 2, "b": ["0x1p+0", "x"]}], "samples[0].b is not hexadecimal"),
    ("product", [{"W": ["0x1p+0"], "v": ["0x1p+0"]}], "samples[0].W has 1 dimensions where 2 are due"),
    ("update", [{"W": ["0x1p+0"], "g": [["0x1p+0"]]}], "samples[0].g has 2 dimensions where 1 are due"),
    ("update", [{"W": ["0x1p+0"], "g": ["0x1p+0", "0x1p+0"]}], "samples[0].g: 2 entries where 1 are due"),
    ("update", [{"W": [["0x1p+0"], []], "g": [["0x1p+0"]]}], "samples[0].W has rows of several lengths"),
]


def test_a_malformed_sample_is_refused_with_its_place_and_the_next_operation_is_answered():
    wrong = [
        Operation(
            cell=cell(WORKLOAD), name=name, inputs=f"{number:064x}"[::-1], places=graph.alone(name), samples=samples
        )
        for number, (name, samples, _) in enumerate(MALFORMED)
    ]
    *lines, last = operated([*wrong, table(SMALL, cell(WORKLOAD, name="y"))[0]])
    assert last["outcome"] == "ok"
    for line, (_, _, place) in zip(lines, MALFORMED, strict=True):
        assert line["outcome"] == "failed"
        assert line["reason"].startswith(f"ValueError: {place}")
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
def test_a_framework_gives_its_traces_back_op_by_op_and_each_operation_is_right_however_it_is_compiled(laid_out):
    """A compiled step may be fused, and need not be what its parts are; its operations are right in small numbers."""
    cells, where = laid_out
    eager = [each for each in cells if mode(each) == "eager"]
    one_of_each = {(mode(each), each.variant.dtype): each for each in reversed(cells)}
    chosen = [each for (how, dtype), each in one_of_each.items() if how == "eager" or dtype == "float32"]
    told = {name: steps_of(found) for name, found in trained(eager, trace=True, **where).items()} if eager else {}
    operations = [each for of_cell in chosen for each in table(SMALL, of_cell)]
    lines = operated([*(replayed(each, told[each.id]) for each in eager), *operations], **where)  # in one process
    for line, of_cell in zip(lines[: len(eager)], eager, strict=True):
        check_step(line, told[of_cell.id], of_cell)
    assert len(lines) == len(eager) + len(operations)
    for start in range(len(eager), len(lines), len(SMALL)):
        check_table(SMALL, lines[start : start + len(SMALL)])
