"""Cells -> records; a failure is a value, never a lost cell."""
