"""Options -> matrix, plan, engine and execution, for the commands that run or make something."""

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from repromatrix import resources
from repromatrix.cli.story import Story
from repromatrix.errors import UsageError

if TYPE_CHECKING:
    from repromatrix.engines.base import Engine
    from repromatrix.execute.cluster.pool import Pool
    from repromatrix.execute.cluster.site import Cluster
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
    from repromatrix.images.sharing import shared

    return shared(options.registry, chosen, story, digests_of(options), own_base_first=own_base_first)


def digests_of(options: Namespace) -> Path:
    """Return where the list of pushed images is."""
    from repromatrix.images.digests import NAME

    own: Path | None = options.digests
    return own or (Path() if resources.is_installed(options.matrix) else options.matrix.parent) / NAME


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
    from repromatrix.images.lock import require_current
    from repromatrix.results.store import Store

    folders = {} if lock_folders is None else lock_folders
    environments = list({cell.environment.name: cell.environment for cell in cells}.values())
    made = [each for each in environments if not each.at_hand]
    require_current(matrix.path, [each for each in made if each.name not in folders])
    store = Store(options.results)
    if options.cluster:
        from repromatrix.execute.cluster.pool import Workers

        pool, elsewhere = cluster_of(options, story, folders, at_hand)
        return Execution(
            matrix=matrix,
            site=elsewhere,
            store=store,
            listener=story,
            jobs=max(options.jobs, pool.threads),
            workers=lambda: Workers(pool),
        )
    if options.cpu_class:
        raise UsageError("--cpu-class goes with --cluster only", hint="--cluster tcp://HOST:8786")
    from repromatrix.execute.site import ThisMachine

    chosen = engine(options, story, made) if made or at_hand is None else at_hand
    site = ThisMachine(chosen, here=at_hand, share=share_of(options, chosen, story), lock_folders=folders)
    return Execution(matrix=matrix, site=site, store=store, listener=story, jobs=options.jobs)


def cluster_of(
    options: Namespace, story: Story, lock_folders: Mapping[str, Path], at_hand: "Engine | None"
) -> "tuple[Pool, Cluster]":
    """Return the workers that the options name; looked for once, they serve a whole command.

    Raises:
        NoEngineError: no scheduler answers, or no worker takes part.
        UsageError: the Python at hand is asked for too, no worker is of the CPU class, or Dask is not installed.
    """
    if at_hand is not None:
        raise UsageError(
            "--here and --cluster do not go together", hint="--here is this machine's: leave --cluster out"
        )
    try:
        from repromatrix.execute.cluster.pool import Pool
    except ImportError as error:
        raise UsageError(
            f"--cluster needs Dask: {error}", hint="install it: pip install 'repromatrix[cluster]'"
        ) from error
    from repromatrix.execute.cluster.site import Cluster

    told = "pool" in options
    if not told:
        options.pool = Pool(options.cluster, story)
    found = Cluster(
        options.pool,
        engine=options.engine,
        cpu_class=options.cpu_class,
        registry=registry_of(options),
        digests=digests_of(options),
        lock_folders=lock_folders,
    )
    if not told:
        story.say(f"{'cluster':<10} {found}")
    return options.pool, found
