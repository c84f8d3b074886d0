"""The job of docs/architecture.md ("The contract of an image") as values.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import binascii
import json
import sys
from math import isfinite, prod
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Optional, Tuple

from values import fields

FORMAT = 2
CAPS = ("sse4.2", "avx2", "avx512")
WIDTHS = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "bool": 1}


class Unavailable(Exception):
    """This environment has no such dtype, option, device or setting."""


class MalformedJob(Exception):
    """The job is not what the contract says."""


@fields
class Settings:
    """How the process is set up: threads, a cap on the instruction set, variables."""

    threads: Optional[int]
    isa: Optional[str]
    env: Dict[str, str]


@fields
class Code:
    """The modules of a workload: file name -> source text; and the rows of its table, as workload.yaml has them.

    `copied`: of a command, path in the folder that it runs in -> text.
    """

    name: str
    files: Dict[str, str]
    rows: Dict[str, Any]
    copied: Dict[str, str]


@fields
class Input:
    """A tensor that the runner drew: `data` is its little-endian bits, row by row."""

    dtype: str
    shape: Tuple[int, ...]
    data: bytes


@fields
class Cell:
    """One training job in one variant.

    `workload` is the key of its code. `metrics` and `outputs` are always told; with `trace` everything is.
    `fetch`: the (step, name) whose bits are sent along. `words`: a command that is run in place of a module, empty
    where there is one, and `output` where its numbers stand: `stdout`, `stderr` or a file that it writes.
    """

    id: str
    device: str
    workload: str
    steps: int
    batch: int
    dtype: str
    options: Dict[str, str]
    numbers: Dict[str, float]
    inputs: Dict[str, Input]
    metrics: Tuple[str, ...]
    outputs: Tuple[str, ...]
    trace: bool
    fetch: FrozenSet[Tuple[int, str]]
    words: Tuple[str, ...] = ()
    output: str = ""


@fields
class Place:
    """A value of a step, and the operation that computes it.

    `takes`: what it is computed from, in order, each with the letters of its sizes (`*`: any shape, the same for all
    that have it), and with its dtype where that is not the cell's; `gives`: the letters of the value.
    """

    value: str
    operation: str
    takes: Tuple[Tuple[str, str, Optional[str]], ...]
    gives: str


@fields
class Operation:
    """An operation of a cell's workload on inputs of its own, or a whole step: what is computed from what."""

    cell: Cell
    name: str
    places: Tuple[Place, ...]
    samples: List[Any]


@fields
class Job:
    """What a process is asked for."""

    settings: Settings
    codes: Dict[str, Code]
    cells: List[Cell]
    operations: List[Operation]


def take(where: str, document: Any, key: str, kind: Any) -> Any:
    """`document[key]` if it is there and of this kind (a bool is no int)."""
    if not isinstance(document, dict) or key not in document:
        raise MalformedJob(f"{where} has no {key!r}")
    value = document[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise MalformedJob(f"{where}.{key} has the wrong type: {json.dumps(value)[:80]}")
    return value


def texts(where: str, document: Any, key: str) -> Dict[str, str]:
    """`document[key]` if it is an object of texts."""
    entry = take(where, document, key, dict)
    if not all(isinstance(value, str) for value in entry.values()):
        raise MalformedJob(f"{where}.{key} holds a value that is no text")
    return dict(entry)


def names(where: str, document: Any, key: str) -> Tuple[str, ...]:
    """`document[key]` if it is a list of texts."""
    entry = take(where, document, key, list)
    if not all(isinstance(value, str) for value in entry):
        raise MalformedJob(f"{where}.{key} holds a value that is no text")
    return tuple(entry)


def parse_settings(document: Any) -> Settings:
    settings = take("job", document, "settings", dict)
    threads = take("settings", settings, "threads", (int, type(None)))
    isa = take("settings", settings, "isa", (str, type(None)))
    if threads is not None and threads < 1:
        raise MalformedJob(f"settings.threads is {threads}, expected 1 or more")
    if isa is not None and isa not in CAPS:
        raise MalformedJob(f"settings.isa is {isa!r}, expected null or one of {', '.join(CAPS)}")
    return Settings(threads, isa, texts("settings", settings, "env"))


def parse_code(where: str, document: Any) -> Code:
    files = texts(where, document, "files")
    for name in files:
        if not (name.endswith(".py") and name[:-3].isidentifier()):
            raise MalformedJob(f"{where}.files has {name!r}, expected the name of a Python module's file")
    rows = take(where, document, "rows", dict) if "rows" in document else {}
    copied = texts(where, document, "copied") if "copied" in document else {}
    for name in copied:
        if name.startswith("/") or not set(name.split("/")).isdisjoint(("", ".", "..")):
            raise MalformedJob(f"{where}.copied has {name!r}, expected a path below the folder of a command")
    return Code(take(where, document, "name", str), files, rows, copied)


def parse_data(document: Any) -> Dict[str, bytes]:
    """The bits of the inputs, by the name that cells give them; many cells share one."""
    found = {}
    for name, text in texts("job", document, "data").items():
        try:
            found[name] = binascii.a2b_base64(text)
        except ValueError:
            raise MalformedJob(f"job.data.{name} is not base64") from None
        if binascii.b2a_base64(found[name], newline=False).decode() != text:
            raise MalformedJob(f"job.data.{name} is not base64")
    return found


def parse_input(where: str, document: Any, data: Dict[str, bytes]) -> Input:
    dtype, name = take(where, document, "dtype", str), take(where, document, "data", str)
    shape = tuple(take(where, document, "shape", list))
    if dtype not in WIDTHS:
        raise MalformedJob(f"{where}.dtype is {dtype!r}, expected one of {', '.join(WIDTHS)}")
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise MalformedJob(f"{where}.shape is no list of sizes: {json.dumps(list(shape))[:80]}")
    if name not in data:
        raise MalformedJob(f"{where}.data is {name[:40]!r}, which job.data does not have")
    if len(data[name]) != prod(shape) * WIDTHS[dtype]:
        raise MalformedJob(f"{where}: {len(data[name])} bytes where {prod(shape)} values of {dtype} are due")
    return Input(dtype, shape, data[name])


def parse_number(where: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise MalformedJob(f"{where} is not decimal text: {text[:80]!r}") from None
    if not isfinite(number):
        raise MalformedJob(f"{where} is not finite: {text[:80]!r}")
    return number


def parse_fetch(where: str, document: Any) -> FrozenSet[Tuple[int, str]]:
    entries = take(where, document, "fetch", list)
    for entry in entries:
        if not isinstance(entry, list) or [type(part) for part in entry] != [int, str]:
            raise MalformedJob(f"{where}.fetch holds {json.dumps(entry)[:80]}, expected a step and a name")
    return frozenset((step, name) for step, name in entries)


def parse_cell(where: str, document: Any, codes: Dict[str, Code], data: Dict[str, bytes]) -> Cell:
    device, workload = take(where, document, "device", str), take(where, document, "workload", str)
    steps, batch = take(where, document, "steps", int), take(where, document, "batch", int)
    if device != "cpu" and not (device.startswith("cuda:") and device[5:].isdecimal()):
        raise MalformedJob(f"{where}.device is {device!r}, expected cpu or cuda:N")
    if workload not in codes:
        raise MalformedJob(f"{where}.workload is {workload[:40]!r}, which job.workloads does not have")
    words, output = parse_command(where, document)
    if (steps < 1 and not words) or batch < 0:
        raise MalformedJob(f"{where} has {steps} steps of {batch} rows, expected 1 or more steps")
    inputs = take(where, document, "inputs", dict)
    return Cell(
        id=take(where, document, "id", str),
        device=device,
        workload=workload,
        steps=steps,
        batch=batch,
        dtype=take(where, document, "dtype", str),
        options=texts(where, document, "options"),
        numbers={
            name: parse_number(f"{where}.numbers.{name}", text)
            for name, text in texts(where, document, "numbers").items()
        },
        inputs={name: parse_input(f"{where}.inputs.{name}", entry, data) for name, entry in inputs.items()},
        metrics=names(where, document, "metrics"),
        outputs=names(where, document, "outputs"),
        trace=take(where, document, "trace", bool),
        fetch=parse_fetch(where, document),
        words=words,
        output=output,
    )


def parse_command(where: str, document: Any) -> Tuple[Tuple[str, ...], str]:
    """What a cell runs in place of a module, and where its numbers stand."""
    if "command" not in document:
        return (), ""
    command = take(where, document, "command", dict)
    words = names(f"{where}.command", command, "words")
    if not words:
        raise MalformedJob(f"{where}.command has no words")
    return words, take(f"{where}.command", command, "output", str)


def parse_operation(where: str, document: Any, codes: Dict[str, Code], data: Dict[str, bytes]) -> Operation:
    cell = parse_cell(where, document, codes, data)
    places = tuple(parse_place(f"{where}.places", entry) for entry in take(where, document, "places", list))
    name, samples = take(where, document, "operation", str), take(where, document, "samples", list)
    return Operation(cell, name, places, samples)


def parse_place(where: str, document: Any) -> Place:
    takes = take(where, document, "takes", list)
    if not all(isinstance(each, list) and [type(part) for part in each[:2]] == [str, str] for each in takes):
        raise MalformedJob(f"{where}.takes holds {json.dumps(takes)[:80]}, expected names with their sizes")
    if not all(each[2:] in ([None], *([dtype] for dtype in WIDTHS)) for each in takes):
        raise MalformedJob(f"{where}.takes holds {json.dumps(takes)[:80]}, expected a dtype or null at the end")
    value, operation, gives = (take(where, document, key, str) for key in ("value", "operation", "gives"))
    return Place(value, operation, tuple((name, letters, dtype) for name, letters, dtype in takes), gives)


def parse_job(text: str) -> Job:
    """The whole job. Raises MalformedJob, naming the place."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise MalformedJob(f"the job is not JSON: {error}") from None
    written = take("job", document, "format", int)
    if written != FORMAT:
        raise MalformedJob(f"the job has format {written}, this image reads format {FORMAT}")
    workloads, data = take("job", document, "workloads", dict), parse_data(document)
    codes = {key: parse_code(f"workloads.{key[:16]}", entry) for key, entry in workloads.items()}
    cells, operations = (take("job", document, key, list) for key in ("cells", "operations"))
    return Job(
        settings=parse_settings(document),
        codes=codes,
        cells=[parse_cell(f"cells[{index}]", entry, codes, data) for index, entry in enumerate(cells)],
        operations=[
            parse_operation(f"operations[{index}]", entry, codes, data) for index, entry in enumerate(operations)
        ],
    )


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
