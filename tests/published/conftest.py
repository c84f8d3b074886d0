"""Synthetic records."""

from tests.compare.conftest import builder

__all__ = ["builder"]
