"""Two cells of a perceptron on batches: which operation makes them differ, and at which step, in real environments."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.asked import ROOT
from tests.test_stranger import repromatrix

MATRIX = """\
format: 1
environments:
  - {framework: numpy, flavour: cpu, versions: [2.4.6], packages: ["numpy=={version}"]}
  - {framework: jax, flavour: cpu, versions: [0.10.2], packages: ["jax=={version}", "jaxlib=={version}"]}
  - framework: torch
    flavour: cpu
    versions: [2.13.0]
    packages: ["torch=={version}+cpu", "numpy==2.4.6"]
    index: https://download.pytorch.org/whl/cpu
workloads: [./small, ./turned]
settings: {default: {threads: 1}}
profiles: {default: {environments: ["*"]}}
tolerances:
  float64: {relative: 1.0e-7, absolute: 1.0e-7, source: somebody}
  float32: {relative: 1.3e-6, absolute: 1.0e-5, source: somebody}
  bfloat16: {relative: 1.6e-2, absolute: 1.0e-5, source: somebody}
noise: {members: 2}
"""
# Two differences that nothing but one operation makes: a sum over the batch from its last row on, and a bias that is
# added a little too large, which shows from step 2 on as it is zero before.
CHANGED = {
    "def train(task):\n": "OWN = {}\n\n\ndef train(task):\n    OWN.update(task.cell.options)\n",
    "def operations(task):\n": "def operations(task):\n    OWN.update(task.cell.options)\n",
    "    return d.sum(axis=0)\n": "    return (d[::-1] if OWN['sums'] == 'turned' else d).cumsum(axis=0)[-1]\n",
    "    return p + b\n": "    return p + (b * b.dtype.type(1.001) if OWN['biases'] == 'larger' else b)\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A matrix with a small mlp, and with one whose sums over a batch go the other way with an option."""
    place = tmp_path_factory.mktemp("mlp")
    (place / "matrix.yaml").write_text(MATRIX)
    shutil.copytree(ROOT / "bench/workloads/mlp-small", place / "small")
    (place / "locks").mkdir()
    for lock in (ROOT / "images").glob("*/locks/*-cpu.txt"):
        shutil.copy(lock, place / "locks")
    base = os.path.relpath(ROOT / "workloads/mlp", place / "small")
    told = (place / "small/workload.yaml").read_text().replace("../../../workloads/mlp", base)
    (place / "small/workload.yaml").write_text(told)
    (place / "turned").mkdir()
    factors = "factors: {sums: [straight, turned], biases: [plain, larger]}\n"
    (place / "turned/workload.yaml").write_text(told.replace("inputs:\n", f"{factors}inputs:\n"))
    module = (ROOT / "workloads/mlp/numpy.py").read_text()
    for old, new in CHANGED.items():
        assert module.count(old) == 1, old
        module = module.replace(old, new)
    (place / "turned/numpy.py").write_text(module)
    return place


def explained(folder: Path, a: str, b: str) -> dict:
    done = repromatrix(folder, "explain", a, b, "--engine", "process", "--json", "--budget", "4")
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def sources(operations: dict) -> dict[str, str]:
    return {each["place"]: each["operation"] for each in operations["places"] if each["differing"]}


@pytest.mark.network
class TestPairs:
    def test_one_operation_that_computes_otherwise_is_named_alone_with_its_option(self, folder: Path) -> None:
        found = explained(folder, "turned/numpy-2.4.6-cpu/default", "turned/numpy-2.4.6-cpu/sums-turned")
        operations = found["operations"]
        assert "is caused by sums: flipped alone it leaves the same bits" in found["sentence"]
        assert found["before"]["max_abs"] > 0
        assert operations["separable"] is True
        assert set(sources(operations).values()) == {"bias_gradient"}
        assert operations["sentence"].startswith("bias_gradient differs on the same inputs (at grad/b2")
        assert operations["wiring"] == []
        (how,) = (each for each in operations["operations"] if each["operation"] == "bias_gradient")
        assert (how["a"]["forms"], how["a"]["tried"]) == ([], 0)  # no form of it is known, and none is said
        assert how["fresh_differing"] > 0

    @pytest.mark.parametrize(("option", "step", "places"), [
        ("sums-turned", 1, {"grad/b2", "grad/b1"}), ("biases-larger", 2, {"hidden_pre", "logits"}),
    ])  # fmt: skip
    def test_it_is_the_first_step_that_differs_which_is_replayed(
        self, folder: Path, option: str, step: int, places: set[str]
    ) -> None:
        found = explained(folder, "turned/numpy-2.4.6-cpu/default", f"turned/numpy-2.4.6-cpu/{option}")["operations"]
        assert found["step"] == step
        assert sources(found).keys() == places
        for example in (each["example"] for each in found["places"] if each["example"]):
            assert example["step"] == step
            assert example["a"]["value"]["bits"] != example["b"]["value"]["bits"]
            assert example["correct"] is not None

    def test_an_example_has_the_numbers_that_the_element_is_computed_from(self, folder: Path) -> None:
        found = explained(folder, "turned/numpy-2.4.6-cpu/default", "turned/numpy-2.4.6-cpu/sums-turned")["operations"]
        example = next(each["example"] for each in found["places"] if each["example"])
        (index,) = example["index"]
        assert [name for name, _ in example["inputs"]] == [f"d[{row}][{index}]" for row in range(8)]

    @pytest.mark.parametrize("variant", ["optimizer-adam"])
    def test_pytorch_against_numpy_gives_both_steps_back_operation_by_operation(
        self, folder: Path, variant: str
    ) -> None:
        torch = explained(folder, f"small/numpy-2.4.6-cpu/{variant}", f"small/torch-2.13.0-cpu/{variant}")["operations"]
        assert torch["reason"] is None
        assert torch["separable"] is True, torch["sentence"]
        assert sources(torch)
        assert torch["wiring"] == []

    def test_jax_eager_against_numpy(self, folder: Path) -> None:
        found = explained(folder, "small/numpy-2.4.6-cpu/default", "small/jax-0.10.2-cpu/compile-eager")
        operations = found["operations"]
        assert operations["separable"] is True, operations["sentence"]
        assert sources(operations)
        assert operations["right"]["cell"].startswith("small/jax-0.10.2-cpu/")

    def test_steps_of_unequal_operations_are_told_as_that(self, folder: Path) -> None:
        found = explained(folder, "small/numpy-2.4.6-cpu/default", "small/numpy-2.4.6-cpu/optimizer-adam")
        operations = found["operations"]
        others = {each["place"]: each["other"] for each in operations["places"] if each["other"] is not None}
        assert "is caused by optimizer" in found["sentence"]
        assert others == dict.fromkeys(("w1", "b1", "w2", "b2"), "adam_update")
        assert sources(operations) == {}
        assert "of other operations are w1 (update against adam_update)" in operations["sentence"]
