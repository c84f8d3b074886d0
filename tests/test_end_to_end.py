"""The whole way over real NumPy: matrix.yaml -> wheels -> environments -> processes -> records -> report."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def repromatrix(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "repromatrix", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def numpy_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numpy")
    done = repromatrix(*matrix_arguments(folder))
    assert done.returncode == 0, done.stderr
    return folder


def matrix_arguments(folder: Path) -> list[str]:
    places = ["--results", str(folder / "results"), "--output", str(folder / "report")]
    return ["matrix", "--engine", "process", "--select", "numpy-*-cpu", *places]


@pytest.mark.network
class TestNumpyMatrix:
    def test_every_published_numpy_figure_is_reproduced_by_both_versions(self, numpy_run: Path) -> None:
        report = json.loads((numpy_run / "report/report.json").read_text())
        losses = report["published"]["losses"]
        assert losses["total"] == 102
        assert losses["reproduced"] == 22
        assert losses["mismatches"] == []
        by_environment = {each["environment"]: (each["reproduced"], each["total"]) for each in losses["by_environment"]}
        assert by_environment == {"numpy-1.26.4-cpu": (22, 22), "numpy-2.4.6-cpu": (22, 22)}

    def test_every_cell_is_ok_and_exact(self, numpy_run: Path) -> None:
        cells = json.loads((numpy_run / "report/report.json").read_text())["cells"]
        assert Counter(cell["workload"] for cell in cells) == {"mazur": 18, "mlp": 10}
        steps = {"mazur": 10, "mlp": 200}
        for cell in cells:
            assert cell["outcome"] == "ok"
            assert cell["deterministic"] is True
            assert len(cell["losses"]) == (2 if cell["variant"].startswith("unrolled") else steps[cell["workload"]])
            assert all(float.fromhex(text) > 0 for text in cell["losses"])

    def test_a_second_run_runs_nothing_and_writes_the_same_bytes(self, numpy_run: Path) -> None:
        before = {path.name: path.read_bytes() for path in (numpy_run / "report").iterdir()}
        done = repromatrix(*matrix_arguments(numpy_run))
        assert done.returncode == 0, done.stderr
        assert "0 ran now, 0 environments built" in done.stderr
        assert {path.name: path.read_bytes() for path in (numpy_run / "report").iterdir()} == before

    def test_losses_not_run_are_not_called_reproduced(self, numpy_run: Path) -> None:
        places = ["--results", str(numpy_run / "results"), "--output", str(numpy_run / "again")]
        done = repromatrix("report", "--require-published", *places)
        assert done.returncode == 1
        assert "22 of 102 losses" in done.stderr

    def test_a_merge_keeps_every_cell_and_says_so_as_json(self, numpy_run: Path, tmp_path: Path) -> None:
        done = repromatrix("merge", str(numpy_run / "results"), "--results", str(tmp_path), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"cells": 28, "missing": [], "unfinished": [], "remarks": []}

    def test_the_published_columns_differ_where_the_document_says_so(self, numpy_run: Path) -> None:
        cells = {cell["id"]: cell for cell in json.loads((numpy_run / "report/report.json").read_text())["cells"]}
        parallel = cells["mazur/numpy-2.4.6-cpu/parallel"]["losses"]
        sequential = cells["mazur/numpy-2.4.6-cpu/sequential"]["losses"]
        unrolled = cells["mazur/numpy-2.4.6-cpu/unrolled"]["losses"]
        assert parallel[0] == sequential[0]
        assert all(a != b for a, b in zip(parallel[1:], sequential[1:], strict=True))
        assert unrolled == parallel[:2]


@pytest.mark.network
def test_impact_names_what_an_upgrade_changes(tmp_path: Path) -> None:
    arguments = ["--engine", "process", "--results", str(tmp_path / "results"), "--json"]
    done = repromatrix("impact", "numpy==1.26.4", "numpy==2.4.6", *arguments)
    document = json.loads(done.stdout)
    rows = document["training"]
    changed = {(row["workload"], row["variant"]) for row in rows if row["verdict"] != "identical"}
    assert done.returncode == (1 if changed or document["verdict"] != "no difference seen" else 0)
    assert Counter(row["workload"] for row in rows) == {"mazur": 9, "mlp": 5}
    for row in rows:
        same = row["verdict"] == "identical"
        assert (row["first_step"] is None) == (row["first_value"] is None) == same
        assert (row["max_ulp"] == 0) == same


@pytest.mark.network
def test_exec_runs_a_program_of_ones_own_in_an_environment_and_gives_its_exit_code(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text("import sys, numpy\nprint(numpy.__version__, *sys.argv[1:])\nsys.exit(7)\n")
    done = repromatrix("exec", "numpy-1.26.4-cpu", "--", "python", str(program), "--epochs", "3")
    assert (done.returncode, done.stdout) == (7, "1.26.4 --epochs 3\n")


@pytest.mark.network
def test_bisect_finds_the_release_in_which_exp_changed(tmp_path: Path) -> None:
    arguments = ["--engine", "process", "--results", str(tmp_path / "results"), "--json"]
    done = repromatrix("bisect", "numpy", "1.26.4", "2.0.2", "--on", "operation:exp:float64", *arguments)
    document = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert [(each["last"], each["first"], each["confirmed"]) for each in document["changes"]] == [
        ("1.26.4", "2.0.0", True)
    ]


@pytest.mark.network
def test_a_bisection_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path: Path) -> None:
    places = ["--engine", "process", "--results", str(tmp_path / "results"), "--json"]
    command = [sys.executable, "-m", "repromatrix", "bisect", "numpy", "1.26.4", "2.0.2", *places]
    command += ["--on", "operation:exp:float64"]
    kept: dict[Path, int] = {}
    for word in ("releases", "tried      1.26.4", "tried      2.0.2"):  # each time it has come a release further
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert any(line.startswith(word) for line in process.stderr), word
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.stderr.close()
        found = {path: path.stat().st_mtime_ns for path in (tmp_path / "results" / "records").rglob("*.json")}
        assert kept.items() <= found.items()  # what was there is not run again
        kept = found
    assert len(kept) >= 2
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    (change,) = json.loads(done.stdout)["changes"]
    assert (done.returncode, change["last"], change["first"], change["confirmed"]) == (0, "1.26.4", "2.0.0", True)
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())


@pytest.mark.network
def test_cell_prints_its_record_alone_on_standard_output(tmp_path: Path) -> None:
    done = repromatrix("cell", "mazur/numpy-2.4.6-cpu/parallel", "--engine", "process", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["cell"]["id"] == "mazur/numpy-2.4.6-cpu/parallel"
    assert len(record["trajectories"]) == 1
    assert record["fingerprint"]["packages"]["numpy"] == "2.4.6"


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("environment", ["numpy-2.4.6-cpu", "torch-2.13.0-cpu", "jax-0.10.2-cpu"])
def test_both_engines_give_the_same_bits(environment: str, tmp_path: Path) -> None:
    trajectories = []
    for engine in ("process", "docker"):
        folder = tmp_path / engine
        done = repromatrix("run", "--engine", engine, "--select", environment, "--results", str(folder))
        assert done.returncode == 0, done.stderr
        records = [json.loads(path.read_text()) for path in sorted(folder.glob("records/**/*.json"))]
        assert all(record["outcome"] == "ok" for record in records)
        trajectories.append({record["cell"]["id"]: record["trajectories"] for record in records})
    assert trajectories[0] == trajectories[1]
    assert len(trajectories[0]) >= 9
