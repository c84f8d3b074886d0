"""Typed claims: each sentence of a report with the cells and the exact values that it stands on."""
