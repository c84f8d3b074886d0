"""Every workload of the product keeps the contract of docs/workloads.md, and tells the same in every framework."""

import ast
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from repromatrix.execute.lines import Finished
from repromatrix.floats import FORMS
from repromatrix.matrix.workload import load_workload
from repromatrix.plan import Cell
from repromatrix.results.record import Outcome
from repromatrix.results.value import Role, Trajectory
from tests import asked
from tests.asked import cell, steps_of, trained
from tests.worked import TENSORS

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in ROOT.glob("workloads/*/workload.yaml"))
MODULES = sorted(ROOT.glob("workloads/*/*.py"))
FRAMEWORKS = {path.parent.name for path in ROOT.glob("images/*/entrypoint.py")}
PUBLISHED = json.loads((ROOT / "workloads" / "mazur" / "published.json").read_text())
# What task.compile knows in each framework, and what there is to switch on a GPU.
MODES = {
    "numpy": {"eager"},
    "torch": {"eager", "inductor"},
    "tensorflow": {"eager", "graph", "xla"},
    "jax": {"eager", "jit"},
    "keras": {"eager", "graph", "xla", "jit", "inductor"},
}
TF32 = {"default", "on", "off"}
# Nothing that draws, measures time, or reaches out of the process.
FORBIDDEN = {"random", "time", "datetime", "secrets", "os", "sys", "socket", "subprocess", "threading", "urllib"}
# Compiled steps whose fusion is known to change with what is asked of them; none other may.
ALTERED = {"mazur/keras-3.15.1-jax/jit-float16", "mlp/torch-2.13.0-inductor/compile-inductor"}
# State that a framework keeps in a form of its own, so under a name of its own.
OWN_STATE = {("mlp", "keras"): {"momentum": "velocity"}}
OPERATIONS = {"operations", "operations-full"}  # no training jobs: each output is a case of its own
STEPS = 3  # at most, of the cells that are run here
# Larger jobs, which NumPy has not, and which take seconds to compile: these cells of them are run here.
LARGER, OF_LARGER = {"convnet", "transformer"}, {"default", "defaults-own"}
# Frameworks that a workload leaves out: Keras has no operations of its own.
ABSENT = {**{name: {"keras"} for name in OPERATIONS}, **{name: {"numpy", "keras"} for name in LARGER}}


def identified(path: Path) -> str:
    return str(path.relative_to(ROOT / "workloads"))


def test_there_are_workloads_with_modules() -> None:
    assert {folder.name for folder in FOLDERS} >= {"mazur", "mlp"}
    assert {path.stem for path in MODULES} >= FRAMEWORKS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
class TestEveryFolder:
    def test_has_nothing_wrong_and_a_title(self, folder: Path) -> None:
        found = load_workload(folder, folder.name)
        assert found.title != folder.name

    def test_has_a_module_for_every_framework(self, folder: Path) -> None:
        due = FRAMEWORKS - ABSENT.get(folder.name, set())
        assert {f"{name}.py" for name in due} <= {name for name, _ in load_workload(folder, folder.name).files}

    def test_compiles_and_switches_in_the_words_that_the_harness_knows(self, folder: Path) -> None:
        found = load_workload(folder, folder.name)
        for framework in FRAMEWORKS:
            options = found.options(framework)
            assert set(options.get("compile", ("eager",))) <= MODES[framework]
            assert set(options.get("tf32", ("default",))) <= TF32

    def test_every_factor_is_asked_for_by_a_module_or_the_harness(self, folder: Path) -> None:
        text = "".join(path.read_text() for path in folder.glob("*.py"))
        for name, _ in load_workload(folder, folder.name).factors:
            assert name in ("compile", "tf32") or f'option("{name}")' in text


@pytest.mark.parametrize("path", MODULES, ids=identified)
class TestEveryModule:
    def test_is_written_for_python_3_9(self, path: Path) -> None:
        ast.parse(path.read_text(), feature_version=(3, 9))

    def test_trains_if_it_is_named_as_a_framework(self, path: Path) -> None:
        functions = {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        if path.stem in FRAMEWORKS:
            assert [argument.arg for argument in functions["train"].args.args] == ["task"]
        else:
            assert "train" not in functions

    def test_prints_draws_and_measures_nothing(self, path: Path) -> None:
        used = set(_used(ast.parse(path.read_text())))
        # What a framework draws by itself is what these are for.
        own = {"random"} if path.parent.name in {*LARGER, *OPERATIONS} else set()
        assert used & (FORBIDDEN - own | {"print", "open", "exec", "eval"}) == set()

    def test_imports_its_own_framework_and_its_own_folder_alone(self, path: Path) -> None:
        framework = path.stem.partition("_")[0]
        allowed = {
            "workload",
            "numpy",
            "math",
            "re",
            "contextlib",
            "dataclasses",
            "functools",
            framework,
            *_harness(framework),
        }
        assert set(_imported(ast.parse(path.read_text()))) <= allowed

    def test_keeps_nothing_in_module_variables(self, path: Path) -> None:
        tree = ast.parse(path.read_text())
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]


def _used(tree: ast.Module) -> Iterator[str]:
    """Every name and attribute, and the modules that are imported."""
    yield from _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def _harness(framework: str) -> set[str]:
    """What else a module may import, of the harness too: Keras has backends, and TensorFlow carries a Keras."""
    more = {"keras": {"probe", "tensorflow", "jax", "torch"}, "tensorflow": {"keras", "tf_keras"}}
    return {"replay", *({"derivatives"} if framework in ("torch", "jax") else more.get(framework, set()))}


# The worked example in NumPy, which is at hand.


@pytest.fixture(scope="module")
def examples() -> list[tuple[Cell, Finished, Finished]]:
    """What NumPy tells of the worked example in all its options, untraced and traced."""
    work = replace(asked.workload("mazur"), steps=2)
    factors = product(("parallel", "sequential", "unrolled"), ("out_in", "in_out"), ("half_sum", "mean"))
    cells = [
        cell(
            work,
            name=f"{how}-{layout}-{form}",
            update="parallel" if how == "unrolled" else how,
            loop="unrolled" if how == "unrolled" else "rolled",
            layout=layout,
            loss_form=form,
        )
        for how, layout, form in factors
    ]
    plain, traced = trained(cells), trained(cells, trace=True)
    return [(each, plain[each.id], traced[each.id]) for each in cells]


def test_numpy_reproduces_every_printed_digit_of_its_three_columns() -> None:
    work = asked.workload("mazur")
    cells = {
        column: cell(replace(work, steps=steps), name=name, **options)
        for column, name, steps, options in (
            ("NumPy Sequential", "sequential", 10, {"update": "sequential"}),
            ("NumPy Parallel", "parallel", 10, {"update": "parallel"}),
            ("NumPy No-Loop", "unrolled", 2, {"loop": "unrolled"}),
        )
    }
    told = trained(list(cells.values()))
    for column, each in cells.items():
        found = told[each.id].trajectory
        assert decimals(found.losses, 10) == PUBLISHED["losses"][column]
        assert len(found.predictions) == each.steps + 1
    parallel = PUBLISHED["final_predictions"]["NumPy Parallel"]["prediction"]
    assert decimals(told[cells["NumPy Parallel"].id].trajectory.predictions[-1], 8) == parallel


def decimals(values, digits):
    return [f"{float.fromhex(value):.{digits}f}" for value in values]


def test_numpy_layouts_agree_and_the_untransposed_one_is_another_network() -> None:
    layouts = ("out_in", "in_out", "in_out_untransposed")
    told = trained([cell(asked.workload("mazur"), name=layout, layout=layout) for layout in layouts])
    out_in, in_out, untransposed = (decimals(each.trajectory.losses, 10) for each in told.values())
    assert out_in == in_out == PUBLISHED["losses"]["NumPy Parallel"]
    assert untransposed != out_in


def test_numpy_unrolled_is_only_for_two_steps() -> None:
    (found,) = trained([cell(replace(asked.workload("mazur"), steps=3), loop="unrolled")]).values()
    assert found.outcome is Outcome.UNAVAILABLE
    assert "two steps" in found.reason


def test_a_trace_of_the_worked_example_has_the_tensors_of_the_catalogue_in_its_order(examples) -> None:
    for each, plain, traced in examples:
        assert tuple(steps_of(traced)) == TENSORS, each.id
        assert traced.untraced == ()
        assert traced.trajectory.untraced() == plain.trajectory, each.id
        assert {column.role for column in plain.trajectory.columns} == {Role.METRIC, Role.OUTPUT, Role.STATE}


def test_layouts_and_loops_trace_the_same_network(examples) -> None:
    told = {each.variant.name: numbers(traced) for each, _, traced in examples}
    for name, ours in told.items():
        how, _, form = name.split("-")
        theirs = told[f"{'sequential' if how == 'sequential' else 'parallel'}-out_in-{form}"]
        for tensor, steps in ours.items():
            assert flat(steps) == pytest.approx(flat(theirs[tensor]), rel=1e-14), (name, tensor)


def test_the_gradients_are_those_that_moved_the_weights(examples) -> None:
    """One multiplication and one subtraction in float64 have one right answer."""
    for each, _, traced in examples:
        told = numbers(traced)
        for layer in ("hidden", "output"):
            before, after = told[f"{layer}_weights"]
            moved = [w - 0.5 * g for w, g in zip(before, told[f"grad_{layer}_weights"][1], strict=True)]
            assert after == moved, each.id


def numbers(found: Finished) -> dict[str, list[list[float]]]:
    return {name: [[float.fromhex(text) for text in row] for row in rows] for name, rows in steps_of(found).items()}


def flat(steps: list[list[float]]) -> list[float]:
    return [value for step in steps for value in step]


# Every framework that this machine has.


@pytest.fixture
def told_here(environment_name, interpreter) -> list[tuple[Cell, Finished, Finished]]:
    """What the cells of all workloads tell in an environment, untraced in one process and traced in another."""
    python, environment = interpreter(environment_name), asked.matrix().environment(environment_name)
    works = [asked.workload(folder.name) for folder in FOLDERS if folder.name not in OPERATIONS]
    here = [work for work in works if f"{environment.framework}.py" in dict(work.files)]
    cells = [
        each
        for work in here
        for each in asked.cells_of(environment, replace(work, steps=min(STEPS, work.steps)))
        if work.name not in LARGER or each.variant.name in OF_LARGER
    ]
    where = {"framework": environment.framework, "python": python}
    plain, traced = trained(cells, **where), trained(cells, trace=True, **where)
    return [(each, plain[each.id], traced[each.id]) for each in cells]


@pytest.mark.slow
def test_traced_cells_keep_their_bits_and_every_framework_has_the_same_names_in_the_same_order(told_here) -> None:
    """NumPy, which is at hand, says which."""
    cells = [each for each, _, _ in told_here]
    works = dict.fromkeys(each.workload.name for each in cells)
    altered, expectations = set(), {}
    for name in works:
        of_it = [each for each in cells if each.workload.name == name]
        expectations |= told_first(of_it, told_here) if name in LARGER else expected(of_it)
    for each, plain, traced in told_here:
        assert (plain.outcome, traced.outcome) == (Outcome.OK, Outcome.OK), plain.reason or traced.reason
        if traced.trajectory.untraced() != plain.trajectory:
            altered.add(each.id)
        own = OWN_STATE.get((each.workload.name, each.environment.framework), {})
        names = ["/".join(own.get(part, part) for part in name.split("/")) for name in expectations[each.id]]
        left_out = {name for name, _ in traced.untraced}
        assert left_out <= set(names), each.id
        assert list(steps_of(traced)) == [name for name in names if name not in left_out], each.id
        check_shapes(each, traced.trajectory)
    assert altered <= ALTERED


def told_first(cells: list[Cell], told: list[tuple[Cell, Finished, Finished]]) -> dict[str, list[str]]:
    """The names that the first cell of a workload without NumPy's module tells: those of all others."""
    traces = {each.id: list(steps_of(traced)) for each, _, traced in told}
    return {each.id: traces[cells[0].id] for each in cells}


def expected(cells: list[Cell]) -> dict[str, list[str]]:
    """The names of the values of traced cells, as NumPy's module has them under the options that it has too."""
    known = cells[0].workload.options("numpy")
    alike: dict[str, tuple[int, tuple[tuple[str, str], ...]]] = {}
    for each in cells:
        options = asked.jobs.options_of(each)
        alike[each.id] = each.steps, tuple((name, value) for name, value in options if value in known.get(name, ()))
    counterparts = {
        key: cell(replace(cells[0].workload, steps=key[0]), name=f"n{number}", dtype="float32", **dict(key[1]))
        for number, key in enumerate(dict.fromkeys(alike.values()))
    }
    told = trained(list(counterparts.values()), trace=True)
    return {cell_id: list(steps_of(told[counterparts[key].id])) for cell_id, key in alike.items()}


def check_shapes(each: Cell, found: Trajectory) -> None:
    """Metrics are numbers, and what is trained leaves a step with the shape that it had."""
    given = {one.name: one for one in each.workload.inputs}
    for column in found.columns:
        if column.role is Role.STATE and column.name in given:
            expected = each.variant.dtype, given[column.name].shape
            assert (column.dtype, column.shape) == expected, (each.id, column.name)
        if column.role is Role.METRIC:  # in the dtype that the framework gives it: Keras' mean of float64 is a float32
            assert column.shape == ()
            assert column.dtype in FORMS
