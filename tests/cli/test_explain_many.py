"""`explain` without two cells: the pairs of classes that tell the most, published columns; in few rounds, kept."""

import json
from pathlib import Path

import jsonschema
import pytest

from repromatrix import resources
from repromatrix.cli.explain import allowed
from repromatrix.explain.judge.explanation import explanations
from repromatrix.matrix import load
from repromatrix.results.store import Store
from tests import fakes as say

OLD, NEW = "tiny/numpy-1.0-cpu/parallel", "tiny/numpy-2.0-cpu/parallel"
CAPPED = f"{NEW}+avx2"
ONE = ("--jobs", "1")
TESTED = {"type": "cause", "columns": ["NumPy", "Single"], "blamed": [{"option": "layout", "value": "in_out"}]}


def loss(cell) -> float:
    """Answer with a loss by dtype, and another one under the cap."""
    settings = cell["id"].partition("+")[2]
    capped = "isa-unset" not in settings if settings.startswith("avx2") else "isa-avx2" in settings
    return {"float64": 0.5, "float32": 0.75}[cell["dtype"]] + 0.125 * capped


def by_loss(cells, _number):
    middle = [say.ok(cell, loss(cell)) for cell in cells]
    return [say.fingerprint(), *middle, say.end(cells)], say.CLEAN


@pytest.fixture
def ran(command):
    """A run whose cells fall into the classes float64, float32 and capped."""
    command.engine.answer = by_loss
    assert command("run", "--select", "*/parallel*", *ONE).code == 0
    return command


def kept(command) -> list[tuple[str, str, tuple[str, ...]]]:
    tried = Store(command.folder / "results").read_experiments()
    return [(each.a.id, each.b.id, each.of) for each in tried.pairs]


def publish(command, *claims) -> None:
    """Give the published table a second column, and claims."""
    path = command.folder / "tiny" / "workload.yaml"
    columns = "NumPy: {framework: numpy, variant: parallel}\n    Single: {framework: numpy, variant: parallel-float32}"
    path.write_text(f"{path.read_text()}published:\n  data: published.json\n  columns:\n    {columns}\n")
    table = {"losses": {"NumPy": ["0.5", "0.5"], "Single": ["0.75", "0.75"]}, "claims": list(claims)}
    (path.parent / "published.json").write_text(json.dumps(table))


def test_classes_are_explained_by_the_cells_that_differ_least_and_dtypes_come_last(ran) -> None:
    said = ran("explain", *ONE)
    assert said.code == 0
    # The cap in single precision is one factor from neither: it is explained with the nearest class alone.
    assert kept(ran) == [(NEW, CAPPED, ("classes",)), (NEW, f"{NEW}-float32", ("classes",))]
    assert said.out.startswith("Pairs of classes: 2 of 2 explained\n")
    (row,) = (
        line for line in said.out.splitlines() if f"{NEW}-float32 " in line.split("+")[0] and line.startswith(f"{NEW} ")
    )
    assert row.split()[-1] == "dtype"


def test_a_round_of_all_pairs_is_one_run_of_each_environment_and_settings(ran) -> None:
    ran.engine.runs.clear()
    ran("explain", *ONE)
    batches = [tuple(sorted(each)) for each in ran.engine.runs]
    assert len(set(batches)) == len(batches)  # changed cells and members run once
    every = [cell for batch in set(batches) for cell in batch]
    assert len(every) == len(set(every))


def test_asked_again_nothing_runs_and_the_answer_is_the_same(ran) -> None:
    first, before = ran("explain", *ONE), (ran.folder / "results" / "experiments.json").read_bytes()
    ran.engine.runs.clear()
    assert ran("explain", *ONE).out == first.out
    assert ran.engine.runs == []
    assert (ran.folder / "results" / "experiments.json").read_bytes() == before


def test_what_is_kept_is_judged_again_from_the_records_with_the_same_findings(ran) -> None:
    document = json.loads(ran("explain", "--json", *ONE).out)
    schema = json.loads(resources.schema("explanation").read_text())
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    store = Store(ran.folder / "results")
    tried = store.read_experiments()
    found = explanations(tried, store.records_of(tried), allowed(load(ran.folder / "matrix.yaml"), store))
    assert [each.document() for each in found] == [each["explanation"] for each in document["explanations"]]
    schema = json.loads(ran("schema", "experiments").out)
    jsonschema.validate(json.loads((store.folder / "experiments.json").read_text()), schema)


def test_published_columns_are_a_part_of_their_own_and_keep_the_classes(command) -> None:
    publish(command)
    command.engine.answer = by_loss
    command("run", "--select", "*/parallel*", *ONE)
    said = command("explain", "published", *ONE)
    assert said.code == 0
    assert kept(command) == [(NEW, f"{NEW}-float32", ("published",))]
    command("explain", "classes", *ONE)
    assert kept(command)[0] == (NEW, f"{NEW}-float32", ("classes", "published"))  # one pair for both
    assert {of for _, _, of in kept(command)[1:]} == {("classes",)}


def test_what_a_published_claim_blames_is_tried_though_options_explain_the_difference(command) -> None:
    publish(command, {"id": "x", "kind": "cause", "says": "the layout does it", "test": TESTED})
    command.engine.answer = by_loss
    command("run", "--select", "*/parallel*", *ONE)
    document = json.loads(command("explain", "published", "--json", *ONE).out)
    (condition,) = document["explanations"][0]["explanation"]["conditions"]
    assert (condition["name"], condition["kind"], condition["finding"]) == ("layout=in_out", "option", "refuted")
    assert condition["a"]["cell"] == f"{NEW}.layout-in_out"


def test_a_pair_that_is_asked_for_is_kept_beside_the_others(ran) -> None:
    ran("explain", "classes", *ONE)
    many = kept(ran)
    ran("explain", OLD, NEW, *ONE)
    assert kept(ran) == [*many, (OLD, NEW, ("asked",))]
    ran("explain", *ONE)
    assert set(kept(ran)) == {*many, (OLD, NEW, ("asked",))}


def test_a_class_stands_for_its_cell_nearest_to_the_other_side(ran) -> None:
    assert json.loads(ran("explain", "class:C2", CAPPED, "--json", *ONE).out)["a"] == f"{NEW}-float32"
    document = json.loads(ran("explain", "class:tiny/C1", "class:C2", "--json", *ONE).out)
    assert (document["a"], document["b"]) == (OLD, f"{OLD}-float32")
    missing = ran("explain", "class:C9", NEW)
    assert missing.code == 2
    assert "no class 'C9' in the latest run" in missing.err


def test_a_changed_cell_that_ends_its_process_is_not_testable_and_is_not_run_again(ran) -> None:
    def crash(cells, number):
        if any(cell["id"].partition("+")[2].startswith("default.") for cell in cells):
            return [say.fingerprint()], say.Exit(code=-6)
        return by_loss(cells, number)

    ran.engine.answer = crash
    document = json.loads(ran("explain", NEW, CAPPED, "--json", *ONE).out)
    reasons = {row["factors"][0]: row["a"]["reason"] for row in document["rows"]}
    assert reasons["isa"].startswith("failed: ")
    ran.engine.runs.clear()
    ran("explain", NEW, CAPPED, *ONE)
    assert ran.engine.runs == []


def test_damaged_experiments_are_told_before_anything_runs(ran) -> None:
    path = ran.folder / "results" / "experiments.json"
    path.write_text("{}")
    ran.engine.runs.clear()
    for arguments in ((), (OLD, NEW)):
        said = ran("explain", *arguments, *ONE)
        assert said.code != 0
        assert "not readable experiments" in said.err
        assert "next: delete that file and explain again" in said.err
    assert ran.engine.runs == []
    assert path.read_text() == "{}"


def test_without_a_run_there_is_nothing_to_explain(command) -> None:
    said = command("explain", *ONE)
    assert said.code == 2
    assert "holds no finished run" in said.err


def test_one_cell_alone_is_a_mistake(command) -> None:
    said = command("explain", NEW)
    assert said.code == 2
    assert "nothing to hold it against" in said.err


def test_matrix_explains_what_it_ran_unless_told_not_to(command) -> None:
    command.engine.answer = by_loss
    assert command("matrix", "--select", "*/parallel*", "--no-explain", *ONE).code == 0
    assert not (command.folder / "results" / "experiments.json").exists()
    said = command("matrix", "--select", "*/parallel*", *ONE)
    assert said.code == 0
    assert said.err.index("explained  2 of 2 pairs") < said.err.index("wrote")  # the report without them is there
    assert len(kept(command)) == 2


def test_what_had_finished_when_it_was_killed_is_not_run_again(ran) -> None:
    pair = ("explain", f"{NEW}-float32", CAPPED, *ONE)
    ran(*pair)
    (ran.folder / "results" / "experiments.json").unlink()  # it is written last
    gone = next(Path(ran.folder / "results" / "records").glob("**/*default.isa-avx2*/*.json"))
    gone.unlink()
    ran.engine.runs.clear()
    ran(*pair)
    assert len(kept(ran)) == 1
    assert {cell for batch in ran.engine.runs for cell in batch} == {
        gone.parent.relative_to(ran.folder / "results" / "records").as_posix()
    }


def test_a_statement_of_the_run_that_cannot_be_read_is_told_and_nothing_is_run(command) -> None:
    command.engine.answer = by_loss
    publish(command, {"id": "because", "kind": "cause", "says": "it is the layout", "test": TESTED})
    assert command("run", "--select", "*/parallel*", *ONE).code == 0
    store, runs = Store(command.folder / "results"), len(command.engine.runs)
    manifest = store.read_manifest()
    manifest.published[0].data["claims"][0]["test"]["columns"] = 5
    store.write_manifest(manifest)
    said = command("explain", *ONE)
    assert (said.code, len(command.engine.runs)) == (2, runs)
    assert "claim because:" in said.err
