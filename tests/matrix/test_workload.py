"""A workload's folder: what it becomes, and that all that is wrong with it is said at once, each with file and line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from repromatrix.errors import MatrixError
from repromatrix.matrix import Workload, load
from repromatrix.matrix.model import Variant
from repromatrix.matrix.workload import load_workload

PLAIN = """\
format: 1
title: a line through points
steps: 4
batch: 2
metrics: [loss, accuracy]
outputs: [logits]
dtypes: {torch: [bfloat16, float32], "*": [float64, float32]}
numbers: {rate: "0.05", momentum: "0.9"}
inputs:
  x: {shape: [8, 3], draw: normal, scale: "0.5"}
  y: {shape: [8], draw: integers, below: 10, dtype: int32}
  w: {decimal: ["0.1", "0.2", "0.3"], parameter: true}
factors:
  optimizer: [sgd, adam]
  compile: {torch: [eager], torch-inductor: [eager, inductor], jax: [jit, eager], "*": [eager]}
"""
TRAIN = """\
from workload import shared


def train(task):
    for x, y in task.batches("x", "y"):
        shared.step(task, x, y, task.tensor("w"), task.number("rate"), task.option("optimizer"))
"""
MODULES = {"numpy.py": TRAIN, "torch.py": TRAIN, "jax.py": TRAIN, "shared.py": "def step(*given):\n    pass\n"}
WriteWorkload = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> WriteWorkload:
    """Write the plain workload with (old, new) texts of its workload.yaml replaced, and other modules; its folder."""

    def made(*replacements: tuple[str, str], name: str = "line", **modules: str | None) -> Path:
        text = PLAIN
        for old, new in replacements:
            assert text.count(old) == 1, f"{old!r} does not stand once in workload.yaml"
            text = text.replace(old, new)
        folder = tmp_path / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "workload.yaml").write_text(text)
        for file, source in (MODULES | {f"{each}.py": source for each, source in modules.items()}).items():
            if source is not None:
                (folder / file).write_text(source)
        return folder

    return made


@pytest.fixture
def read(write: WriteWorkload) -> Callable[..., Workload]:
    """Read the workload that `write` writes."""
    return lambda *replacements, **modules: load_workload(write(*replacements, **modules), "line")


def told(folder: Path) -> list[tuple[str, str]]:
    """Where and what, for each thing that is wrong."""
    with pytest.raises(MatrixError) as caught:
        load_workload(folder, "line")
    error = caught.value
    head, *entries = error.what.splitlines()
    if not entries:
        assert error.hint
        return [(error.where, error.what)]
    assert head == f"the workload line has {len(entries) // 2} mistakes"
    assert all(hint.startswith("      ") for hint in entries[1::2]), "each has a next step"
    return [tuple(entry.strip().split(": ", 1)) for entry in entries[::2]]


# All that is wrong, at once.


def test_every_mistake_of_a_workload_and_its_modules_is_told_at_once(write) -> None:
    folder = write(
        ("outputs: [logits]", "outputs: [logits, loss]"),
        ('draw: normal, scale: "0.5"', 'draw: normal, high: "2"'),
        ("below: 10, ", ""),
        ('["0.1", "0.2", "0.3"]', '[["0.1", "0.2"], ["0.3"]]'),
        ("{torch: [bfloat16, float32],", "{torhc: [bfloat16, float32],"),
        ("jax: [jit, eager]", "jaxx: [jit, eager]"),
        numpy="def train(task, rate):\n    pass\n",
        torch='def train(task):\n    task.tensor("v")\n    task.number("rat")\n    task.option("optimiser")\n',
        jax='def train(task):\n    return task.batches("x", "z"\n',
        shared="task = None\n\n\nclass Net:\n    def __init__(self, task):\n        self.w = self.task.tensor('W')\n",
    )
    assert told(folder) == [
        ("line/workload.yaml:6", "'loss' is among the metrics already"),
        ("line/workload.yaml:7", "no framework 'torhc' in images/"),
        ("line/workload.yaml:10", "high means nothing for normal"),
        ("line/workload.yaml:11", "integers need `below` and a dtype of their own"),
        ("line/workload.yaml:12", "the rows of 'w' differ in length"),
        ("line/workload.yaml:15", "no framework 'jaxx' in images/"),
        ("line/jax.py:2", "not Python: '(' was never closed"),
        ("line/numpy.py:1", "train takes 2 arguments, expected one: train(task)"),
        ("line/shared.py:6", "task.tensor('W'): workload.yaml has no such name in inputs"),
        ("line/torch.py:2", "task.tensor('v'): workload.yaml has no such name in inputs"),
        ("line/torch.py:3", "task.number('rat'): workload.yaml has no such name in numbers"),
        ("line/torch.py:4", "task.option('optimiser'): workload.yaml has no such name in factors"),
    ]


def test_every_unknown_or_wrong_key_is_told_at_once_and_by_its_line(write) -> None:
    folder = write(
        ("title:", "titel:"),
        ("batch: 2", "batch: two"),
        ("momentum:", "Momentum:"),
        ("{shape: [8, 3], draw: normal,", "{shape: [8, 0], drawn: normal,"),
    )
    assert told(folder) == [
        ("line/workload.yaml:2", "unknown key 'titel' in the file"),
        ("line/workload.yaml:4", "batch must be a whole number, not 'two'"),
        ("line/workload.yaml:8", "numbers: 'Momentum' does not match '^[a-z0-9][a-z0-9._-]{0,62}$'"),
        ("line/workload.yaml:10", "unknown key 'drawn' in inputs.x"),
        ("line/workload.yaml:10", "inputs.x.shape.1: 0 is less than the minimum of 1"),
    ]


WRONG = {
    "no batch, and a module that asks for batches": (
        [("batch: 2\n", "")],
        {"torch": "def train(task):\n    pass\n", "jax": None},
        ("numpy.py:5", "task.batches(), and workload.yaml has no `batch`"),
    ),
    "no train": ([], {"torch": "def trian(task):\n    pass\n"}, ("torch.py:1", "it has no function train(task)")),
    "train in a text only": (
        [],
        {"torch": "title = 'how to train'\n"},
        ("torch.py:1", "it has no function train(task)"),
    ),
    "no module of a framework": (
        [],
        {"numpy": None, "torch": None, "jax": None},
        ("workload.yaml:1", "there is no module for any framework beside it"),
    ),
    "bytes that are no text": ([], {"torch": "\0"}, ("torch.py:1", "not Python: ")),
    "an input too large to travel": (
        [("shape: [8, 3]", "shape: [100000, 1000]")],
        {},
        ("workload.yaml:10", "100,000,000 values"),
    ),
    "a normal draw of whole numbers": (
        [('draw: normal, scale: "0.5"', "draw: normal, dtype: int64")],
        {},
        ("workload.yaml:10", "a normal draw is no int64"),
    ),
    "integers in the cell's dtype": (
        [(", dtype: int32", "")],
        {},
        ("workload.yaml:11", "integers need `below` and a dtype of their own"),
    ),
    "decimal text that is no whole number": (
        [('"0.3"], parameter', '"1"], dtype: int32, parameter'), ('"0.1", "0.2",', '"-2147483648", "2147483648",')],
        {},
        ("workload.yaml:12", "2147483648 is no int32"),
    ),
    "a shape beside the numbers": (
        [("parameter: true", "shape: [3]")],
        {},
        ("workload.yaml:12", "shape means nothing for decimal"),
    ),
    "two cells of one name": (
        [("optimizer: [sgd, adam]", "default: [float16, float32]")],
        {"numpy": "train = None\n", "torch": "train = None\n", "jax": "train = None\n"},
        ("workload.yaml:14", "default=float32 and another cell are both called default-float32"),
    ),
}


@pytest.mark.parametrize(("replacements", "modules", "expected"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_file_and_line(write, replacements, modules, expected) -> None:
    (found,) = told(write(*replacements, **modules))
    assert found[0] == f"line/{expected[0]}"
    assert found[1].startswith(expected[1])


def test_a_folder_without_a_workload_says_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(MatrixError, match="no such file") as caught:
        load_workload(tmp_path, "nothing")
    assert caught.value.hint == "a workload is a folder with workload.yaml and a module per framework"


def test_a_file_that_is_no_text_is_told_by_its_folder(write) -> None:
    folder = write()
    (folder / "torch.py").write_bytes(b"# caf\xe9\n")
    assert told_first(folder) == ("line/torch.py:1", "not UTF-8 text")
    (folder / "workload.yaml").write_bytes(b"format: 1\n# caf\xe9\n")
    assert told_first(folder) == ("line/workload.yaml:2", "not UTF-8 text")
    (folder / "workload.yaml").write_text("format: 1\nsteps: [\n")
    assert told_first(folder)[0].startswith("line/workload.yaml:")


def told_first(folder: Path) -> tuple[str, str]:
    with pytest.raises(MatrixError) as caught:
        load_workload(folder, "line")
    return caught.value.where, caught.value.what


@pytest.mark.parametrize(
    "train", ["from workload.shared import step as train", "train = print", "def train(*given): ..."]
)
def test_train_may_be_imported_assigned_or_take_whatever_it_is_given(read, train: str) -> None:
    assert read(torch=f"{train}\n")


# The cells of a workload that lists no variants.


def named(variants: tuple[Variant, ...]) -> dict[str, tuple[str, dict[str, str]]]:
    return {each.name: (each.dtype, dict(each.options)) for each in variants}


def test_without_variants_the_cells_are_the_defaults_and_each_other_value_alone(read) -> None:
    workload = read(("optimizer: [sgd, adam]", "optimizer: [sgd, adam, lion]\n  layout: [rows, columns]"))
    plain = {"optimizer": "sgd", "layout": "rows", "compile": "jit"}
    assert named(workload.variants("jax", "cpu")) == {
        "default": ("float64", plain),
        "optimizer-adam": ("float64", plain | {"optimizer": "adam"}),
        "optimizer-lion": ("float64", plain | {"optimizer": "lion"}),
        "layout-columns": ("float64", plain | {"layout": "columns"}),
        "compile-eager": ("float64", plain | {"compile": "eager"}),
        "default-float32": ("float32", plain),
    }


def test_factors_and_dtypes_are_by_framework_and_flavour(read) -> None:
    workload = read()
    assert list(named(workload.variants("numpy", "cpu"))) == ["default", "optimizer-adam", "default-float32"]
    on_torch, on_inductor = (named(workload.variants("torch", flavour)) for flavour in ("cpu", "inductor"))
    assert on_torch["default"] == ("bfloat16", {"optimizer": "sgd", "compile": "eager"})
    assert set(on_inductor) - set(on_torch) == {"compile-inductor"}
    assert workload.options("torch", "cpu")["compile"] == ("eager",)
    assert workload.options("torch")["compile"] == ("eager", "inductor")  # of all its flavours


def test_a_factor_that_a_framework_lacks_is_no_option_there(read) -> None:
    workload = read(("optimizer: [sgd, adam]", "optimizer: {torch: [sgd, adam]}"))
    assert named(workload.variants("numpy", "cpu"))["default"] == ("float64", {"compile": "eager"})


def test_dtypes_are_both_common_ones_unless_the_file_says_it(read) -> None:
    workload = read(('dtypes: {torch: [bfloat16, float32], "*": [float64, float32]}\n', ""))
    assert list(named(workload.variants("numpy", "cpu"))) == ["default", "optimizer-adam", "default-float64"]


def test_a_framework_without_a_module_has_no_cells(read) -> None:
    assert read(jax=None).variants("jax", "cpu") == ()
    assert read().variants("tensorflow", "cpu") == ()


def test_where_variants_are_listed_for_a_framework_they_are_its_cells(read) -> None:
    listed = "variants:\n  torch:\n    one: {dtypes: [float32, float64], options: {optimizer: adam}, steps: 2}\n"
    workload = read(("factors:", f"{listed}    two: {{dtypes: [float32], options: {{}}, flavours: [cpu]}}\nfactors:"))
    assert named(workload.variants("torch", "cpu")) == {
        "one": ("float32", {"optimizer": "adam"}),
        "one-float64": ("float64", {"optimizer": "adam"}),
        "two": ("float32", {}),
    }
    assert list(named(workload.variants("torch", "inductor"))) == ["one", "one-float64"]
    assert list(named(workload.variants("numpy", "cpu"))) == ["default", "optimizer-adam", "default-float32"]


# The two digests.

# what changes in workload.yaml, and whether the task is another one by that
EDITS = {
    "title": (("title: a line", "title: the line"), False),
    "steps": (("steps: 4", "steps: 5"), True),
    "batch": (("batch: 2", "batch: 4"), True),
    "metric": (("[loss, accuracy]", "[accuracy, loss]"), True),
    "output": (("outputs: [logits]", "outputs: []"), True),
    "number": (('rate: "0.05"', 'rate: "0.06"'), True),
    "shape": (("shape: [8, 3]", "shape: [6, 4]"), True),
    "draw": (("draw: normal,", "draw: uniform, low: '0', high: '1' }\n  z: {shape: [1], draw: normal,"), True),
    "scale": (('scale: "0.5"', 'scale: "0.25"'), True),
    "range": (("below: 10", "below: 9"), True),
    "decimal": (('"0.2"', '"0.25"'), True),
    "dtype of an input": (("dtype: int32", "dtype: int64"), True),
    "parameter": ((", parameter: true", ""), True),
    "dtypes": (('"*": [float64, float32]', '"*": [float32, float64]'), False),
    "factor": (("[sgd, adam]", "[adam, sgd, lion]"), False),
    "comment": (("factors:", "# a word\nfactors:"), False),
    "order of the numbers": (('{rate: "0.05", momentum: "0.9"}', '{momentum: "0.9", rate: "0.05"}'), False),
}


@pytest.mark.parametrize(("edit", "other"), EDITS.values(), ids=EDITS)
def test_the_task_is_another_one_by_what_decides_the_numbers_and_nothing_else(read, edit, other: bool) -> None:
    plain, edited = read(), read(edit)
    assert (edited.task != plain.task) is other
    assert [edited.code(each) for each in ("numpy", "torch")] == [plain.code(each) for each in ("numpy", "torch")]


def test_the_order_of_the_inputs_does_not_make_another_task(write, read) -> None:
    plain = read()
    lines = PLAIN.splitlines(keepends=True)
    lines[9:12] = reversed(lines[9:12])
    folder = write()
    (folder / "workload.yaml").write_text("".join(lines))
    assert load_workload(folder, "line").task == plain.task


# the file that changes, and the frameworks whose code is another one by that
CODE = {
    "numpy.py": ["numpy"],
    "torch.py": ["torch"],
    "torch_layers.py": ["torch"],
    "shared.py": ["numpy", "torch", "jax"],
    "jaxlike.py": ["numpy", "torch", "jax"],  # begins with no framework's name
    "keras.py": [],
    "tensorflow_layers.py": [],
}


@pytest.mark.parametrize(("file", "frameworks"), CODE.items(), ids=CODE)
def test_an_edit_changes_the_code_of_those_that_get_the_file(read, file: str, frameworks: list[str]) -> None:
    name = file.removesuffix(".py")
    plain = read(**({} if file in MODULES else {name: TRAIN}))
    edited = read(**{name: MODULES.get(file, TRAIN) + "# a word\n"})
    assert [each for each in ("numpy", "torch", "jax") if edited.code(each) != plain.code(each)] == frameworks
    assert edited.task == plain.task


def test_a_module_travels_to_its_framework_and_what_is_shared_to_all(read) -> None:
    workload = read(torch_layers="", keras=TRAIN)
    assert set(workload.modules("torch")) == {"torch.py", "torch_layers.py", "shared.py"}
    assert set(workload.modules("numpy")) == {"numpy.py", "shared.py"}


def test_where_the_folder_lies_and_what_it_is_called_changes_no_digest(write) -> None:
    one, other = (load_workload(write(name=name), name) for name in ("line", "other"))
    assert (one.task, one.code("numpy")) == (other.task, other.code("numpy"))


def test_what_is_no_module_is_no_part_of_the_code(write) -> None:
    before = load_workload(write(), "line").code("numpy")
    folder = write()
    (folder / "README.md").write_text("a line\n")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "numpy.py").write_text("x = 1\n")
    assert load_workload(folder, "line").code("numpy") == before


# A folder anywhere.


@pytest.mark.parametrize("form", ["relative", "above", "absolute"])
def test_a_strangers_folder_is_found_by_its_path(write_matrix, write, tmp_path: Path, form: str) -> None:
    folder = write(name="elsewhere")
    path = write_matrix()
    if form == "above":
        inner = tmp_path / "inner"
        inner.mkdir()
        path = path.rename(inner / "matrix.yaml")
    given = {"relative": "./elsewhere", "above": "../elsewhere", "absolute": str(folder)}[form]
    text = path.read_text()
    path.write_text(
        text.replace("[./tiny]", json.dumps([given]))
        .replace("tiny/", "elsewhere/")
        .replace("parallel, settings", "default, settings")
    )
    path.write_text(path.read_text() + "  bfloat16: {relative: 0, absolute: 0, source: none}\n")
    (workload,) = load(path).workloads
    assert (workload.name, workload.folder, workload.title) == ("elsewhere", folder, "a line through points")


def test_a_workload_of_the_products_own_is_found_by_its_name(write_matrix, checkout: Path) -> None:
    matrix = load(
        write_matrix(
            ("[./tiny]", "[./tiny, mlp]"),
            ("  float16: {rel", "  bfloat16: {relative: 0, absolute: 0, source: none}\n  float16: {rel"),
        )
    )
    assert [each.name for each in matrix.workloads] == ["tiny", "mlp"]
    assert matrix.workloads[1].folder == checkout / "workloads" / "mlp"
