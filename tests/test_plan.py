"""Matrix + selection -> cells, as pairs of input and expected cells; and the one form of the cell id."""

import base64
import json
import re
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.errors import ExitCode, MatrixError, NothingSelectedError, UsageError
from repromatrix.explain.only import only
from repromatrix.floats import ordinal
from repromatrix.graph import alone
from repromatrix.job import job, options_of, question
from repromatrix.matrix import Matrix, load
from repromatrix.plan import Cell, Operation, Plan, find, plan, universe

PARALLEL_1 = "tiny/numpy-1.0-cpu/parallel"
PARALLEL_1_SINGLE = "tiny/numpy-1.0-cpu/parallel-float32"
UNROLLED_1 = "tiny/numpy-1.0-cpu/unrolled"
PARALLEL_2 = "tiny/numpy-2.0-cpu/parallel"
PARALLEL_2_SINGLE = "tiny/numpy-2.0-cpu/parallel-float32"
UNROLLED_2 = "tiny/numpy-2.0-cpu/unrolled"
PARALLEL_2_CAPPED = "tiny/numpy-2.0-cpu/parallel+avx2"
AUTO_ON_CPU = "tiny/torch-3.0-cuda/auto"
AUTO_ON_GPU = "tiny/torch-3.0-cuda/auto@cuda0"


def ids(plan: Plan) -> list[str]:
    return [cell.id for cell in plan.cells]


def test_the_universe_is_every_cell_in_the_order_of_the_file_and_then_the_included(small_matrix) -> None:
    assert [cell.id for cell in universe(small_matrix())] == [
        PARALLEL_1, PARALLEL_1_SINGLE, UNROLLED_1, PARALLEL_2, PARALLEL_2_SINGLE, UNROLLED_2, AUTO_ON_CPU, AUTO_ON_GPU,
        PARALLEL_2_CAPPED,
    ]  # fmt: skip


PROFILES = {
    "default": [PARALLEL_1, PARALLEL_1_SINGLE, PARALLEL_2, PARALLEL_2_SINGLE, UNROLLED_2, PARALLEL_2_CAPPED],
    "cuda": [AUTO_ON_GPU],
    "both": [PARALLEL_2, PARALLEL_2_SINGLE, UNROLLED_2, AUTO_ON_CPU, AUTO_ON_GPU, PARALLEL_2_CAPPED],
}


@pytest.mark.parametrize(("profile", "expected"), PROFILES.items())
def test_a_profile_is_environments_and_devices(small_matrix, profile: str, expected: list[str]) -> None:
    assert ids(plan(small_matrix(), profile=profile)) == expected


SELECTIONS = [
    (["numpy-1.0-cpu"], [PARALLEL_1, PARALLEL_1_SINGLE]),  # an environment
    (["torch"], [AUTO_ON_CPU, AUTO_ON_GPU]),  # a framework
    (["unrolled"], [UNROLLED_2]),  # a variant
    (["parallel*"], [PARALLEL_1, PARALLEL_1_SINGLE, PARALLEL_2, PARALLEL_2_SINGLE, PARALLEL_2_CAPPED]),
    ([PARALLEL_2], [PARALLEL_2]),  # one cell, and not the same one in other settings
    (["*+avx2", "x/*"], None),  # without a slash it is no pattern over ids
    (["*/*+avx2"], [PARALLEL_2_CAPPED]),
    (["*/*@cuda0"], [AUTO_ON_GPU]),
    (["unrolled", "torch"], [UNROLLED_2, AUTO_ON_CPU, AUTO_ON_GPU]),  # any of them, in the order of the matrix
    (["!numpy"], [AUTO_ON_CPU, AUTO_ON_GPU]),
    (["numpy", "!*/*+avx2", "!parallel-float32"], [PARALLEL_1, PARALLEL_2, UNROLLED_2]),
    (["!*"], None),
]


@pytest.mark.parametrize(("select", "expected"), SELECTIONS, ids=[" ".join(each[0]) for each in SELECTIONS])
def test_select(small_matrix, select: list[str], expected: list[str] | None) -> None:
    matrix = _everything(small_matrix)
    if expected is None:
        with pytest.raises(NothingSelectedError):
            plan(matrix, profile="both", select=select)
    else:
        assert ids(plan(matrix, profile="both", select=select)) == expected


def _everything(small_matrix) -> Matrix:
    return small_matrix((", exclude_environments: [numpy-1.0-cpu]", ""))


def test_what_is_excluded_is_left_out_with_its_reason(small_matrix) -> None:
    left_out = plan(small_matrix(), profile="default").left_out
    assert [(each.cell.id, each.reason) for each in left_out] == [(UNROLLED_1, "not written for that version")]


def test_what_is_not_selected_is_not_left_out_either(small_matrix) -> None:
    assert plan(small_matrix(), profile="default", select=["numpy-2.0-cpu"]).left_out == ()


def test_the_environments_of_a_plan_come_once_and_in_order(small_matrix) -> None:
    assert [each.name for each in plan(small_matrix(), profile="default").environments] == [
        "numpy-1.0-cpu",
        "numpy-2.0-cpu",
    ]


def test_a_variant_may_be_for_some_kinds_of_device_only(small_matrix) -> None:
    matrix = small_matrix(("    auto: {dtypes", "    auto: {devices: [cuda], dtypes"))
    assert ids(plan(matrix, profile="both", select=["torch"])) == [AUTO_ON_GPU]


def test_tf32_is_a_factor_of_gpus_and_of_float32_only(real: Matrix) -> None:
    cells = [cell for cell in universe(real) if dict(cell.variant.options).get("tf32")]
    assert {cell.environment.framework for cell in cells} == {"torch", "tensorflow", "jax"}
    assert {(cell.device, cell.variant.dtype) for cell in cells} == {("cuda:0", "float32")}
    for cell in cells:
        options = dict(cell.variant.options)
        other = {**options, "tf32": {"on": "off", "off": "on"}[options["tf32"]]}
        assert any(each.environment == cell.environment and dict(each.variant.options) == other for each in cells)


def test_a_variant_may_be_for_some_flavours_only(small_matrix) -> None:
    matrix = small_matrix(
        ("{dtypes: [float64], steps: 1,", "{dtypes: [float64], flavours: [other], steps: 1,"),
        (
            "  - framework: torch\n",
            (
                '  - {framework: numpy, flavour: other, versions: ["3.0"], packages: ["numpy=={version}"]}\n'
                "  - framework: torch\n"
            ),
        ),
        ("*/numpy-1.0-cpu/unrolled", "*/numpy-1.0-cpu/parallel-float32"),
    )
    ids = [cell.id for cell in universe(matrix) if cell.variant.name == "unrolled"]
    assert ids == ["tiny/numpy-3.0-other/unrolled"]


def test_a_profile_may_have_some_of_the_workloads(write_matrix) -> None:
    matrix = load(
        write_matrix(
            ("workloads: [./tiny]", "workloads: [./tiny, mlp]"),
            ('{environments: ["numpy-*"]', '{environments: ["numpy-*"], workloads: ["ti*"]'),
        )
    )
    assert {cell.workload.name for cell in plan(matrix, profile="default").cells} == {"tiny"}
    assert {cell.workload.name for cell in plan(matrix, profile="both").cells} == {"tiny", "mlp"}


# profile, what stands in the small matrix, what replaces it, the message, what was meant
MATCHING_NOTHING = [
    ("default", "/numpy-2.0-cpu/parallel,", "/numpy-2.0-cpu/paralel,", "include matches no cell", PARALLEL_2),
    ("default", '"*/numpy-1.0-cpu/unrolled"', "tiny/numpy-1.0-cpu/unroled", "exclude matches no cell", UNROLLED_1),
    (
        "default",
        '["numpy-*"]',
        "[nunpy-1.0-cpu]",
        "names 'nunpy-1.0-cpu', which matches no environment",
        "numpy-1.0-cpu",
    ),
    (
        "default",
        'default: {environments: ["numpy-*"]',
        'default: {environments: ["numpy-*"], workloads: [tinny]',
        "names 'tinny', which matches no workload",
        "tiny",
    ),
    (
        "both",
        "[numpy-1.0-cpu]",
        "[numpy-1.1-cpu]",
        "names 'numpy-1.1-cpu', which matches no environment",
        "numpy-1.0-cpu",
    ),
]


@pytest.mark.parametrize(("profile", "old", "new", "what", "meant"), MATCHING_NOTHING)
def test_a_rule_that_matches_nothing_is_a_mistake(
    small_matrix, profile: str, old: str, new: str, what: str, meant: str
) -> None:
    matrix = small_matrix((old, new))
    with pytest.raises(MatrixError, match=what) as caught:
        plan(matrix, profile=profile)
    line = next(i for i, text in enumerate(matrix.path.read_text().splitlines(), 1) if new in text)
    assert caught.value.where == f"matrix.yaml:{line}"
    assert caught.value.hint == f"did you mean {meant!r}?"


NAMES_TABLE = (
    'default: {environments: ["numpy-*"]',
    'default: {environments: ["numpy-*"], workloads: ["*", operations-full]',
)


def test_a_profile_may_name_a_table_of_operations_which_needs_no_place_in_the_matrix(small_matrix) -> None:
    found = plan(small_matrix(NAMES_TABLE), profile="default")
    own, tables = [[c for c in found.cells if (c.workload.name == "tiny") is own] for own in (True, False)]
    assert [cell.id for cell in own] == PROFILES["default"]
    assert {cell.environment.name for cell in tables} == {"numpy-1.0-cpu", "numpy-2.0-cpu"}
    assert {cell.workload.name for cell in tables} == {"operations-full"}
    assert "operations-full" not in {each.reference.workload.name for each in found.ensembles}
    assert "operations-full" not in {cell.workload.name for cell in plan(small_matrix(), profile="default").cells}


def test_the_night_runs_every_operation_in_every_environment_but_torch_compile(real: Matrix) -> None:
    found = plan(real, profile="nightly")
    full = {cell.environment.name for cell in found.cells if cell.workload.name == "operations-full"}
    written = ("numpy", "torch", "tensorflow", "jax")
    due = {each.name for each in found.environments if each.framework in written and each.flavour != "inductor"}
    assert full == due


def test_nothing_selected_is_an_error_of_its_own(small_matrix) -> None:
    with pytest.raises(NothingSelectedError) as caught:
        plan(small_matrix(), profile="default", select=["tiny/numpy-2.0-cpu/paralel"])
    assert caught.value.exit_code is ExitCode.NOTHING_SELECTED == 3
    assert caught.value.hint == f"did you mean {PARALLEL_2!r}?"


def test_nothing_selected_without_a_near_name_says_how_to_list_the_cells(small_matrix) -> None:
    with pytest.raises(NothingSelectedError, match="'default' by zzz") as caught:
        plan(small_matrix(), profile="default", select=["zzz"])
    assert caught.value.hint == "list the cells: repromatrix plan --profile default"


def test_an_unknown_profile_gets_a_suggestion(small_matrix) -> None:
    with pytest.raises(UsageError, match="no profile 'defualt'") as caught:
        plan(small_matrix(), profile="defualt")
    assert caught.value.hint == "did you mean 'default'?"


def test_find_knows_the_operations_which_run_beside_the_matrix_in_any_settings(small_matrix) -> None:
    for name in ("operations/numpy-1.0-cpu/default", "operations-full/numpy-2.0-cpu/default-float64+avx2"):
        assert find(small_matrix(), name).id == name
    with pytest.raises(UsageError, match="no settings 'avx3'"):
        find(small_matrix(), "operations/numpy-1.0-cpu/default+avx3")
    with pytest.raises(UsageError, match="no cell"):
        find(small_matrix(), "operations/numpy-1.0-cpu/other")


def test_find_knows_every_cell_even_one_that_is_excluded(small_matrix) -> None:
    assert find(small_matrix(), UNROLLED_1).id == UNROLLED_1
    with pytest.raises(UsageError) as caught:
        find(small_matrix(), "tiny/numpy-1.0-cpu/unroled")
    assert caught.value.hint == f"did you mean {UNROLLED_1!r}?"


# The cell id: file name, URL fragment, argument and (by its environment) artifact name alike.


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest) -> Matrix:
    return load(request.config.rootpath / "matrix.yaml")


def test_ids_are_unique_whatever_file_system_they_meet(real: Matrix) -> None:
    every = [cell.id.casefold() for cell in universe(real)]
    assert len(every) == len(set(every))


def test_ids_need_no_quoting_anywhere(real: Matrix) -> None:
    fragment = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/-]+")  # RFC 3986, appendix A
    file_name = re.compile(r"[a-z0-9][A-Za-z0-9._+@-]{0,100}")  # no separator, no leading dot or dash
    for cell in universe(real):
        assert fragment.fullmatch(cell.id)
        assert len(cell.id.split("/")) == 3
        assert all(file_name.fullmatch(part) for part in cell.id.split("/"))


NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,10}", fullmatch=True)


@given(workload=NAMES, flavour=NAMES, variant=NAMES, settings=NAMES, number=st.integers(0, 99))
def test_an_id_is_read_back_in_one_way_only(tmp_path_factory, workload, flavour, variant, settings, number) -> None:
    """No name that the schema allows holds one of the signs that part an id."""
    folder = tmp_path_factory.getbasetemp() / "ids" / workload
    folder.mkdir(parents=True, exist_ok=True)
    listed = {
        "format": 1,
        "steps": 1,
        "metrics": ["loss"],
        "inputs": {"x": {"decimal": ["1"]}},
        "variants": {"jax": {variant: {"dtypes": ["float32"], "options": {}}}},
    }
    (folder / "workload.yaml").write_text(json.dumps(listed))
    (folder / "jax.py").write_text("def train(task):\n    pass\n")
    document = {
        "format": 1,
        "environments": [
            {
                "framework": "jax", "flavour": flavour, "versions": ["1"], "packages": ["f"],
                "devices": [f"cuda:{number}"],
            }
        ],
        "workloads": [f"./{workload}"],
        "settings": {settings: {}, "default": {}},
        "include": [{"cells": "*", "settings": settings, "reason": "to have both"}],
        "profiles": {"default": {"environments": ["*"]}},
        "tolerances": {"float32": {"relative": 0, "absolute": 0, "source": "none"}},
        "noise": {"members": 2},
    }  # fmt: skip
    path = folder.parent / "matrix.yaml"
    path.write_text(json.dumps(document))
    matrix = load(path)
    form = re.compile(r"(?P<w>[^/]+)/(?P<e>[^/]+)/(?P<v>[^/@+~]+)(@(?P<d>[^+~]+))?(\+(?P<s>[^~]+))?(~(?P<m>\d+))?")
    cells = universe(matrix)
    for cell in (*cells, *(replace(each, member=number + 1) for each in cells)):
        found = form.fullmatch(cell.id)
        assert found.group("w", "e", "v", "d") == (workload, f"jax-1-{flavour}", variant, f"cuda{number}")
        assert (found["s"] or "default") == cell.settings.name
        assert int(found["m"] or 0) == cell.member


# The job: what an environment's entrypoint is given.


def test_a_job_is_canonical_json_and_always_the_same(small_matrix) -> None:
    cells = plan(small_matrix(), profile="default", select=["numpy-2.0-cpu", "!*/*+avx2"]).cells
    assert job(cells) == job(tuple(cells))
    document = json.loads(job(cells))
    assert job(cells) == json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert [each["id"] for each in document["cells"]] == [PARALLEL_2, PARALLEL_2_SINGLE, UNROLLED_2]


def test_a_job_in_full(small_matrix) -> None:
    cell = find(matrix := small_matrix(), PARALLEL_2_CAPPED)
    module = (matrix.path.parent / "tiny" / "numpy.py").read_text()
    code = f"tiny:{cell.workload.code('numpy')}"
    shapes = {"input": [2], "target": [1], "hidden_weights": [3, 2], "output_weights": [1, 3]}
    assert json.loads(job([cell])) == {
        "format": 2,
        "settings": {"name": "avx2", "threads": None, "isa": "avx2", "env": {"SOME_CAP": "1"}},
        "workloads": {code: {"name": "tiny", "files": {"numpy.py": module}}},
        "data": {
            "tiny/input/float64/0": packed("0.05", "0.10"),
            "tiny/target/float64/0": packed("0.01"),
            "tiny/hidden_weights/float64/0": packed("0.15", "0.20", "0.25", "0.30", "0.35", "0.40"),
            "tiny/output_weights/float64/0": packed("0.40", "0.45", "0.50"),
        },
        "cells": [
            {
                "id": PARALLEL_2_CAPPED,
                "device": "cpu",
                "workload": code,
                "steps": 2,
                "batch": 0,
                "dtype": "float64",
                "options": {
                    "compile": "eager",
                    "gradient": "manual",
                    "layout": "out_in",
                    "loop": "rolled",
                    "update": "parallel",
                },
                "numbers": {"hidden_bias": "0.35", "output_bias": "0.60", "learning_rate": "0.5"},
                "inputs": {
                    name: {"dtype": "float64", "shape": shape, "data": f"tiny/{name}/float64/0"}
                    for name, shape in shapes.items()
                },
                "metrics": ["loss"],
                "outputs": ["output"],
                "trace": False,
                "fetch": [],
            }
        ],
        "operations": [],
    }


def packed(*texts: str) -> str:
    """Decimal text as the bits of float64, as base64."""
    return base64.b64encode(struct.pack(f"<{len(texts)}d", *map(float, texts))).decode()


def test_code_and_inputs_that_cells_share_travel_once(small_matrix) -> None:
    cells = plan(noisy(small_matrix(), 2), profile="default", select=["numpy-2.0-cpu", "!*/*+avx2"]).every_cell
    document = json.loads(job(cells))
    assert len(document["workloads"]) == 1
    inputs = {name for name in document["data"] if name.startswith("tiny/input/")}
    assert inputs == {"tiny/input/float64/0", "tiny/input/float32/0"}, "members move parameters only"
    weights = {name for name in document["data"] if name.startswith("tiny/output_weights/float32/")}
    assert weights == {f"tiny/output_weights/float32/{member}" for member in range(3)}
    asked = {each["data"] for cell in document["cells"] for each in cell["inputs"].values()}
    assert asked == set(document["data"])


def test_a_traced_job_asks_for_everything_and_names_the_bits_that_are_wanted(small_matrix) -> None:
    cells = [find(small_matrix(), each) for each in (PARALLEL_2, UNROLLED_2)]
    wanted = {PARALLEL_2: [(2, "output"), (1, "output"), (1, "loss")]}
    parallel, unrolled = json.loads(job(cells, trace=True, fetch=wanted))["cells"]
    assert (parallel["trace"], unrolled["trace"]) == (True, True)
    assert (parallel["fetch"], unrolled["fetch"]) == ([[1, "loss"], [1, "output"], [2, "output"]], [])


def test_an_operation_travels_beside_the_cells_with_what_its_cell_has(small_matrix) -> None:
    cell = find(small_matrix(), PARALLEL_2)
    samples = ({"z": ["0x1.0000000000000p+0"]},)
    asked = Operation(cell=cell, name="sigmoid", inputs="ab" * 32, places=alone("sigmoid"), samples=samples)
    document = json.loads(job([asked], trace=True))
    (operation,) = document["operations"]
    (plain,) = json.loads(job([cell]))["cells"]
    assert document["cells"] == []
    assert operation == plain | {
        "id": f"{PARALLEL_2}:sigmoid:{'ab' * 8}",
        "operation": "sigmoid",
        "places": [{"value": "sigmoid", "operation": "sigmoid", "takes": [["z", "o", None]], "gives": "o"}],
        "samples": [{"z": ["0x1.0000000000000p+0"]}],
    }


def test_a_job_of_nothing_is_one_all_the_same() -> None:
    document = json.loads(job([]))
    assert document["settings"] == {"name": "default", "threads": None, "isa": None, "env": {}}
    assert not any(document[each] for each in ("cells", "operations", "workloads", "data"))


def test_the_question_of_a_key_names_code_and_inputs_by_what_makes_them_and_holds_all_else_of_the_job(
    small_matrix,
) -> None:
    cell = replace(find(small_matrix(), PARALLEL_2_SINGLE), member=3)
    asked, sent = question(cell), json.loads(job([cell]))
    (entry,) = sent["cells"]
    by_name = {"workload", "inputs", "fetch"}
    assert {key: value for key, value in entry.items() if key not in by_name}.items() <= asked.items()
    assert asked["settings"] == sent["settings"]
    assert (asked["task"], asked["code"]) == (cell.workload.task, cell.workload.code("numpy"))
    assert (asked["draw"], asked["member"]) == (1, 3)
    assert question(cell, trace=True) == asked | {"trace": True}


def test_every_factor_has_a_value_in_every_cell(small_matrix) -> None:
    assert dict(options_of(find(small_matrix(), UNROLLED_2))) == {
        "compile": "eager",
        "gradient": "manual",
        "layout": "out_in",
        "loop": "unrolled",
        "update": "parallel",
    }
    assert dict(options_of(find(small_matrix(), AUTO_ON_CPU)))["gradient"] == "auto"


def test_a_variant_with_steps_of_its_own_runs_those(small_matrix) -> None:
    assert json.loads(job([find(small_matrix(), UNROLLED_2)]))["cells"][0]["steps"] == 1


def test_variables_of_the_settings_win_over_those_of_the_environment(small_matrix) -> None:
    matrix = small_matrix(
        (
            '    packages: ["numpy=={version}"]',
            '    packages: ["numpy=={version}"]\n    variables: {SOME_CAP: "0", OTHER: "2"}',
        )
    )
    capped, plain = (
        json.loads(job([find(matrix, each)]))["settings"]["env"] for each in (PARALLEL_2_CAPPED, PARALLEL_2)
    )
    assert capped == {"SOME_CAP": "1", "OTHER": "2"}
    assert plain == {"SOME_CAP": "0", "OTHER": "2"}


# The real matrix.


def test_the_default_profile_has_every_published_column_in_its_frameworks_newest_version(real: Matrix) -> None:
    columns = real.workloads[0].published.columns
    assert len(columns) == 11
    there = {(cell.environment.framework, cell.variant.name) for cell in plan(real, profile="default").cells}
    assert {(each.framework, each.variant) for each in columns} <= there
    assert {(each.framework, each.predictions) for each in columns} <= there


@pytest.mark.parametrize(
    ("profile", "framework", "at_least"),
    [
        ("nightly", "numpy", 6),
        ("nightly", "jax", 5),
        ("nightly", "tensorflow", 5),
        ("nightly", "torch", 5),
        ("default", "numpy", 2),
    ],
)
def test_a_profile_spans_releases(real: Matrix, profile: str, framework: str, at_least: int) -> None:
    found = {each.version for each in plan(real, profile=profile).environments if each.framework == framework}
    assert len(found) >= at_least


@pytest.mark.parametrize("profile", ["default", "nightly"])
def test_a_profile_holds_one_version_on_two_pythons_older_and_newer_than_the_default(
    real: Matrix, profile: str
) -> None:
    environments = plan(real, profile=profile).environments
    pythons: dict[tuple[str, str, str], set[str]] = {}
    for each in environments:
        pythons.setdefault((each.framework, each.version, each.flavour), set()).add(each.python)
    assert {"3.9", "3.11"} in pythons.values()
    assert {"3.11", "3.13"} in pythons.values()


def test_the_cuda_profile_has_three_frameworks_on_the_device(real: Matrix) -> None:
    cells = plan(real, profile="cuda").cells
    assert {cell.environment.framework for cell in cells} >= {"torch", "tensorflow", "jax"}
    assert {cell.device for cell in cells} == {"cuda:0"}


def noisy(matrix: Matrix, members: int) -> Matrix:
    return replace(matrix, noise_members=members)


def test_each_workload_and_dtype_has_an_ensemble_of_its_first_full_length_cell(small_matrix) -> None:
    found = plan(noisy(small_matrix(), 3), profile="default")
    assert [each.reference.id for each in found.ensembles] == [PARALLEL_1, PARALLEL_1_SINGLE]
    assert [len(each.members) for each in found.ensembles] == [3, 3]
    assert [cell.id for cell in found.every_cell[len(found.cells) :]][:2] == [
        f"{PARALLEL_1}~1",
        f"{PARALLEL_1}~2",
    ]


def test_every_weight_of_a_member_is_the_next_value_of_the_cells_dtype_and_nothing_else_moves(small_matrix) -> None:
    (_, single) = plan(noisy(small_matrix(), 5), profile="default").ensembles
    start, *members = (tensors(each) for each in (single.reference, *single.members))
    moves = [
        tuple(
            ordinal(new, "float32") - ordinal(old, "float32")
            for name in ("hidden_weights", "output_weights")
            for old, new in zip(start[name], each[name], strict=True)
        )
        for each in members
    ]
    assert moves[0] == (1,) * 9
    assert moves[1] == (-1,) * 9
    assert {abs(move) for each in moves for move in each} == {1}
    assert len(set(moves)) > 2, "the others differ from weight to weight"
    assert {(each["input"], each["target"]) for each in members} == {(start["input"], start["target"])}


def tensors(cell: Cell) -> dict[str, tuple[float, ...]]:
    """The inputs of a cell in float32, as its job carries them."""
    document = json.loads(job([cell]))
    found = {}
    for name, entry in document["cells"][0]["inputs"].items():
        data = base64.b64decode(document["data"][entry["data"]])
        found[name] = struct.unpack(f"<{len(data) // 4}f", data)
    return found


def test_a_member_is_made_alike_every_time_and_is_a_cell_of_the_same_workload(small_matrix) -> None:
    first, second = (plan(noisy(small_matrix(), 4), profile="default").ensembles for _ in range(2))
    assert first == second
    for ensemble in first:
        assert {replace(each, member=0) for each in ensemble.members} == {ensemble.reference}
        assert [each.member for each in ensemble.members] == [1, 2, 3, 4]


def test_without_members_nothing_is_measured(small_matrix) -> None:
    found = plan(small_matrix(), profile="default")
    assert found.ensembles == ()
    assert found.every_cell == found.cells


def test_a_rule_for_a_table_of_operations_holds_where_a_profile_names_the_table(real: Matrix) -> None:
    night = plan(real, profile="nightly", select=["operations-full/torch-2.13.0-*"])
    assert {each.cell.environment.flavour for each in night.left_out} == {"inductor"}
    assert all(cell.environment.flavour != "inductor" for cell in night.cells)
    assert not plan(real, profile="default").left_out  # names no table, and the rule is no mistake


def test_cells_of_one_table_with_other_rows_of_it_share_no_code(real: Matrix) -> None:
    one, other = (find(real, f"operations/numpy-2.4.6-cpu/{name}") for name in ("default", "default-float64"))
    document = json.loads(job([only(one, ["exp"]), only(other, ["exp", "log"])]))
    rows = [sorted(document["workloads"][cell["workload"]]["rows"]) for cell in document["cells"]]
    assert rows == [["exp"], ["exp", "log"]]
    document = json.loads(job([one, other]))
    assert len(document["workloads"]) == 1
