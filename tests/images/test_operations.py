"""An operation gives what the training step gives: each primitive alone, and `step` on the tensors of a trace."""

import importlib.util
import json
import math
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from repromatrix.images.spec import sources
from repromatrix.matrix import load
from repromatrix.operations import catalogue
from repromatrix.plan import job, plan
from repromatrix.results.replay import PLACES
from repromatrix.results.trace import TENSORS

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "images"
NUMPY = IMAGES / "numpy" / "entrypoint.py"
EXAMPLE = json.loads((IMAGES / "numpy" / "default-job.json").read_text())
WORKLOAD = {**EXAMPLE["cells"][0]["workload"], "steps": 3}
UNEQUAL = {
    **WORKLOAD,
    "input": ["0.05", "0.10", "-0.7"],
    "hidden_weights": [
        ["0.15", "0.20", "-0.3"],
        ["0.25", "0.30", "0.9"],
        ["-1.5", "0.7", "0.35"],
        ["0.1", "0.2", "0.3"],
    ],
    "output_weights": [["0.40", "0.45", "0.1", "-0.9"], ["0.50", "0.55", "-0.6", "0.8"]],
}
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
GIVEN = TENSORS[:4] + TENSORS[5:7]


def serve(document, entrypoint=NUMPY, python=sys.executable):
    return subprocess.run(
        [str(python), str(entrypoint)], input=json.dumps(document), capture_output=True, text=True, check=False
    )


def told(done):
    """Return the lines but the fingerprint."""
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()][1:]


def of(kind, lines):
    return [line for line in lines if line["line"] == kind]


def document(cells=(), operations=()):
    return {**EXAMPLE, "cells": list(cells), "operations": list(operations)}


def cell(identifier="c", *, workload=WORKLOAD, dtype="float64", **options):
    variant = {"name": "v", "dtype": dtype, "options": options}
    return {"id": identifier, "device": "cpu", "trace": True, "workload": workload, "variant": variant}


def written(value):
    return [written(each) for each in value] if isinstance(value, list) else float(value).hex()


def table(entries, of_cell):
    """Ask for each primitive of a table, twice the same sample."""
    return [
        {**of_cell, "operation": name, "samples": [{key: written(value) for key, value in inputs.items()}] * 2}
        for name, (inputs, _) in entries.items()
    ]


def check_table(entries, lines):
    assert [line["operation"] for line in lines] == list(entries)
    for line, (_, expected) in zip(lines, entries.values(), strict=True):
        assert line["outcome"] == "ok", line["reason"]
        assert line["outputs"] == [written([float(each) for each in expected])] * 2, line


def transposed(rows):
    return [list(column) for column in zip(*rows, strict=True)]


def initial(workload, layout):
    """Return the weights before the first step, as `W[out][in]`."""
    both = [[[float(value) for value in row] for row in workload[key]] for key in ("hidden_weights", "output_weights")]
    return [written(transposed(rows) if layout == "in_out_untransposed" else rows) for rows in both]


def replayed(of_cell, line):
    """Ask for `step` with every tensor that a cell's own trace has."""
    trace, samples = line["trace"], []
    for index in range(len(trace["loss"])):
        before = [trace[name][index - 1] for name in ("hidden_weights", "output_weights")]
        hidden, output = before if index else initial(of_cell["workload"], line["options"]["layout"])
        given = {name: trace[name][index] for name in GIVEN if name in trace}
        given["new_output_weights"] = trace["output_weights"][index]
        samples.append({"hidden_weights": hidden, "output_weights": output, **given})
    return {**of_cell, "operation": "step", "samples": samples}


def check_step(operation, trace):
    """Hold what `step` gives against the trace that it was given; it must have all of the bits."""
    assert operation["outcome"] == "ok", operation["reason"]
    for name, steps in trace.items():
        assert [output[name] for output in operation["outputs"]] == steps, (operation["id"], name)


def places():
    spec = importlib.util.spec_from_file_location("operations_alone", IMAGES / "operations.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(IMAGES))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(IMAGES))
        for name in ("job", "samples", "tracing"):
            sys.modules.pop(name, None)
    return module.PLACES


def test_images_results_and_the_catalogue_name_the_same_places_in_the_same_order():
    assert tuple(places()) == PLACES == tuple(catalogue.PLACES)


@pytest.fixture(scope="module")
def numpy_cells():
    """All that NumPy can do, and what it told of it, traced."""
    pytest.importorskip("numpy")
    factors = product(
        ("float64", "float32", "float16"),
        ("parallel", "sequential"),
        ("out_in", "in_out", "in_out_untransposed"),
        ("half_sum", "mean"),
        (WORKLOAD, UNEQUAL),
    )
    cells = [
        cell(str(number), workload=workload, dtype=dtype, update=update, layout=layout, loss_form=form)
        for number, (dtype, update, layout, form, workload) in enumerate(factors)
        if layout != "in_out_untransposed" or workload is WORKLOAD
    ]
    cells.append(cell("unrolled", workload={**WORKLOAD, "steps": 2}, loop="unrolled"))
    return cells, of("cell", told(serve(document(cells))))


def test_a_step_on_the_own_trace_gives_that_trace_back(numpy_cells):
    cells, lines = numpy_cells
    operations = [replayed(each, line) for each, line in zip(cells, lines, strict=True)]
    for operation, line in zip(of("operation", told(serve(document((), operations)))), lines, strict=True):
        assert set(line["trace"]) == set(TENSORS)
        check_step(operation, line["trace"])


def test_a_step_gives_every_place_in_the_order_of_the_computation(numpy_cells):
    cells, lines = numpy_cells
    (line,) = of("operation", told(serve(document((), [replayed(cells[0], lines[0])]))))
    assert [tuple(output) for output in line["outputs"]] == [places()] * 3
    assert {name: len(value) for name, value in line["outputs"][0].items() if name in ("loss", "hidden_error")} == {
        "loss": 1,
        "hidden_error": 2,
    }


def test_a_step_uses_its_own_values_where_the_sample_has_none(numpy_cells):
    cells, lines = numpy_cells
    operations = [replayed(each, line) for each, line in zip(cells, lines, strict=True)]
    for operation in operations:
        operation["samples"] = [
            {name: sample[name] for name in ("hidden_weights", "output_weights")} for sample in operation["samples"]
        ]
    for operation, line in zip(of("operation", told(serve(document((), operations)))), lines, strict=True):
        check_step(operation, line["trace"])


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
    of_cell = cell(dtype="float32")
    (line,) = of("cell", told(serve(document([of_cell]))))
    operation = replayed(of_cell, line)
    (plain,) = of("operation", told(serve(document((), [operation]))))
    operation["samples"][0][name] = [(float.fromhex(each) * 1.25).hex() for each in operation["samples"][0][name]]
    (foreign,) = of("operation", told(serve(document((), [operation]))))
    differing = {place for place in places() if foreign["outputs"][0][place] != plain["outputs"][0][place]}
    assert foreign["outputs"][1:] == plain["outputs"][1:]
    assert differing == changed


def test_a_sequential_step_takes_the_updated_weights_back():
    of_cell = cell(update="sequential")
    (line,) = of("cell", told(serve(document([of_cell]))))
    operation = replayed(of_cell, line)
    operation["samples"][0]["new_output_weights"] = written([[1, 0], [0, 1]])
    (foreign,) = of("operation", told(serve(document((), [operation]))))
    output = foreign["outputs"][0]
    assert output["hidden_error"] == output["output_delta"]


@pytest.mark.parametrize("form", ["half_sum", "mean"])
@pytest.mark.parametrize("layout", ["out_in", "in_out", "in_out_untransposed"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_a_primitive_gives_one_output_a_sample_with_weights_as_rows_per_unit(dtype, layout, form):
    of_cell = cell(dtype=dtype, layout=layout, loss_form=form)
    lines = of("operation", told(serve(document((), [*table(SMALL, of_cell), *table(TALL, of_cell)]))))
    check_table(SMALL, lines[: len(SMALL)])
    check_table(TALL, lines[len(SMALL) :])


def test_what_no_number_is_goes_through():
    sample = {"p": ["inf", "nan"], "b": ["-inf", "0x1.0p+0"]}
    (line,) = of("operation", told(serve(document((), [{**cell(), "operation": "bias", "samples": [sample]}]))))
    assert all(math.isnan(float.fromhex(value)) for value in line["outputs"][0])
    assert line["outputs"] == [["nan", "nan"]]


def test_lines_of_operations_come_after_all_cells():
    asked = table(SMALL, cell("o"))[:2]
    lines = told(serve(document([cell("a")], asked)))
    assert [(line["line"], line.get("id")) for line in lines] == [
        ("start", "a"), ("cell", "a"), ("start", "o"), ("operation", "o"), ("start", "o"), ("operation", "o"),
        ("end", None),
    ]  # fmt: skip
    assert lines[-1] == {"line": "end", "cells": 1, "operations": 2}
    assert set(lines[3]) == {"line", "id", "operation", "outcome", "reason", "dtype", "options", "outputs", "takes"}
    assert (lines[3]["operation"], lines[3]["takes"], lines[3]["dtype"]) == ("product", ["W", "v"], "float64")
    assert lines[3]["options"] == lines[1]["options"]


def test_a_job_without_operations_tells_of_none():
    assert told(serve({**EXAMPLE, "cells": [cell()]}))[-1] == {"line": "end", "cells": 1}


def test_by_hand_the_derivative_takes_the_output_of_the_activation():
    (line,) = of("operation", told(serve(document((), [table(SMALL, cell())[5]]))))
    assert (line["operation"], line["takes"]) == ("sigmoid_gradient", ["a", "e"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device": "cuda:0"}, "NumPy has no device cuda:0"),
        ({"variant": {"name": "v", "dtype": "bfloat16", "options": {}}}, "no dtype bfloat16 here"),
        ({"variant": {"name": "v", "dtype": "float64", "options": {"loop": "unrolled"}}}, "loop=unrolled is written"),
    ],
)
def test_what_a_cell_cannot_be_its_operations_cannot_either(change, reason):
    asked = [{**each, **change} for each in table(SMALL, cell())[:1]]
    (line,) = of("operation", told(serve(document((), asked))))
    assert line["outcome"] == "unavailable"
    assert line["reason"].startswith(reason)
    assert "outputs" not in line


def test_an_entrypoint_without_primitives_says_so(tmp_path):
    for path in IMAGES.glob("*.py"):
        (tmp_path / path.name).write_text(path.read_text())
    own = "from cell import Framework, main\nclass Own(Framework):\n    dtypes = ('float64',)\nmain(Own())\n"
    (tmp_path / "entrypoint.py").write_text(own)
    (line,) = of("operation", told(serve(document((), table(SMALL, cell())[:1]), tmp_path / "entrypoint.py")))
    assert (line["outcome"], line["reason"]) == ("unavailable", "this entrypoint has no operations")


BEFORE = {"hidden_weights": written([[1, 2], [3, 4]]), "output_weights": written([[1, 2], [3, 4]])}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"operation": "cube"}, "operations[0].operation is 'cube', expected one of product, bias"),
        ({"operation": None}, "operations[0].operation has the wrong type"),
        ({"samples": []}, "operations[0].samples is empty"),
        ({"samples": [[]]}, "operations[0].samples[0] has no 'p'"),
        ({"samples": [{"p": ["0x1p+0"]}]}, "operations[0].samples[0] has no 'b'"),
        ({"samples": [{"p": ["0x1p+0"], "b": []}]}, "operations[0].samples[0].b is empty"),
        ({"samples": [{"p": ["0x1p+0"], "b": ["0.5"]}]}, "operations[0].samples[0].b is not hexadecimal text: '0.5'"),
        ({"samples": [{"p": ["0x1p+0"], "b": [0.5]}]}, "operations[0].samples[0].b is not hexadecimal text"),
        ({"samples": [{"p": ["0x1p+0"], "b": ["0x1p+0", "0x1p+0"]}]}, "samples[0].b: 2 entries where 1 are due"),
        ({"samples": [{"p": [["0x1p+0"]], "b": ["0x1p+0"]}]}, "samples[0].p has rows, expected a list of numbers"),
        ({"samples": [{"p": ["0x1p+0"], "b": ["0x1p+0"], "c": []}]}, "samples[0] has the unknown 'c', expected p, b"),
        ({"operation": "loss", "samples": [{"o": ["0x1p+0"], "t": ["0x1p+0"]}]}, "o: 1 entries where 2 are due"),
        ({"operation": "update", "samples": [{"W": ["0x1p+0"], "g": ["0x1p+0"]}]}, "W is a list of numbers, expected"),
        ({"operation": "step", "samples": [{**BEFORE, "hidden_weights": []}]}, "hidden_weights has 0 numbers"),
        ({"operation": "step", "samples": [{**BEFORE, "hidden": ["nan"]}]}, "hidden: 1 entries where 2 are due"),
        ({"operation": "step", "samples": [{**BEFORE, "loss": ["nan"]}]}, "samples[0] has the unknown 'loss'"),
        ({"device": "tpu"}, "operations[0].device is 'tpu'"),
    ],
)
def test_a_malformed_operation_is_refused_with_its_place(change, place):
    sample = {"p": written([1, 2]), "b": written([1, 2])}
    done = serve(document([cell()], [{**cell(), "operation": "bias", "samples": [sample], **change}]))
    assert (done.returncode, done.stdout) == (2, "")
    assert place in done.stderr
    assert done.stderr.startswith("malformed job: operations[0]")


def test_operations_that_are_no_list_are_refused():
    done = serve({**EXAMPLE, "operations": {}})
    assert (done.returncode, done.stdout) == (2, "")
    assert "job.operations has the wrong type" in done.stderr


@pytest.fixture
def laid_out(environment_name, interpreter, tmp_path):
    """Lay an environment's entrypoint out as the environment has it; give its cells, and how to serve a job."""
    python, matrix = interpreter(environment_name), load(ROOT / "matrix.yaml")
    cells = plan(matrix, profile="nightly", select=(f"*/{environment_name}/*", "!*+*")).cells
    for path in sources(cells[0].environment.framework):  # side by side
        (tmp_path / path.name).write_bytes(path.read_bytes())
    asked = json.loads(job(cells))

    def run(cells, operations):
        return told(serve({**asked, "cells": cells, "operations": operations}, tmp_path / "entrypoint.py", python))

    return asked["cells"], run


def mode(of_cell):
    """Return how a cell's step is compiled; every framework's default is not at all."""
    return of_cell["variant"]["options"].get("compile", "eager")


def test_what_a_framework_runs_op_by_op_gives_its_traces_back(laid_out):
    """A compiled step may be fused, and need not be what its parts are."""
    cells, run = laid_out
    traced = [{**each, "trace": True} for each in cells if mode(each) == "eager"]
    if not traced:
        pytest.skip("this environment compiles every step")
    lines = of("cell", run(traced, []))
    found = of("operation", run([], [replayed(each, line) for each, line in zip(traced, lines, strict=True)]))
    for operation, line in zip(found, lines, strict=True):
        assert operation["options"]["compile"] == "eager"
        check_step(operation, line["trace"])


def test_each_primitive_of_a_framework_is_right_in_small_numbers_however_it_is_compiled(laid_out):
    cells, run = laid_out
    one_of_each = {(mode(each), each["variant"]["dtype"]): each for each in reversed(cells)}
    chosen = [each for (how, dtype), each in one_of_each.items() if how == "eager" or dtype == "float32"]
    found = of("operation", run([], [operation for each in chosen for operation in table(SMALL, each)]))
    for start in range(0, len(found), len(SMALL)):
        check_table(SMALL, found[start : start + len(SMALL)])
