"""Somebody's own job, written after docs/workloads.md and kept outside of the repository, goes the whole way."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from repromatrix.results.record import Record
from repromatrix.results.store import Store

ROOT = Path(__file__).parent.parent
MATRIX = """\
format: 1
environments:
  - {framework: numpy, flavour: cpu, versions: [1.26.4, 2.4.6], packages: ["numpy=={version}"]}
workloads: [WORKLOAD]
settings: {default: {threads: 1}}
profiles: {default: {environments: ["*"]}}
tolerances:
  float64: {relative: 1.0e-7, absolute: 1.0e-7, source: the stranger}
  float32: {relative: 1.3e-6, absolute: 1.0e-5, source: the stranger}
  float16: {relative: 1.0e-3, absolute: 1.0e-5, source: the stranger}
noise: {members: 2}
"""
WORKLOAD = """\
format: 1
title: a recurrent cell that learns to foretell its own sequence
steps: 6
batch: 8
metrics: [loss, gradient_norm, memory]
outputs: [foretold]
dtypes: [float64, float32]
numbers: {rate: "0.05", friction: "0.9"}
inputs:
  sequence: {shape: [64, 3], draw: normal}
  into: {shape: [3, 5], draw: normal, scale: "0.4", parameter: true}
  across: {shape: [5, 5], draw: normal, scale: "0.4", parameter: true}
  out: {shape: [5, 3], draw: uniform, low: "-0.5", high: "0.5", parameter: true}
factors:
  momentum: [heavy, nesterov]
"""
MODULE = """\
import numpy as np


def train(task):
    weights = [task.tensor(name) for name in ("into", "across", "out")]
    speeds = [np.zeros_like(each) for each in weights]
    kind = weights[0].dtype.type
    rate, friction = kind(task.number("rate")), kind(task.number("friction"))
    for rows in task.batches("sequence"):
        memories, foretold, loss = listen(rows, *weights)
        gradients = learn(rows, memories, foretold, *weights)
        speeds = [friction * speed + gradient for speed, gradient in zip(speeds, gradients)]
        ahead = speeds
        if task.option("momentum") == "nesterov":
            ahead = [friction * speed + gradient for speed, gradient in zip(speeds, gradients)]
        weights = [weight - rate * each for weight, each in zip(weights, ahead)]
        task.record(
            {
                "memories": memories,
                "foretold": foretold[-1],
                "loss": loss,
                "grad/into": gradients[0],
                "grad/across": gradients[1],
                "grad/out": gradients[2],
                "gradient_norm": np.sqrt(sum((each * each).sum() for each in gradients)),
                "memory": np.abs(memories[-1]).max(),
            },
            state={
                "into": weights[0],
                "across": weights[1],
                "out": weights[2],
                "speed/into": speeds[0],
                "speed/across": speeds[1],
                "speed/out": speeds[2],
            },
        )


def listen(rows, into, across, out):
    memories = [np.zeros(across.shape[0], across.dtype)]
    for row in rows[:-1]:
        memories.append(np.tanh(row @ into + memories[-1] @ across))
    foretold = np.array(memories[1:]) @ out
    error = foretold - rows[1:]
    return np.array(memories), foretold, (error * error).mean()


def learn(rows, memories, foretold, into, across, out):
    error = (foretold - rows[1:]) * foretold.dtype.type(2 / foretold.size)
    g_into, g_across = np.zeros_like(into), np.zeros_like(across)
    back = np.zeros(across.shape[0], across.dtype)
    for place in reversed(range(len(error))):
        back = (error[place] @ out.T + back) * (1 - memories[place + 1] ** 2)
        g_into += np.outer(rows[place], back)
        g_across += np.outer(memories[place], back)
        back = back @ across.T
    return g_into, g_across, memories[1:].T @ error
"""
CELL = "recurrent/numpy-2.4.6-cpu/{}"


def repromatrix(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "repromatrix", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def report(folder: Path) -> dict:
    return json.loads((folder / "report" / "report.json").read_text())


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workload and a matrix of its own, run with traces, explained and reported."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "matrix.yaml").write_text(MATRIX.replace("WORKLOAD", "./recurrent"))
    (folder / "recurrent").mkdir()
    (folder / "recurrent" / "workload.yaml").write_text(WORKLOAD)
    (folder / "recurrent" / "numpy.py").write_text(MODULE)
    done = repromatrix(folder, "matrix", "--engine", "process", "--trace")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.network
@pytest.mark.slow
class TestStranger:
    def test_every_cell_is_there_with_its_three_metrics(self, stranger: Path) -> None:
        cells = report(stranger)["cells"]
        names = {"default", "momentum-nesterov", "default-float32"}
        assert {cell["id"] for cell in cells} == {
            f"recurrent/numpy-{version}-cpu/{name}" for version in ("1.26.4", "2.4.6") for name in names
        }
        for cell in cells:
            assert (cell["outcome"], cell["deterministic"]) == ("ok", True)
            assert {name: len(each) for name, each in cell["metrics"].items()} == dict.fromkeys(
                ("loss", "gradient_norm", "memory"), 6
            )

    def test_the_noise_of_its_parameters_was_measured(self, stranger: Path) -> None:
        floors = [each for each in report(stranger)["sentences"] if each["kind"] == "noise_floor"]
        assert {each["values"]["dtype"] for each in floors} == {"float64", "float32"}

    def test_two_variants_part_where_the_update_differs(self, stranger: Path) -> None:
        done = repromatrix(stranger, "trace", CELL.format("default"), CELL.format("momentum-nesterov"))
        assert done.returncode == 1, done.stderr
        assert "part at step 1, into" in done.stdout

    def test_what_is_large_is_compared_by_its_digest(self, stranger: Path) -> None:
        store = Store(stranger / "results")
        traces = store.traces(store.read_manifest())
        column = traces[CELL.format("default")].columns["across"]
        assert (column.shape, column.texts, len(column.digests)) == ((5, 5), (), 6)

    def test_compare_judges_by_all_metrics(self, stranger: Path) -> None:
        done = repromatrix(stranger, "compare", CELL.format("default"), CELL.format("momentum-nesterov"))
        assert done.returncode == 1, done.stderr
        same = repromatrix(stranger, "compare", "results", "results")
        assert same.returncode == 0, same.stderr

    def test_the_difference_of_the_variants_is_explained(self, stranger: Path) -> None:
        names = [CELL.format("default"), CELL.format("momentum-nesterov")]
        done = repromatrix(stranger, "explain", *names, "--engine", "process")
        assert done.returncode == 0, done.stderr
        assert " is caused by momentum" in done.stdout

    def test_the_report_holds(self, stranger: Path) -> None:
        assert repromatrix(stranger, "report").returncode == 0  # with what another test explained
        done = repromatrix(stranger, "verify", "report")
        assert done.returncode == 0, done.stderr

    def test_a_second_run_runs_nothing_and_an_edit_runs_all_again(self, stranger: Path, tmp_path: Path) -> None:
        folder = tmp_path / "edited"
        shutil.copytree(stranger, folder)
        again = repromatrix(folder, "run", "--engine", "process")
        assert "0 ran now" in again.stderr
        module = folder / "recurrent" / "numpy.py"
        module.write_text(module.read_text().replace("memories[1:].T @ error", "2 * (memories[1:].T @ error)"))
        edited = repromatrix(folder, "run", "--engine", "process")
        assert edited.returncode == 0, edited.stderr
        assert re.search(r"\b10 ran now, 0 environments built", edited.stderr), edited.stderr


# The worked example under other names.

RENAMED = {
    "input": "zgiven",
    "target": "zwanted",
    "hidden_weights": "zfirst",
    "output_weights": "zsecond",
    "hidden_bias": "zfirst_offset",
    "output_bias": "zsecond_offset",
    "learning_rate": "zstride",
    "grad_hidden_weights": "zfirst_slope",
    "grad_output_weights": "zsecond_slope",
    "hidden_pre": "zfirst_sum",
    "output_pre": "zsecond_sum",
    "hidden": "zunit",
    "output": "zshown",
    "loss": "zregret",
}


def in_words(text: str, words: dict[str, str]) -> str:
    """Return a text with each of the words replaced where it stands alone."""
    return re.sub(rf"\b({'|'.join(map(re.escape, words))})\b", lambda found: words[found[0]], text)


def graph_in_words(entry, words: dict[str, str]):
    """Return what a value is computed from with its words replaced, the names of operations left as they are."""
    if isinstance(entry, dict):
        return {condition: graph_in_words(text, words) for condition, text in entry.items()}
    operation, values = entry.split("(", 1)
    return f"{operation}({in_words(values, words)}"


def records(folder: Path) -> tuple[Record, ...]:
    store = Store(folder / "results")
    return store.records(store.read_manifest())[0]


def worked_example(folder: Path, words: dict[str, str]) -> Path:
    """Run the worked example in NumPy, with other words for its values, and return the folder."""
    source, own = ROOT / "workloads" / "mazur", folder / "mazur"
    own.mkdir(parents=True)
    work = yaml.safe_load((source / "workload.yaml").read_text())
    work.pop("published")
    for key in ("numbers", "inputs"):
        work[key] = {words.get(name, name): entry for name, entry in work[key].items()}
    for key in ("metrics", "outputs"):
        work[key] = [words.get(name, name) for name in work[key]]
    if words:
        work["graph"] = {words.get(name, name): graph_in_words(entry, words) for name, entry in work["graph"].items()}
    (own / "workload.yaml").write_text(yaml.safe_dump(work, sort_keys=False))
    module = (source / "numpy.py").read_text()
    for old, new in words.items():
        module = module.replace(f'"{old}"', f'"{new}"')
    (own / "numpy.py").write_text(module)
    shutil.copy2(source / "layouts.py", own)
    (folder / "matrix.yaml").write_text(MATRIX.replace("WORKLOAD", "./mazur"))
    done = repromatrix(folder, "matrix", "--engine", "process", "--trace", "--no-explain")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.network
@pytest.mark.slow
def test_other_names_of_all_values_change_names_alone(tmp_path: Path) -> None:
    plain, other = worked_example(tmp_path / "plain", {}), worked_example(tmp_path / "renamed", RENAMED)
    back = {new: old for old, new in RENAMED.items()}
    digests = re.compile(r"\b[0-9a-f]{12,64}\b")
    # It holds every sentence of the report; a page cuts long ones, and names have other lengths.
    before, after = ((each / "report" / "report.json").read_text() for each in (plain, other))
    assert set(back) & set(re.findall(r"\w+", after)) >= {"zregret", "zshown", "zfirst", "zfirst_slope"}
    assert digests.sub("", in_words(after, back)).splitlines() == digests.sub("", before).splitlines()
    ours, theirs = (records(each) for each in (plain, other))
    for one, two in zip(ours, theirs, strict=True):
        assert one.cell.id == two.cell.id
        assert one.trajectory.judged == two.trajectory.judged
        columns = zip(one.trajectory.columns, two.trajectory.columns, strict=True)
        assert all((a.texts, a.name) == (b.texts, back[b.name]) for a, b in columns), one.cell.id
