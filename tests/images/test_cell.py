"""The harness keeps the entrypoint contract of docs/architecture.md, whatever the framework does to the process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = sorted((Path(__file__).resolve().parents[2] / "images").glob("*.py"))

ENTRYPOINT = """
import os, sys
from cell import Framework, Unavailable, main

class Fake(Framework):
    def check(self, settings):
        if "FAKE_REFUSES" in settings.env:
            raise Unavailable("cannot obey that")
        if "FAKE_BREAKS" in settings.env:
            raise KeyError("what the check asked for")

    dtypes = ("float64", "float32")
    options = {"layout": ("out_in", "in_out", "in_out_untransposed"), "mood": ("good", "bad")}
    knobs = ("XLA_FLAGS",)

    def load(self, settings):
        print("a framework that prints when it is imported")
        os.write(1, b"and below Python too\\n")
        if os.environ.get("FAKE_NO_IMPORT"):
            raise ImportError("no such library")

    def kernels(self, devices):
        return {"threads_seen": os.environ.get("OMP_NUM_THREADS", "-"), "flags": os.environ.get("XLA_FLAGS", "-")}

    def train(self, task):
        os.system("echo a child that prints")
        sys.stdout.flush()
        if task.id == "fails":
            raise ValueError("too bad\\nsecond line")
        if task.device != "cpu":
            raise Unavailable("no device " + task.device)
        inf = float("inf")
        hidden, output = task.weights()
        return task.result([0.5, inf, -inf, inf - inf], [[1.0, 0.1]], hidden, output)

main(Fake())
"""

WORKLOAD = {
    "name": "tiny",
    "steps": 4,
    "input": ["1", "2"],
    "target": ["1", "0"],
    "hidden_weights": [["1", "2"], ["3", "4"]],
    "output_weights": [["5", "6"], ["7", "8"]],
    "hidden_bias": "0.25",
    "output_bias": "0.75",
    "learning_rate": "0.5",
}


def cell(identifier, *, device="cpu", dtype="float64", trace=False, **options):
    variant = {"name": "v", "dtype": dtype, "options": options}
    return {"id": identifier, "device": device, "trace": trace, "workload": dict(WORKLOAD), "variant": variant}


def job(*cells, **settings):
    return {
        "format": 1,
        "settings": {"name": "s", "threads": 3, "isa": None, "env": {}, **settings},
        "cells": list(cells),
    }


@pytest.fixture
def serve(tmp_path):
    for path in HARNESS:
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "entrypoint.py").write_text(ENTRYPOINT)
    (tmp_path / "default-job.json").write_text(json.dumps(job(cell("by-default"))))

    def run(text, *arguments, env=None):
        command = [sys.executable, str(tmp_path / "entrypoint.py"), *arguments]
        text = text if isinstance(text, str) else json.dumps(text)
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=env)

    return run


def lines(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def cells(done):
    return {line["id"]: line for line in lines(done) if line["line"] == "cell"}


def test_lines_come_in_the_order_of_the_contract(serve):
    told = lines(serve(job(cell("a"), cell("b"))))
    assert [line["line"] for line in told] == ["fingerprint", "start", "cell", "start", "cell", "end"]
    assert told[-1] == {"line": "end", "cells": 2}


def test_what_anyone_prints_goes_to_standard_error(serve):
    done = serve(job(cell("a")))
    lines(done)
    for noise in ("when it is imported", "below Python too", "a child that prints"):
        assert noise in done.stderr
        assert noise not in done.stdout


def test_a_failing_cell_is_an_outcome_and_the_next_one_runs(serve):
    done = serve(job(cell("fails"), cell("a")))
    told = cells(done)
    assert (told["fails"]["outcome"], told["fails"]["reason"]) == ("failed", "ValueError: too bad")
    assert told["a"]["outcome"] == "ok"
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"device": "cuda:0"}, "no device cuda:0"),
        ({"dtype": "float16"}, "no dtype float16 here, only float64, float32"),
        ({"mood": "angry"}, "no mood=angry here (good, bad)"),
        ({"speed": "high"}, "no speed=high here (no such option)"),
        ({"trace": True}, "this entrypoint does not trace"),
    ],
)
def test_what_the_environment_lacks_is_unavailable_with_the_reason(serve, wanted, reason):
    told = cells(serve(job(cell("a", **wanted))))["a"]
    assert (told["outcome"], told["reason"]) == ("unavailable", reason)
    assert "losses" not in told


def test_floats_are_hexadecimal_and_nan_and_infinity_are_values(serve):
    told = cells(serve(job(cell("a"))))["a"]
    assert told["losses"] == ["0x1.0000000000000p-1", "inf", "-inf", "nan"]
    assert told["predictions"] == [["0x1.0000000000000p+0", "0x1.999999999999ap-4"]]


@pytest.mark.parametrize("layout", ["out_in", "in_out"])
def test_weights_are_told_as_rows_per_unit_whatever_the_layout(serve, layout):
    told = cells(serve(job(cell("a", layout=layout))))["a"]["weights"]
    assert [[float.fromhex(value) for value in row] for row in told["hidden"]] == [[1, 2], [3, 4]]
    assert [[float.fromhex(value) for value in row] for row in told["output"]] == [[5, 6], [7, 8]]


def test_an_import_that_fails_fails_every_cell(serve):
    done = serve(job(cell("a"), cell("b")), env={"FAKE_NO_IMPORT": "1"})
    told = cells(done).values()
    assert [(line["outcome"], line["reason"]) for line in told] == [("failed", "ImportError: no such library")] * 2
    assert set(lines(done)[0]["fingerprint"]["cpu"]) == {"machine", "vendor", "flags"}


@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        ("FAKE_REFUSES", "unavailable", "cannot obey that"),
        ("FAKE_BREAKS", "failed", "KeyError: 'what the check asked for'"),
    ],
)
def test_settings_that_the_framework_cannot_obey_stop_every_cell(serve, name, outcome, reason):
    told = cells(serve(job(cell("a"), cell("b"), env={name: "1"}))).values()
    assert [(line["outcome"], line["reason"]) for line in told] == [(outcome, reason)] * 2


@pytest.mark.parametrize("text", ["", " \n"])
def test_empty_input_runs_the_default_job(serve, text):
    assert list(cells(serve(text))) == ["by-default"]


def test_a_job_can_come_as_a_file(serve, tmp_path):
    path = tmp_path / "job.json"
    path.write_text(json.dumps(job(cell("from-file"))))
    assert list(cells(serve("", str(path)))) == ["from-file"]


def without(key):
    broken = cell("a")
    del broken["workload"][key]
    return job(broken)


def uneven():
    broken = cell("a")
    broken["workload"]["hidden_weights"] = [["1", "2"]]
    return job(broken)


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "job has no 'format'"),
        ({**job(), "format": 2}, "format 2"),
        (job(isa="mmx"), "settings.isa is 'mmx'"),
        (job(threads=0), "settings.threads is 0"),
        (job(env={"A": 1}), "settings.env"),
        (job(cell("a", device="gpu")), "cells[0].device is 'gpu'"),
        (without("target"), "cells[0].workload has no 'target'"),
        (uneven(), "shapes"),
    ],
)
def test_a_malformed_job_is_named_and_exits_2(serve, document, complaint):
    done = serve(document)
    assert done.returncode == 2
    assert done.stdout == ""
    assert complaint in done.stderr


def test_settings_become_variables_before_the_import(serve):
    settings = {"isa": None, "env": {"XLA_FLAGS": "--mine", "UNRELATED": "x"}}
    fingerprint = lines(serve(job(**settings)))[0]["fingerprint"]
    assert fingerprint["kernels"]["threads_seen"] == "3"
    assert fingerprint["variables"]["XLA_FLAGS"] == "--mine"
    assert "UNRELATED" not in fingerprint["variables"]


def test_a_cap_and_the_variables_of_the_job_share_one_flags_variable(serve):
    flags = lines(serve(job(isa="sse4.2", env={"XLA_FLAGS": "--mine"})))[0]["fingerprint"]["kernels"]["flags"]
    assert flags == "--xla_cpu_max_isa=SSE4_2 --mine"


def test_flags_on_both_sides_leave_the_last_word_on_all_else_to_the_variables_of_the_job(serve):
    asked = {"XLA_FLAGS": "--mine", "OMP_NUM_THREADS": "8"}
    kernels = lines(serve(job(isa="sse4.2", env=asked)))[0]["fingerprint"]["kernels"]
    assert kernels["threads_seen"] == "8"
    assert kernels["flags"] == "--xla_cpu_max_isa=SSE4_2 --mine"


def test_a_cell_on_a_gpu_has_the_driver_in_the_fingerprint(serve):
    assert "gpu_driver" in lines(serve(job(cell("a", device="cuda:0"))))[0]["fingerprint"]["kernels"]
    assert "gpu_driver" not in lines(serve(job(cell("a"))))[0]["fingerprint"]["kernels"]


def test_the_fingerprint_has_the_keys_of_the_contract_and_repeats(serve):
    first, second = (lines(serve(job(cell("a"))))[0] for _ in range(2))
    assert first == second
    keys = ["packages", "python", "libc", "cpu", "kernels", "threads", "variables"]
    assert list(first["fingerprint"]) == keys
    assert list(first["fingerprint"]["packages"]) == sorted(first["fingerprint"]["packages"])
