"""Loss logs of others: every form gives the same numbers as text, and every mistake its line."""

import gzip
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repromatrix.errors import ExitCode, UsageError
from repromatrix.results.logs import files, lines, read
from repromatrix.results.logs.columns import Asked, Column, Repeated
from repromatrix.results.logs.figures import Comma, number


def parsed(text: str | bytes, **asked) -> dict[str, Column]:
    """Return the columns of a file by name."""
    data = text if isinstance(text, bytes) else text.encode()
    return {each.name: each for each in read.parse(data, "log", Asked(**asked)).columns}


def only(text: str | bytes, **asked) -> Column:
    (column,) = parsed(text, **asked).values()
    return column


def texts(column: Column) -> tuple[str, ...]:
    return tuple((column.texts or "").split("\n"))


def steps(column: Column) -> list:
    if column.steps is None:
        return []
    return [tuple(row) if len(row) > 1 else row[0] for row in column.steps.tolist()]


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
    assert [texts(each) for each in parsed(text).values() if len(each.values) == 3][-1] == ("0.5", "0.25", "0.125")


STEPS = {
    "step": "step,loss\n10,0.5\n20,0.25\n",
    "_step": '{"_step": 10, "loss": 0.5}\n{"_step": 20, "loss": 0.25}\n',
    "iter": "iter 10: loss 0.5\niter 20: loss 0.25\n",
    "iteration": "iteration       10/ 100 | lm loss: 0.5\niteration       20/ 100 | lm loss: 0.25\n",
    "update": "update,loss\n10,0.5\n20,0.25\n",
    "num_updates": '| INFO | {"train_num_updates": "10", "loss": "0.5"}\n'
    '| INFO | {"train_num_updates": "20", "loss": "0.25"}\n',
    "global_step": '[{"global_step": 10, "loss": 0.5}, {"global_step": 20, "loss": 0.25}]',
    "train_step": "train_step;loss\n10;0.5\n20;0.25\n",
    "batch": "batch=10 loss=0.5\nbatch=20 loss=0.25\n",
    "epoch": "Epoch 10/30 - loss: 0.5\nEpoch 20/30 - loss: 0.25\n",
    "current_steps": '{"current_steps": 10, "loss": 0.5}\n{"current_steps": 20, "loss": 0.25}\n',
    "the finer of two": "epoch,step,loss\n0,10,0.5\n0,20,0.25\n",
    "a list of epoch and step": '{"step": [1, 10], "loss": 0.5}\n{"step": [1, 20], "loss": 0.25}\n',
    "the keys": '{"loss": {"10": 0.5, "20": 0.25}}',
    "the ends of keys": '{"loss_step_10": 0.5, "loss_step_20": 0.25}',
    "a list beside": '{"step": [10, 20], "loss": [0.5, 0.25]}',
    "a start and an interval": '{"loss": {"start_step": 10, "step_interval": 10, "values": [0.5, 0.25]}}',
    "a progress bar": " 1%|#   | 10/900 [00:01<00:10, 1.0it/s, loss=0.5]\n"
    " 2%|#   | 20/900 [00:02<00:10, 1.0it/s, loss=0.25]\n",
    "the line above": "--- step 10 ---\nloss: 0.5\n--- step 20 ---\nloss: 0.25\n",
    "the last one that was said": "saved at step=10, host=0\n  loss=0.5\nsaved at step=20, host=0\n  loss=0.25\n",
    "a clock before it": "1785600000000 0.5 10\n1785600001500 0.25 20\n",
    "one row each in a record": '{"10": {"loss": 0.5}, "20": {"loss": 0.25}}',
    "text columns beside": 'step,note,loss\n10,"a, b",0.5\n20,c,0.25\n',
    "Markdown": "| step | loss |\n|-----:|-----:|\n| 10 | 0.5 |\n| 20 | 0.25 |\n",
    "a key and its value": '{"key": "loss", "value": 0.5, "metadata": {"step_num": 10}}\n'
    '{"key": "loss", "value": 0.25, "metadata": {"step_num": 20}}\n',
}  # fmt: skip


@pytest.mark.parametrize("text", STEPS.values(), ids=STEPS)
def test_what_counts_the_steps_is_recognised(text: str) -> None:
    found = [each for name, each in parsed(text).items() if "loss" in name]
    assert [(texts(each), steps(each)) for each in found] == [(("0.5", "0.25"), [10, 20])]


LINES = {
    "torchtitan": ("[rank0]: 2026-02-11 10:04:03,500 - step:  1  loss:   8.1661  tps: 1,108  mfu: 0.04%", "8.1661"),
    "a Python dict": ("{'loss': 8.1661, 'step': 1, 'done': False, 'nothing': None}", "8.1661"),
    "a tensor": ("step 1, loss: tensor(8.1661, device='cuda:0')", "8.1661"),
    "Keras": ("1/1 [=====] - 1s 12ms/step - loss: 8.1661 - accuracy: 0.9000", "8.1661"),
    "absl": ("I0302 08:00:39.123456 140 train.py:10] step: 1, loss: 8.1661", "8.1661"),
    "an average beside": ("Epoch: [1][ 10/5005]\tTime  0.5\tLoss 8.1661e+00 (7.1e+00)\tAcc@1 0.0 ( 0.1)", "8.1661e+00"),
    "negative": ("step 1 loss=-8.1661", "-8.1661"),
    "a minus that is a dash": ("step 1 - loss - 8.1661", "8.1661"),
    "not a number": ("step 1 loss nan", "nan"),
    "hexadecimal": ("step 1 loss 0x1.8p-1", "0x1.8000000000000p-1"),
    "in colours": ("\x1b[1mstep 1\x1b[0m \x1b[32mloss: 8.1661\x1b[0m", "8.1661"),
    "thousands, shown by another number": ("step 1 loss 8,123.5", "8123.5"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), LINES.values(), ids=LINES)
def test_printed_lines_are_read_and_nothing_is_taken_for_a_loss(line: str, expected: str) -> None:
    (loss,) = [each for name, each in parsed(f"starting\n{line}\n").items() if "loss" in name.lower()]
    assert texts(loss) == (expected,)


def test_an_overwritten_progress_bar_is_read_as_it_stands_at_the_end() -> None:
    bar = "".join(f"\r{at}/3 [==>] - loss: 0.{9 - at}" for at in range(1, 4))
    found = parsed(f"Epoch 1/2\n{bar} - val_loss: 0.5\nEpoch 2/2\n{bar} - val_loss: 0.4\n")
    assert texts(found["loss"]) == ("0.6", "0.6")
    assert steps(found["val_loss"]) == [(1, 3), (2, 3)]


def test_all_numeric_columns_are_read_and_what_is_left_out_is_said() -> None:
    log = read.parse(b"step,loss,lr,note\n1,0.5,0.1,a\n2,0.25,0.1,a\n", "log")
    assert [each.name for each in log.columns] == ["loss", "lr"]
    assert log.left_out == ("note (text)",)
    log = read.parse(b"hello\nstep 1 loss 0.5\nstep 2 loss 0.25\ntrain_runtime 9.5\n", "log")
    assert log.left_out == ("train_runtime (one number)", "1 line without named numbers")


def test_a_hugging_face_history_is_read_by_name() -> None:
    history = [
        {"loss": 2.5, "epoch": 0.5, "step": 10},
        {"eval_loss": 2.6, "epoch": 0.5, "step": 10},
        {"loss": 2.4, "epoch": 1.0, "step": 20},
        {"eval_loss": 2.5, "epoch": 1.0, "step": 20},
        {"train_loss": 2.45, "epoch": 1.0, "step": 20},
    ]
    found = parsed(json.dumps({"epoch": 1.0, "global_step": 20, "log_history": history}))
    assert {name: (texts(each), steps(each)) for name, each in found.items()} == {
        "loss": (("2.5", "2.4"), [10, 20]),
        "eval_loss": (("2.6", "2.5"), [10, 20]),
    }


def test_empty_cells_and_null_are_no_numbers_and_shift_nothing() -> None:
    found = parsed("epoch,step,train_loss,val_loss\n0,0,2.5,\n0,1,2.4,\n0,1,,2.6\n1,2,2.3,\n1,2,,2.2\n")
    assert (texts(found["train_loss"]), steps(found["train_loss"])) == (("2.5", "2.4", "2.3"), [0, 1, 2])
    assert steps(only("[0.5, null, 0.25]")) == [1, 3]
    assert steps(parsed("loss,lr\n0.5,1\n,1\n0.25,1\n")["loss"]) == [1, 3]


def test_an_epoch_and_its_batches_are_two_counts_of_one_place() -> None:
    found = only("epoch,batch,loss\n0,0,1\n0,1,2\n1,0,3\n")
    assert (found.axis, steps(found)) == (("epoch", "batch"), [(0, 0), (0, 1), (1, 0)])


def test_a_step_that_stands_twice_with_one_number_is_one_and_with_two_is_a_choice() -> None:
    assert texts(only("step,loss\n1,0.5\n2,0.25\n2,0.25\n3,1\n")) == ("0.5", "0.25", "1")
    text = "step,loss\n1,0.5\n2,0.25\n2,0.26\n3,1\n"
    with pytest.raises(UsageError, match=r"step 2 stands twice, with 0\.25 and 0\.26"):
        parsed(text)
    assert texts(only(text, repeated=Repeated.FIRST)) == ("0.5", "0.25", "1")
    assert texts(only(text, repeated=Repeated.LAST)) == ("0.5", "0.26", "1")
    found = only(text, by_place=True)
    assert (texts(found), found.steps) == (("0.5", "0.25", "0.26", "1"), None)


def test_a_comma_is_what_the_file_shows_or_what_is_said() -> None:
    assert texts(only("step;loss\n1;0,5\n2;1,234\n")) == ("0.5", "1.234")
    assert texts(only('step,loss\n"1,000","8,254.426"\n"2,000","7,605"\n')) == ("8254.426", "7605")
    text = "step;loss\n1;1,234\n2;1,123\n"
    with pytest.raises(UsageError, match="'1,234' where") as caught:
        parsed(text)
    assert "--comma decimal or --comma thousands" in caught.value.hint
    assert texts(only(text, comma=Comma.DECIMAL)) == ("1.234", "1.123")
    assert texts(only(text, comma=Comma.THOUSANDS)) == ("1234", "1123")


def test_a_json_file_may_hold_several_runs_under_nested_names() -> None:
    data = {"torch": {"losses": [0.5], "seed": [1, 2]}, "jax": {"cpu": [0.25, 1], "gpu": [0.125, 2]}}
    assert {*parsed(json.dumps(data))} == {"torch/seed", "jax/cpu", "jax/gpu"}
    data = {"torch": {"losses": [0.5, 1]}, "jax": {"losses": [0.25, 1]}}
    assert {*parsed(json.dumps(data))} == {"torch/losses", "jax/losses"}


def test_the_published_table_is_such_a_file() -> None:
    path = Path(__file__).parents[2] / "workloads" / "mazur" / "published.json"
    names = [each.name for each in read.read(path).columns]
    assert names == list(json.loads(path.read_text())["losses"])


# Binary files.


def saved(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def array(values, **words) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values, **words), allow_pickle=True)
    return file.getvalue()


def safetensors(header: object, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def test_arrays_are_exact_and_state_their_dtype() -> None:
    found = only(array([0.5, 0.1], dtype="f4"))
    assert (found.dtype, found.texts, found.values.tolist()) == ("float32", None, np.float32([0.5, 0.1]).tolist())
    assert only(array([0.5], dtype=">f8")).dtype == "float64"
    found = parsed(saved(step=np.array([10, 20]), loss=np.array([0.5, 0.25], "f2"), other=np.zeros(3)))
    assert (steps(found["loss"]), found["loss"].dtype, found["other"].steps) == ([10, 20], "float16", None)
    found = only(array([(1, 0.5), (2, 0.25)], dtype=[("step", "i4"), ("loss", "f4")]))
    assert (steps(found), found.values.tolist()) == ([1, 2], [0.5, 0.25])


def test_safetensors_are_read_by_their_header() -> None:
    body = np.array([0.5, 0.25], "<f4").tobytes() + np.array([0x3F80, 0x4000], "<u2").tobytes()
    header = {
        "__metadata__": {"format": "pt"},
        "loss": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "BF16", "shape": [2, 1], "data_offsets": [8, 12]},
    }
    found = parsed(safetensors(header, body))
    assert {name: (each.dtype, each.values.tolist()) for name, each in found.items()} == {
        "loss": ("float32", [0.5, 0.25]),
        "b": ("bfloat16", [1.0, 2.0]),
    }


def test_gzip_utf16_and_marks_are_unpacked() -> None:
    text = "step,loss\n1,0.5\n2,0.25\n"
    for data in (gzip.compress(text.encode()), text.encode("utf-16"), text.encode("utf-32"), text.encode("utf-8-sig")):
        assert texts(only(data)) == ("0.5", "0.25")
    assert only(gzip.compress(array([0.5], dtype="f4"))).values.tolist() == [0.5]


def test_event_files_are_read_by_tensorboard_alone() -> None:
    data = (24).to_bytes(8, "little") + b"\0" * 4 + b"\x09\0\0\0\0\0\0\xf0?\x1a\rbrain.Event:2" + b"\0" * 4
    try:
        import tensorboard  # noqa: F401, PLC0415
    except ImportError:
        with pytest.raises(UsageError, match="TensorBoard is not installed") as caught:
            read.parse(data, "events")
        assert "pip install tensorboard" in caught.value.hint


REFUSED = {
    "a pickle": (pickle.dumps([0.5]), "a pickle, which could run code"),
    "a pickle in a zip archive": (None, "a pickle in a zip archive"),
    "objects in an array": (array([{}], dtype=object), "an array of Python objects"),
    "a damaged array": (array([0.5])[:-3], "its header states another size"),
    "a header that asks for much memory": (array([0.5]).replace(b"(1,)", b"(9999999999999,)"), "damaged array"),
    "tensors that lie beyond the end": (
        safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"abc"),
        "damaged safetensors header",
    ),
    "a tensor that is nothing known": (
        safetensors({"a": {"dtype": "F8_E5M2", "shape": [1], "data_offsets": [0, 1]}}, b"a"),
        "holds no losses",
    ),
    "half a gzip": (gzip.compress(b"0.5\n" * 99)[:-20], "damaged gzip"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "very many numbers": (b"[" + b"1," * 4_000_000 + b"1]", "more than 3,000,000 numbers as text"),
    "a very long field": (b'step,loss\n1,0.5\n2,"' + b"x" * 140_000 + b'"\n', "not CSV (field larger than field limit"),
    "a table of runs": (b"Name,State,loss\nfox,done,0.5\nhill,done,0.25\n", "a table of runs: each row is a run"),
    "a table of runs that says how long each ran": (
        b"Name,State,loss,_step\nfox,done,0.5,100\nhill,done,0.25,100\n",
        "a table of runs: each row is a run, named by Name",
    ),
    "lines without numbers": (b"hello\nworld again\n", "no named numbers in its lines"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "what"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_read_is_refused_by_name(data: bytes | None, what: str) -> None:
    if data is None:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", b"x")
        data = file.getvalue()
    with pytest.raises(UsageError) as caught:
        read.parse(data, "log")
    assert what in caught.value.what
    assert caught.value.hint


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    kinds = {tmp_path / "fifo": "a FIFO", tmp_path / "folder": "a directory", Path("/dev/zero"): "a device"}
    for path, kind in kinds.items():
        with pytest.raises(UsageError, match=f"{kind}, not a regular file"):
            read.read(path)
    with pytest.raises(UsageError, match="no such file"):
        read.read(tmp_path / "log.csv")


def test_a_file_that_is_too_large_packed_or_not_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 1000)
    (tmp_path / "log.csv").write_text("0.5\n" * 300)
    (tmp_path / "log.gz").write_bytes(gzip.compress(b"0.5\n" * 300))
    for name in ("log.csv", "log.gz"):
        with pytest.raises(UsageError, match="larger than"):
            read.read(tmp_path / name)


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
    "a step out of order": ("1 1\n2 1\n4 1\n3 1\n", "log:4", "step 3 after step 4: out of order"),
    "half a step": ("step,loss\n1.5,0.5\n", "log:2", "a step, a whole number from 0 or 1 on, is due"),
    "a step that is none": ("step,loss\n1,0.5\nx,0.5\n", "log:3", "'x' where a step"),
    "a short line": ("step,loss\n1,0.5\n2\n", "log:3", "2 columns expected, 1 found"),
    "columns that nobody can tell": ("1.5 2.5 3.5\n", "log:1", "3 columns without a header"),
    "a column twice": ("step,loss,loss\n1,2,3\n", "log:1", "the column loss stands twice"),
    "broken JSON": ("[0.5,\n0.25", "log:2", "not JSON"),
    "true in JSON": ('{"losses": [1,\n true]}', "log:2", "'true' where"),
    "text for a loss in JSON": ('{"losses": [1,\n "x"]}', "log:2", "'x' where"),
    "a broken JSON line": ('{"step": 1, "loss": 1}\n{"step": 2,\n', "log:2", "not a JSON object"),
    "a step back in JSON lines": ('{"step": 3, "loss": 1}\n{"step": 1, "loss": 1}', "log:2", "step 1 after step 3"),
    "a key twice": ('{"a": {"loss": 1},\n "losses": [1],\n "losses": [2]}', "log:3", "the key 'losses' stands twice"),
    "a key twice in JSON lines": ('{"loss": 1}\n{"loss": 1, "loss": 2}', "log:2", "the key 'loss' stands twice"),
    "nothing": ("", "log", "holds no losses"),
    "an empty list": ("[]", "log", "holds no losses"),
    "something binary": ("0.5\n\0\n", "log", "not a text file"),
    "deep nesting": ("[" * 100_000, "log", "nested too deeply"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "where", "what"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_told_with_its_line_and_what_to_do(text: str, where: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        read.parse(text.encode(), "log")
    assert caught.value.where == where
    assert what in caught.value.what
    assert caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE


def test_bytes_that_are_no_utf8_are_not_guessed_at() -> None:
    with pytest.raises(UsageError, match="not a text file") as caught:
        read.parse(b"0.5\n\xff\xfe\n", "log")
    assert caught.value.where == "log:2"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_message(text: str) -> None:
    try:
        log = read.parse(text.encode(errors="replace"), "log")
    except UsageError:
        return
    assert all(len(each.values) for each in log.columns)


LONG = {
    "JSON lines": '{{"step": {at}, "loss": {loss}, "nested": {{"norm": -{loss}}}, "ok": true}}\n',
    "printed": "step {at:>8}/  9000 | loss: {loss} | lr 1.5E-04 | nan skipped: 0\n",
    "with a clock": "2026-07-14 10:00:00,123 INFO step={at}, loss={loss} ({at} s)\n",
    "with clocks that are numbers too": "[0:{at}<1:00, 3-4-{at}] 1:02:03 step={at}/4000 loss={loss}\n",
    "with what changes seldom": "[2026-07-14T10:00:00Z] epoch: {epoch} step: {at} lr: -{rate}E-05 loss: {loss}\n",
}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize(
    "odd",
    [
        "",
        "warning: 12 of them\n",
        '{"step": 3.5',
        "step 7 loss 1,234\n",
        "[0:12<1:00, 3333-04-05] 1:02:03 step=7/4000 loss=0.5\n",
        "2026-07-14 10:00 INFO step=7, loss=0.5 (7 s)\n",
        "10:00:00.5 INFO step=7, loss=0.5 (7 s)\n",
        "[2026-07-14T10:00:00Z] epoch: 0 step: 7 lr: -nan loss: 0.5\n",
    ],
)
def test_many_lines_of_one_shape_are_read_as_each_of_them_is(name: str, odd: str, monkeypatch) -> None:
    rows = [LONG[name].format(at=at, loss=repr(1 / at), epoch=at // 1500, rate=at // 700 / 2) for at in range(1, 4001)]
    rows[3000:3000] = [odd] if odd.endswith("\n") else []
    text = "".join(rows) + (odd if not odd.endswith("\n") else "")

    def found():
        try:
            return [(each.name, each.texts, steps(each)) for each in read.parse(text.encode(), "log").columns]
        except UsageError as error:
            return str(error)

    fast = found()
    monkeypatch.setattr(lines, "_main", lambda *_, **__: None)
    assert fast == found()
