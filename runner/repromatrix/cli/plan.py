"""`repromatrix plan`: every cell, and those left out with their reasons."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.select import read

if TYPE_CHECKING:
    from repromatrix.plan import Cell, Plan

_GITHUB_JOBS = 256


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.selection(parser)
    parser.add_argument("--format", choices=("table", "json", "github"), default="table", help="default: table")
    shared.json_output(parser)
    shared.examples(parser, "plan --select 'torch-*'", "plan --profile nightly --select '!*-float16'")


def run(options: Namespace) -> int:
    """Print the plan as a table, as JSON, or as the matrix of a GitHub Actions job."""
    _, plan = read(options)
    form = "json" if options.json else options.format
    if form == "json":
        out.document(document(plan), indent=1)
    elif form == "github":
        include = _jobs([each.name for each in plan.environments])
        out.document({"include": include}, separators=(",", ":"))
    else:
        _table(plan)
    return 0


def _jobs(names: Sequence[str]) -> list[dict[str, str]]:
    """Return jobs, no more than GitHub runs of one matrix: an environment each, or some of them together."""
    together = -(-len(names) // _GITHUB_JOBS) or 1
    parts = [names[place : place + together] for place in range(0, len(names), together)]
    return [
        {"name": part[0] if together == 1 else f"part-{number:03}", "environments": " ".join(part)}
        for number, part in enumerate(parts, 1)
    ]


def document(plan: "Plan") -> dict[str, Any]:
    """Return the plan as plain data."""
    return {
        "profile": plan.profile,
        "cells": [_cell(cell) for cell in plan.cells],
        "left_out": [{"id": each.cell.id, "reason": each.reason} for each in plan.left_out],
        "noise": [
            {"reference": each.reference.id, "members": [cell.id for cell in each.members]} for each in plan.ensembles
        ],
    }


def _cell(cell: "Cell") -> dict[str, Any]:
    return {
        "id": cell.id,
        "workload": cell.workload.name,
        "environment": cell.environment.name,
        "framework": cell.environment.framework,
        "version": cell.environment.version,
        "flavour": cell.environment.flavour,
        "python": cell.environment.python,
        "variant": cell.variant.name,
        "dtype": cell.variant.dtype,
        "device": cell.device,
        "settings": cell.settings.name,
        "options": dict(cell.variant.options),
    }


def _table(plan: "Plan") -> None:
    width = max(len(cell.id) for cell in plan.cells)
    for cell in plan.cells:
        options = " ".join(f"{key}={value}" for key, value in cell.variant.options)
        out.say(f"{cell.id:<{width}}  {cell.variant.dtype:<8}  {options}")
    for each in plan.left_out:
        out.say(f"{each.cell.id:<{width}}  left out: {each.reason}")
    noise = len(plan.every_cell) - len(plan.cells)
    more = f", and {noise} more that measure the noise floor" if noise else ""
    out.say(
        f"\n{len(plan.cells)} cells in {len(plan.environments)} environments, {len(plan.left_out)} left out "
        f"(profile {plan.profile}){more}"
    )
