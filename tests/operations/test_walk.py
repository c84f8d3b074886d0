"""How the rows of a table of operations are gone through: parts of inputs, two ways to compute one, large results."""

import importlib.util
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
import pytest

from repromatrix import resources

PATH = resources.folder("workloads") / "operations" / "walk.py"
SPEC = importlib.util.spec_from_file_location("walk", PATH)
walk = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(walk)
COUNT = 40_000


@dataclass
class Value:
    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def digest(self) -> str:
        return sha256(self.data).hexdigest()


@dataclass
class Task:
    """What `walk` asks of a task, over NumPy."""

    rows: dict
    inputs: dict
    dtype: str = "float32"
    told: dict = field(default_factory=dict)

    def tensor(self, name):
        return self.inputs[name]

    mode: str = "eager"
    compiled: int = 0

    def option(self, _name):
        return self.mode

    def compile(self, function):
        self.compiled += 1
        return function

    def value(self, array):
        return Value(array.dtype.name, array.shape, array.tobytes())

    def attempt(self, name, compute):  # noqa: ARG002 - what it is called comes with the results
        self.told.update(compute())
        return True

    def record(self, values):
        self.told.update(values)


def told(lines, rows, **inputs):
    task = Task({name: {"truth": "none"} | row for name, row in rows.items()}, inputs)
    walk.walk(task, lines)
    return task.told


X = np.arange(1, 41, dtype=np.float32).reshape(4, 10)


def test_an_argument_may_be_the_first_elements_or_columns_of_an_input() -> None:
    rows = {"sum": {"args": ["x"], "cases": {"n2": {"args": ["x[:2]"]}, "columns": {"args": ["x[:,:3]"]}}}}
    assert told({"sum": np.sum}, rows, x=X) == {
        "sum": X.sum(),
        "sum/n2": X[:2].sum(),
        "sum/columns": X[:, :3].sum(),
        "results": 3,
    }


def by_size(x):
    """Another result for a batch of one."""
    return x * np.float32(1 + (len(x) == 1))


@pytest.mark.parametrize(("line", "differ"), [(np.exp, 0), (by_size, 10)])
def test_a_row_of_a_batch_is_held_against_a_batch_of_that_row(line, differ: int) -> None:
    found = told({"f": line}, {"f": {"args": ["x"], "relation": "row"}}, x=X)
    assert found == {"f": differ, "results": 1}


@pytest.mark.parametrize(("line", "differ"), [(np.exp, 0), (lambda x: x - x.mean(), 17)])
def test_a_slice_is_held_against_the_whole(line, differ: int) -> None:
    flat = np.arange(40, dtype=np.float32) ** 2
    assert told({"f": line}, {"f": {"args": ["x"], "relation": "slice"}}, x=flat)["f"] == differ


def test_a_product_is_held_against_that_of_the_transposed() -> None:
    rows = {"matmul": {"args": ["a", "b"], "relation": "transposed"}}
    assert told({"matmul": np.matmul}, rows, a=X, b=X.T.copy())["matmul"] == 0
    wrong = told({"matmul": lambda a, b: a @ b + a[0, 0]}, rows, a=X, b=X.T.copy() * 2)["matmul"]
    assert wrong == 16  # every element


def test_of_a_large_result_some_elements_and_a_digest_of_all_are_kept() -> None:
    x = np.arange(COUNT, dtype=np.float32)
    row = {"f": {"args": ["x"], "sample": 7}}
    first = told({"f": lambda x: x + 0}, row, x=x)
    assert (first["f"] == x[::7]).all()
    other = x.copy()
    other[1] += 1  # which is not among the elements that are kept
    second = told({"f": lambda x: x + 0}, row, x=other)
    assert (first["f"] == second["f"]).all()
    assert first["f/digest"] != second["f/digest"]
    assert 0 <= first["f/digest"] < 2**60


def test_a_small_result_is_kept_whole_whatever_the_row_says() -> None:
    found = told({"f": lambda x: x + 0}, {"f": {"args": ["x"], "sample": 7}}, x=X)
    assert found["f"].shape == X.shape
    assert "f/digest" not in found


def test_what_jax_is_given_to_compile_is_one_function_for_all_cells() -> None:
    rows = {
        "sum": {"args": ["x"], "cases": {"axis": {"args": ["m"], "options": {"axis": 1}}, "other": {"args": ["m"]}}}
    }
    inputs = {"x": np.ones(3, np.float32), "m": np.ones((2, 3), np.float32)}
    lines, counts = {"sum": lambda x, axis=None: np.sum(x, axis=axis)}, {}
    for mode in ("jit", "eager"):
        tasks = [Task(rows=rows, inputs=inputs, mode=mode) for _ in range(2)]
        for task in tasks:
            walk.walk(task, lines)
        assert all(task.told["results"] == 3 and task.told["sum/axis"].tolist() == [3, 3] for task in tasks)
        counts[mode] = [task.compiled for task in tasks]
    assert counts == {"jit": [2, 0], "eager": [3, 3]}  # with the option, and without


@dataclass
class Compiled:
    function: object

    def __call__(self, *given):
        return self.function(*given)


@pytest.mark.parametrize("around", [False, True])
def test_a_derivative_is_compiled_or_taken_of_what_is_compiled(around: bool) -> None:
    taken, task = [], Task(rows={"square": {"args": ["x"], "gradient": [0]}}, inputs={"x": np.ones(3, np.float32)})
    marked = []
    task.compile = lambda function: marked.append(function) or Compiled(function)

    def gradient(function, given, _places, _weights):
        taken.append(function)
        return (2 * given[0],)

    walk.walk(task, {"square": np.square}, gradient, around=around)
    assert task.told["square/gradient"].tolist() == [2, 2, 2]
    assert taken == ([Compiled(np.square)] if around else [np.square])
    assert len(marked) == (1 if around else 2)
