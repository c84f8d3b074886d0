"""The operations that a job asks for, and their samples of inputs, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping

from job import MalformedJob, Task, parse_task, take

# The inputs of each primitive and their sizes, a letter each; equal letters, equal sizes. `t` is that of the target.
PRIMITIVES: Dict[str, Dict[str, str]] = {
    "product": {"W": "oi", "v": "i"},
    "bias": {"p": "o", "b": "o"},
    "sigmoid": {"z": "o"},
    "loss": {"o": "t", "t": "t"},
    "error": {"o": "t", "t": "t"},
    "sigmoid_gradient": {"z": "o", "a": "o", "e": "o"},
    "outer": {"d": "o", "v": "i"},
    "back": {"W": "oi", "d": "o"},
    "update": {"W": "oi", "g": "oi"},
}
STEP = "step"
# What a sample of `step` holds: the weights before the step, and those tensors of a trace that there are.
BEFORE = {"hidden_weights": "hi", "output_weights": "th"}
GIVEN = {
    "hidden_pre": "h",
    "hidden": "h",
    "output_pre": "t",
    "output": "t",
    "grad_output_weights": "th",
    "grad_hidden_weights": "hi",
    "new_output_weights": "th",
}
NUMBER = re.compile(r"[+-]?(0x[01](\.[0-9a-f]*)?p[+-]?\d+|inf)|nan", re.IGNORECASE)
Sample = Dict[str, Any]  # a name -> numbers in a list, or in rows


@dataclass(frozen=True)
class Operation:
    """One primitive of a variant, or its `step`, on samples of inputs; weights as `W[out][in]`."""

    task: Task
    name: str
    samples: List[Sample]


def parse_operations(document: Dict[str, Any]) -> List[Operation]:
    """The operations of a job; none if it has no such entry. Raises MalformedJob, naming the place."""
    if "operations" not in document:
        return []
    entries = take("job", document, "operations", list)
    return [parse_operation(f"operations[{index}]", entry) for index, entry in enumerate(entries)]


def parse_operation(where: str, document: Any) -> Operation:
    task, name = replace(parse_task(where, document), trace=False), take(where, document, "operation", str)
    if name not in (*PRIMITIVES, STEP):
        raise MalformedJob(f"{where}.operation is {name!r}, expected one of {', '.join((*PRIMITIVES, STEP))}")
    samples = take(where, document, "samples", list)
    if not samples:
        raise MalformedJob(f"{where}.samples is empty")
    work = task.workload
    sizes = {"t": len(work.target)}
    if name == STEP:
        sizes.update(i=len(work.input), h=len(work.hidden_weights))
    needed, known = (BEFORE, {**BEFORE, **GIVEN}) if name == STEP else (PRIMITIVES[name], PRIMITIVES[name])
    read = [
        parse_sample(f"{where}.samples[{index}]", each, needed, known, dict(sizes))
        for index, each in enumerate(samples)
    ]
    return Operation(task, name, read)


def parse_sample(
    where: str, document: Any, needed: Mapping[str, str], known: Mapping[str, str], sizes: Dict[str, int]
) -> Sample:
    """The numbers of a sample; `sizes` are those known already, and learns the others."""
    for name in needed:
        take(where, document, name, list)
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise MalformedJob(f"{where} has the unknown {unknown[0]!r}, expected {', '.join(known)}")
    return {
        name: parse_tensor(f"{where}.{name}", take(where, document, name, list), letters, sizes)
        for name, letters in known.items()
        if name in document
    }


def parse_tensor(where: str, entry: List[Any], letters: str, sizes: Dict[str, int]) -> Any:
    """A list of numbers, or rows of them; weights may also be laid flat, as in a trace, where their shape is known."""
    rows = bool(entry) and isinstance(entry[0], list)
    if len(letters) == 1 or not rows:
        if rows:
            raise MalformedJob(f"{where} has rows, expected a list of numbers")
        numbers = [number(where, text) for text in entry]
        if len(letters) == 1:
            return sized(where, numbers, letters, sizes)
        if any(letter not in sizes for letter in letters):
            raise MalformedJob(f"{where} is a list of numbers, expected rows of them")
        height, width = (sizes[letter] for letter in letters)
        if len(numbers) != height * width:
            raise MalformedJob(f"{where} has {len(numbers)} numbers, expected {height * width}")
        return [numbers[start : start + width] for start in range(0, len(numbers), width)]
    if not all(isinstance(row, list) for row in entry):
        raise MalformedJob(f"{where} mixes rows and numbers")
    found = [sized(where, [number(where, text) for text in row], letters[1], sizes) for row in entry]
    return sized(where, found, letters[0], sizes)


def sized(where: str, values: List[Any], letter: str, sizes: Dict[str, int]) -> List[Any]:
    """The values, if there are as many as there must be."""
    if not values:
        raise MalformedJob(f"{where} is empty")
    due = sizes.setdefault(letter, len(values))
    if len(values) != due:
        raise MalformedJob(f"{where}: {len(values)} entries where {due} are due")
    return values


def number(where: str, text: Any) -> float:
    """An exact number. Decimal text is refused: `float.fromhex` would take it for hexadecimal."""
    if not isinstance(text, str) or not NUMBER.fullmatch(text):
        raise MalformedJob(f"{where} is not hexadecimal text: {str(text)[:80]!r}")
    return float.fromhex(text)
