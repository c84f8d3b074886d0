"""`check` holds a run against a golden file: every metric, at every step of the golden; and writes one that moved."""

import json
import platform
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from repromatrix.cli.main import run
from repromatrix.errors import ExitCode

GOLDEN = "step,loss,grad_norm,seconds\n10,0.30000000000000004,1.2500000000000002,3\n20,0.25,1.5,4\n30,0.125,1.75,5\n"
RUN = (
    '{{"step": 10, "loss": 0.30000000000000004, "grad_norm": 1.2500000000000002}}\n'
    '{{"step": 20, "loss": {loss}, "grad_norm": 1.5}}\n'
    '{{"step": 30, "loss": 0.125, "grad_norm": {norm}}}\n'
    '{{"step": 40, "loss": 0.1, "grad_norm": 2}}\n'
)


@pytest.fixture(autouse=True)
def golden(command) -> Path:
    path = command.folder / "golden.csv"
    path.write_text(GOLDEN)
    return path


@pytest.fixture
def files(command):
    def write(loss="0.25", norm="1.75", name="run.jsonl") -> str:
        (command.folder / name).write_text(RUN.format(loss=loss, norm=norm))
        return name

    return write


def test_a_run_that_has_all_of_the_golden_is_0_and_what_it_has_beside_is_said(command, files) -> None:
    said = command("check", "golden.csv", files())
    assert said.code == 0
    assert "2 of 2 metrics are as expected" in said.out
    assert "run.jsonl has 1 more step than the golden: not checked" in said.out
    assert "seconds (ignored: measured" in said.out


def test_the_metric_the_step_and_the_size_are_said_and_every_form_agrees(command, files) -> None:
    args = ("check", "golden.csv", files(norm="1.7500000000000002"), "--junit", "out.xml", "--summary", "out.md")
    said = command(*args)
    assert said.code == 1
    (line,) = (each for each in said.out.splitlines() if each.startswith(("rounding", "divergent")))
    assert "golden.csv::grad_norm" in line
    assert "from step 30" in line
    document = json.loads(command(*args, "--format", "json").out)
    assert document["passes"] is False
    assert [each["passes"] for each in document["pairs"]] == [True, False]
    assert document["pairs"][1]["max_ulp"] == 1
    suites = ET.fromstring((command.folder / "out.xml").read_text())  # noqa: S314 - our own
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("2", "1", "0")
    assert "**Does not pass**" in (command.folder / "out.md").read_text()


def test_a_tolerance_is_of_one_metric(command, files) -> None:
    run = files(loss="0.2500000000000001", norm="1.7500000000000002")
    assert command("check", "golden.csv", run, "--metric", "grad_norm=rounding").code == 1
    assert command("check", "golden.csv", run, "--metric", "grad_norm=rounding", "--metric", "loss=rounding").code == 0
    assert command("check", "golden.csv", run, "--allow", "rounding").code == 0
    assert command("check", "golden.csv", files(norm="3"), "--metric", "grad_norm=shown").code == 0


def test_a_metric_that_the_run_lacks_is_an_error_in_every_form(command) -> None:
    (command.folder / "run.csv").write_text("step,loss\n10,0.30000000000000004\n20,0.25\n30,0.125\n")
    said = command("check", "golden.csv", "run.csv", "--junit", "out.xml")
    assert said.code == 1
    assert "it has no grad_norm; it has loss" in said.out
    suites = ET.fromstring((command.folder / "out.xml").read_text())  # noqa: S314 - our own
    assert (suites.get("failures"), suites.get("errors")) == ("0", "1")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            "10,0.30000000000000004,1.2500000000000002\n20,0.25,1.5\n",
            "the run lacks step 30 of the golden's 3; at the others there is no difference",
        ),
        (
            "10,0.30000000000000004,1.25\n30,0.5,1.5\n",
            "the run lacks step 20 of the golden's 3; at the others they part at step 30",
        ),
        ("11,0.5,1.25\n21,0.25,1.5\n", "it has none of the golden's 3 steps, not step 10"),
    ],
)
def test_a_step_that_the_run_lacks_does_not_pass(command, rows: str, said: str) -> None:
    (command.folder / "run.csv").write_text(f"step,loss,grad_norm\n{rows}")
    found = command("check", "golden.csv", "run.csv")
    assert found.code == 1
    assert said in found.out


def test_the_digits_of_the_golden_are_enough_and_those_of_the_run_must_be(command, files) -> None:
    (command.folder / "printed.txt").write_text("step 10 loss 0.30\nstep 20 loss 0.25\nstep 30 loss 0.13\n")
    assert command("check", "printed.txt", files(loss="0.2512345")).code == 0
    assert command("check", "printed.txt", files(loss="0.2562345")).code == 1
    assert command("check", "golden.csv::loss", "printed.txt").code == 1
    assert command("check", "golden.csv::loss", "printed.txt", "--allow", "printed").code == 0


def test_a_single_column_is_held_against_its_own_name_and_not_against_the_loss(command) -> None:
    (command.folder / "accuracy.csv").write_text("step,accuracy\n1,0.5\n2,0.75\n")
    (command.folder / "run.csv").write_text("step,loss,accuracy\n1,3,0.5\n2,2,0.75\n")
    assert command("check", "accuracy.csv", "run.csv").code == 0
    assert "it has no loss; it has accuracy" in command("check", "run.csv", "accuracy.csv").out


def test_a_cell_is_a_run(command) -> None:
    assert command("run").code == 0
    cell = "tiny/numpy-2.0-cpu/parallel"
    record = next((command.folder / "results" / "records" / cell).iterdir())
    losses = json.loads(record.read_text())["trajectories"][0]["columns"]
    texts = next(each["texts"] for each in losses if each["name"] == "loss")
    (command.folder / "golden.txt").write_text("".join(f"{each}\n" for each in texts))
    assert command("check", "golden.txt", cell).code == 0
    (command.folder / "golden.txt").write_text("".join(f"{float.fromhex(each) * 2}\n" for each in texts))
    assert command("check", "golden.txt", cell).code == 1
    assert command("check", "golden.txt", "tiny/none/*").code == 3


def test_what_cannot_be_told_is_2_with_a_way_out(command, files) -> None:
    (command.folder / "two.csv").write_text("step,a loss,b loss\n1,1,2\n2,1,2\n")
    (command.folder / "one.csv").write_text("step,loss\n1,1\n2,1\n")
    said = command("check", "two.csv", "one.csv")
    assert said.code == 1
    assert "has no a loss" in said.out
    said = command("check", "golden.csv", files(), "--metric", "nothing")
    assert said.code == 2
    assert "no log has a metric nothing" in said.err


def test_an_update_writes_the_numbers_that_moved_and_no_other_byte(command, files) -> None:
    golden = command.folder / "golden.csv"
    golden.write_bytes(GOLDEN.replace("\n", "\r\n").encode())
    before = golden.read_bytes()
    assert command("check", "--update", "golden.csv", files()).code == 0
    assert golden.read_bytes() == before
    run = files(loss="0.375")
    assert command("check", "golden.csv", run).code == 1
    said = command("check", "--update", "golden.csv", run)
    assert said.code == 0
    assert "moved      loss: 1 of 3 numbers" in said.err
    assert golden.read_bytes() == before.replace(b"20,0.25,", b"20,0.375,")
    assert command("check", "golden.csv", run).code == 0


def test_an_update_leaves_alone_what_a_golden_links_to(command, files) -> None:
    golden, kept = command.folder / "golden.csv", command.folder / "kept.csv"
    golden.rename(kept)
    before = kept.read_bytes()
    golden.symlink_to(kept)
    assert command("check", "--update", "golden.csv", files(loss="0.375")).code == 0
    assert not golden.is_symlink()
    assert kept.read_bytes() == before != golden.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("short.jsonl", '{"step": 10, "loss": 0.5, "grad_norm": 1}\n', "it lacks step 20"),
        ("less.csv", "step,loss\n10,0.30000000000000004\n20,0.25\n30,0.125\n", "it has no grad_norm"),
        ("coarse.csv", "step,loss,grad_norm\n10,1,1.25\n20,2,1.5\n30,3,1.75\n", "fewer digits than"),
        ("nan.csv", "step,loss,grad_norm\n10,nan,1.25\n20,2,1.5\n30,3,1.75\n", "is nan at step 10"),
    ],
)
def test_an_update_from_a_run_that_says_less_is_refused_and_nothing_is_written(
    command, name: str, content: str, said: str
) -> None:
    (command.folder / name).write_text(content)
    found = command("check", "--update", "golden.csv", name)
    assert found.code == 2
    assert said in found.err
    assert (command.folder / "golden.csv").read_text() == GOLDEN


def test_a_binary_golden_is_written_in_its_form(command) -> None:
    np.save(command.folder / "golden.npy", np.array([0.5, 0.25, 0.125], dtype="float32"))
    (command.folder / "run.csv").write_text("loss\n0.5\n0.375\n0.125\n")
    assert command("check", "golden.npy", "run.csv").code == 1
    assert command("check", "--update", "golden.npy", "run.csv").code == 0
    assert np.load(command.folder / "golden.npy").tolist() == [0.5, 0.375, 0.125]
    assert command("check", "golden.npy", "run.csv").code == 0


def test_a_corpus_golden_passes_against_itself(command, monkeypatch) -> None:
    corpus = Path(__file__).parents[1] / "data" / "dialects"
    monkeypatch.chdir(corpus / "titan-golden-grad-norm")
    names = sorted(each.name for each in Path().iterdir() if each.name != "case.json")
    assert command("check", names[0], names[0]).code == 0


def test_a_golden_of_this_machine_is_taken_and_none_of_another(command, files, monkeypatch) -> None:
    for name in ("x86_64", "arm64"):
        (command.folder / name).mkdir()
        (command.folder / name / "loss.csv").write_text(GOLDEN if name == "arm64" else "step,loss\n1,1\n")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert command("check", "{machine}/loss.csv", files()).code == 0
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    said = command("check", "{machine}/loss.csv", files())
    assert said.code == 3
    assert "no golden for this machine; there are: arm64/loss.csv, x86_64/loss.csv" in said.err


@pytest.fixture
def repeats(command):
    draw = np.random.default_rng(5)

    def write(name: str, count: int, shift: float = 0.0, columns: str = "accuracy") -> list[str]:
        names = [f"{name}-{at}.csv" for at in range(count)]
        for each in names:
            rows = [",".join(f"{0.9 + shift + 0.01 * draw.standard_normal():.4f}" for _ in columns.split(","))
                    for _ in range(2)]  # fmt: skip
            (command.folder / each).write_text(f"epoch,{columns}\n1,{rows[0]}\n2,{rows[1]}\n")
        return names

    return write


def test_noisy_scores_pass_where_they_are_not_shifted_and_fail_where_they_are(command, repeats) -> None:
    golden = repeats("golden", 8)
    said = command("check", "--repeats", "8", *golden, *repeats("same", 8))
    assert said.code == 0
    assert "at most 0.1% of false alarms" in said.out
    args = (
        "check",
        "--repeats",
        "8",
        *golden,
        *repeats("other", 8, -0.05),
        "--junit",
        "out.xml",
        "--summary",
        "out.md",
    )
    said = command(*args)
    assert said.code == 1
    assert "does not pass: 0 of 1 metrics as before" in said.out
    document = json.loads(command(*args, "--format", "json").out)
    assert document["passes"] is False
    assert -0.07 < document["metrics"][0]["shift"] < -0.03
    assert 0.02 < document["metrics"][0]["seen"] < 0.06
    suites = ET.fromstring((command.folder / "out.xml").read_text())  # noqa: S314 - our own
    assert (suites.get("failures"), suites.get("errors")) == ("1", "0")
    assert "does not pass" in (command.folder / "out.md").read_text()


def test_too_few_repeats_are_refused_with_how_many_are_needed(command, repeats) -> None:
    said = command("check", "--repeats", "5", *repeats("golden", 5), *repeats("run", 5))
    assert said.code == 2
    assert "no shift, however large, could be told from noise with at most 0.1% of false alarms" in said.err
    assert "next: repeat both: 7 of each are enough, or 9 of the run beside these 5" in said.err
    two = "accuracy,score"
    said = command("check", "--repeats", "7", *repeats("golden", 7, 0, two), *repeats("run", 7, 0, two))
    assert said.code == 2
    assert "for 2 metrics together" in said.err
    said = command("check", "--repeats", "9", *repeats("golden", 5))
    assert "none is of the run" in said.err


def test_a_score_that_a_repeat_lacks_is_an_error(command, repeats) -> None:
    golden, run = repeats("golden", 8, 0, "accuracy,score"), repeats("run", 8)
    said = command("check", "--repeats", "8", *golden, *run, "--junit", "out.xml")
    assert said.code == 1
    assert "a repeat of the run lacks it" in said.out
    suites = ET.fromstring((command.folder / "out.xml").read_text())  # noqa: S314 - our own
    assert suites.get("errors") == "1"
    (command.folder / run[3]).write_text("epoch,accuracy\n1,0.5\n")
    said = command("check", "--repeats", "8", *repeats("golden", 8), *run)
    assert said.code == 2
    assert "ends at step" in said.err


@pytest.mark.parametrize(
    ("asked", "option"),
    [("check", "--output"), ("check", "--junit"), ("check", "--summary"), ("compare", "--output")],
)
def test_no_answer_is_written_over_what_was_asked_for(tmp_path, monkeypatch, capsys, asked: str, option: str) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("golden.csv", "run.csv"):
        (tmp_path / name).write_text("step,loss\n1,0.5\n")
    (tmp_path / "link.csv").symlink_to("run.csv")
    for over in ("golden.csv", "./run.csv", "link.csv"):
        assert run([asked, "golden.csv::loss", "run.csv", option, over]) == ExitCode.USAGE
        assert "would be written over it" in capsys.readouterr().err
    assert {(tmp_path / name).read_text() for name in ("golden.csv", "run.csv")} == {"step,loss\n1,0.5\n"}
