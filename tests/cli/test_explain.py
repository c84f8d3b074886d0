"""`explain`: factors are flipped, the explanation says what that shows, the exit code whether it explains the pair."""

import json
import subprocess
import sys
from dataclasses import replace

import jsonschema
import pytest

from repromatrix import resources
from repromatrix.explain.judge.findings import Finding
from repromatrix.results.experiments import Experiments
from repromatrix.results.store import Store
from tests import fakes as say

NUMPY, SINGLE = "tiny/numpy-2.0-cpu/parallel", "tiny/numpy-2.0-cpu/parallel-float32"
TORCH = "tiny/torch-3.0-cuda/auto"
CAPPED = f"{NUMPY}+avx2"
ONE = ("--jobs", "1")
ALONE = (*ONE, "--no-operations")  # those are in test_operations.py


def losses(by, moved=2.0**-20):
    """Answer with the loss that `by` gives for each cell; that of each member of an ensemble is moved a little."""

    def answer(cells, _number):
        members = {cell["id"]: int(cell["id"].partition("~")[2] or 0) for cell in cells}
        middle = [say.ok(cell, by(cell) + members[cell["id"]] * moved) for cell in cells]
        return [say.fingerprint(), *middle, say.end(cells)], say.CLEAN

    return answer


def by_dtype(cell) -> float:
    return {"float64": 0.5, "float32": 0.75}[cell["dtype"]]


def capped(cell, name: str) -> bool:
    """Whether a cell ran with a setting of the settings `avx2`, which its name tells."""
    settings = cell["id"].partition("+")[2]
    return f"{name}-unset" not in settings if settings.startswith("avx2") else f".{name}-" in settings


def explained(command, *arguments: str):
    said = command("explain", *arguments, *ALONE, "--json")
    document = json.loads(said.out)
    schema = json.loads(resources.schema("explanation").read_text())
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    return said, document


def findings(document) -> dict[str, str]:
    return {" + ".join(row["factors"]): row["finding"] for row in (*document["rows"], *document["sets"])}


def test_what_differs_is_flipped_and_the_cause_is_told(command) -> None:
    command.engine.answer = losses(by_dtype)
    said, document = explained(command, NUMPY, TORCH)
    assert said.code == 0
    assert findings(document) == {
        "framework": "refuted",
        "dtype": "cause",
        "gradient": "refuted",
    }
    assert document["sentence"].startswith(
        "The difference of 2.50e-1 (33.3 %, from step 1) is caused by dtype: flipped alone it leaves"
    )
    framework = document["rows"][0]
    assert framework["a"]["cell"] == "tiny/torch-3.0-cuda/auto.dtype-float64.gradient-manual"
    assert (framework["a"]["changed"], framework["b"]["reason"]) == (
        False,
        "numpy has no gradient=auto",
    )


def test_the_table_has_a_row_for_each_factor_and_ends_in_one_plain_sentence(command) -> None:
    command.engine.answer = losses(by_dtype)
    said = command("explain", NUMPY, TORCH, *ALONE)
    lines = said.out.splitlines()
    (row,) = (line for line in lines if line.startswith("dtype"))
    assert row.split() == ["dtype", "float64", "float32", "identical", "identical", "100%", "|", "100%", "cause"]
    assert lines[-1].startswith("The difference of 2.50e-1 (33.3 %, from step 1) is caused by dtype")
    assert "note: framework at B's end: numpy has no gradient=auto" in said.out
    assert "budget     10 cells for 3 factors and 1 condition" in said.err


def test_factors_that_only_work_together_are_found_together(command) -> None:
    command.engine.answer = losses(lambda cell: 0.75 if capped(cell, "isa") and capped(cell, "SOME_CAP") else 0.5)
    said, document = explained(command, NUMPY, CAPPED)
    assert said.code == 0
    assert findings(document) == {
        "threads": "not testable",  # nothing shows that it took effect
        "isa": "contributes",
        "SOME_CAP": "contributes",
        "isa + SOME_CAP": "cause together",
    }


def test_what_no_experiment_explains_is_unexplained(command) -> None:
    ends = {NUMPY: 0.5, CAPPED: 0.75}
    command.engine.answer = losses(lambda cell: ends.get(cell["id"], 4.0))
    said, document = explained(command, NUMPY, CAPPED)
    assert (said.code, document["explained"]) == (1, False)
    assert set(findings(document).values()) == {"refuted"}
    assert document["sentence"].startswith(
        "The difference of 2.50e-1 (33.3 %, from step 1) is unexplained. Tried: threads, isa, SOME_CAP"
    )


def test_what_another_explain_adds_meanwhile_is_kept(command) -> None:
    command.engine.answer = losses(by_dtype)
    explained(command, NUMPY, TORCH)
    store = Store(command.folder / "results")
    other = store.read_experiments()
    store.write_experiments(Experiments())
    answer = command.engine.answer

    def meanwhile(cells, number):
        store.write_experiments(other)
        return answer(cells, number)

    command.engine.answer = meanwhile
    explained(command, NUMPY, CAPPED)
    assert [(each.a.id, each.b.id) for each in store.read_experiments().pairs] == [(NUMPY, TORCH), (NUMPY, CAPPED)]


def test_never_more_cells_than_the_budget_are_looked_at(command) -> None:
    command.engine.answer = losses(by_dtype)
    said, document = explained(command, NUMPY, TORCH, "--budget", "3")
    assert said.code == 1
    assert (document["budget"], document["spent"], document["exhausted"]) == (3, 3, True)
    assert len({each for run in command.engine.runs for each in run}) == 3
    assert document["rows"][1]["a"]["reason"] == "not run: the budget of 3 cells is spent"
    assert document["sentence"].endswith("The budget ended the search after 3 cells.")
    told = command("explain", NUMPY, TORCH, "--budget", "3", *ALONE).out
    assert told.endswith(f"  next: repromatrix explain {NUMPY} {TORCH} --budget 6\n")


def test_the_same_bits_need_no_experiment(command) -> None:
    said, document = explained(command, NUMPY, TORCH)
    assert (said.code, document["rows"], document["spent"]) == (0, [], 2)
    assert document["sentence"] == (
        "The two cells have the same losses to the bit, but another final state, which is not explained."
    )


def test_asked_again_nothing_runs_and_the_answer_is_the_same(command) -> None:
    command.engine.answer = losses(by_dtype)
    first = command("explain", NUMPY, TORCH, *ALONE)
    runs = len(command.engine.runs)
    assert command("explain", NUMPY, TORCH, *ALONE).out == first.out
    assert len(command.engine.runs) == runs


def test_the_manifest_of_an_earlier_run_stays_as_it_is(command) -> None:
    command("run", "--select", "numpy-*", *ONE)
    store = Store(command.folder / "results")
    before = store.read_manifest()
    command.engine.answer = losses(by_dtype)
    assert command("explain", NUMPY, TORCH, *ALONE).code == 0
    after = store.read_manifest()
    assert replace(after, files=before.files) == before
    assert set(after.files) > set(before.files)  # only what was written for the explanation is new
    changed_cell = "tiny/torch-3.0-cuda/auto.gradient-manual"
    assert len(list((command.folder / "results" / "records" / changed_cell).glob("*.json"))) == 1


def test_a_measured_noise_floor_judges_rather_than_the_tolerance(command) -> None:
    with (command.folder / "matrix.yaml").open("a") as matrix:
        matrix.write("noise: {members: 2}\n")
    command.engine.answer = losses(lambda cell: 0.5 + 1e-9 * (cell["id"] == CAPPED), moved=0)
    command("run", "--select", "numpy-*", *ONE)
    _, document = explained(command, NUMPY, CAPPED)
    assert document["before"]["judged_by"] == "noise floor of tiny in float64, 2 one-ULP members"
    assert document["before"]["verdict"] == "divergent"


def test_a_published_column_stands_for_its_newest_cell(command, write_matrix) -> None:
    write_matrix()
    command.engine.answer = losses(by_dtype)
    said, document = explained(command, "published:numpy", TORCH)
    assert (said.code, document["a"]) == (0, NUMPY)
    missing = command("explain", "published:NumPi", TORCH)
    assert missing.code == 2
    assert "no published column 'NumPi'" in missing.err
    assert "did you mean 'NumPy'?" in missing.err


def test_a_cell_without_a_trajectory_is_told_and_not_explained(command) -> None:
    def unavailable(cells, _number):
        lines = [say.ended(cell, "unavailable", "no such dtype") for cell in cells]
        return [say.fingerprint(), *lines, say.end(cells)], say.CLEAN

    command.engine.answer = unavailable
    said = command("explain", NUMPY, SINGLE, *ALONE)
    assert (said.code, said.out) == (5, "")
    assert f"{NUMPY} cannot be explained: unavailable: no such dtype" in said.err
    assert f"next: look at it: repromatrix cell {NUMPY}" in said.err


def test_cells_whose_repeats_differ_are_not_explained(command) -> None:
    command.engine.answer = lambda cells, number: say.everything_ok(cells, 0.5 + 0.25 * (number % 2))
    said = command("explain", NUMPY, SINGLE, *ALONE)
    assert said.code == 5
    assert "its repeats differ" in said.err


def test_an_environment_that_cannot_be_made_is_an_error_of_its_own(command) -> None:
    command.engine.broken.add("torch-3.0-cuda")
    said = command("explain", NUMPY, TORCH, *ALONE)
    assert said.code == 4
    assert "torch-3.0-cuda does not build" in said.err


WRONG = [
    ((NUMPY, NUMPY), "both are"),
    ((NUMPY, "tiny/numpy-2.0-cpu/paralel"), "no cell"),
    ((NUMPY, "tiny/numpy-2.0-cpu/unrolled"), "not the same task"),
    ((NUMPY, TORCH, "--budget", "1"), "the two cells alone are 2"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_what_cannot_be_asked_is_said_before_anything_runs(command, arguments, message) -> None:
    said = command("explain", *arguments)
    assert said.code == 2
    assert message in said.err
    assert "next:" in said.err
    assert command.engine.runs == []


def test_its_schema_is_printed_and_names_every_finding(command) -> None:
    schema = json.loads(command("schema", "explanation").out)
    assert set(schema["$defs"]["row"]["properties"]["finding"]["enum"]) == {each.value for each in Finding}


@pytest.mark.network
@pytest.mark.slow
def test_numpy_and_pytorch_differ_by_their_dtype_and_not_by_their_framework(checkout, tmp_path) -> None:
    arguments = ["mazur/numpy-2.4.6-cpu/sequential", "mazur/torch-2.13.0-cpu/manual-sequential"]
    places = ["--engine", "process", "--results", str(tmp_path / "results"), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "repromatrix", "explain", *arguments, *places],
        capture_output=True,
        text=True,
        check=False,
        cwd=checkout,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert findings(document) == {"framework": "refuted", "dtype": "cause", "activation": "refuted"}
    assert document["rows"][0]["a"]["changed"] is False  # in float64 both give the same bits
    for path in (tmp_path / "results").glob("records/**/*.json"):
        record = json.loads(path.read_text())
        activation = "native" if record["cell"]["id"].startswith(arguments[1]) else "exp"
        if "activation-exp" not in record["cell"]["variant"]:
            assert dict(record["factors"])["activation"] == activation  # as the source of the entrypoint says
