"""A script nobody wants to change: its command, files, packages and data; how its numbers are read; how it fails."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from repromatrix import resources
from repromatrix.cli.main import run
from repromatrix.cli.story import Story
from repromatrix.engines.base import RunLimits
from repromatrix.engines.docker import DockerEngine
from repromatrix.errors import ExitCode, MatrixError
from repromatrix.execute import patterns
from repromatrix.execute.here import prepare
from repromatrix.execute.run import Execution, batches_of
from repromatrix.execute.site import ThisMachine
from repromatrix.execute.workload import check_workload
from repromatrix.matrix import load
from repromatrix.matrix.workload import load_workload
from repromatrix.plan import cells_of, ensembles
from repromatrix.results.record import Outcome, Record
from repromatrix.results.store import Store
from tests.fakes import Ears

PRINTS = """\
import sys
for step in range(10, 60, 10):
    print(f"step {step} | loss {1 / step} | lr 0.1 | time {step:.2f}s")
"""


class Script:
    """A folder with a workload that runs `train.py`; `run` gives the records of its cells, in this very Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "job"
        self.folder.mkdir()
        self.results = folder / "results"
        self.ears = Ears()
        self.ears.say = lambda _: None

    def write(self, source: str, more: str = "", command: str = "[python, train.py]") -> "Script":
        (self.folder / "train.py").write_text(source)
        (self.folder / "workload.yaml").write_text(
            f"format: 1\ncommand: {command}\nframeworks: [numpy]\nfiles: [train.py]\n{more}"
        )
        return self

    def run(self, *, seconds: int = 60, repeats: int = 2) -> dict[str, Record]:
        matrix = load(resources.matrix())
        matrix = replace(
            matrix,
            workloads=(load_workload(self.folder, "job"),),
            include=(),
            exclude=(),
            profiles={},
            repeats=repeats,
            limits=replace(matrix.limits, seconds=seconds),
        )
        whole, plan, engine = prepare(matrix, "numpy", self.ears, python=sys.executable, devices=("cpu",))
        store = Store(self.results)
        execution = Execution(matrix=whole, site=ThisMachine(engine), store=store, listener=self.ears, jobs=1)
        return {record.cell.variant: record for record in execution.run(plan.cells).records}

    def one(self, **limits: int) -> Record:
        (record,) = self.run(**limits).values()
        return record

    def wrong_with(self, pattern: str) -> str:
        path = self.folder / "workload.yaml"
        path.write_text(path.read_text().replace("[train.py]\n", f'[train.py, "{pattern}"]\n'))
        return self.wrong()

    def wrong(self) -> str:
        with pytest.raises(MatrixError) as caught:
            load_workload(self.folder, "job")
        return str(caught.value)


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_print_lines_are_read_by_themselves_and_keep_the_steps_that_they_say(script: Script) -> None:
    record = script.write(PRINTS).one()
    assert (record.outcome, record.deterministic, record.cell.steps) == (Outcome.OK, True, 5)
    trajectory = record.trajectories[0]
    assert [(each.name, each.dtype) for each in trajectory.columns] == [
        ("loss", "float64"),
        ("at/step", "int64"),
        ("lr", "float64"),
    ]
    assert trajectory.losses == tuple((1 / step).hex() for step in range(10, 60, 10))
    assert trajectory.said(3) == "step 30"
    (heard,) = [each for each in script.ears.heard if each[0] == "read"]
    assert "loss by step; beside it lr; left out: time (measured, not computed)" in heard[2]


def test_a_float32_that_python_prints_is_one(script: Script) -> None:
    record = script.write("import numpy\nfor s in range(3):\n print('loss', float(numpy.float32(1 / (s + 3))))").one()
    assert [each.dtype for each in record.trajectories[0].metrics] == ["float32"]


def test_what_is_called_otherwise_is_another_number(script: Script) -> None:
    said = ["loss", "grad é", "grad ü", "grad ñ", "a b", "a_b", "x" * 101 + "a", "x" * 101 + "b", "one", "two words"]
    row = '{"step": %d, ' + ", ".join(f'"{name}": {place}' for place, name in enumerate(said)) + "}"
    record = script.write(f"for s in range(1, 4):\n    print({row!r} % s)").one()
    found = {each.name: each.texts[0] for each in record.trajectories[0].columns}
    assert len(found) == len(said) + 1
    assert {float.fromhex(text) for name, text in found.items() if name != "at/step"} == set(range(len(said)))
    assert {"loss", "a_b", "at/step", "one", "two_words"} <= found.keys()
    (other,) = script.write('for s in range(1, 4):\n    print(\'{"loss": %d, "grad ü": 2}\' % s)').run().values()
    assert other.trajectories[0].columns[-1].name in found


def test_a_factor_fills_its_place_in_the_command_and_makes_cells(script: Script) -> None:
    source = "import sys\nfor s in range(1, 4):\n    print('loss', s * float(sys.argv[2]), sys.argv[1])"
    words = '[python, train.py, "{name}-{dtype}", "{rate}", "{not a name}"]'
    found = script.write(source, 'factors: {rate: ["0.5", "2"], name: [a]}\n', words).run()
    assert found["default"].trajectories[0].losses == tuple(each.hex() for each in (0.5, 1.0, 1.5))
    assert found["rate-2"].trajectories[0].losses == tuple(each.hex() for each in (2.0, 4.0, 6.0))
    assert found["default"].cell.task == found["rate-2"].cell.task


def test_a_file_that_it_writes_is_read_in_any_form_and_metrics_are_those_named(script: Script) -> None:
    source = "open('out.csv', 'w').write('epoch,loss,acc\\n1,0.5,0.7\\n2,0.25,0.8\\n')"
    record = script.write(source, "read: {from: out.csv}\nmetrics: [acc]\nsteps: 2\n").one()
    trajectory = record.trajectories[0]
    assert [each.name for each in trajectory.metrics] == ["acc"]
    assert trajectory.said(2) == "epoch 2"


def test_a_pattern_with_named_groups_reads_what_it_names(script: Script) -> None:
    more = r"read: {from: stderr, pattern: 'at (?P<step>\d+): cost=(?P<cost>\S+)'}" + "\n"
    source = "import sys\nfor s in (5, 9):\n    print(f'at {s}: cost={s / 4}!', 'at 1:', file=sys.stderr)"
    record = script.write(source.replace("!", ""), more).one()
    assert record.trajectories[0].losses == ((1.25).hex(), (2.25).hex())
    assert record.trajectories[0].said(1) == "step 5"


@pytest.mark.parametrize(
    ("source", "more", "reason"),
    [
        ("print('loss 1')\nraise SystemExit(3)", "", "exit code 3; its last lines: loss 1"),
        ("import nowhere", "", "exit code 1; its last lines: Traceback"),
        ("import os\nos.kill(os.getpid(), 11)", "", "killed by SIGSEGV"),
        ("pass", "", "nothing on stdout"),
        ("print('hello')", "", "stdout:1: no named numbers in its lines"),
        ("print('loss nan at step 3')", "", "loss is nan"),
        ("print('step 1 loss 1')\nprint('step 2 loss inf')", "", "loss is inf at step 2"),
        ("print('step 1 loss 1')", "metrics: [acc]\n", "no metric 'acc' in what was read as printed lines"),
        ("print('step 1 loss 1')", "steps: 2\n", "1 numbers of loss, and workload.yaml says 2 steps"),
        ("print('loss 1')", "read: {from: out.csv}\n", "it wrote no file out.csv; there are: train.py"),
        ("print('loss 1')", "read: {pattern: 'cost (?P<cost>.)'}\n", "nothing on stdout matches the pattern"),
        ("import os\nos.symlink('/etc/passwd', 'a.csv')", "read: {from: a.csv}\n", "it wrote no file a.csv"),
    ],
)
def test_each_way_to_fail_is_a_failed_cell_with_its_reason(script: Script, source: str, more: str, reason: str) -> None:
    record = script.write(source, more).one(repeats=1)
    assert record.outcome is Outcome.FAILED
    assert record.reason is not None
    assert reason in record.reason
    assert str(script.folder.parent) not in record.reason
    assert record.cell.steps == 0 or "steps" in more


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [(r"^(?P<cost>(\d+)+)x", "comes to no end in 1 s of CPU time on stdout"), (r"(?P<cost>\d)", "more than 1,000,000")],
)
def test_a_pattern_that_comes_to_no_end_holds_nothing_up(
    script: Script, monkeypatch, pattern: str, reason: str
) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 1 if "no end" in reason else 20)
    record = script.write("print('1' * 1_100_000)", f"read: {{pattern: '{pattern}'}}\n").one(repeats=1)
    assert record.outcome is Outcome.FAILED
    assert f"the pattern of workload.yaml {'' if 'no end' in reason else 'has '}{reason}" in record.reason


def test_a_command_that_hangs_runs_out_of_time_and_says_how_far_it_came(script: Script) -> None:
    record = script.write("import time\nprint('step 1 loss 1')\ntime.sleep(600)").one(seconds=6, repeats=1)
    assert record.outcome is Outcome.TIMED_OUT
    assert record.reason == "no result for 6 s: ended by the time limit: step 1 loss 1"


def test_a_command_that_prints_is_alive(script: Script) -> None:
    source = "import time, sys\nfor s in range(1, 9):\n    print(f'step {s} loss {s}')\n    time.sleep(0.9)"
    assert script.write(source).one(seconds=6, repeats=1).outcome is Outcome.OK  # less than it takes


def test_a_program_that_is_not_there_is_said(script: Script) -> None:
    record = script.write("", "", "[trainer, --fast]").one(repeats=1)
    assert record.reason == "there is no program 'trainer' in this environment"


def test_repeats_that_differ_are_told_first_with_the_step_and_the_gate(script: Script) -> None:
    script.write("import random\nprint('step 10 loss 1')\nprint('step 20 loss', random.random())")
    (told,) = check_workload(script.folder, Story(quiet=True, verbose=False), sys.executable)
    assert told.lines[0].startswith("two runs in fresh processes differ: first at step 20, in loss")
    assert "repromatrix check --repeats N" in told.lines[1]
    assert told.deterministic is False


def test_repeats_of_two_lengths_are_no_result(script: Script) -> None:
    source = "import random, time\nfor s in range(1 + time.time_ns() % 1_000_003): print('loss', s)\n"
    record = script.write(source).one()
    assert record.outcome is Outcome.FAILED
    assert record.reason is not None
    assert "numbers the first time and" in record.reason


def test_the_check_says_what_is_read_and_of_how_many_digits(script: Script) -> None:
    script.write(PRINTS.replace("{1 / step}", "{1 / step:.4f}"))
    (told,) = check_workload(script.folder, Story(quiet=True, verbose=False), sys.executable)
    assert told.lines[0] == "two runs in fresh processes gave the same bits"
    said = "\n".join(told.lines)
    assert "metric   loss float64: 5 numbers, step 10 to step 50" in said
    assert "loss is printed with 3 digits: what differs behind them is not seen" in said
    assert "to have them fixed: metrics: [loss]" in said


def test_data_is_read_where_it_lies_and_its_content_is_part_of_the_task(script: Script) -> None:
    data = script.folder / "numbers.txt"
    data.write_text("0.5")
    source = "import sys\nprint('loss', open(sys.argv[1]).read())"
    script.write(source, "data: {numbers: numbers.txt}\n", '[python, train.py, "{numbers}"]')
    first = script.one(repeats=1)
    assert first.trajectories[0].losses == ((0.5).hex(),)
    data.write_text("0.25")
    second = script.one(repeats=1)
    assert second.trajectories[0].losses == ((0.25).hex(),)
    assert first.cell.task != second.cell.task


def test_data_of_a_user_that_there_is_not_are_not_there(script: Script) -> None:
    script.write(PRINTS, "data: {numbers: ~nobody-of-that-name/x}\n", '[python, train.py, "{numbers}"]')
    assert "no such file or folder: ~nobody-of-that-name/x" in script.wrong()


@pytest.mark.parametrize("pattern", ["/etc/passwd", "../*", "", ".", "*/../*", "./", "//", "**", "a/**b", "[a", "~"])
def test_what_is_no_path_below_the_folder_names_no_file(script: Script, pattern: str) -> None:
    (script.folder.parent / "secret").write_text("")
    assert "workload.yaml:" in script.write(PRINTS, command="[python, train.py]").wrong_with(pattern)


def test_what_is_let_onto_the_network_is_not_pinned(script: Script) -> None:
    record = script.write(PRINTS, "network: true\n").one(repeats=1)
    assert record.pinned is False


def test_docker_mounts_data_read_only_and_keeps_a_command_off_the_network(script: Script) -> None:
    engine, made = DockerEngine.__new__(DockerEngine), []
    engine.client = type("Client", (), {"create_host_config": lambda _, **given: made.append(given)})()
    data = script.folder / "numbers.txt"
    data.write_text("1")
    for more in ("", "network: true\n"):
        script.write(PRINTS, f"data: {{numbers: numbers.txt}}\n{more}", '[python, train.py, "{numbers}"]')
        workload = load_workload(script.folder, "job")
        limits = Execution.limits_of(_bare(), _cell(workload))
        engine._host_config(limits, [0], gpu=False)
    assert [each["network_mode"] for each in made] == ["none", "bridge"]
    (mount,) = made[0]["mounts"]
    assert (mount["Target"], mount["Source"], mount["ReadOnly"]) == ("/data/numbers", str(data), True)
    assert engine.data_place("numbers", data) == "/data/numbers"


def _bare() -> Execution:
    bare = Execution.__new__(Execution)
    bare._limits = RunLimits(silence=1, memory_mib=1, processes=1)
    return bare


def _cell(workload):
    matrix = replace(load(resources.matrix()), workloads=(workload,))
    return cells_of(matrix, workload, matrix.environment("numpy-2.4.6-cpu"))[0]


def test_a_command_has_a_process_of_its_own_and_no_ensemble(script: Script) -> None:
    cell = _cell(load_workload(script.write(PRINTS).folder, "job"))
    other = replace(cell, variant=replace(cell.variant, name="other"))
    assert [len(batch.cells) for batch in batches_of([cell, other])] == [1, 1]
    assert ensembles([cell], 4) == ()


def test_its_packages_are_asked_of_the_environments_in_which_it_runs(script: Script, tmp_path: Path) -> None:
    script.write(PRINTS, "packages: [pandas, tqdm>=4]\n")
    (tmp_path / "matrix.yaml").write_text(
        "format: 1\nenvironments:\n"
        '  - {framework: numpy, flavour: cpu, versions: [2.4.6], packages: ["numpy=={version}"]}\n'
        '  - {framework: jax, flavour: cpu, versions: [0.10.2], packages: ["jax=={version}"]}\n'
        'workloads: [./job]\nprofiles: {default: {environments: ["*"]}}\n'
    )
    matrix = load(tmp_path / "matrix.yaml")
    assert [each.packages for each in matrix.environments] == [
        ("numpy==2.4.6", "pandas", "tqdm>=4"),
        ("jax==0.10.2",),
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("inputs: {x: {shape: [1], draw: zeros}}\n", "job/workload.yaml:5: a command has no inputs"),
        ("packages: ['pandas=1']\n", "job/workload.yaml:5: not a requirement: 'pandas=1'"),
        ("packages: ['a @ http://example.org/a.whl']\n", "names an address"),
        ("data: {x: nowhere}\n", "no such file or folder: nowhere"),
        ("read: {pattern: '('}\n", "not a regular expression"),
        ("read: {pattern: 'loss'}\n", "the pattern names no value"),
        ("read: {pattern: '(?P<a>.)'}\nmetrics: [b]\n", "the pattern has no group 'b'"),
        ("read: {from: ../secret}\n", "read.from"),
        ("factors: {rate: ['1']}\n", "the command does not take the factor rate"),
        ("dtypes: [float32, float64]\n", "the command does not take a dtype"),
        ("root: nowhere\n", "no such folder: nowhere"),
        ("epochs: 3\n", "unknown key 'epochs'"),
    ],
)
def test_what_is_wrong_with_a_command_is_said_with_file_and_line(script: Script, more: str, said: str) -> None:
    assert said in script.write(PRINTS, more).wrong()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("[python, tran.py]", "tran.py is not among the files that are copied\n  next: did you mean 'train.py'?"),
        ('[python, train.py, "{rate}"]', "{rate} is no factor and no data"),
        ("[]", "command"),
        ("python train.py", "command must be a list"),
    ],
)
def test_what_is_wrong_with_its_words_is_said(script: Script, command: str, said: str) -> None:
    assert said in script.write(PRINTS, command=command).wrong()


def test_keys_of_commands_mean_nothing_without_one(script: Script) -> None:
    script.write(PRINTS)
    path = script.folder / "workload.yaml"
    path.write_text(path.read_text().replace("command: [python, train.py]\n", ""))
    assert "frameworks means nothing without a command" in script.wrong()


def test_init_writes_a_workload_of_a_script_from_its_imports(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helper.py").write_text("import yaml\n")
    (tmp_path / "train.py").write_text(
        "import os\nimport numpy as np\nfrom sklearn import svm\nimport helper\nimport torch.nn\nfrom . import x\n"
    )
    assert run(["init", "--script", "train.py"]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "guessed    from the imports of train.py: torch, scikit-learn" in told
    assert "repromatrix lock" in told
    command = load_workload(tmp_path / "my_job", "my_job").command
    assert command is not None
    assert (command.words, command.frameworks) == (("python", "train.py"), ("torch",))
    assert (command.packages, [path for path, _ in command.files]) == (("scikit-learn",), ["train.py", "helper.py"])
    assert {each.framework for each in load(tmp_path / "matrix.yaml").environments} == {"torch"}


@pytest.mark.parametrize(
    ("source", "said"),
    [("import os\n", "imports none of jax, keras, numpy"), ("import (\n", "not Python"), (None, "no such file")],
)
def test_a_script_of_which_nothing_can_be_guessed_is_refused(tmp_path: Path, monkeypatch, capsys, source, said) -> None:
    monkeypatch.chdir(tmp_path)
    if source is not None:
        (tmp_path / "train.py").write_text(source)
    assert run(["init", "--script", "train.py"]) == ExitCode.USAGE
    assert said in capsys.readouterr().err
    assert not (tmp_path / "matrix.yaml").exists()
