"""`repromatrix init` and `workload check`: a beginning that runs as it is, and what is said of a job of one's own."""

import shutil
import sys
from pathlib import Path

import pytest

from repromatrix import resources
from repromatrix.cli.main import run
from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, UsageError
from repromatrix.execute.workload import check_workload
from repromatrix.matrix import load
from repromatrix.matrix.starter import begin
from repromatrix.plan import plan

FRAMEWORKS = ("numpy", "torch", "jax", "tensorflow", "keras")


@pytest.fixture
def at(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_it_writes_is_a_matrix_with_the_product_s_environments_of_each_framework(at) -> None:
    begin(at, FRAMEWORKS, "my_job")
    matrix, own = load(at / "matrix.yaml"), load(resources.matrix())
    assert {each.framework for each in matrix.environments} == set(FRAMEWORKS)
    for each in matrix.environments:
        known = own.environment(each.name)
        assert (each.packages, each.index, each.variables) == (known.packages, known.index, known.variables)
    cells = plan(matrix, profile="default").cells
    assert {cell.variant.dtype for cell in cells} == {"float32", "float64"}
    assert (at / "matrix.yaml").read_text().startswith("# yaml-language-server: $schema=.repromatrix/matrix.json\n")
    assert (at / ".repromatrix" / "matrix.json").read_bytes() == resources.schema("matrix").read_bytes()


def test_a_site_is_of_the_workflows_alone(at, capsys) -> None:
    assert run(["init", "--pages"]) == ExitCode.USAGE
    assert "--pages goes with --github" in capsys.readouterr().err
    assert list(at.iterdir()) == []
    assert run(["init", "--pages", "--github", f"owner/name@{'0' * 40}"]) == 0
    assert "pages:" in (at / ".github" / "workflows" / "repromatrix-night.yml").read_text()


def test_nothing_is_written_where_a_file_is_there_already(at) -> None:
    (at / "matrix.yaml").write_text("mine")
    with pytest.raises(UsageError, match=r"matrix\.yaml is there already, so nothing was written"):
        begin(at, ["numpy"], "my_job")
    assert [each.name for each in at.iterdir()] == ["matrix.yaml"]
    assert (at / "matrix.yaml").read_text() == "mine"


def test_what_git_ignores_already_stays_whatever_its_encoding(at) -> None:
    (at / ".gitignore").write_bytes(b"caf\xe9\n")
    begin(at, ["numpy"], "my_job")
    assert (at / ".gitignore").read_bytes().startswith(b"caf\xe9\n")


def test_what_git_ignores_already_stays(at) -> None:
    (at / ".gitignore").write_text("*.pyc\nresults/")
    begin(at, ["numpy"], "my_job")
    assert (at / ".gitignore").read_text() == "*.pyc\nresults/\nreport/\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--framework", "pytorch"], "did you mean 'torch'?"),
        (["--job", "my-job"], "not a name for a folder of Python modules"),
    ],
)
def test_what_cannot_be_begun_is_said(at, capsys, arguments, said) -> None:
    assert run(["init", *arguments]) == ExitCode.USAGE
    assert said in capsys.readouterr().err
    assert not list(at.iterdir())


def test_the_next_commands_are_printed_as_they_are_typed(at, capsys) -> None:
    assert run(["init", "project", "--framework", "numpy"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "cd project && repromatrix workload check my_job" in told
    assert "repromatrix impact numpy==1.26.4 numpy==2.4.6" in told
    assert run(["plan", "--matrix", str(at / "project" / "matrix.yaml")]) == ExitCode.OK


@pytest.fixture
def job(at) -> Path:
    """The job that init writes, for NumPy, which the tests' own Python has."""
    begin(at, ["numpy"], "my_job")
    return at / "my_job"


def _checked(job: Path):
    (found,) = check_workload(job, Story(quiet=True, verbose=False), sys.executable)
    return found


def test_a_check_says_what_is_recorded_and_that_it_repeats_itself(job) -> None:
    found = _checked(job)
    assert found.problem is None
    assert found.deterministic is True
    told = "\n".join(found.lines)
    assert "metric   loss float32" in told
    assert "state    w1 float32[8, 16], w2 float32[16, 1]" in told
    assert "trace    hidden float32[16, 16], grad/w2 float32[16, 1], grad/w1 float32[8, 16]" in told
    assert "same bits" in told
    assert "missing" not in told


def test_a_check_says_what_differs_between_two_runs_and_what_is_missing(job) -> None:
    module = job / "numpy.py"
    text = module.read_text().replace("import numpy as np", "import time\n\nimport numpy as np")
    text = text.replace('"loss": loss', '"loss": loss if len(x) == 0 else loss + np.float32(time.time_ns() % 997)')
    module.write_text(text.replace('            state={"w1": w1, "w2": w2},\n', ""))
    found = _checked(job)
    assert found.deterministic is False
    told = "\n".join(found.lines)
    assert "differ: first at step 1, in loss" in told
    assert "missing: no state is recorded" in told


def test_a_check_names_file_and_line_of_what_fails(job) -> None:
    module = job / "numpy.py"
    module.write_text(module.read_text().replace("x @ w1", "x @ w2", 1))
    found = _checked(job)
    assert found.problem is not None
    assert "my_job/numpy.py:10" in found.problem
    assert not found.absent


def test_a_framework_that_is_not_installed_is_no_fault_of_the_job(job, capsys) -> None:
    shutil.move(job / "numpy.py", job / "keras.py")
    assert run(["workload", "check", str(job), "--python", sys.executable]) == ExitCode.CELL_FAILED
    assert "keras is not installed" in capsys.readouterr().out


@pytest.mark.parametrize("job", ["\xe9", "_", "__init__", "A", "\ufb01", "results", "report", "x" * 64])
def test_a_job_that_no_matrix_could_name_is_refused(at, capsys, job: str) -> None:
    assert run(["init", "--job", job]) == ExitCode.USAGE
    assert "next: " in capsys.readouterr().err
    assert not list(at.iterdir())


def test_a_link_to_nowhere_is_there_already(at) -> None:
    (at / "matrix.yaml").symlink_to("nowhere")
    assert run(["init"]) == ExitCode.USAGE
    assert (at / "matrix.yaml").is_symlink()


@pytest.mark.usefixtures("at")
def test_the_folder_is_printed_as_a_shell_takes_it(capsys) -> None:
    assert run(["init", "a b'c"]) == run(["init", "--", "-d"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert """cd 'a b'"'"'c' && repromatrix matrix""" in told
    assert "cd ./-d && repromatrix matrix" in told


ODD = [
    "a b.py",
    "-x.py",
    "a*[b]?.py",
    "a\nb.py",
    "a'\"`$(x).py",
    "{a}.py",
    "{}.py",
    "\xe9.py",
    "\udcff.py",
    "#.py",
    "a: b.py",
    "%s.py",
    "\\.py",
]


@pytest.mark.parametrize("name", ODD, ids=ascii)
@pytest.mark.parametrize(
    "source", ["import numpy\n", "\ufeffimport numpy\n", "import numpy, \xe9vil\n", "import numpy, helper\n"], ids=ascii
)
def test_of_whatever_script_the_workload_is_whole_or_refused(at, capsys, name: str, source: str) -> None:
    (at / "scripts").mkdir()
    (at / "scripts" / name).write_text(source)
    (at / "scripts" / "helper.py").write_text("")
    (at / "link.py").symlink_to(at / "scripts" / name)
    for script in (f"scripts/{name}", "link.py"):
        folder = at / script[:4]
        code = run(["init", str(folder), f"--script={script}"])
        told = capsys.readouterr().err
        if code == ExitCode.OK:
            (workload,) = load(folder / "matrix.yaml").workloads
            assert workload.command is not None
            assert (workload.command.words[1], workload.command.files[0]) == (name, (name, source))
            assert len(workload.command.files) == 1 + ("helper" in source)
        else:
            assert (code, "next: " in told, folder.exists()) == (ExitCode.USAGE, True, False)
            assert "\xe9vil" in source or name in ("{a}.py", "\udcff.py", "\\.py")


def test_a_module_that_is_a_link_is_refused_at_once(at, capsys) -> None:
    (at / "train.py").write_text("import numpy, helper\n")
    (at / "helper.py").symlink_to("elsewhere.py")
    assert run(["init", "--script", "train.py"]) == ExitCode.USAGE
    assert "imports helper.py, which is a link" in capsys.readouterr().err
    assert not (at / "matrix.yaml").exists()
