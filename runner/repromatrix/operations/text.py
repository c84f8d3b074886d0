"""Samples and outputs as the hexadecimal text of jobs and records, and as arrays."""

from collections.abc import Mapping, Sequence

import numpy as np

from repromatrix.operations import soft
from repromatrix.operations.catalogue import OWN_SIGMOID, Sample, Tensor


def write(sample: Mapping[str, Tensor]) -> dict[str, str | list[str] | list[list[str]]]:
    """Return a sample as hexadecimal text, for a job or a record, without what no operation takes (`OWN_SIGMOID`)."""
    return {name: _written(tensor) for name, tensor in sample.items() if name != OWN_SIGMOID}


def stacked(samples: Sequence[Sample]) -> dict[str, soft.Array]:
    """Return the inputs of many calls as arrays, whose first axis is the samples.

    Raises:
        ValueError: samples of several shapes, or none at all.
        KeyError: they have not the same inputs.
    """
    if not samples:
        raise ValueError("no samples")
    return {name: np.array([each[name] for each in samples], np.float64) for name in samples[0]}


def flat(texts: Sequence[str]) -> list[float]:
    """Return numbers from hexadecimal text."""
    return [float.fromhex(text) for text in texts]


def rows(texts: Sequence[str], shape: tuple[int, ...]) -> list[list[float]]:
    """Return weights from hexadecimal text laid flat, row by row."""
    values, width = flat(texts), shape[1]
    return [values[start : start + width] for start in range(0, len(values), width)]


def _written(tensor: Tensor) -> str | list[str] | list[list[str]]:
    if isinstance(tensor, float):
        return tensor.hex()
    if tensor and isinstance(tensor[0], list):
        return [[value.hex() for value in row] for row in tensor if isinstance(row, list)]
    return [value.hex() for value in tensor if isinstance(value, float)]
