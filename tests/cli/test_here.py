"""`run --here`: the cells of one framework in the Python at hand, and what comes of their records."""

import json
import sys
from pathlib import Path

import pytest

from repromatrix.execute import host
from repromatrix.results.store import Store
from tests.cli.conftest import Command, Said

NUMPY = pytest.importorskip("numpy").__version__
HERE = ("run", "--here", "numpy", "--python", sys.executable)
MODULE = """\
def train(task):
    if task.option("loop") == "unrolled":
        raise task.Unavailable("not written for that")
    w = task.tensor("output_weights")
    for _ in range(task.steps):
        w = w * w.dtype.type(0.5)
        task.record({"output": w[0, :1], "loss": w.sum()}, state={"output_weights": w})
    task.finish({"output": w[0, :1]})
"""
CELLS = {"parallel": "ok", "parallel-float32": "ok", "unrolled": "unavailable"}


@pytest.fixture
def fake(tmp_path: Path, monkeypatch):
    """Make a framework of one line importable."""

    def make(name: str, version: str) -> None:
        (tmp_path / "modules").mkdir(exist_ok=True)
        (tmp_path / "modules" / f"{name}.py").write_text(f"__version__ = {version!r}\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))

    return make


def ids(said: Said) -> list[str]:
    return list(json.loads(said.out))


def test_the_cells_of_a_framework_run_in_the_python_at_hand(command: Command) -> None:
    (command.folder / "tiny" / "numpy.py").write_text(MODULE)
    said = command(*HERE, "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out) == {f"tiny/numpy-{NUMPY}-here/{name}": how for name, how in CELLS.items()}
    assert f"here       {sys.executable}: Python 3." in said.err
    assert f", numpy {NUMPY}, " in said.err
    assert command.engine.runs == []
    store = Store(command.folder / "results")
    records, missing = store.records(store.read_manifest())
    assert not missing
    for record in records:
        assert record.pinned is False
        assert (record.provenance.engine, record.provenance.base_kind) == ("here", "here")
        assert record.fingerprint["packages"]["numpy"] == NUMPY
    assert store.read_manifest().profile == "here"


def test_what_was_answered_is_kept_until_something_else_is_installed(command: Command, fake) -> None:
    command(*HERE)
    assert "0 ran now" in command(*HERE).err
    fake("something", "1.0")
    info = command.folder / "modules" / "something-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: something\nVersion: 1.0\n")
    assert "3 ran now" in command(*HERE).err


def test_select_and_label_choose_cells_and_name_them(command: Command) -> None:
    said = command(*HERE, "--select", "unrolled", "--select", "*/*32", "--label", "laptop", "--json")
    assert ids(said) == [f"tiny/numpy-{NUMPY}-laptop/parallel-float32", f"tiny/numpy-{NUMPY}-laptop/unrolled"]


def test_a_pattern_of_the_matrix_includes_and_excludes_here_as_well(command: Command) -> None:
    path = command.folder / "matrix.yaml"
    text = path.read_text().replace("tiny/numpy-2.0-cpu/parallel, settings", '"*/numpy-*/parallel", settings')
    path.write_text(text.replace('"*/numpy-1.0-cpu/unrolled"', '"*/unrolled"'))
    said = command(*HERE, "--select", "parallel", "--select", "unrolled", "--json")
    assert ids(said) == [f"tiny/numpy-{NUMPY}-here/{name}" for name in ("parallel", "parallel+avx2")]
    assert said.code == 0


def test_keras_has_the_variants_of_its_backend(command: Command, fake, monkeypatch, checkout: Path) -> None:
    fake("keras", "3.15.1")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    said = command(
        "run", "--here", "keras", "--python", sys.executable, "--matrix", str(checkout / "matrix.yaml"), "--json"
    )
    assert "keras 3.15.1 on jax" in said.err
    names = {each.rpartition("/")[2] for each in ids(said)}
    assert {"eager", "jit", "jit-float64"} <= names
    assert not names & {"function", "xla"}


def test_the_first_python_on_path_is_taken(command: Command, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "first" / "python").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "first"))
    assert command("run", "--here", "numpy", "--select", "parallel").code == 0
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    said = command("run", "--here", "numpy")
    assert (said.code, "neither python3 nor python on PATH" in said.err) == (2, True)


def test_the_gpu_is_used_where_there_is_one(command: Command, fake, monkeypatch) -> None:
    monkeypatch.setattr(host, "nvidia_devices", lambda: ("NVIDIA H200, 570.86",))
    fake("torch", "3.0")
    asked = ("run", "--here", "torch", "--python", sys.executable, "--json")
    assert ids(command(*asked)) == ["tiny/torch-3.0-here/auto", "tiny/torch-3.0-here/auto@cuda0"]
    assert ids(command(*asked, "--device", "cuda:1")) == ["tiny/torch-3.0-here/auto@cuda1"]


REFUSED = [
    (("--here", "nump"), "no framework 'nump' in matrix.yaml", "did you mean 'numpy'?"),
    (("--here", "numpy", "--engine", "docker"), "--here and --engine do not go together", "leave --engine out"),
    (("--here", "numpy", "--registry", "localhost:1/x"), "--here and --registry do not go", "leave --registry out"),
    (("--here", "numpy", "--profile", "both"), "--here and --profile do not go together", "--select"),
    (("--here", "numpy", "--label", "cpu"), "the label 'cpu' is a flavour of numpy", "--label NAME"),
    (("--here", "numpy", "--label", "../x"), "not a label: '../x'", "lower-case letters"),
    (("--here", "numpy", "--python", "no-such-python"), "no program 'no-such-python'", "--python PATH"),
    (("--here", "numpy", "--device", "cuda:0"), "no NVIDIA device on this machine", "repromatrix doctor"),
    (("--label", "laptop"), "--label goes with --here only", "--here FRAMEWORK --label"),
    (("--python", "python3"), "--python goes with --here only", "--here FRAMEWORK --python"),
    (("--device", "cpu"), "--device goes with --here only", "--here FRAMEWORK --device"),
]


@pytest.mark.parametrize(("arguments", "what", "hint"), REFUSED, ids=[" ".join(each[0]) for each in REFUSED])
def test_what_does_not_go_together_is_refused(command: Command, arguments, what: str, hint: str) -> None:
    said = command("run", *arguments)
    assert said.code == 2
    first, second = said.err.splitlines()[-2:]
    assert what in first
    assert hint in second


def test_nothing_selected_says_which_variants_there_are(command: Command) -> None:
    said = command(*HERE, "--select", "nothing")
    assert said.code == 3
    assert "variants of numpy: parallel, parallel-float32" in said.err


def test_pinned_records_and_those_of_here_make_one_report(command: Command) -> None:
    command("run", "--results", "pinned", "--profile", "default")
    command(*HERE, "--results", "here")
    assert command("merge", "pinned", "here").code == 0
    assert command("report").code == 0
    report = json.loads((command.folder / "report" / "report.json").read_text())
    assert report["summary"]["not_pinned"] == [f"numpy-{NUMPY}-here"]
    assert {each["environment"]: each["pinned"] for each in report["environments"]} == {
        "numpy-1.0-cpu": True,
        "numpy-2.0-cpu": True,
        f"numpy-{NUMPY}-here": False,
    }


def test_two_machines_are_merged_under_two_labels_and_never_under_one(command: Command, monkeypatch) -> None:
    command(*HERE, "--results", "one", "--select", "parallel")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/another/machine")
    command(*HERE, "--results", "two", "--select", "unrolled")  # not even a cell in common
    said = command("merge", "one", "two")
    assert said.code == 2
    assert f"two different environments are named numpy-{NUMPY}-here: one in one, one in two" in said.err
    assert "next: give one of them a name of its own: repromatrix run --here numpy --label NAME" in said.err
    assert not (command.folder / "results").exists()
    command(*HERE, "--results", "three", "--select", "unrolled", "--label", "cluster")
    assert "2 cells from 2 folders, 0 missing" in command("merge", "one", "three").err


def test_the_same_environment_in_two_folders_is_one(command: Command) -> None:
    command(*HERE, "--results", "one", "--select", "parallel")
    command(*HERE, "--results", "two", "--select", "parallel", "--select", "unrolled")
    assert "2 cells from 2 folders, 0 missing" in command("merge", "one", "two").err


def test_the_python_at_hand_is_a_side_of_impact_on_the_side_where_it_stands(command: Command) -> None:
    (command.folder / "tiny" / "numpy.py").write_text(MODULE)
    only = ("--python", sys.executable, "--select", "tiny/*", "--json", "--jobs", "1")
    for sides, before, after in (
        (("numpy==2.0", "--here"), "numpy-2.0-cpu", f"numpy-{NUMPY}-here"),
        (("--here", "numpy==2.0"), f"numpy-{NUMPY}-here", "numpy-2.0-cpu"),
    ):
        said = command("impact", *sides, *only)
        document = json.loads(said.out)
        assert said.code == 1, said.err
        assert (document["looked_at"]["before"], document["looked_at"]["after"]) == (before, after)
        told = {"as it is, not pinned", "made from its lock"}
        assert {(each["a"], each["b"]) == tuple(told) or {each["a"], each["b"]} == told
                for each in document["companions"] if each["name"] == "environment"} == {True}  # fmt: skip
    assert command.engine.runs  # the pinned side ran in the engine, the other one in its own Python


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("numpy==1.0", "numpy==2.0", "--here"), "name one version beside --here"),
        (("numpy==1.0",), "name two versions"),
        (("numpy==1.0", "numpy==2.0", "--python", "python3"), "--python goes with --here only"),
    ],
)
def test_here_stands_in_place_of_one_side(command: Command, arguments: tuple[str, ...], what: str) -> None:
    said = command("impact", *arguments)
    assert said.code == 2
    assert what in said.err
