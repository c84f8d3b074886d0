"""Command line options -> matrix, plan, engine, store: what the commands share."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix.cli.registry import asked
from repromatrix.cli.story import Story
from repromatrix.engines.base import Engine
from repromatrix.engines.choose import Choice
from repromatrix.errors import MatrixError
from repromatrix.images import lock as locks
from repromatrix.matrix import Environment, Matrix, load
from repromatrix.plan import Cell, Plan, plan

if TYPE_CHECKING:
    from repromatrix.execute.run import Execution


def read(options: Namespace) -> tuple[Matrix, Plan]:
    """Return the matrix and the plan that the options ask for; every environment of it has a lock.

    Raises:
        MatrixError: the file, or a version without a lock.
        NothingSelectedError: no cell is left.
    """
    matrix = load(options.matrix)
    chosen = plan(matrix, profile=options.profile, select=options.select)
    require_locks(matrix.path, chosen.environments)
    return matrix, chosen


def require_locks(path: Path, environments: Sequence[Environment]) -> None:
    """Check that every environment has a lock that answers its request.

    Raises:
        MatrixError: naming those without, with the line of the first.
    """
    without = [each for each in environments if not locks.is_current(each)]
    if without:
        names = " ".join(f"--select {each.name}" for each in without[:5])
        raise MatrixError(
            f"no lock that answers it: {', '.join(each.name for each in without)}",
            where=f"{path.name}:{without[0].line}",
            hint=f"make it: repromatrix lock {names}" if len(without) <= 5 else "make them: make lock",  # noqa: PLR2004
        )


def engine(options: Namespace, story: Story, environments: Sequence[Environment]) -> Engine:
    """Return the engine that the options ask for, saying which it is and why; chosen once, it serves a whole command.

    Raises:
        NoEngineError: the one asked for does not answer.
    """
    if "choice" not in options:
        options.choice = _choice(options, story, environments)
        story.say(f"{'engine':<10} {options.choice.engine.describe()} ({options.choice.reason})")
    chosen: Engine = options.choice.engine
    return chosen


def _choice(options: Namespace, story: Story, environments: Sequence[Environment]) -> Choice:
    from repromatrix.engines.choose import choose  # noqa: PLC0415 - the Docker SDK costs time

    if options.engine != "auto":
        return choose(options.engine)
    from repromatrix.cli.auto import settle  # noqa: PLC0415

    return settle(environments, story.say, shared=asked(options) is not None)


def execution_of(matrix: Matrix, cells: Sequence[Cell], options: Namespace, story: Story) -> "Execution":
    """Return an execution for cells, in the engine and the results folder of the options; their locks are there."""
    # Loaded by those that run something only.
    from repromatrix.cli.registry import share_of  # noqa: PLC0415
    from repromatrix.execute.run import Execution  # noqa: PLC0415
    from repromatrix.results.store import Store  # noqa: PLC0415

    environments = list({cell.environment.name: cell.environment for cell in cells}.values())
    require_locks(matrix.path, environments)
    chosen = engine(options, story, environments)
    return Execution(
        matrix=matrix,
        engine=chosen,
        store=Store(options.results),
        listener=story,
        jobs=options.jobs,
        share=share_of(options, chosen, story),
    )
