"""Somebody's own trace against a cell, in the Python at hand: what differs is found by replaying its steps."""

import json
import math
import os
import sys
from argparse import Namespace
from pathlib import Path

import jsonschema
import pytest

from repromatrix import resources
from repromatrix.cli.story import Story
from repromatrix.errors import NewerFormatError, UsageError
from repromatrix.execute.here import prepare
from repromatrix.execute.run import Execution
from repromatrix.execute.site import ThisMachine
from repromatrix.execute.trace import Tracing
from repromatrix.explain.foreign_trace import ForeignTrace, document
from repromatrix.explain.judge.sites import Operation
from repromatrix.explain.space import Space
from repromatrix.matrix import load
from repromatrix.results import trace as traces
from repromatrix.results.store import Store
from tests.simulated import Environment, operated

ROOT = Path(__file__).resolve().parents[2]
SELECTED = ("*/parallel", "*/sequential", "*/sequential-float32")


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """An execution in this interpreter, its cells by variant, and what the matrix can be asked for."""
    pytest.importorskip("numpy")
    story, matrix = Story(quiet=True, verbose=False), load(ROOT / "matrix.yaml")
    matrix, plan, engine = prepare(matrix, "numpy", story, python=sys.executable, select=SELECTED)
    store = Store(tmp_path_factory.mktemp("results"))
    execution = Execution(matrix=matrix, site=ThisMachine(engine), store=store, listener=story, jobs=1)
    cells = {cell.id.rpartition("/")[2]: cell for cell in plan.cells}
    space = Space(matrix, cells["parallel"].workload)
    return Namespace(execution=execution, cells=cells, space=space, store=store)


def foreign(ground, variant: str, path: Path, change=None) -> Path:
    """Write the trace of a cell as somebody else's, changed."""
    cell = ground.cells[variant]
    (traced,) = Tracing(ground.execution).run([cell], ground.execution.run([cell]).records)
    document = json.loads(traces.encode(ground.store.read_trace(cell.id, traced.key)))
    document["cell"]["id"] = "mine"
    if change is not None:
        change(document)
    path.write_text(json.dumps(document))
    return path


def column(document, name: str) -> dict:
    """A value of a trace as its file has it."""
    return next(each for each in document["trajectory"]["columns"] if each["name"] == name)


def explained(ground, path: Path):
    return ForeignTrace(ground.execution, ground.space, ground.cells["parallel"], path).explain()


def test_the_same_bits_are_no_difference(ground, tmp_path) -> None:
    assert not explained(ground, foreign(ground, "parallel", tmp_path / "mine.json")).detected


def test_options_and_the_dtype_of_somebody_elses_code_are_found(ground, tmp_path) -> None:
    assert explained(ground, foreign(ground, "sequential", tmp_path / "a.json")).factors == (("update", "sequential"),)
    found = explained(ground, foreign(ground, "sequential-float32", tmp_path / "b.json"))
    assert found.factors == (("dtype", "float32"), ("update", "sequential"))
    assert found.operations == ()


def test_a_changed_number_is_found_at_its_step_whatever_the_options(ground, tmp_path) -> None:
    def change(document) -> None:
        column(document, "loss")["texts"][3] = (1.5).hex()

    found = explained(ground, foreign(ground, "sequential", tmp_path / "mine.json", change))
    assert found.factors == (("update", "sequential"),)
    assert found.operations == (Operation(tensor="loss", steps=(4,)),)


def test_a_trace_of_another_task_is_refused(ground, tmp_path) -> None:
    def change(document) -> None:
        document["cell"]["workload"] = "iris"

    with pytest.raises(UsageError, match="a trace of iris"):
        explained(ground, foreign(ground, "parallel", tmp_path / "mine.json", change))


def test_a_trace_without_the_weights_is_refused(ground, tmp_path) -> None:
    def change(document) -> None:
        document["trajectory"]["columns"].remove(column(document, "hidden_weights"))
        document["untraced"] = [["hidden_weights", "not kept"]]

    with pytest.raises(UsageError, match="no hidden_weights"):
        explained(ground, foreign(ground, "parallel", tmp_path / "mine.json", change))


def test_a_file_that_is_no_trace_or_is_not_there_is_refused(ground, tmp_path) -> None:
    path = tmp_path / "mine.json"
    with pytest.raises(UsageError, match="cannot read the trace"):
        explained(ground, path)
    for text in ("{}", "[]", "no JSON", '{"format": 2, "cell": {}}'):
        path.write_text(text)
        with pytest.raises(UsageError, match="not a readable trace") as caught:
            explained(ground, path)
        assert caught.value.hint == "what such a file holds: repromatrix schema trace"
        assert path.read_text() == text


def test_a_trace_for_a_newer_release_is_refused(ground, tmp_path) -> None:
    with pytest.raises(NewerFormatError):
        explained(ground, foreign(ground, "parallel", tmp_path / "mine.json", lambda found: found.update(format=3)))


def test_of_the_cell_only_what_tells_the_task_is_needed(ground, tmp_path) -> None:
    def change(document) -> None:
        document["cell"] = {name: document["cell"][name] for name in ("id", "workload", "dtype", "steps")}
        document["key"] = ""
        document["somebody"] = "said more"

    assert not explained(ground, foreign(ground, "parallel", tmp_path / "mine.json", change)).detected


def shorter(document, name: str, elements: int) -> None:
    del column(document, name)["texts"][-elements:]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda found: shorter(found, "output", 2), "10 predictions; 10 steps have 11 of 2 values"),
        (lambda found: found["cell"].update(dtype="decimal"), "dtype 'decimal', expected one of"),
        (lambda found: shorter(found, "hidden", 1), "not a readable trace"),
    ],
)
def test_a_trace_whose_steps_cannot_be_replayed_is_refused(ground, tmp_path, change, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        explained(ground, foreign(ground, "parallel", tmp_path / "mine.json", change))


def test_a_trace_without_a_step_is_refused(ground, tmp_path) -> None:
    def change(document) -> None:
        document["cell"]["steps"] = 0
        document["trajectory"]["columns"] = [column(document, "loss") | {"texts": []}]

    with pytest.raises(UsageError, match="loss has no values"):
        explained(ground, foreign(ground, "parallel", tmp_path / "mine.json", change))


def test_weights_of_another_shape_are_refused(ground, tmp_path) -> None:
    def change(document) -> None:
        for name, shape in (
            ("hidden_weights", [3, 2]),
            ("grad_hidden_weights", [3, 2]),
            ("hidden", [3]),
            ("hidden_pre", [3]),
        ):
            found = column(document, name)
            old, more = math.prod(found["shape"]), math.prod(shape) - math.prod(found["shape"])
            steps = [found["texts"][place : place + old] for place in range(0, len(found["texts"]), old)]
            found.update(shape=shape, texts=[text for step in steps for text in (*step, *step[:more])])

    with pytest.raises(UsageError, match=r"a trace of mazur with weights of .*3, 2.*is mazur with"):
        explained(ground, foreign(ground, "parallel", tmp_path / "mine.json", change))


def test_the_order_of_the_values_in_a_file_is_no_difference(ground, tmp_path) -> None:
    path = foreign(ground, "parallel", tmp_path / "a.json", lambda found: found["trajectory"]["columns"].reverse())
    assert not explained(ground, path).detected


def test_what_is_found_is_told_as_data_too(ground, tmp_path) -> None:
    found = explained(ground, foreign(ground, "sequential", tmp_path / "mine.json"))
    told = document(found, ground.cells["parallel"], "mine.json")
    assert json.loads(json.dumps(told)) == {
        "format": 1,
        "a": ground.cells["parallel"].id,
        "file": "mine.json",
        "detected": True,
        "factors": {"update": "sequential"},
        "equals": [],
        "by_chance": [],
        "starts": [],
        "operations": [],
        "untold": [],
    }


# The command.

TINY = "tiny/numpy-2.0-cpu/parallel"


@pytest.fixture
def mine(command) -> Path:
    """The cell's own trace, as somebody's file."""
    assert command("run", "--trace", "--select", TINY).code == 0
    (path,) = (command.folder / "results" / "traces").rglob("*.json")
    return Path(path.rename(command.folder / "mine.json"))


def test_explain_holds_a_file_against_a_cell(command, mine) -> None:
    said = command("explain", TINY, str(mine))
    assert (said.code, said.out) == (0, f"{mine} against {TINY}\n  every bit of every traced tensor is the same\n")
    told = json.loads(command("explain", TINY, str(mine), "--json").out)
    assert told["detected"] is False
    schema = json.loads(resources.schema("explanation").read_text())
    jsonschema.validate(told, schema, cls=jsonschema.Draft202012Validator)


def test_a_file_that_differs_in_what_nothing_explains_ends_with_1(command, mine) -> None:
    document = json.loads(mine.read_text())
    column(document, "loss")["texts"] = [(0.125).hex()] * len(column(document, "loss")["texts"])
    mine.write_text(json.dumps(document))
    alone = Environment(unavailable=("step",))  # no step of this cell can be computed apart
    command.engine.operate = lambda asked: operated(asked, lambda _: alone)
    said = command("explain", TINY, str(mine))
    assert said.code == 1
    assert said.out.endswith("  unexplained: no option and no operation of a step explains it\n")


def test_a_file_that_is_not_there_and_a_cell_that_is_unknown_end_with_2(command, mine) -> None:
    said = command("explain", TINY, "other.json")
    assert said.code == 2
    assert "other.json: cannot read the trace: No such file or directory" in said.err
    assert command("explain", f"{TINY}-none", str(mine)).code == 2


def test_a_pipe_is_no_trace_and_does_not_wait_for_a_writer(command) -> None:
    os.mkfifo(command.folder / "pipe.json")
    said = command("explain", TINY, "pipe.json")
    assert said.code == 2
    assert "not a regular file but a pipe" in said.err


@pytest.mark.parametrize("option", [("--budget", "9"), ("--no-operations",)])
def test_what_is_for_two_cells_alone_is_refused_beside_a_file(command, mine, option) -> None:
    said = command("explain", TINY, str(mine), *option)
    assert said.code == 2
    assert "--budget and --no-operations are for two cells" in said.err
