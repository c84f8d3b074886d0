"""`operations`: every operation on fresh inputs, kept and told as a table; and what is replayed for a pair."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace

import jsonschema
import pytest

from repromatrix import resources
from repromatrix.explain.factors import Flips
from repromatrix.explain.judge.operations import PairFinding
from repromatrix.explain.operations import replay, to_replay
from repromatrix.explain.operations_text import conclusion, document, plain
from repromatrix.explain.replays import Pair
from repromatrix.explain.space import NotTestable
from repromatrix.operations.judgement import Arithmetic
from repromatrix.operations.kept import Judgements
from repromatrix.plan import universe
from repromatrix.results.store import Store
from tests import fakes as say
from tests import worked
from tests.simulated import Environment, install, nudged, operated

NUMPY, SINGLE = "tiny/numpy-2.0-cpu/parallel", "tiny/numpy-2.0-cpu/parallel-float32"
OLD = "tiny/numpy-1.0-cpu/parallel"
TORCH = "tiny/torch-3.0-cuda/auto"
B_NUDGED = {NUMPY: Environment(changes={"sigmoid": nudged})}


def simulated(command, environment: Environment) -> None:
    command.engine.operate = lambda asked: operated(asked, lambda _: environment)


def reword(command, old: str, new: str) -> None:
    """Change a word of the workload."""
    path = command.folder / "tiny" / "workload.yaml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def entries(command, *arguments: str):
    said = command("operations", "--forms", *arguments, "--jobs", "1", "--json")
    return said, json.loads(said.out)


@pytest.fixture
def double(command):
    """The command in a matrix whose NumPy has one dtype, as the simulated environment."""
    reword(command, "dtypes: [float64, float32]", "dtypes: [float64]")
    simulated(command, Environment())
    return command


def test_every_operation_of_an_environment_is_judged_on_fresh_inputs(double) -> None:
    said, found = entries(double, "numpy-2.0-cpu")
    assert said.code == 0
    assert [each["operation"] for each in found] == list(worked.OPERATIONS)
    hows = {each["operation"]: each["how"] for each in found}
    assert all(how["values"] >= 2048 and how["worst"] is not None for how in hows.values())
    assert hows["bias"]["forms"] == ["sum"]
    assert (hows["bias"]["correct"], hows["bias"]["worst"] <= 0.5) == (2048, True)


def test_the_table_tells_forms_counts_and_distances(double) -> None:
    simulated(double, Environment(changes={"sigmoid": nudged}))
    said = double("operations", "--forms", "numpy-2.0-cpu", "--jobs", "1")
    rows = {line.split()[2]: line.split() for line in said.out.splitlines()}
    told = ["numpy-2.0-cpu", "float64", "bias", "all", "2048/2048", "0.5", "sum", "(all", "2048", "values)"]
    assert rows["bias"] == told
    assert {"none", "nearest", "agrees"} <= set(rows["sigmoid"])


def test_variants_that_compute_an_operation_in_the_same_way_share_a_row(command) -> None:
    manual = Environment(changes={"sigmoid": nudged})
    command.engine.operate = lambda asked: operated(
        asked, lambda each: manual if each["options"]["gradient"] == "manual" else Environment()
    )
    reword(command, "auto: {dtypes: [float32]", "auto: {dtypes: [float64]")
    out = command("operations", "--forms", "torch-3.0-cuda", "--jobs", "1").out
    rows = [line.split()[2:5] for line in out.splitlines()]
    assert [row[1] for row in rows if row[0] == "bias"] == ["all"]
    assert len([row for row in rows if row[0] == "sigmoid"]) == 2


def test_it_is_kept_and_not_run_again(double) -> None:
    _, first = entries(double, "numpy-2.0-cpu")
    assert len(double.engine.operations) == 1
    assert entries(double, "numpy-2.0-cpu")[1] == first
    assert len(double.engine.operations) == 1
    (listing,) = Store(double.folder / "results").read_replay_index().listed
    assert (listing.environment, len(listing.fresh)) == ("numpy-2.0-cpu", len(worked.OPERATIONS))


def test_no_environment_named_means_those_of_the_profile(double) -> None:
    _, found = entries(double)
    assert {each["cell"]["environment"] for each in found} == {"numpy-1.0-cpu", "numpy-2.0-cpu"}


def test_every_gradient_and_activation_of_a_framework_is_listed_in_every_dtype(command) -> None:
    reword(command, "factors:\n", "factors:\n  activation: [native, exp]\n")
    entries(command, "torch-3.0-cuda")
    (asked,) = command.engine.operations
    options = [each["options"] for each in asked]
    found = {(each["gradient"], each["activation"], each["compile"]) for each in options}
    assert found == {(g, a, "eager") for g in ("auto", "manual") for a in ("native", "exp")}
    assert len(asked) == len(found) * len(worked.OPERATIONS)
    assert {each["device"] for each in asked} == {"cpu"}


def test_what_an_environment_cannot_do_is_told_and_is_an_exit_code(double) -> None:
    simulated(double, Environment(unavailable=("back",)))
    said = double("operations", "--forms", "numpy-2.0-cpu", "--jobs", "1")
    assert said.code == 5
    assert "unavailable: not alone" in said.out


def test_an_unknown_environment_is_named_with_the_nearest(double) -> None:
    said = double("operations", "--forms", "numpy-2.1-cpu")
    assert said.code == 2
    assert "no environment 'numpy-2.1-cpu'" in said.err
    assert "numpy-2.0-cpu" in said.err


def flips_of(bench, a: str, b: str) -> Flips:
    cells = {each.id: each for each in universe(bench.matrix)}
    return Flips(bench.matrix, cells[a], cells[b])


def test_cells_that_differ_in_their_environment_alone_are_replayed_themselves(bench) -> None:
    found = to_replay(flips_of(bench, OLD, NUMPY))
    assert isinstance(found, Pair)
    assert (found.left.id, found.right.id) == (OLD, NUMPY)


def test_of_two_frameworks_one_cell_takes_the_options_and_the_dtype_of_the_other(bench) -> None:
    found = to_replay(flips_of(bench, NUMPY, TORCH))
    assert isinstance(found, Pair)
    assert (found.a, found.b) == (NUMPY, TORCH)
    assert found.left.id == NUMPY  # NumPy has no automatic gradient, so PyTorch takes what NumPy has
    assert found.right.environment.framework == "torch"
    assert found.right.variant.dtype == "float64"
    assert dict(found.right.variant.options)["gradient"] == "manual"


def test_two_dtypes_of_one_environment_have_no_inputs_in_common(bench) -> None:
    found = to_replay(flips_of(bench, NUMPY, SINGLE))
    assert isinstance(found, NotTestable)
    assert found.reason == "float64 against float32: no input of one is an input of the other"


def test_replayed_pairs_are_kept_with_reasons_where_nothing_was_replayed(bench) -> None:
    install(bench, {NUMPY: Environment(changes={"sigmoid": nudged})})
    replays = replay(bench.execution(), [flips_of(bench, OLD, NUMPY), flips_of(bench, NUMPY, SINGLE)])
    found = replays.findings
    assert replays.settled  # what cannot be replayed is not asked again
    assert [(each.a, each.b, each.reason is None) for each in found] == [(OLD, NUMPY, True), (NUMPY, SINGLE, False)]
    assert document(found[0])["sentence"] == "sigmoid differs on the same inputs (at hidden, output)"
    assert [(each.a, each.b) for each in bench.store.read_replay_index().pairs] == [(OLD, NUMPY), (NUMPY, SINGLE)]
    json.dumps([document(each) for each in found], allow_nan=False)


def test_a_judgement_is_kept_for_the_next_process_and_made_again_where_it_is_damaged(tmp_path) -> None:
    one = Arithmetic(operation="bias", dtype="float64", values=2, forms=("sum",), tried=1, nearest=None, agreeing=2)
    Judgements(tmp_path)["k"] = one
    kept = Judgements(tmp_path)
    assert (kept["k"], list(kept), len(kept)) == (one, ["k"], 1)
    next(tmp_path.rglob("k.json")).write_text('{"values": 2')
    assert "k" not in kept
    kept["k"] = one
    del kept["k"]
    with pytest.raises(KeyError):
        kept["k"]


def explained(command, *arguments: str):
    command.engine.answer = lambda cells, _: ([B_NUDGED.get(e["id"], Environment()).train(e) for e in cells], say.CLEAN)
    command.engine.operate = lambda asked: operated(
        asked, lambda each: B_NUDGED.get(each["id"].split(":")[0], Environment())
    )
    return command("explain", OLD, NUMPY, "--jobs", "1", *arguments)


def test_explain_tells_the_operations_of_a_pair_below_its_experiments(command) -> None:
    said = explained(command)
    explanation, operations = said.out.split("operations on the same inputs (float64): ")
    assert " is caused by " in explanation
    assert operations.startswith("sigmoid differs on the same inputs (at hidden, output)\n")


def test_explain_as_json_holds_the_operations_and_is_what_the_schema_says(command) -> None:
    schema = json.loads(resources.schema("explanation").read_text())
    found = json.loads(explained(command, "--json").out)
    jsonschema.validate(found, schema, cls=jsonschema.Draft202012Validator)
    assert found["operations"]["places"][2]["example"]["a"]["ulps"] < 2


def test_without_operations_none_are_asked_for(command) -> None:
    found = json.loads(explained(command, "--json", "--no-operations").out)
    assert found["operations"] is None
    assert command.engine.operations == []


def test_equal_cells_need_no_replay(command) -> None:
    simulated(command, Environment())
    command.engine.answer = lambda cells, _: ([Environment().train(each) for each in cells], say.CLEAN)
    said = command("explain", OLD, NUMPY, "--jobs", "1", "--json")
    assert json.loads(said.out)["operations"] is None
    assert command.engine.operations == []


def test_an_unchanged_pair_is_explained_from_what_is_kept(command) -> None:
    first = explained(command).out
    runs, operations = len(command.engine.runs), len(command.engine.operations)
    assert explained(command).out == first
    assert (len(command.engine.runs), len(command.engine.operations)) == (runs, operations)


def test_a_distance_that_is_not_finite_is_text_in_json() -> None:
    found = Arithmetic(
        operation="bias",
        dtype="float16",
        values=1,
        forms=(),
        tried=1,
        nearest="sum",
        agreeing=0,
        correct=0,
        worst=math.inf,
    )
    assert json.loads(json.dumps(plain(found), allow_nan=False))["worst"] == "inf"


def of_no_graph(bench) -> Sequence[PairFinding]:
    """Replay the two versions of NumPy of a workload that does not say its graph."""
    plain = tuple(replace(each, graph=None) for each in bench.matrix.workloads)
    bench.matrix = replace(bench.matrix, workloads=plain)
    replays = replay(bench.execution(), [flips_of(bench, OLD, NUMPY)])
    assert replays.settled
    assert bench.engine.operations == []
    return replays.findings


def test_without_a_graph_the_first_value_that_differs_is_told_with_its_bits(bench) -> None:
    install(bench, {NUMPY: Environment(changes={"sigmoid": nudged})})
    (found,) = of_no_graph(bench)
    assert found.reason == "the workload tiny has no graph of its step"
    assert (found.first.point.step, found.first.point.tensor, found.first.point.ulps) == (1, "hidden", 8192)
    number = r"0\.\d+ \(0x[0-9a-f]{16}\)"
    told = rf"the two differ first at step 1 in hidden\[0\]: {number} against {number}, 8192 ULP of float64 apart"
    assert re.fullmatch(f"not replayed, as {found.reason}; {told}", conclusion(found))
    defined = json.loads(resources.schema("explanation").read_text())["$defs"]
    written = json.loads(json.dumps(document(found), allow_nan=False))
    jsonschema.validate(written, {"$ref": "#/$defs/operations", "$defs": defined}, cls=jsonschema.Draft202012Validator)


def test_without_a_graph_and_a_difference_that_is_told(bench) -> None:
    install(bench, {})
    (found,) = of_no_graph(bench)
    assert conclusion(found).endswith("has no graph of its step; every traced value is the same")


def test_explain_sends_cells_of_operations_to_compare(command) -> None:
    cells = [f"operations/numpy-{version}-cpu/default" for version in ("1.0", "2.0")]
    said = command("explain", *cells)
    assert (said.code, said.out) == (2, "")
    assert f"repromatrix compare {' '.join(cells)}" in said.err


def test_a_run_of_a_profile_with_a_table_keeps_what_its_results_are_held_against(command) -> None:
    path = command.folder / "matrix.yaml"
    profile = 'default: {environments: ["numpy-*"]'
    path.write_text(path.read_text().replace(profile, f"{profile}, workloads: [tiny, operations-full]"))
    assert command("run", "--select", "*/numpy-2.0-cpu/*", "--jobs", "1").code == 0
    listing = Store(command.folder / "results").read_operations()
    assert {entry.cell.partition("/")[0] for entry in listing.entries} == {"operations-full"}
    (table,) = listing.tables
    assert "exp" in table.rows
    assert {each.cell for each in table.inputs} == {"float32", "float64", "float16"}
