"""The workload `operations` over real NumPy: what changed between two releases, told with its direction."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from repromatrix.matrix import load
from repromatrix.operations.overview import results
from repromatrix.operations.results import Judge, outputs, unstable
from repromatrix.results.store import Store

ROOT = Path(__file__).parents[2]
OLD, NEW = "numpy-1.26.4-cpu", "numpy-2.4.6-cpu"
BETTER = ("exp", "log", "log1p", "expm1", "exp2", "power", "atan")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the command says as JSON, cell by cell, and the results folder."""
    folder = tmp_path_factory.mktemp("operations") / "results"
    command = [sys.executable, "-m", "repromatrix", "operations", OLD, NEW, "--engine", "process", "--json"]
    done = subprocess.run([*command, "--results", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {cell["cell"]: {each["name"]: each for each in cell["results"]} for cell in found}, Store(folder)


def pair(told, dtype: str):
    suffix = "" if dtype == "float32" else f"-{dtype}"
    return (told[0][f"operations/{name}/default{suffix}"] for name in (OLD, NEW))


@pytest.mark.network
class TestNumpy:
    def test_float64_functions_change_by_little_and_get_better(self, told) -> None:
        old, new = pair(told, "float64")
        for name in BETTER:
            assert new[name]["mean"] < old[name]["mean"]
            assert new[name]["largest"] < old[name]["largest"] <= 2

    def test_the_fourier_transform_of_float32_changes_its_dtype(self, told) -> None:
        old, new = pair(told, "float32")
        assert (old["fft"]["dtype"], new["fft"]["dtype"]) == ("complex128", "complex64")

    def test_what_a_framework_lacks_is_absent_and_nothing_is_wrong_or_broken(self, told) -> None:
        for dtype in ("float32", "float64"):
            for found in pair(told, dtype):
                assert found["erf"] == {"name": "erf", "kind": "absent", "reason": "not in this framework"}
                assert [each["name"] for each in found.values() if each["kind"] == "broken" or each.get("wrong")] == []

    def test_two_records_can_be_compared_element_by_element_from_files_alone(self, told) -> None:
        store = told[1]
        entries = {entry.cell: store.read(entry.cell, entry.key) for entry in store.read_operations().entries}
        old, new = (entries[f"operations/{name}/default-float64"] for name in (OLD, NEW))
        a, b = outputs(store, old)["exp"], outputs(store, new)["exp"]
        assert 0 < (a.numbers() != b.numbers()).sum() < len(a.numbers()) == 4099
        judge = Judge.of(store, new)
        assert judge is not None
        assert judge.errors("exp", b).mean < judge.errors("exp", a).mean
        assert (unstable(old), results(store, new)["exp"].stable) == (frozenset(), True)

    def test_no_value_that_an_operation_names_is_swept(self, told) -> None:
        assert told[1]._digests_of_operations() >= {
            path.name for path in (told[1].folder / "values").rglob("*") if path.is_file()
        }

    def test_the_default_matrix_does_not_run_them(self) -> None:
        assert "operations" not in {each.name for each in load(ROOT / "matrix.yaml").workloads}

    def test_two_cells_are_compared_by_their_ids_result_by_result(self, told) -> None:
        cells = [f"operations/{name}/default-float64" for name in (OLD, NEW)]
        done = asked(told[1], "compare", *cells)
        assert (done.returncode, done.stderr) == (1, "")
        rows = {line.split()[0]: line for line in done.stdout.splitlines()}
        assert set(BETTER) <= set(rows)
        assert rows["exp"].endswith("second")
        assert asked(told[1], "compare", cells[0], cells[0]).returncode == 0
        other = asked(told[1], "compare", cells[0], f"operations/{NEW}/default")
        assert (other.returncode, "in another dtype" in other.stderr) == (2, True)

    def test_the_same_environment_again_beside_busy_processes_gives_the_same_bits(self, told, tmp_path) -> None:
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
        try:
            done = asked(Store(tmp_path), "operations", NEW, "--engine", "process", "--json")
        finally:
            for each in busy:
                each.kill()
                each.wait()
        assert done.returncode == 0, done.stderr
        again = Store(tmp_path)
        for entry in again.read_operations().entries:
            first, second = (store.read(entry.cell, entry.key) for store in (told[1], again))
            assert second.trajectories == first.trajectories
            assert unstable(second) == frozenset()


def asked(store: Store, *words: str) -> subprocess.CompletedProcess[str]:
    """What a command says of a results folder."""
    command = [sys.executable, "-m", "repromatrix", *words, "--results", str(store.folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
