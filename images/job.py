"""The job of docs/architecture.md ("The entrypoint contract") as values, and the exact text that goes back."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

FORMAT = 1
CAPS = ("sse4.2", "avx2", "avx512")
DEVICE = re.compile(r"cpu|cuda:\d+")
Vector = List[float]
Matrix = List[List[float]]


class Unavailable(Exception):
    """This environment has no such dtype, option, device or setting."""


class MalformedJob(Exception):
    """The job is not what the contract says."""


@dataclass(frozen=True)
class Settings:
    """How the process is set up: threads, a cap on the instruction set, variables."""

    threads: Optional[int]
    isa: Optional[str]
    env: Dict[str, str]


@dataclass(frozen=True)
class Workload:
    """The training job; every decimal read with float(), weights as rows per unit (`W[out][in]`)."""

    steps: int
    input: Vector
    target: Vector
    hidden_weights: Matrix
    output_weights: Matrix
    hidden_bias: float
    output_bias: float
    learning_rate: float


@dataclass(frozen=True)
class Task:
    """One cell, its options still as written in the job."""

    id: str
    device: str
    trace: bool
    workload: Workload
    dtype: str
    options: Dict[str, str]

    def weights(self) -> Tuple[Matrix, Matrix]:
        """Hidden and output weights as this cell's layout stores them."""
        work = self.workload
        both = (work.hidden_weights, work.output_weights)
        if self.options["layout"] == "in_out_untransposed" and any(len(w) != len(w[0]) for w in both):
            raise Unavailable("layout=in_out_untransposed needs square weights")
        if self.options["layout"] == "in_out":
            return transposed(both[0]), transposed(both[1])
        return both

    def result(self, losses: Vector, predictions: Matrix, hidden: Matrix, output: Matrix) -> Dict[str, Any]:
        """The measured part of the cell's line; takes the weights as stored, gives `W[out][in]`."""
        if self.options["layout"] != "out_in":
            hidden, output = transposed(hidden), transposed(output)
        return {
            "losses": hexadecimal(losses),
            "predictions": [hexadecimal(row) for row in predictions],
            "weights": {
                "hidden": [hexadecimal(row) for row in hidden],
                "output": [hexadecimal(row) for row in output],
            },
        }


def transposed(rows: Matrix) -> Matrix:
    """Rows as columns."""
    return [list(column) for column in zip(*rows)]


def hexadecimal(values: Vector) -> List[str]:
    """C99 hexadecimal text; NaN and infinity come out as `nan`, `inf`, `-inf`."""
    return [float(value).hex() for value in values]


def take(where: str, document: Any, key: str, kind: Any) -> Any:
    """`document[key]` if it is there and of this kind (a bool is no int)."""
    if not isinstance(document, dict) or key not in document:
        raise MalformedJob(f"{where} has no {key!r}")
    value = document[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise MalformedJob(f"{where}.{key} has the wrong type: {json.dumps(value)[:80]}")
    return value


def decimals(where: str, value: Any) -> Any:
    """Decimal text as floats, through any depth of lists."""
    if isinstance(value, list) and value:
        return [decimals(where, item) for item in value]
    try:
        if isinstance(value, str):
            return float(value)
    except ValueError:
        pass
    raise MalformedJob(f"{where} is not decimal text: {json.dumps(value)[:80]}")


def parse_settings(document: Any) -> Settings:
    settings = take("job", document, "settings", dict)
    threads = take("settings", settings, "threads", (int, type(None)))
    isa = take("settings", settings, "isa", (str, type(None)))
    env = take("settings", settings, "env", dict)
    if threads is not None and threads < 1:
        raise MalformedJob(f"settings.threads is {threads}, expected 1 or more")
    if isa is not None and isa not in CAPS:
        raise MalformedJob(f"settings.isa is {isa!r}, expected null or one of {', '.join(CAPS)}")
    if not all(isinstance(value, str) for value in env.values()):
        raise MalformedJob("settings.env holds a value that is no text")
    return Settings(threads, isa, dict(env))


def parse_workload(where: str, document: Dict[str, Any]) -> Workload:
    steps = take(where, document, "steps", int)
    if steps < 1:
        raise MalformedJob(f"{where}.steps is {steps}, expected 1 or more")
    lists = ("input", "target", "hidden_weights", "output_weights")
    texts = ("hidden_bias", "output_bias", "learning_rate")
    values = {key: decimals(f"{where}.{key}", take(where, document, key, list)) for key in lists}
    values.update({key: decimals(f"{where}.{key}", take(where, document, key, str)) for key in texts})
    hidden, output = values["hidden_weights"], values["output_weights"]
    widths = [(hidden, len(values["input"]), len(hidden)), (output, len(hidden), len(values["target"]))]
    for rows, columns, count in widths:
        if len(rows) != count or any(not isinstance(row, list) or len(row) != columns for row in rows):
            raise MalformedJob(f"{where}: the shapes of input, weights and target do not fit")
    return Workload(steps=steps, **values)


def parse_task(where: str, document: Any) -> Task:
    device = take(where, document, "device", str)
    if not DEVICE.fullmatch(device):
        raise MalformedJob(f"{where}.device is {device!r}, expected cpu or cuda:N")
    workload = parse_workload(f"{where}.workload", take(where, document, "workload", dict))
    variant = take(where, document, "variant", dict)
    options = {key: str(value) for key, value in take(f"{where}.variant", variant, "options", dict).items()}
    # The runner has already put a variant's own step count into the workload.
    if options.pop("steps", str(workload.steps)) != str(workload.steps):
        raise MalformedJob(f"{where}: the option steps contradicts workload.steps")
    dtype = take(f"{where}.variant", variant, "dtype", str)
    return Task(take(where, document, "id", str), device, document.get("trace") is True, workload, dtype, options)


def parse_document(text: str) -> Dict[str, Any]:
    """The job's document, of this format. Raises MalformedJob."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise MalformedJob(f"the job is not JSON: {error}") from None
    written = take("job", document, "format", int)
    if written != FORMAT:
        raise MalformedJob(f"the job has format {written}, this image reads format {FORMAT}")
    return dict(document)


def parse_job(document: Dict[str, Any]) -> Tuple[Settings, List[Task]]:
    """The settings and the cells as values. Raises MalformedJob, naming the place."""
    cells = take("job", document, "cells", list)
    return parse_settings(document), [parse_task(f"cells[{index}]", cell) for index, cell in enumerate(cells)]


def read_job(folder: Path, arguments: List[str]) -> str:
    """The file named on the command line, else standard input, else the default job of the folder."""
    if arguments:
        return Path(arguments[0]).read_text(encoding="utf-8")
    text = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read().decode("utf-8")
    if text.strip():
        return text
    return (folder / "default-job.json").read_text(encoding="utf-8")


def describe(error: BaseException) -> str:
    """Type and first line of the message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:500]}" if lines else type(error).__name__
