"""A traced cell tells the same tensors in every framework, and what is computed op by op keeps its bits."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from repromatrix.matrix import load
from repromatrix.plan import job, plan
from repromatrix.results.trace import TENSORS

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "images"
# Compiled steps whose fusion is known to change with what is asked of them; none other may.
ALTERED = {"mazur/keras-3.15.1-jax/jit-float16"}


def run(python, entrypoint, document):
    done = subprocess.run(
        [str(python), str(entrypoint)], input=json.dumps(document), capture_output=True, text=True, check=True
    )
    return {told["id"]: told for told in map(json.loads, done.stdout.splitlines()) if told["line"] == "cell"}


def both(document):
    """Ask for each cell twice: as it is, and traced."""
    cells = [{**cell, "trace": trace, "id": f"{cell['id']} {trace}"} for cell in document["cells"] for trace in (0, 1)]
    return {**document, "cells": [{**cell, "trace": bool(cell["trace"])} for cell in cells]}


@pytest.fixture(scope="module")
def numpy_told():
    """What NumPy at hand tells of cells of all its options, untraced and traced."""
    pytest.importorskip("numpy")
    example = json.loads((IMAGES / "numpy" / "default-job.json").read_text())
    workload = {**example["cells"][0]["workload"], "steps": 2}
    options = [
        {"update": update, "layout": layout, "loss_form": form, "loop": loop}
        for update, loop in (("parallel", "rolled"), ("sequential", "rolled"), ("parallel", "unrolled"))
        for layout in ("out_in", "in_out")
        for form in ("half_sum", "mean")
    ]
    cells = [
        {
            "id": " ".join(each.values()),
            "device": "cpu",
            "workload": workload,
            "variant": {"name": "x", "dtype": "float64", "options": each},
        }
        for each in options
    ]
    return run(sys.executable, IMAGES / "numpy" / "entrypoint.py", both({**example, "cells": cells}))


def pairs(told):
    """Yield the id, what was told untraced, and what was told traced."""
    for name, line in told.items():
        if name.endswith(" 0"):
            yield name[:-2], line, told[f"{name[:-2]} 1"]


def unchanged(plain, traced):
    return all(plain[part] == traced[part] for part in ("losses", "predictions", "weights"))


def flat(rows):
    return [value for row in rows for value in row]


def check(name, traced):
    """Hold a trace against what the same run tells of itself."""
    told = traced["trace"]
    assert sorted([*told, *traced["untraced"]]) == sorted(TENSORS), name
    assert {len(steps) for steps in told.values()} == {len(traced["losses"])}, name
    assert [value for (value,) in told["loss"]] == traced["losses"], name
    for layer in ("hidden", "output"):
        assert told[f"{layer}_weights"][-1] == flat(traced["weights"][layer]), name


def test_the_names_and_their_order_are_those_of_the_runner():
    spec = importlib.util.spec_from_file_location("tracing_alone", IMAGES / "tracing.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(IMAGES))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(IMAGES))
        sys.modules.pop("job", None)
    assert module.TENSORS == TENSORS


def test_numpy_keeps_its_bits_and_tells_its_weights_as_rows_per_unit(numpy_told):
    for name, plain, traced in pairs(numpy_told):
        assert unchanged(plain, traced), name
        assert traced["trace"]["output"] == traced["predictions"][:-1]
        assert "trace" not in plain
        check(name, traced)


def test_layouts_and_loops_trace_the_same_network(numpy_told):
    def value(text):
        return [[[float.fromhex(each) for each in step] for step in steps] for steps in text.values()]

    for name, line in numpy_told.items():
        if name.endswith(" 1") and "parallel" in name:
            form = name.split()[2]
            reference = value(numpy_told[f"parallel out_in {form} rolled 1"]["trace"])
            for ours, theirs in zip(value(line["trace"]), reference, strict=True):
                assert flat(ours) == pytest.approx(flat(theirs), rel=1e-14), name


def test_the_gradients_are_those_that_moved_the_weights(numpy_told):
    """One multiplication and one subtraction in float64 have one right answer."""
    for name, line in numpy_told.items():
        if name.endswith(" 1"):
            told = {key: [[float.fromhex(v) for v in step] for step in steps] for key, steps in line["trace"].items()}
            for layer in ("hidden", "output"):
                before, after = told[f"{layer}_weights"]
                moved = [w - 0.5 * g for w, g in zip(before, told[f"grad_{layer}_weights"][1], strict=True)]
                assert after == moved, name


def test_every_option_that_was_used_is_told(numpy_told):
    keys = {
        "gradient", "update", "loop", "layout", "loss_form", "activation", "compile", "api", "optimizer",
        "final_forward", "tf32",
    }  # fmt: skip
    for line in numpy_told.values():
        assert set(line["options"]) == keys
    assert numpy_told["sequential in_out mean rolled 0"]["options"]["layout"] == "in_out"
    assert numpy_told["sequential in_out mean rolled 0"]["options"]["activation"] == "exp"


def test_traced_cells_keep_their_bits_in_every_framework(environment_name, interpreter):
    name, python, matrix = environment_name, interpreter(environment_name), load(ROOT / "matrix.yaml")
    cells = plan(matrix, profile="nightly", select=(f"*/{name}/*", "!*+*")).cells
    told = run(python, IMAGES / cells[0].environment.framework / "entrypoint.py", both(json.loads(job(cells))))
    assert len(told) == 2 * len(cells)
    altered = set()
    for cell_id, plain, traced in pairs(told):
        assert (plain["outcome"], traced["outcome"]) == ("ok", "ok"), traced["reason"]
        check(cell_id, traced)
        if not unchanged(plain, traced):
            altered.add(cell_id)
    assert altered <= ALTERED
