"""The torture campaign: kills, hostile places and damaged files, and the page that tells what came of them.

`make torture` runs all of it and writes the figures of docs/reliability.md; `tests/torture` runs a short form.
"""
