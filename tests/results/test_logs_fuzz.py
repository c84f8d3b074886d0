"""Damaged files of every form: read or refused with a message, in bounded time, and no number that is not in the file.

python -m tests.results.test_logs_fuzz --seconds 600 [--seed N]     as long as one likes
"""

import argparse
import gzip
import io
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from bench.torture.damage import damaged
from bench.torture.memory import peak, peak_since_now
from repromatrix.errors import UsageError
from repromatrix.results.logs import files, read
from repromatrix.results.logs.columns import Asked, Column
from repromatrix.results.logs.figures import Comma

CORPUS = Path(__file__).parents[1] / "data" / "dialects"
FILES = 2000
MOST_SECONDS = 5.0  # of the processor, for one file
MOST_GROWTH = 64 << 20


def seeds() -> list[bytes]:
    """Return whole files of every form."""
    found = [path.read_bytes() for path in sorted(CORPUS.glob("*/*")) if path.name != "case.json"]
    array, archive = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([[1, 0.5], [2, 0.25]], "f4"))
    np.savez(archive, step=np.arange(3), loss=np.ones(3, "f4"), other=np.zeros(2))
    header = json.dumps({"loss": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    tensors = len(header).to_bytes(8, "little") + header + np.array([0.5, 0.25], "<f4").tobytes()
    bar = b"Epoch 1/2\n" + b"".join(b"\r%d/3 [=>.] - loss: 0.%d - acc: 0.5" % (at, at) for at in (1, 2, 3)) + b"\n"
    table = b"| step | loss |\n|---|---|\n| 1 | 0.5 |\n| 2 | -0.25 |\n"
    found += [
        *(array.getvalue(), archive.getvalue(), tensors) * 10,
        bar,
        table,
        b"losses = [\n 0.5,\n -0.25,\n 1e-5]\n",
    ]
    return [*found, *(gzip.compress(each) for each in found[:3])]


def unfounded_bits(column: Column, data: bytes) -> list[str]:
    """Return the numbers of a column whose bits are not in its file."""
    kinds = ("f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
    raw = (
        [{int(x).to_bytes(2, "little") for x in column.values.astype("f4").view("u4") >> 16}]
        if column.dtype == "bfloat16"
        else []
    )
    return [
        repr(value)
        for value in column.values.tolist()
        if not raw
        and np.isfinite(value)
        and not any(
            np.array([value]).astype(order + kind).tobytes() in data
            for kind in kinds
            for order in "<>"
            if kind[0] == "f" or float(value).is_integer()
        )
    ]


def unfounded(column: Column, data: bytes) -> list[str]:
    """Return the numbers of a column that are not in its file."""
    if column.texts is None:
        with np.errstate(over="ignore"):
            return unfounded_bits(column, data)
    text = files.text(data, "log")
    written = (
        text
        + text.replace("- ", "-")
        + text.replace(",", "")
        + text.replace(",", ".")
        + text.replace(".", "").replace(",", ".")
    )
    return [
        each
        for each, value in zip(column.texts.split("\n"), column.values.tolist(), strict=True)
        if not ("n" in each or "x" in each) and (each not in written or float(each) != value)
    ]


def check(data: bytes, asked: Asked) -> str:
    """Read a file; return what came of it, and raise what must not come of it."""
    start = time.process_time()
    try:
        log = read.parse(data, "log", asked)
    except UsageError as error:
        outcome = "refused" if error.what and error.hint else "refused without a word"
    else:
        outcome = log.form
        content = files.unpacked(data, "log")
        for column in log.columns:
            assert len(column.values)
            assert column.steps is None or len(column.steps) == len(column.values)
            if not content.startswith(b"PK"):  # packed
                assert not unfounded(column, content), column.name
    assert time.process_time() - start < MOST_SECONDS
    return outcome


def run(seed: int, count: int | None, seconds: float | None) -> Counter[str]:
    """Read damaged files until there are enough; return what came of them."""
    chance, every, outcomes = random.Random(seed), seeds(), Counter[str]()  # noqa: S311
    end = None if seconds is None else time.monotonic() + seconds
    while sum(outcomes.values()) < (count or sys.maxsize) and (end is None or time.monotonic() < end):
        data = damaged(chance, every)
        asked = chance.choice((Asked(), Asked(by_place=True), Asked(comma=Comma.DECIMAL), Asked(columns=("loss",))))
        try:
            outcomes[check(data, asked)] += 1
        except BaseException:
            sys.stderr.write(f"seed {seed}, file {sum(outcomes.values())}, {asked}: {data[:2000]!r}\n")
            raise
    return outcomes


def test_damaged_files_are_read_or_refused_and_no_number_is_made_up() -> None:
    run(seed=0, count=50, seconds=None)  # what is loaded at first does not count
    before = peak_since_now()
    outcomes = run(seed=13, count=FILES, seconds=None)
    assert peak() - before < MOST_GROWTH
    assert sum(outcomes.values()) == FILES
    assert not outcomes["refused without a word"]
    assert 0.05 * FILES < outcomes["refused"] < 0.95 * FILES  # both happen
    assert {"JSON", "JSON lines", "printed lines", "safetensors"} <= {*outcomes}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}: {run(options.seed, None, options.seconds)}\n")
