"""Frozen values -> JSON values."""

import dataclasses
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec


def plain(value: Any) -> Any:
    """Return values, structs and dataclasses as JSON values; a float that JSON lacks becomes text."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, msgspec.Struct):
        return {each.encode_name: plain(getattr(value, each.name)) for each in msgspec.structs.fields(value)}
    if dataclasses.is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
