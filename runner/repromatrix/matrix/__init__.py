"""matrix.yaml as a frozen value: `load` reads and checks it, `model` holds the types."""

from repromatrix.matrix.load import load
from repromatrix.matrix.model import (
    Environment,
    Exclude,
    Include,
    Limits,
    Matrix,
    Profile,
    PublishedColumn,
    PublishedTable,
    Settings,
    Tolerance,
    Variant,
    Workload,
)

__all__ = [
    "Environment",
    "Exclude",
    "Include",
    "Limits",
    "Matrix",
    "Profile",
    "PublishedColumn",
    "PublishedTable",
    "Settings",
    "Tolerance",
    "Variant",
    "Workload",
    "load",
]
