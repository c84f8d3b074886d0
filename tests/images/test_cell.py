"""The harness keeps the entrypoint contract of docs/architecture.md, whatever the framework does to the process."""

import base64
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

HARNESS = sorted((Path(__file__).resolve().parents[2] / "images").glob("*.py"))

ENTRYPOINT = """
import contextlib, os
from array import array
from cell import Framework, Unavailable, Value, main
from values import numbers

class Fake(Framework):
    name = "fake"
    dtypes = ("float64", "float32")
    knobs = ("XLA_FLAGS",)

    def check(self, settings):
        if "FAKE_REFUSES" in settings.env:
            raise Unavailable("cannot obey that")
        if "FAKE_BREAKS" in settings.env:
            raise KeyError("what the check asked for")

    def load(self, settings):
        print("a framework that prints when it is imported")
        os.write(1, b"and below Python too\\n")
        if os.environ.get("FAKE_NO_IMPORT"):
            raise ImportError("no such library")

    def kernels(self, devices):
        return {"threads_seen": os.environ.get("OMP_NUM_THREADS", "-"), "flags": os.environ.get("XLA_FLAGS", "-")}

    @contextlib.contextmanager
    def at(self, task):
        if task.device != "cpu":
            raise Unavailable("no device " + task.device)
        yield

    def tensor(self, given, device):
        return array("d", numbers(given.dtype, given.data))

    def value(self, tensor):
        return Value("float64", (len(tensor),), tensor.tobytes())

    def ran(self, task):
        if task.cell.options["mood"] == "lazy":
            raise RuntimeError("the cell ran in another way")

main(Fake())
"""

# `json.py` would shadow the standard library's, were the folder on the path.
FILES = {
    "fake.py": """
import json
import os
import sys
from array import array

from workload import moods


def train(task):
    os.system("echo a child that prints")
    print("a module that prints", json.dumps(1))
    sys.stdout.flush()
    moods.look(task)
    inf = float("inf")
    for loss in (0.5, inf, -inf, inf - inf):
        task.record({"twice": array("d", [1.0, 0.1]), "loss": loss}, state={"w": task.tensor("w")})
    task.finish({"twice": array("d", [2.0, 0.2])})
""",
    "moods.py": """
def look(task):
    if task.option("mood") == "bad":
        raise ValueError("too bad\\nsecond line")
    if task.option("mood") == "odd":
        raise task.Unavailable("nobody is that odd")
""",
    "json.py": "raise AssertionError('a module of the workload shadows another one')\n",
}
REPLAY = (
    FILES["fake.py"]
    + """

from replay import Operations


class Own(Operations):
    def double(self, x):
        return [2 * value for value in x]

    def tensor(self, values, shape):
        return list(values)

    def flat(self, tensor, shape):
        return [value.hex() for value in tensor]


def operations(task):
    return Own(task)
"""
)
DOUBLED = {"value": "y", "operation": "double", "takes": [["x", "n", None]], "gives": "n"}


def cell(identifier, **changes):
    entry = {
        "id": identifier,
        "device": "cpu",
        "workload": "tiny:1",
        "steps": 4,
        "batch": 0,
        "dtype": "float64",
        "options": {"mood": "good"},
        "numbers": {"rate": "0.5"},
        "inputs": {"w": {"dtype": "float64", "shape": [2, 1], "data": "w"}},
        "metrics": ["loss"],
        "outputs": ["twice"],
        "trace": False,
        "fetch": [],
    }
    return entry | changes


def job(*cells, files=None, operations=(), **settings):
    return {
        "format": 2,
        "settings": {"name": "s", "threads": 3, "isa": None, "env": {}, **settings},
        "workloads": {"tiny:1": {"name": "tiny", "files": files or FILES}},
        "data": {"w": base64.b64encode(struct.pack("<2d", 0.1, -0.0)).decode()},
        "cells": list(cells),
        "operations": list(operations),
    }


def in_mood(mood):
    return cell("a", options={"mood": mood})


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


def values(done, name):
    """What is told of a value, by step."""
    told = ((line["step"], entry) for line in lines(done) if line["line"] == "values" for entry in line["values"])
    return {step: entry for step, entry in told if entry[0] == name}


def test_lines_come_in_the_order_of_the_contract(serve):
    told = lines(serve(job(cell("a"), cell("b"))))
    each = ["start", *["values"] * 5, "cell"]
    assert [line["line"] for line in told] == ["fingerprint", *each, *each, "end"]
    assert [line["id"] for line in told[1:-1]] == ["a"] * 7 + ["b"] * 7
    assert [line.get("step") for line in told[1:8]] == [None, 1, 2, 3, 4, 5, None]
    assert told[7] == {"line": "cell", "id": "a", "outcome": "ok", "reason": None, "untraced": {}}
    assert told[-1] == {"line": "end", "cells": 2, "operations": 0}


def test_the_modules_of_a_workload_are_taken_away_at_the_end(serve, tmp_path):
    (tmp_path / "temporary").mkdir()
    done = serve(job(cell("a")), env=os.environ | {"TMPDIR": str(tmp_path / "temporary")})
    assert cells(done)["a"]["outcome"] == "ok"
    assert not list((tmp_path / "temporary").iterdir())


LEAVES = """
import atexit, ctypes, sys, threading, time
from array import array


def train(task):
    atexit.register(print, "said at the end")
    ctypes.CDLL(None).printf(b"printed without Python")
    sys.stderr.write("no newline")
    threading.Thread(target=time.sleep, args=(600,)).start()
    for _ in range(4):
        task.record({"loss": 1.0, "twice": 2.0})
"""


def test_the_process_ends_once_all_is_told_and_nothing_that_was_said_is_lost(serve):
    start = time.monotonic()
    done = serve(job(cell("a"), files={"fake.py": LEAVES}))
    assert cells(done)["a"]["outcome"] == "ok"
    assert time.monotonic() - start < 120, "the process waited for a thread of a cell"
    assert all(words in done.stderr for words in ("said at the end", "printed without Python", "no newline"))


def test_what_anyone_prints_goes_to_standard_error(serve):
    done = serve(job(cell("a")))
    lines(done)
    for noise in ("when it is imported", "below Python too", "a child that prints", "a module that prints"):
        assert noise in done.stderr
        assert noise not in done.stdout


def test_a_failing_cell_is_an_outcome_with_file_and_line_and_the_next_one_runs(serve):
    done = serve(job(in_mood("bad") | {"id": "fails"}, cell("a")))
    told = cells(done)
    assert (told["fails"]["outcome"], told["fails"]["reason"]) == ("failed", "tiny/moods.py:4: ValueError: too bad")
    assert told["a"]["outcome"] == "ok"
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": "cuda:0"}, "no device cuda:0"),
        ({"dtype": "float16"}, "no dtype float16 here, only float64, float32"),
        ({"options": {"mood": "odd"}}, "nobody is that odd"),
    ],
)
def test_what_the_environment_lacks_is_unavailable_with_the_reason(serve, changes, reason):
    done = serve(job(cell("a", **changes)))
    told = cells(done)["a"]
    assert (told["outcome"], told["reason"]) == ("unavailable", reason)
    assert not values(done, "loss")


def test_a_workload_without_a_module_for_the_framework_is_unavailable(serve):
    told = cells(serve(job(cell("a"), files={"numpy.py": ""})))["a"]
    assert (told["outcome"], told["reason"]) == ("unavailable", "the workload tiny has no fake.py")


# the files of a workload, and why its cell has failed
BROKEN = {
    "no train": ({"fake.py": "x = 1\n"}, "fake.py has no function train(task)"),
    "a mistake in the syntax": (
        {"fake.py": "def train(task):\n    return (\n"},
        "tiny/fake.py:2: SyntaxError: '(' was never",
    ),
    "an import that fails": (
        {"fake.py": "import no_such_module\n"},
        "tiny/fake.py:1: ModuleNotFoundError: No module named 'no_such_module'",
    ),
    "a name that is not there": (
        {"fake.py": "def train(task):\n    task.tensor('v')\n"},
        "tiny/fake.py:2: no 'v' among the inputs of workload.yaml: w",
    ),
    "a step too few": (
        {"fake.py": "def train(task):\n    task.record({'loss': 1.0})\n"},
        "1 steps are recorded where 4 are due: task.record({...})",
    ),
    "a factor that the framework did not obey": (
        {"fake.py": "def train(task):\n    for _ in range(4):\n        task.record({'loss': 1.0, 'twice': 2.0})\n"},
        "RuntimeError: the cell ran in another way",
    ),
}


@pytest.mark.parametrize(("files", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_with_a_module_is_the_reason_of_the_cell(serve, files, reason):
    lazy = {"mood": "lazy"} if "another way" in reason else {"mood": "good"}
    told = cells(serve(job(cell("a", options=lazy), files=files)))["a"]
    assert told["outcome"] == "failed"
    assert told["reason"].startswith(reason)


def test_floats_are_hexadecimal_and_nan_and_infinity_are_values(serve):
    done = serve(job(cell("a")))
    told = [entry for _, entry in sorted(values(done, "loss").items())]
    assert [entry[-1] for entry in told] == [["0x1.0000000000000p-1"], ["inf"], ["-inf"], ["nan"]]
    assert told[0][:4] == ["loss", "metric", "float64", []]
    twice = values(done, "twice")
    assert twice[1] == ["twice", "output", "float64", [2], ["0x1.0000000000000p+0", "0x1.999999999999ap-4"]]
    assert list(twice) == [1, 2, 3, 4, 5]
    assert values(done, "w") == {4: ["w", "state", "float64", [2], ["0x1.999999999999ap-4", "-0x0.0p+0"]]}


def test_the_bits_that_were_asked_for_are_sent_along(serve):
    told = values(serve(job(cell("a", fetch=[[2, "twice"], [9, "loss"]]))), "twice")
    assert base64.b64decode(told[2][5]) == struct.pack("<2d", 1.0, 0.1)
    assert [len(entry) for entry in told.values()] == [5, 6, 5, 5, 5]


def test_workloads_of_one_job_have_each_its_own_modules_in_whatever_order_they_run(serve):
    told = "from workload import which\n\n\ndef train(task):\n    for _ in range(4):\n"
    told += "        task.record({'loss': which.ONE, 'twice': 1.0})\n"
    asked = job(cell("a"), cell("b", workload="other:1"), cell("c"), cell("d", workload="other:1"))
    for number, name in enumerate(("tiny:1", "other:1")):
        files = {"fake.py": told, "which.py": f"ONE = {number}.5\n"}
        asked["workloads"][name] = {"name": name[:-2], "files": files}
    losses = [
        entry[-1]
        for line in lines(serve(asked))
        if line["line"] == "values" and line["step"] == 1
        for entry in line["values"]
        if entry[0] == "loss"
    ]
    assert losses == [[(0.5).hex()], [(1.5).hex()]] * 2


def test_an_import_that_fails_fails_every_cell(serve):
    done = serve(job(cell("a"), cell("b")), env={"FAKE_NO_IMPORT": "1"})
    told = cells(done).values()
    assert [(line["outcome"], line["reason"]) for line in told] == [("failed", "ImportError: no such library")] * 2
    assert set(lines(done)[0]["fingerprint"]["cpu"]) == {"machine", "vendor", "flags"}


# Operations.


def operation(identifier, **changes):
    samples = [{"x": ["0x1.0p+0"]}, {"x": ["0x1.0p+1", "-0x1.0p+1"]}]
    return cell(identifier) | {"operation": "double", "places": [DOUBLED], "samples": samples} | changes


def test_operations_come_after_all_cells_and_are_answered_by_the_workload(serve):
    told = lines(serve(job(cell("a"), operations=[operation("o")], files=FILES | {"fake.py": REPLAY})))
    assert [(line["line"], line.get("id")) for line in told if line["line"] != "values"] == [
        ("fingerprint", None), ("start", "a"), ("cell", "a"), ("start", "o"), ("operation", "o"), ("end", None),
    ]  # fmt: skip
    assert told[-2] == {
        "line": "operation",
        "id": "o",
        "operation": "double",
        "dtype": "float64",
        "outcome": "ok",
        "reason": None,
        "outputs": [{"y": [(2.0).hex()]}, {"y": [(4.0).hex(), (-4.0).hex()]}],
    }
    assert told[-1] == {"line": "end", "cells": 1, "operations": 1}


def test_a_workload_whose_module_has_no_operations_says_so(serve):
    told = lines(serve(job(operations=[operation("o")])))[-2]
    assert (told["line"], told["outcome"]) == ("operation", "unavailable")
    assert told["reason"] == "fake.py has no function operations(task)"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"device": "cuda:0"}, "no device cuda:0"), ({"dtype": "float16"}, "no dtype float16 here")],
)
def test_what_a_cell_cannot_be_its_operations_cannot_either(serve, changes, reason):
    told = lines(serve(job(operations=[operation("o", **changes)], files=FILES | {"fake.py": REPLAY})))[-2]
    assert told["outcome"] == "unavailable"
    assert told["reason"].startswith(reason)
    assert "outputs" not in told


# The settings.


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


def without(key, document=None):
    broken = document or cell("a")
    return {name: value for name, value in broken.items() if name != key}


def with_input(**changes):
    return job(cell("a", inputs={"w": {"dtype": "float64", "shape": [2, 1], "data": "w"} | changes}))


MALFORMED = [
    ("{", "not JSON"),
    ("[]", "job has no 'format'"),
    (job() | {"format": 1}, "format 1, this image reads format 2"),
    (job() | {"cells": {}}, "job.cells has the wrong type"),
    (without("operations", job()), "job has no 'operations'"),
    (job(isa="mmx"), "settings.isa is 'mmx'"),
    (job(threads=0), "settings.threads is 0"),
    (job(env={"A": 1}), "settings.env"),
    (job(cell("a", device="gpu")), "cells[0].device is 'gpu'"),
    (job(without("inputs")), "cells[0] has no 'inputs'"),
    (job(cell("a", workload="other")), "cells[0].workload is 'other', which job.workloads does not have"),
    (job(cell("a", steps=0)), "cells[0] has 0 steps"),
    (job(cell("a", steps=True)), "cells[0].steps has the wrong type"),
    (job(cell("a", numbers={"rate": "0,5"})), "cells[0].numbers.rate is not decimal text: '0,5'"),
    (job(cell("a", numbers={"rate": "1e999"})), "cells[0].numbers.rate is not finite"),
    (job(cell("a", metrics=[1])), "cells[0].metrics holds a value that is no text"),
    (job(cell("a", fetch=[["loss", 1]])), "cells[0].fetch holds"),
    (with_input(shape=[3, 1]), "cells[0].inputs.w: 16 bytes where 3 values of float64 are due"),
    (with_input(shape=[-2, 1]), "cells[0].inputs.w.shape is no list of sizes"),
    (with_input(dtype="float8"), "cells[0].inputs.w.dtype is 'float8'"),
    (with_input(data="v"), "cells[0].inputs.w.data is 'v', which job.data does not have"),
    (job() | {"data": {"w": "?"}}, "job.data.w is not base64"),
    (job() | {"data": {"v": "AAA", "w": ""}}, "job.data.v is not base64"),
    (job() | {"data": {"v": "AA AA", "w": ""}}, "job.data.v is not base64"),
    (job() | {"data": {"v": "ÄAAA", "w": ""}}, "job.data.v is not base64"),
    (job(files={"../fake.py": ""}), "files has '../fake.py', expected the name of a Python module's file"),
    (job(operations=[operation("o", samples=None)]), "operations[0].samples has the wrong type"),
    (job(operations=[operation("o", device="tpu")]), "operations[0].device is 'tpu'"),
]


@pytest.mark.parametrize(("document", "complaint"), MALFORMED, ids=[each[1] for each in MALFORMED])
def test_a_malformed_job_is_named_and_exits_2(serve, document, complaint):
    done = serve(document)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("malformed job: ")
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
