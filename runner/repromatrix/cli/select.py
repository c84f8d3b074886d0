"""Options -> matrix, plan, engine and execution, for the commands that run or make something."""

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix import resources
from repromatrix.cli.story import Story

if TYPE_CHECKING:
    from repromatrix.engines.base import Engine
    from repromatrix.execute.run import Execution
    from repromatrix.images.share import Share
    from repromatrix.matrix import Environment, Matrix
    from repromatrix.plan import Cell, Plan


def read(options: Namespace) -> "tuple[Matrix, Plan]":
    """Return the matrix and the plan that the options ask for; every environment of it has a lock.

    Raises:
        MatrixError: the file, or a version without a lock.
        NothingSelectedError: no cell is left.
    """
    from repromatrix.images.lock import require_current
    from repromatrix.matrix import load
    from repromatrix.plan import plan

    matrix = load(options.matrix)
    chosen = plan(matrix, profile=options.profile, select=options.select)
    require_current(matrix.path, chosen.environments)
    return matrix, chosen


def registry_of(options: Namespace) -> str | None:
    """Return the registry that the options or the environment variable name."""
    from repromatrix.images.sharing import named

    return named(getattr(options, "registry", None))


def engine(options: Namespace, story: Story, environments: "Sequence[Environment]") -> "Engine":
    """Return the engine that the options ask for; chosen once, it serves a whole command.

    Raises:
        NoEngineError: the one asked for does not answer.
    """
    from repromatrix.images.auto import settle

    if "choice" not in options:
        shared = registry_of(options) is not None
        options.choice = settle(options.engine, environments, story, shared=shared)
        story.say(f"{'engine':<10} {options.choice.engine.describe()} ({options.choice.reason})")
    chosen: Engine = options.choice.engine
    return chosen


def share_of(options: Namespace, chosen: "Engine", story: Story, *, own_base_first: bool = False) -> "Share | None":
    """Return the images in the registry that the options or the environment variable name, None where none is named.

    Raises:
        UsageError: the registry's form, or an engine that was asked to share and has no images.
    """
    from repromatrix.images.digests import NAME
    from repromatrix.images.sharing import shared

    digests = options.digests or (Path() if resources.is_installed(options.matrix) else options.matrix.parent) / NAME
    return shared(options.registry, chosen, story, digests, own_base_first=own_base_first)


def execution_of(
    matrix: "Matrix",
    cells: "Iterable[Cell]",
    options: Namespace,
    story: Story,
    *,
    at_hand: "Engine | None" = None,
    lock_folders: Mapping[str, Path] | None = None,
) -> "Execution":
    """Return an execution for cells, in the results folder of the options.

    Args:
        matrix: whose cells they are.
        cells: what is to run.
        options: of the command.
        story: hears what happens.
        at_hand: where the environment runs that is the Python at hand, if there is one among them.
        lock_folders: by environment, where its lock lies if it is not the matrix's own.

    Raises:
        MatrixError: a version without a lock.
        NoEngineError: the engine asked for does not answer.
    """
    from repromatrix.execute.run import Execution
    from repromatrix.execute.site import ThisMachine
    from repromatrix.images.lock import require_current
    from repromatrix.results.store import Store

    folders = {} if lock_folders is None else lock_folders
    environments = list({cell.environment.name: cell.environment for cell in cells}.values())
    made = [each for each in environments if not each.at_hand]
    require_current(matrix.path, [each for each in made if each.name not in folders])
    chosen = engine(options, story, made) if made or at_hand is None else at_hand
    site = ThisMachine(chosen, here=at_hand, share=share_of(options, chosen, story), lock_folders=folders)
    return Execution(matrix=matrix, site=site, store=Store(options.results), listener=story, jobs=options.jobs)
