"""`check` holds a run against a golden file: every metric, at every step of the golden; and writes one that moved."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

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
