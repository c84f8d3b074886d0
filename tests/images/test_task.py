"""What a workload's module is given and what becomes of what it records, by way of a tiny framework of lists."""

import base64
import struct
import sys
from array import array
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class Adapter:
    """A framework whose tensors are arrays of float64; `sorts`: whether a compiled step sorts the names of a dict."""

    def __init__(self, harness: SimpleNamespace, *, sorts: bool = True) -> None:
        self.harness, self.sorts = harness, sorts
        self.made: list[tuple[tuple[int, ...], str]] = []
        self.compiled: list[str] = []
        self.came_out: list[list[str]] = []

    def tensor(self, given: Any, device: str) -> array:
        self.made.append((given.shape, device))
        return array("d", self.harness.values.numbers(given.dtype, given.data))

    def value(self, tensor: Any) -> Any:
        if not isinstance(tensor, array):
            raise TypeError("no array")
        return self.harness.values.Value("float64", (len(tensor),), tensor.tobytes())

    def compile(self, function: Any, mode: str) -> Any:
        self.compiled.append(mode)

        def run(*arguments: Any) -> Any:
            result = function(*arguments)
            if not isinstance(result, tuple):
                return result
            state, values = result
            self.came_out.append(list(values))
            return state, dict(sorted(values.items())) if self.sorts else values

        return run


@pytest.fixture
def make(harness):
    """Make a task of two steps, with other fields of its cell; `told` is what it emits."""

    def made(**changes: Any) -> SimpleNamespace:
        inputs = changes.pop("inputs", {"w": [1.0, 2.0], "x": [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]})
        given = {name: packed(harness, rows) for name, rows in inputs.items()}
        words = {"id": "c", "device": "cpu", "workload": "tiny:1", "steps": 2, "batch": 2, "dtype": "float64"}
        words |= {"options": {"mood": "good"}, "numbers": {"rate": 0.1}, "inputs": given, "trace": False}
        words |= {"metrics": ("loss",), "outputs": (), "fetch": frozenset()}
        told: list[dict[str, Any]] = []
        adapter = Adapter(harness, sorts=changes.pop("sorts", True))
        task = harness.task.Task(harness.job.Cell(**words | changes), adapter, told.append)
        return SimpleNamespace(task=task, adapter=adapter, told=told)

    return made


def packed(harness, rows):
    flat = [each for row in rows for each in (row if isinstance(row, list) else [row])]
    shape = (len(rows), len(rows[0])) if isinstance(rows[0], list) else (len(rows),)
    return harness.job.Input("float64", shape, struct.pack(f"<{len(flat)}d", *flat))


def names(told):
    """What was told: (step, name, role), in order."""
    return [(line["step"], entry[0], entry[1]) for line in told for entry in line["values"]]


@pytest.fixture
def wrong(harness):
    """What is raised where a module is wrong."""
    return harness.modules.WorkloadError


# What it is given.


def test_a_module_asks_for_tensors_numbers_and_options_by_name(make) -> None:
    made = make(device="cuda:1")
    assert list(made.task.tensor("w")) == [1.0, 2.0]
    assert made.adapter.made == [((2,), "cuda:1")]
    assert (made.task.number("rate"), made.task.option("mood")) == (0.1, "good")
    assert (made.task.steps, made.task.dtype, made.task.device, made.task.traced) == (2, "float64", "cuda:1", False)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("tensor", "no 'v' among the inputs of workload.yaml: w, x"),
        ("batches", "no 'v' among the inputs of workload.yaml: w, x"),
        ("number", "no 'v' among the numbers of workload.yaml: rate"),
        ("option", "no 'v' among the factors of workload.yaml: mood"),
    ],
)
def test_a_name_that_workload_yaml_has_not_is_told_with_those_that_it_has(make, wrong, method, message) -> None:
    with pytest.raises(wrong, match=message):
        list(getattr(make().task, method)("v"))


def test_batches_come_in_the_order_of_the_rows_and_begin_again_after_the_last_whole_one(make) -> None:
    made = make(steps=5)
    got = [list(each) for each in made.task.batches("x")]
    first, second = [0, 1, 2, 3], [4, 5, 6, 7]  # the fifth row is no whole batch
    assert got == [first, second, first, second, first]
    assert made.adapter.made == [((2, 2), "cpu")] * 2, "each batch is made once"


def test_batches_of_several_inputs_come_as_tuples_with_a_batch_a_step(make) -> None:
    made = make(steps=3, inputs={"x": [[0, 1], [2, 3], [4, 5], [6, 7]], "y": [0, 1, 2, 3]})
    got = [(list(x), list(y)) for x, y in made.task.batches("x", "y")]
    assert got == [([0, 1, 2, 3], [0, 1]), ([4, 5, 6, 7], [2, 3]), ([0, 1, 2, 3], [0, 1])]


@pytest.mark.parametrize(
    ("changes", "asked", "message"),
    [
        ({"batch": 0}, ("x",), "needs names of inputs, and `batch` in workload.yaml"),
        ({}, (), "needs names of inputs, and `batch` in workload.yaml"),
        ({"batch": 6}, ("x",), "no common number of batches of 6 rows: x has 5 rows"),
        ({}, ("x", "w"), "no common number of batches of 2 rows: x has 5 rows, w has 2 rows"),
    ],
)
def test_batches_that_cannot_be_made_are_told(make, wrong, changes, asked, message) -> None:
    with pytest.raises(wrong, match=message):
        list(make(**changes).task.batches(*asked))


# What it records.


def test_values_are_told_in_the_order_of_the_computation_with_their_roles(make) -> None:
    made = make(trace=True, outputs=("output",))
    for step in (1.0, 2.0):
        values = {"z": step, "output": array("d", [step]), "loss": step, "a": step}
        made.task.record(values, state={"w": array("d", [step]), "b": step})
    each = [("z", "trace"), ("output", "output"), ("loss", "metric"), ("a", "trace"), ("w", "state"), ("b", "state")]
    assert names(made.told) == [(step, *entry) for step in (1, 2) for entry in each]
    assert {line["id"] for line in made.told} == {"c"}
    assert made.task.ended() == {}


def test_untraced_only_metrics_outputs_and_the_last_state_are_told(make) -> None:
    made = make(outputs=("output",))
    for step in (1.0, 2.0):
        made.task.record({"z": step, "output": step, "loss": step}, state={"w": step})
    assert names(made.told) == [
        (1, "output", "output"), (1, "loss", "metric"), (2, "output", "output"), (2, "loss", "metric"),
        (2, "w", "state"),
    ]  # fmt: skip
    assert made.told[1]["values"][1] == ["loss", "metric", "float64", [], [(2.0).hex()]]


def test_wants_says_what_is_asked_for(make) -> None:
    plain, traced = (make(trace=trace, outputs=("output",)).task for trace in (False, True))
    assert [name for name in ("loss", "output", "z") if plain.wants(name)] == ["loss", "output"]
    traced.untraced(["z", "y"], "computed in one kernel")
    traced.untraced("x", "never computed")
    assert [name for name in ("loss", "output", "z", "y", "x", "a") if traced.wants(name)] == ["loss", "output", "a"]


def test_what_cannot_be_traced_is_left_out_and_told_with_its_reason_in_traced_runs_only(make) -> None:
    for trace, told in ((True, {"z": "computed in one kernel"}), (False, {})):
        made = make(trace=trace)
        made.task.untraced("z", "computed in one kernel")
        for _ in range(2):
            made.task.record({"z": 1.0, "loss": 1.0})
        assert names(made.told) == [(1, "loss", "metric"), (2, "loss", "metric")]
        assert made.task.ended() == told


def test_an_output_after_the_last_update_is_that_of_one_step_more(make) -> None:
    made = make(outputs=("output",))
    for _ in range(2):
        made.task.record({"loss": 1.0})
    made.task.finish({"output": array("d", [3.0])})
    assert names(made.told)[-1] == (3, "output", "output")
    assert made.task.ended() == {}


def test_a_metric_may_be_a_whole_number_or_a_tensor_of_one_element(make) -> None:
    made = make()
    made.task.record({"loss": array("d", [0.5])})
    made.task.record({"loss": 2})
    entries = [line["values"][0] for line in made.told]
    assert entries == [["loss", "metric", "float64", [], [each.hex()]] for each in (0.5, 2.0)]


def test_bits_are_sent_along_where_they_were_asked_for(make) -> None:
    made = make(outputs=("output",), fetch=frozenset({(2, "output"), (2, "w")}))
    for step in (1.0, 2.0):
        made.task.record({"output": array("d", [step] * 20), "loss": step}, state={"w": array("d", [step])})
    found = {(line["step"], entry[0]): entry[5:] for line in made.told for entry in line["values"]}
    assert found.pop((2, "output")) == [base64.b64encode(struct.pack("<20d", *[2.0] * 20)).decode()]
    assert found.pop((2, "w")) == [base64.b64encode(struct.pack("<d", 2.0)).decode()]
    assert set(map(tuple, found.values())) == {()}


def recorded(*steps, finish=None, **state):
    """A module that records these values, step by step."""

    def train(task):
        for values in steps:
            task.record(values, **state)
        if finish is not None:
            task.finish(finish)
        task.ended()

    return train


ONE = {"loss": 1.0}
WRONG = {
    "a metric that is missing": (
        recorded({"los": 1.0, "z": 2.0}),
        "step 1 records no 'loss', which is among the metrics of workload.yaml: it has 'los', 'z'",
    ),
    "nothing at all": (recorded({}), "step 1 records no 'loss', .*: it has nothing"),
    "a step too many": (recorded(ONE, ONE, ONE), "step 3 is recorded, and workload.yaml says 2 steps"),
    "a step too few": (recorded(ONE), "1 steps are recorded where 2 are due"),
    "an end before the last step": (recorded(ONE, finish={}), "once, after the last step: 1 steps are recorded"),
    "two ends": (
        lambda task: (recorded(ONE, ONE, finish={})(task), task.finish({})),
        "once, after the last step: 2 steps are recorded",
    ),
    "an end with what is no output": (recorded(ONE, ONE, finish={"z": 1.0}), "'z' is no output of workload.yaml"),
    "a metric of several elements": (
        recorded({"loss": array("d", [1.0, 2.0])}),
        r"step 1: the metric 'loss' has shape \[2\], expected one number",
    ),
    "another shape at another step": (
        recorded({**ONE, "out": array("d", [1.0])}, {**ONE, "out": array("d", [1.0, 2.0])}),
        r"step 2: 'out' is float64\[2\], and was float64\[1\] before",
    ),
    "text in place of a tensor": (recorded({"loss": "0.5"}), "'loss' is a str, expected a tensor or a number"),
    "a list in place of a tensor": (recorded({"loss": [0.5]}), "'loss' is a list, expected a tensor or a number"),
    "what the framework does not know": (
        recorded({"loss": object()}),
        r"'loss' is object, expected a tensor or a number \(no array\)",
    ),
}


@pytest.mark.parametrize(("train", "message"), WRONG.values(), ids=WRONG)
def test_a_mistake_of_a_module_is_told_in_its_own_words(make, wrong, train, message) -> None:
    with pytest.raises(wrong, match=message):
        train(make(trace=True).task)


def test_an_output_that_no_step_records_is_told(make, wrong) -> None:
    made = make(outputs=("output",))
    for _ in range(2):
        made.task.record(ONE)
    with pytest.raises(wrong, match="no step records 'output', which is among the outputs"):
        made.task.ended()


# What is compiled.


def step(w, x):
    return w + x, {"z": x, "loss": w, "grad": x, "a": w}


def test_eager_is_the_function_itself(make) -> None:
    for options in ({}, {"compile": "eager"}):
        made = make(options=options)
        assert made.task.compile(step) is step
        assert made.adapter.compiled == []


def test_of_a_compiled_step_only_what_is_asked_for_comes_out(make) -> None:
    made = make(options={"compile": "jit"}, outputs=("a",))
    state, values = made.task.compile(step)(1.0, 2.0)
    assert (state, values) == (3.0, {"loss": 1.0, "a": 1.0})
    assert made.adapter.compiled == ["jit"]
    assert made.adapter.came_out == [["loss", "a"]]


def test_of_a_traced_compiled_step_all_comes_out_but_what_is_said_to_change_it(make) -> None:
    made = make(options={"compile": "jit"}, trace=True)
    made.task.untraced("grad", "it would not be fused")
    made.task.compile(step)(1.0, 2.0)
    assert made.adapter.came_out == [["z", "loss", "a"]]


@pytest.mark.parametrize("sorts", [True, False])
def test_values_of_a_compiled_step_are_told_in_the_order_of_the_computation(make, sorts) -> None:
    made = make(options={"compile": "jit"}, trace=True, sorts=sorts)
    compiled, w = made.task.compile(step), 1.0
    for _ in range(2):
        w, values = compiled(w, 2.0)
        made.task.record(values, state={"w": w})
    assert [name for _, name, _ in names(made.told)] == ["z", "loss", "grad", "a", "w"] * 2


@dataclass(frozen=True)
class Rule:
    rate: float


def scaled(rule, kind, w, x):
    return w + rule.rate * x, {"z": x, "loss": w, "a": w, "kind": len(kind)}


def test_cells_that_give_equal_constants_share_what_is_compiled(make) -> None:
    first, second = (make(options={"compile": "jit"}, trace=True) for _ in range(2))
    for each in (first, second):
        compiled, w = each.task.compile(scaled, Rule(0.5), "own"), 1.0
        for _ in range(2):
            w, values = compiled(w, 2.0)
            each.task.record(values, state={"w": w})
    assert (first.adapter.compiled, second.adapter.compiled) == (["jit"], [])
    assert second.told == first.told
    assert [name for _, name, _ in names(second.told)] == ["z", "loss", "a", "kind", "w"] * 2


@pytest.mark.parametrize(
    ("changes", "constants"),
    [
        ({}, (Rule(-0.0), "own")),
        ({}, (Rule(0.0), "another")),
        ({"trace": True}, (Rule(0.0), "own")),
        ({"outputs": ("a",)}, (Rule(0.0), "own")),
        ({"dtype": "float32"}, (Rule(0.0), "own")),
        ({"device": "cuda:0"}, (Rule(0.0), "own")),
    ],
)
def test_what_is_not_the_same_is_compiled_anew(make, changes, constants) -> None:
    made = make(options={"compile": "jit"})
    made.task.compile(scaled, Rule(0.0), "own")
    other = make(options={"compile": "jit"}, **changes)
    other.task.compile(scaled, *constants)
    assert other.adapter.compiled == ["jit"]


def test_without_constants_nothing_is_shared(make) -> None:
    for made in (make(options={"compile": "jit"}), make(options={"compile": "jit"})):
        made.task.compile(step)
        assert made.adapter.compiled == ["jit"]


def test_an_eager_function_is_given_its_constants(make) -> None:
    assert make().task.compile(scaled, Rule(0.5), "own")(1.0, 2.0)[0] == 2.0


def test_a_tensor_is_no_constant(make, wrong) -> None:
    made = make(options={"compile": "jit"})
    with pytest.raises(wrong, match=r"task\.compile\(\) takes numbers and texts as constants: array is neither"):
        made.task.compile(scaled, [made.task.tensor("w")])


def test_a_compiled_function_that_is_no_step_is_left_as_it_is(make) -> None:
    made = make(options={"compile": "jit"})
    assert made.task.compile(lambda x: x * 2)(2.0) == 4.0


# Who is to blame.


def files(harness, **sources):
    code = harness.job.Code("tiny", {f"{name}.py": text for name, text in sources.items()}, {})
    return harness.modules.Modules({"tiny:1": code}, "fake")


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        ({"fake": "def train(task):\n    task.tensor('v')\n"}, "tiny/fake.py:2: no 'v' among the inputs"),
        ({"fake": "def train(task):\n    return 1 / 0\n"}, "tiny/fake.py:2: ZeroDivisionError: division by zero"),
        (
            {
                "fake": "from workload import deep\n\n\ndef train(task):\n    deep.fail()\n",
                "deep": "def fail():\n    [][1]\n",
            },
            "tiny/deep.py:2: IndexError: list index out of range",
        ),
        (
            {"fake": "import json\n\n\ndef train(task):\n    json.loads('?')\n"},
            "tiny/fake.py:5: JSONDecodeError: Expecting",
        ),
        ({"fake": "def train(task:\n"}, "tiny/fake.py:1: SyntaxError: "),
        ({"fake": "x = 1\n"}, "fake.py has no function train(task)"),
        ({"fake": "train = 1\n"}, "fake.py has no function train(task)"),
    ],
)
def test_a_mistake_is_blamed_on_the_innermost_line_of_the_workload(harness, make, sources, reason) -> None:
    modules = files(harness, **sources)
    with pytest.raises(Exception, match=r".") as caught:
        harness.modules.function_of(modules.take("tiny:1"), "train")(make().task)
    assert harness.modules.blamed(caught.value, modules.folders["tiny:1"], "tiny").startswith(reason)


def test_where_no_line_of_the_workload_was_under_way_the_error_stands_alone(harness) -> None:
    assert harness.modules.blamed(ValueError("too bad\nmore"), None, "tiny") == "ValueError: too bad"


def test_a_module_may_be_called_as_what_it_imports(harness, make) -> None:
    modules = files(
        harness, fake="import json\n\n\ndef train(task):\n    return json.dumps(1)\n", json="raise OSError\n"
    )
    assert modules.take("tiny:1").train(make().task) == "1"
    assert modules.take("tiny:1") is modules.take("tiny:1")


def test_a_workload_without_a_module_for_the_framework_is_unavailable(harness) -> None:
    with pytest.raises(harness.job.Unavailable, match=r"the workload tiny has no fake\.py"):
        files(harness, other="").take("tiny:1")


# What it attempts.


def test_an_attempt_is_an_output_of_the_step_under_way_and_large_ones_come_with_their_bits(make) -> None:
    made = make(steps=1)
    large = array("d", [2.0] * 20)
    assert made.task.attempt("a", lambda: array("d", [1.0]))
    assert made.task.attempt("b", lambda: {"b/x": large, "b/y": array("d", [3.0])})
    made.task.record({"loss": 1.0})
    assert names(made.told) == [(1, "a", "output"), (1, "b/x", "output"), (1, "b/y", "output"), (1, "loss", "metric")]
    sent = {entry[0]: entry[5:] for line in made.told for entry in line["values"]}
    assert sent == {"a": [], "b/x": [base64.b64encode(large.tobytes()).decode()], "b/y": [], "loss": []}
    assert (made.task.ended(), made.task.lost()) == ({}, {})


def test_what_goes_wrong_in_an_attempt_costs_only_that_attempt(make) -> None:
    made = make(steps=1)

    def lacking():
        raise made.task.Unavailable("not in this version")

    def failing():
        raise ValueError("at 0x7f00deadbeef of /tmp/some-run/file.py\nand more")

    assert not made.task.attempt("a", lacking)
    assert not made.task.attempt("b", failing)
    assert not made.task.attempt("c", lambda: [1.0])
    assert made.task.attempt("d", lambda: array("d", [1.0]))
    assert not made.task.attempt("d", lambda: array("d", [1.0]))
    made.task.absent("e", "no such thing")
    made.task.record({"loss": 1.0})
    lost = made.task.lost()
    assert lost["absent"] == {"a": "not in this version", "e": "no such thing"}
    assert lost["broken"]["b"] == "ValueError: at 0x... of file.py"
    assert "is a list, expected a tensor or a number" in lost["broken"]["c"]
    assert "recorded a second time" in lost["broken"]["d"]
    assert names(made.told) == [(1, "d", "output"), (1, "loss", "metric")]


def test_torch_compile_forgets_the_modules_of_the_workload_before(harness, monkeypatch) -> None:
    forgotten = []
    fakes = {name: ModuleType(name) for name in ("torch._dynamo", "torch._dynamo.symbolic_convert", "shared")}
    fakes["torch._dynamo"].reset = lambda: forgotten.append("code")
    convert = fakes["torch._dynamo.symbolic_convert"]
    convert._import_module = SimpleNamespace(cache_clear=lambda: forgotten.append("modules"))
    fakes["shared"].__import_workload_dot_torch = fakes["shared"].__import_torch = object()
    for name, module in fakes.items():
        monkeypatch.setitem(sys.modules, name, module)
    modules = harness.modules.Modules({}, "fake")
    modules.codes = {key: SimpleNamespace(files={}, name=key) for key in ("one:1", "two:2")}
    modules.show("one:1")
    modules.show("two:2")
    assert set(forgotten) == {"code", "modules"}
    assert not hasattr(fakes["shared"], "__import_workload_dot_torch")
    assert hasattr(fakes["shared"], "__import_torch")
