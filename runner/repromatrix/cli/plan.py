"""`repromatrix plan`: every cell, and those left out with their reasons."""

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.select import read
from repromatrix.errors import UsageError

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
        _check_jobs(plan)
        include = [
            {"environment": each.name, "framework": each.framework, "python": each.python} for each in plan.environments
        ]
        out.document({"include": include}, separators=(",", ":"))
    else:
        _table(plan)
    return 0


def _check_jobs(plan: "Plan") -> None:
    count = len(plan.environments)
    if count > _GITHUB_JOBS:
        raise UsageError(
            f"{count} environments, and GitHub runs at most {_GITHUB_JOBS} jobs of one matrix",
            hint="split the profile, or choose a part with --select",
        )


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
