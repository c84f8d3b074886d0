"""Loss logs of others: every form gives the same numbers as text, and every mistake its line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.errors import ExitCode, UsageError
from repromatrix.results import foreign
from repromatrix.results.foreign import parse
from repromatrix.results.log import number

FORMS = {
    "one number a line": "0.5\n0.25\n0.125\n",
    "columns": "1 0.5\n2  0.25\n3\t0.125\n",
    "columns from step 0": "0 0.5\n1 0.25\n2 0.125\n",
    "columns under NumPy's comment": "# step loss\n1 0.5\n2 0.25\n3 0.125\n",
    "lines under a comment": "# made by somebody\n0.5\n\n0.25\n0.125\n",
    "CSV with a header": "step,loss\n1,0.5\n2,0.25\n3,0.125\n",
    "CSV with other columns": "time;Step;Value\n9.5;1;0.5\n9.6;2;0.25\n9.7;3;0.125\n",
    "CSV with one column": "anything\n0.5\n0.25\n0.125\n",
    "CSV from Windows": "\ufeffstep,loss\r\n1,0.5\r\n2,0.25\r\n3,0.125\r\n",
    "quoted CSV": '"step","loss"\n"1","0.5"\n"2","0.25"\n"3","0.125"\n',
    "a JSON list": "[0.5, 0.25, 0.125]",
    "a JSON list of texts": '["0.5", "0.25", "0.125"]',
    "a JSON list of objects": '[{"step": 0, "loss": 0.5}, {"step": 1, "loss": 0.25}, {"step": 2, "loss": 0.125}]',
    "a JSON object": '{"seed": 7, "losses": [0.5, 0.25, 0.125]}',
    "JSON lines": '{"step": 1, "loss": 0.5}\n{"loss": 0.25, "step": 2, "lr": 1}\n\n{"step": 3, "loss": 0.125}\n',
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_numbers_as_they_are_written(text: str) -> None:
    (log,) = parse(text.encode(), "log")
    assert log.texts == ("0.5", "0.25", "0.125")
    assert log.name == ""


def test_steps_from_0_are_remembered_and_lines_without_steps_count_from_1() -> None:
    assert parse(b"0 0.5\n1 0.25\n", "log")[0].first_step == 0
    assert parse(b"0.5\n0.25\n", "log")[0].first_step == 1


@pytest.mark.parametrize("text", ["10 0.5\n20 0.25\n", '[{"step": 10, "loss": 0.5}, {"step": 20, "loss": 0.25}]'])
def test_steps_that_are_left_out_are_remembered(text: str) -> None:
    (log,) = parse(text.encode(), "log")
    assert (log.texts, log.steps) == (("0.5", "0.25"), (10, 20))
    assert parse(b"0 0.5\n1 0.25\n", "log")[0].steps is None


def test_a_hugging_face_history_gives_its_losses_and_says_how_many_entries_have_none() -> None:
    history = [
        {"loss": 2.5, "epoch": 0.5, "step": 10},
        {"eval_loss": 2.6, "epoch": 0.5, "step": 10},
        {"loss": 2.4, "epoch": 1.0, "step": 20},
        {"train_loss": 2.45, "epoch": 1.0, "step": 20},
    ]
    data = json.dumps({"epoch": 1.0, "global_step": 20, "log_history": history}).encode()
    (log,) = parse(data, "log")
    assert (log.name, log.texts, log.steps, log.skipped) == ("", ("2.5", "2.4"), (10, 20), 2)
    (log,) = parse(data, "log", "eval_loss")
    assert (log.texts, log.skipped) == (("2.6",), 3)


def test_lightning_counts_steps_beside_epochs_and_its_rows_of_validation_are_left_out() -> None:
    (log,) = parse(b"epoch,step,train_loss,val_loss\n0,0,2.5,\n0,1,2.4,\n0,1,,2.6\n1,2,2.3,\n", "log")
    assert (log.texts, log.first_step, log.steps, log.skipped) == (("2.5", "2.4", "2.3"), 0, None, 1)
    (log,) = parse(b'{"epoch": 0, "global_step": 1, "loss": 2.5}\n{"epoch": 0, "global_step": 2, "loss": 2}', "log")
    assert log.texts == ("2.5", "2")


def test_a_json_file_may_hold_several_runs_under_nested_names() -> None:
    data = {"torch": {"losses": [0.5], "seed": [1, 2]}, "jax": {"cpu": [0.25], "gpu": [0.125]}}
    found = {log.name: log.texts for log in parse(json.dumps(data).encode(), "log")}
    assert found == {"torch": ("0.5",), "jax/cpu": ("0.25",), "jax/gpu": ("0.125",)}


def test_the_published_table_is_such_a_file() -> None:
    path = Path(__file__).parents[2] / "workloads" / "mazur" / "published.json"
    names = [log.name for log in foreign.read(path)]
    assert names == list(json.loads(path.read_text())["losses"])


def test_a_column_of_another_name_can_be_named() -> None:
    assert parse(b"step,a,b\n1,0.5,2\n", "log", "b")[0].texts == ("2",)
    assert parse(b'{"step": 1, "a": 0.5, "loss": 7}\n', "log", "a")[0].texts == ("0.5",)


NUMBERS = {
    "0x1.8p-1": "0x1.8000000000000p-1",
    "-0X.8P1": "-0x1.0000000000000p+0",
    "NaN": "nan",
    "-Infinity": "-inf",
    "+inf": "inf",
    ".5": ".5",
    "1E-3": "1E-3",
}


@pytest.mark.parametrize(("text", "expected"), NUMBERS.items())
def test_numbers_are_decimal_hexadecimal_or_special(text: str, expected: str) -> None:
    assert number(text) == expected


NO_NUMBERS = [
    "",
    "one",
    "0,5",
    "1_0",
    "0x",
    "0x1.00000000000001p0",
    "1e999",
    "0x1p99999",
    "1e99999",
    "\u0661",
    "1" * 2000,
]


@pytest.mark.parametrize("text", NO_NUMBERS, ids=[each[:12] for each in NO_NUMBERS])
def test_what_float64_cannot_hold_is_no_number(text: str) -> None:
    assert number(text) is None


@given(st.floats())
def test_what_python_writes_is_read_back(value: float) -> None:
    for text in (repr(value), value.hex()):
        found = number(text)
        assert found is not None
        back = float.fromhex(found) if "x" in found else float(found)
        assert back.hex() == value.hex()


WRONG = {
    "a word": ("0.5\nx\n", "log:2", "'x' where a decimal or C99 hexadecimal number"),
    "a decimal comma": ("step;loss\n1;0,5\n", "log:2", "'0,5' where"),
    "a step beside none": ('{"step": 1, "loss": 1}\n{"loss": 1}', "log:2", "a loss without a step"),
    "none beside a step": ('{"loss": 1}\n{"step": 2, "loss": 1}', "log:2", "step 2 after a loss without a step"),
    "a step that stands twice": ("1 0.5\n1 0.25\n", "log:2", "step 1 stands twice"),
    "a step out of order": ("1 1\n2 1\n3 1\n1 1\n", "log:4", "step 1 after step 3: out of order"),
    "half a step": ("1.5 0.5\n", "log:1", "a step, a whole number from 0 or 1 on, is due"),
    "a short line": ("step,loss\n1,0.5\n2\n", "log:3", "2 columns expected, 1 found"),
    "too many columns": ("1 2 3\n", "log:1", "3 columns without a header"),
    "no column of a known name": ("a,b\n1,2\n", "log:1", "which of them is the loss?"),
    "broken JSON": ("[0.5,\n0.25", "log:2", "not JSON"),
    "null in JSON": ("[0.5,\n0.25,\n\n null]", "log:4", "nothing where"),
    "a list in a list": ('{"a": [0.5],\n "b": [\n  [1]]}', "log:3", "b: "),
    "true in JSON": ('{"losses": [1,\n true]}', "log:2", "'true' where"),
    "text in JSON": ('{"a":\n "b,]: c"}', "log:2", "a: a list of losses expected"),
    "a JSON line without a loss": ('{"step": 1, "loss": 1}\n{"eval": 1}\n', "log:2", "an object with loss"),
    "a broken JSON line": ('{"step": 1, "loss": 1}\n{"step": 2,\n', "log:2", "not a JSON object"),
    "a step back in JSON lines": ('{"step": 3, "loss": 1}\n{"step": 1, "loss": 1}', "log:2", "step 1 after step 3"),
    "a key twice": ('{"a": {"loss": 1},\n "losses": [1],\n "losses": [2]}', "log:3", "the key 'losses' stands twice"),
    "a key twice in JSON lines": ('{"loss": 1}\n{"loss": 1, "loss": 2}', "log:2", "the key 'loss' stands twice"),
    "null as a loss in a history": ('{"log_history": [\n{"step": 1, "loss": null}]}', "log:2", "an object with loss"),
    "a history without a loss": ('{"log_history": [{"eval_loss": 1}]}', "log", "holds no losses"),
    "an empty cell without a step": ("loss,lr\n0.5,1\n,1\n", "log:3", "'' where"),
    "nothing": ("", "log", "holds no losses"),
    "an empty list": ("[]", "log", "holds no losses"),
    "an empty run beside another": ('{"a": [1], "b": []}', "log", "holds no losses"),
    "something binary": ("0.5\n\0\n", "log", "not a text file"),
    "deep nesting": ("[" * 100_000, "log", "nested too deeply"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "where", "what"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_told_with_its_line_and_what_to_do(text: str, where: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text.encode(), "log")
    assert caught.value.where == where
    assert what in caught.value.what
    assert caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE


def test_bytes_that_are_no_utf8_are_not_guessed_at() -> None:
    with pytest.raises(UsageError, match="not a text file"):
        parse(b"0.5\n\xff\xfe\n", "log")


def test_a_file_that_is_not_there_or_too_large_is_told(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(UsageError, match="no such file"):
        foreign.read(tmp_path / "log.csv")
    with pytest.raises(UsageError, match="no such file"):
        foreign.read(tmp_path)
    monkeypatch.setattr(foreign, "MOST_BYTES", 4)
    (tmp_path / "log.csv").write_text("0.5\n0.25\n")
    with pytest.raises(UsageError, match="larger than"):
        foreign.read(tmp_path / "log.csv")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_message(text: str) -> None:
    try:
        logs = parse(text.encode(errors="replace"), "log")
    except UsageError:
        return
    assert all(log.texts for log in logs)
