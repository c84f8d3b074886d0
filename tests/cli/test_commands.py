"""What each command prints, where, and the exit code that it ends with."""

import json
import shutil
from pathlib import Path

import pytest

from repromatrix.engines import choose as choosing
from repromatrix.engines.base import BuildSpec, Built, Exit
from repromatrix.errors import ExitCode, NoEngineError
from repromatrix.results.record import Outcome, decode, encode
from repromatrix.results.store import Store
from tests import fakes as say

PARALLEL = "tiny/numpy-2.0-cpu/parallel"


# Exit codes: part of the public interface.


def test_0_all_as_expected(command) -> None:
    assert command("run").code == 0


def test_1_an_unexpected_difference(command) -> None:
    def answer(cells, _number):
        return say.everything_ok(cells, 0.75 if "numpy-2.0" in cells[0]["id"] else 0.5)

    command.engine.answer = answer
    assert command("impact", "numpy==1.0", "numpy==2.0").code == 1


USAGE = {
    "no matrix": ("plan", "--matrix", "absent.yaml"),
    "an unknown profile": ("plan", "--profile", "defualt"),
    "an unknown cell": ("cell", "tiny/numpy-2.0-cpu/paralel"),
    "an unknown option": ("plan", "--selct", "x"),
    "no command": (),
    "an unknown command": ("pla",),
    "no jobs": ("run", "--jobs", "0"),
    "no results": ("report", "--results", "nowhere"),
    "nothing to merge": ("merge", "nowhere"),
    "not a plan": ("merge", "nowhere", "--expect", "matrix.yaml"),
    "not a version": ("impact", "numpy", "numpy==2.0"),
    "two frameworks": ("impact", "numpy==1.0", "torch==3.0"),
    "results that are a file": ("report", "--results", "matrix.yaml"),
}


def test_2_a_misspelt_command_is_told_in_one_line_with_the_nearest(command) -> None:
    error = "repromatrix: there is no command 'explian'\n"
    assert command("explian").err == f"{error}  next: did you mean explain or plan? all commands: repromatrix --help\n"


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE)
def test_2_usage(command, arguments: tuple[str, ...]) -> None:
    said = command(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert said.err
    assert "Traceback" not in said.err


def test_2_a_bad_matrix_is_told_with_file_line_and_next_step(command) -> None:
    path = command.folder / "matrix.yaml"
    path.write_text(path.read_text().replace("repeats: 2", "repeat: 2"))
    said = command("plan")
    assert said.code == 2
    assert said.err == "repromatrix: matrix.yaml:5: unknown key 'repeat' in defaults\n  next: did you mean 'repeats'?\n"


def test_2_a_version_without_a_lock_is_a_mistake_of_the_matrix(command) -> None:
    (command.locks / "numpy" / "locks" / "numpy-2.0-cpu.txt").unlink()
    said = command("run")
    assert said.code == 2
    assert said.err == (
        "repromatrix: matrix.yaml:10: no lock for what is asked here: numpy-2.0-cpu\n"
        "  next: make it: repromatrix lock --select numpy-2.0-cpu\n"
    )
    assert command.engine.runs == []


@pytest.mark.parametrize("name", ["plan", "run", "build", "matrix"])
def test_3_nothing_selected(command, name: str) -> None:
    said = command(name, "--select", "nobody")
    assert (said.code, said.out) == (3, "")
    assert "nothing is selected in profile 'default' by nobody" in said.err


def test_3_no_environment_to_lock(command) -> None:
    assert command("lock", "--check", "--select", "!*").code == 3


@pytest.mark.parametrize("name", ["run", "build", "matrix"])
def test_4_an_environment_cannot_be_made_and_the_others_are(command, name: str) -> None:
    command.engine.broken = {"numpy-1.0-cpu"}
    said = command(name)
    assert said.code == 4
    assert "numpy-1.0-cpu does not build" in said.err
    assert "read the log" in said.err
    assert command.engine.built == ["numpy-2.0-cpu"]


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_4_where_no_cell_ran_the_last_report_and_the_last_run_stay_as_they_are(command) -> None:
    assert command("matrix", "--no-explain").code == 0
    report, manifest = _files(command.folder / "report"), (command.folder / "results" / "manifest.json").read_bytes()
    command.engine.there.clear()
    command.engine.broken = {"numpy-1.0-cpu", "numpy-2.0-cpu"}
    shutil.rmtree(command.folder / "results" / "records")
    said = command("matrix", "--trace", "--json")
    assert said.code == 4
    assert said.err.splitlines()[-1] == "no report  no cell ran, so report stays as it is"
    assert json.loads(said.out) == {"files": [], "missing": []}
    assert report == _files(command.folder / "report")
    assert (command.folder / "results" / "manifest.json").read_bytes() == manifest


def test_4_where_cells_have_earlier_answers_the_report_is_written(command) -> None:
    assert command("run", "--select", "numpy-1.0-cpu").code == 0
    command.engine.broken = {"numpy-2.0-cpu"}
    said = command("matrix", "--no-explain")
    assert said.code == 4
    assert "wrote      report/index.html" in said.err


def test_4_a_first_run_in_which_no_cell_ran_can_be_reported_on_demand(command) -> None:
    command.engine.broken = {"numpy-1.0-cpu", "numpy-2.0-cpu"}
    assert command("matrix").code == 4
    assert not (command.folder / "report").exists()
    assert command("report").code == 0
    assert "could not be made" in (command.folder / "report" / "report.md").read_text()


def test_4_a_lock_is_missing(command) -> None:
    assert command("lock", "--check").code == 0
    (command.locks / "numpy" / "locks" / "numpy-2.0-cpu.txt").unlink()
    said = command("lock", "--check")
    assert said.code == 4
    assert "missing    numpy-2.0-cpu (matrix.yaml:10)" in said.err


@pytest.mark.parametrize("arguments", [("run",), ("matrix",), ("cell", PARALLEL)])
def test_5_a_cell_failed(command, arguments: tuple[str, ...]) -> None:
    command.engine.answer = lambda cells, _: (
        [say.ok(cell) for cell in cells if cell["id"] != PARALLEL],
        Exit(signal="SIGSEGV"),
    )
    said = command(*arguments)
    assert said.code == 5
    assert f"failed     {PARALLEL}: killed by SIGSEGV (log: logs/numpy-2.0-cpu/default-cpu-1.log)" in said.err


def test_5_a_record_is_missing(command) -> None:
    command("run")
    next((command.folder / "results" / "records" / PARALLEL).iterdir()).unlink()
    said = command("report")
    assert said.code == 5
    assert f"missing    {PARALLEL}" in said.err


def test_5_a_planned_cell_that_nobody_delivers(command) -> None:
    (command.folder / "plan.json").write_text(command("plan", "--json").out)
    command("run", "--select", "numpy-2.0-cpu", "--results", "one")
    said = command("merge", "one", "--expect", "plan.json")
    assert said.code == 5
    assert "missing    tiny/numpy-1.0-cpu/parallel" in said.err
    command("run", "--results", "two")
    assert command("merge", "one", "two", "--expect", "plan.json").code == 0


def test_6_no_engine(command, monkeypatch) -> None:
    def choose(_name):
        raise NoEngineError("no Docker engine answers", hint="make engine")

    monkeypatch.setattr(choosing, "choose", choose)
    said = command("run", "--engine", "docker")
    assert (said.code, said.err) == (6, "repromatrix: no Docker engine answers\n  next: make engine\n")


def test_130_interrupted(command) -> None:
    command.engine.answer = lambda _cells, _number: ([b"INTERRUPT"], say.CLEAN)
    said = command("run")
    assert said.code == 130
    assert said.err.endswith("repromatrix: interrupted; what had finished is kept\n")


def test_130_interrupted_does_not_wait_for_the_builds_under_way(command, monkeypatch) -> None:
    engine = command.engine

    def build(spec: BuildSpec, _log: Path) -> Built:
        if spec.name == "numpy-1.0-cpu":
            raise KeyboardInterrupt
        assert engine.stopped.wait(60)
        return Built(reference=spec.name, digest=None)

    monkeypatch.setattr(engine, "build", build)
    assert command("build", "--jobs", "2").code == 130
    assert engine.stopped.is_set()


def test_a_place_that_cannot_be_written_is_told_without_a_traceback(command) -> None:
    said = command("run", "--results", "matrix.yaml")
    assert said.code == 2
    assert "matrix.yaml" in said.err
    assert "next: check that place" in said.err
    assert "Traceback" not in said.err


def test_published_figures_that_are_no_json_are_told(command, write_matrix) -> None:
    write_matrix()
    (command.folder / "tiny" / "published.json").write_text("102 losses")
    said = command("run")
    assert said.code == 2
    assert "tiny/workload.yaml:40: published.json holds no published losses" in said.err


# Results on standard output, the story on standard error.

JSON = [
    ("plan", "--json"),
    ("plan", "--format", "json"),
    ("plan", "--format", "github"),
    ("lock", "--check", "--json"),
    ("build", "--json"),
    ("run", "--json"),
    ("matrix", "--json"),
    ("impact", "numpy==1.0", "numpy==2.0", "--json"),
    ("cell", PARALLEL),
    ("schema", "matrix"),
    ("schema", "record"),
    ("schema", "report"),
    ("schema", "published"),
]


@pytest.mark.parametrize("arguments", JSON, ids=" ".join)
def test_json_is_all_that_standard_output_carries(command, arguments: tuple[str, ...]) -> None:
    said = command(*arguments)
    assert said.code == 0
    assert json.loads(said.out)


@pytest.mark.parametrize("arguments", [("run",), ("build",), ("matrix",), ("lock", "--check")], ids=" ".join)
def test_without_json_a_story_is_no_result(command, arguments: tuple[str, ...]) -> None:
    said = command(*arguments)
    assert said.out == ""
    assert said.err


def test_a_story_tells_the_engine_the_environments_and_the_sum(command) -> None:
    assert command("run", "--jobs", "1").err.splitlines() == [
        "engine     an engine in memory (a test wants it)",
        "built      numpy-1.0-cpu",
        "built      numpy-2.0-cpu",
        "6 cells: 6 ok; 6 ran now, 2 environments built (results)",
    ]
    assert command("run").err.splitlines()[-1] == "6 cells: 6 ok; 0 ran now, 0 environments built (results)"


def test_quiet_says_nothing_but_errors_and_results(command) -> None:
    said = command("run", "-q", "--json")
    assert said.err == ""
    assert len(json.loads(said.out)) == 6
    command.engine.answer = lambda _cells, _number: ([], Exit(signal="SIGILL"))
    assert "killed by SIGILL" in command("run", "-q", "--results", "other").err


def test_verbose_says_a_line_for_every_cell(command) -> None:
    said = command("run", "-v")
    assert said.err.count(f"ok         {PARALLEL}\n") == 2  # one a repeat
    assert "preparing  numpy-2.0-cpu" in said.err
    assert f"kept       {PARALLEL}" in command("run", "-v").err


def test_quiet_and_verbose_at_once_are_a_mistake(command) -> None:
    assert command("run", "-q", "-v").code == 2


def test_repeats_that_differ_are_told(command) -> None:
    command.engine.answer = lambda cells, number: say.everything_ok(cells, 0.5 + number)
    said = command("run", "--select", PARALLEL)
    assert said.code == 0
    assert f"differs    {PARALLEL}: its 2 repeats do not agree" in said.err


# The commands one by one.


def test_plan_lists_cells_and_those_left_out_with_the_reason(command) -> None:
    lines = command("plan").out.splitlines()
    assert lines[0].split() == ["tiny/numpy-1.0-cpu/parallel", "float64", "gradient=manual"]
    assert "tiny/numpy-1.0-cpu/unrolled" in lines[-3]
    assert lines[-3].endswith("left out: not written for that version")
    assert lines[-1] == "6 cells in 2 environments, 1 left out (profile default)"


def test_plan_as_json(command) -> None:
    document = json.loads(command("plan", "--json", "--select", "numpy-1.0-cpu").out)
    assert document["profile"] == "default"
    assert [cell["id"] for cell in document["cells"]] == [
        "tiny/numpy-1.0-cpu/parallel",
        "tiny/numpy-1.0-cpu/parallel-float32",
    ]
    assert document["cells"][0]["options"] == {"gradient": "manual"}
    assert document["left_out"] == [{"id": "tiny/numpy-1.0-cpu/unrolled", "reason": "not written for that version"}]


def test_plan_as_the_matrix_of_a_workflow(command) -> None:
    include = json.loads(command("plan", "--format", "github").out)["include"]
    assert include == [{"name": name, "environments": name} for name in ("numpy-1.0-cpu", "numpy-2.0-cpu")]


def test_lock_check_as_json_names_what_is_missing_and_what_is_outdated(command) -> None:
    locks = command.locks / "numpy" / "locks"
    (locks / "numpy-1.0-cpu.txt").unlink()
    (locks / "numpy-2.0-cpu.txt").write_text("# request: numpy==1.9\n")
    said = command("lock", "--check", "--json")
    assert json.loads(said.out) == {
        "numpy-1.0-cpu": "missing",
        "numpy-2.0-cpu": "outdated",
        "torch-3.0-cuda": "current",
    }


@pytest.mark.parametrize(
    ("select", "names"),
    [
        (("numpy",), ["numpy-1.0-cpu", "numpy-2.0-cpu"]),
        (("*-cuda",), ["torch-3.0-cuda"]),
        (("!numpy-1.*",), ["numpy-2.0-cpu", "torch-3.0-cuda"]),
        (("numpy", "!numpy-1.*"), ["numpy-2.0-cpu"]),
    ],
)
def test_lock_selects_environments_of_the_whole_matrix(command, select: tuple[str, ...], names: list[str]) -> None:
    chosen = [part for each in select for part in ("--select", each)]
    assert list(json.loads(command("lock", "--check", "--json", *chosen).out)) == names


def test_cell_prints_the_record_that_the_store_holds(command) -> None:
    said = command("cell", PARALLEL)
    record = decode(said.out.encode(), "standard output")
    assert (record.cell.id, record.outcome) == (PARALLEL, Outcome.OK)
    assert Store(command.folder / "results").read(PARALLEL, record.key) == record
    assert encode(record).decode() == said.out


def test_run_writes_the_manifest_of_what_must_be_there(command) -> None:
    command("run")
    manifest = Store(command.folder / "results").read_manifest()
    assert [each.id for each in manifest.entries][-1] == "tiny/numpy-1.0-cpu/unrolled"
    assert manifest.entries[-1].reason == "not written for that version"
    assert manifest.tolerances[0] == ("float64", 1e-7, 1e-7, "defaults of a framework")


def test_a_second_run_writes_the_same_bytes(command) -> None:
    command("matrix")
    before = _bytes(command.folder)
    command.engine.runs.clear()
    command("matrix")
    assert _bytes(command.folder) == before
    assert command.engine.runs == []


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in ("results", "report")
        for path in (folder / name).rglob("*")
        if path.is_file()
    }


def test_matrix_writes_the_report_even_if_cells_failed(command) -> None:
    command.engine.answer = lambda _cells, _number: ([], Exit(timed_out=True))
    assert command("matrix").code == 5
    assert (command.folder / "report" / "index.html").is_file()


def test_required_published_losses_that_nobody_publishes_are_not_reproduced(command) -> None:
    assert command("matrix", "--require-published").code == 1


def test_impact_says_what_changed_and_what_did_not(command) -> None:
    def answer(cells, _number):
        changed = "numpy-2.0" in cells[0]["id"]
        lines = [say.ok(cell, 0.75 if changed and cell["dtype"] == "float32" else 0.5) for cell in cells]
        return [*lines, say.end(cells)], say.CLEAN

    command.engine.answer = answer
    said = command("impact", "numpy==1.0", "numpy==2.0")
    assert said.code == 1
    first, *rows = said.out.splitlines()
    assert first.startswith("results differ, look at these: 1 of 3 training jobs, 0 of 1 operation, numpy-1.0-cpu ->")
    assert [line.split()[:2] for line in rows if line.startswith("tiny/")] == [["tiny/parallel-float32", "divergent"]]
    assert "2 of 3 training jobs: the same bits in metrics, outputs and state" in said.out


def test_impact_of_what_does_not_change_is_0(command) -> None:
    said = command("impact", "numpy==1.0", "numpy==2.0", "--select", "unrolled")
    assert said.code == 0
    assert said.out.startswith("no difference seen in 1 training job of 1 workload, no operations, CPU class x86-64-v3")


def test_impact_locks_on_the_fly_what_the_matrix_does_not_hold(command, monkeypatch) -> None:
    from repromatrix.images import lock as locks  # noqa: PLC0415 - the one test that replaces the resolver
    from repromatrix.images.resolve import Resolved  # noqa: PLC0415

    body = f"numpy==1.5 --hash=sha256:{'a' * 64}\n"
    monkeypatch.setattr(locks, "resolve", lambda *_, **__: Resolved(text=body))
    monkeypatch.setattr(locks, "measure", lambda *_: {"numpy": 1000})
    said = command("impact", "numpy==1.5", "numpy==2.0")
    assert said.code == 0
    assert "locked     numpy-1.5-cpu on the fly" in said.err
    assert not (command.locks / "numpy" / "locks" / "numpy-1.5-cpu.txt").exists()


def test_impact_with_an_outdated_lock_in_the_matrix_locks_on_the_fly_too(command, monkeypatch) -> None:
    from repromatrix.images import lock as locks  # noqa: PLC0415
    from repromatrix.images.resolve import Resolved  # noqa: PLC0415

    (command.locks / "numpy" / "locks" / "numpy-1.0-cpu.txt").write_text("# request: numpy==0.9\n")
    monkeypatch.setattr(locks, "resolve", lambda *_, **__: Resolved(text=f"numpy==1.0 --hash=sha256:{'a' * 64}\n"))
    monkeypatch.setattr(locks, "measure", lambda *_: {"numpy": 1000})
    assert command("impact", "numpy==1.0", "numpy==2.0").code == 0


# doctor: what works here, what does not, what to type.


class Registry:
    """Stands for the connection to an image registry."""

    problem = ""

    def registry_problem(self, _reference: str, _seconds: int) -> str:
        return self.problem


@pytest.fixture
def doctor(command, monkeypatch):
    """Run doctor with the network played by the test: the answers of package index and registry."""
    from repromatrix.engines import docker_images  # noqa: PLC0415 - what doctor imports when it looks
    from repromatrix.images import sources  # noqa: PLC0415

    def run(*arguments: str, index: str = "", registry: str = ""):
        monkeypatch.setattr(sources, "index_answers", lambda: index)
        monkeypatch.setattr(Registry, "problem", registry)
        monkeypatch.setattr(docker_images, "DockerImages", Registry)
        return command("doctor", *arguments)

    return run


def test_doctor_finds_what_a_run_needs(doctor) -> None:
    found = {each["name"]: each for each in json.loads(doctor("--json").out)}
    for name in ("platform", "engine docker", "engine process", "Python 3.11", "packages", "registry", "locks"):
        assert found[name]["ok"], name
    assert found["locks"]["found"] == "3 of 3 environments"
    assert {"certificates", "disk", "CPU class", "GPU"} <= set(found)


def test_doctor_says_what_auto_would_do(doctor) -> None:
    found = {each["name"]: each for each in json.loads(doctor("--json").out)}["engine auto"]
    assert (found["ok"], found["found"]) == (True, "takes process (a test wants it)")


def test_doctor_says_what_to_type_where_something_is_wrong(doctor, command) -> None:
    (command.locks / "numpy" / "locks" / "numpy-2.0-cpu.txt").unlink()
    said = doctor(index="no route to host", registry="no such host")
    assert said.code == ExitCode.ENVIRONMENT  # for the lock; the rest can be done without
    for text in ("no route to host", "pip config set", "no such host", "make base", "make lock  (numpy-2.0-cpu)"):
        assert text in said.out


def test_doctor_outlives_a_bad_matrix(doctor, command) -> None:
    (command.folder / "matrix.yaml").write_text("format: 2")
    said = doctor()
    assert said.code == 4
    assert "NO  matrix" in said.out
    assert "update repromatrix" in said.out


def test_a_defect_is_not_a_difference(command, monkeypatch) -> None:
    def choose(_name):
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(choosing, "choose", choose)
    said = command("run")
    assert said.code == 70
    assert "nobody thought of this" in said.err
    assert "a defect of repromatrix itself" in said.err


def test_adding_a_version_builds_exactly_its_environment(command) -> None:
    assert command("build", "--profile", "both").code == 0
    before = list(command.engine.built)
    matrix = command.folder / "matrix.yaml"
    matrix.write_text(matrix.read_text().replace('versions: ["1.0", "2.0"]', 'versions: ["1.0", "2.0", "2.1"]'))
    old = command.locks / "numpy" / "locks" / "numpy-2.0-cpu.txt"
    old.with_name("numpy-2.1-cpu.txt").write_text(old.read_text().replace("numpy==2.0", "numpy==2.1"))
    assert command("build", "--profile", "both").code == 0
    assert command.engine.built[len(before) :] == ["numpy-2.1-cpu"]


# The command line.


def test_how_much_is_told_may_stand_before_the_command_or_behind_it(command) -> None:
    command("run")
    quiet, every = command("run", "-q").err, command("run", "-v").err
    assert (quiet, "kept       tiny/" in every) == ("", True)
    assert (command("-q", "run").err, command("-v", "run").err) == (quiet, every)
