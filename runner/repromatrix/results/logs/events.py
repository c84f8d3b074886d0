"""TensorBoard's event files, through TensorBoard's own reader where it is installed."""

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from repromatrix.errors import UsageError
from repromatrix.results.logs import columns
from repromatrix.results.logs.columns import Asked, Column, Log

_MARK = b"brain.Event:"  # of the first record


def is_events(data: bytes) -> bool:
    """Whether it begins with the record that every event file begins with."""
    return _MARK in data[:64]


def read(data: bytes, where: str, asked: Asked) -> Log:
    """Return the scalars of an event file, a column a tag.

    Raises:
        UsageError: TensorBoard is not installed, or the file is damaged.
    """
    try:
        loader = import_module("tensorboard.backend.event_processing.event_file_loader")
        tensors = import_module("tensorboard.util.tensor_util")
    except ImportError as error:
        raise UsageError(
            "a TensorBoard event file, and TensorBoard is not installed beside repromatrix",
            where=where,
            hint=f"type {sys.executable} -m pip install tensorboard, or export the scalar as CSV or JSON",
        ) from error
    found: dict[str, list[tuple[int, float]]] = {}
    other: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="repromatrix-events-") as folder:
        path = Path(folder) / "events.out.tfevents.0"
        path.write_bytes(data)  # its reader takes paths alone
        try:
            for event in loader.EventFileLoader(str(path)).Load():
                for each in event.summary.value:
                    number = _scalar(each, tensors)
                    if number is None:
                        other.add(each.tag)
                    else:
                        found.setdefault(each.tag, []).append((event.step, number))
        except Exception as error:  # its reader raises what protocol buffers and files raise
            what = f"a damaged event file ({type(error).__name__})"
            raise UsageError(what, where=where, hint="copy it again") from error
    kept = [_column(tag, rows, asked, where) for tag, rows in found.items()]
    left_out = (f"{columns.names(sorted(other))} (no scalars)",) if other else ()
    return Log(form="TensorBoard events", columns=tuple(kept), left_out=left_out)


def _scalar(value: Any, tensors: Any) -> float | None:
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor"):
        return None
    array = tensors.make_ndarray(value.tensor)
    return float(array) if array.size == 1 and array.dtype == np.float32 else None


def _column(tag: str, rows: list[tuple[int, float]], asked: Asked, where: str) -> Column:
    steps = np.array([step for step, _ in rows], dtype=np.float64)
    column = columns.exact(tag, np.array([value for _, value in rows]), "float32")
    return column if asked.by_place else columns.stepped(column, steps, where, asked)
