"""Repromatrix: numerical reproducibility across machine-learning frameworks, versions and devices."""

__version__ = "0.1.0"
